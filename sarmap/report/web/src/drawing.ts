// All that is drawn over the images: density, districts, roads and buildings, outlines.
import { CASING, CHOSEN, DENSITY, DISTRICT, EXPOSED, OUTLINE, SAFE } from "./colours";
import type { ExposureRecord, Places } from "./data";
import type { Density } from "./density";
import { traceOutlines, type View } from "./outlines";
import type { State } from "./state";

type Context = CanvasRenderingContext2D;

interface Shape {
  path: Path2D;
  highest: number;
}

interface Shapes {
  districts: Path2D | null;
  exposure: Map<string, { touched: Shape[]; others: Path2D; points: boolean }>;
}

/** Coarser than this many map pixels per screen pixel, outlines would hide what they surround. */
const OUTLINED = 4;

/** Lines of the page's data, in columns and rows of the map. */
function pathOf(shapes: number[][][], points: boolean): Path2D {
  const path = new Path2D();
  for (const lines of shapes) {
    for (const steps of lines) {
      let x = 0;
      let y = 0;
      for (let i = 0; i < steps.length; i += 2) {
        x += steps[i]! / 10;
        y += steps[i + 1]! / 10;
        if (points) path.rect(x - 0.6, y - 0.6, 1.2, 1.2);
        else if (i === 0) path.moveTo(x, y);
        else path.lineTo(x, y);
      }
    }
  }
  return path;
}

function exposureShapes(record: ExposureRecord) {
  const points = record.kind === "points";
  return {
    touched: record.touched.map((one) => ({
      path: pathOf([one.lines], points),
      highest: one.highest,
    })),
    others: pathOf(record.others, points),
    points,
  };
}

export function shapesOf(places: Places | null): Shapes {
  return {
    districts: places?.districts ? pathOf(places.districts.lines, false) : null,
    exposure: new Map((places?.exposure ?? []).map((one) => [one.name, exposureShapes(one)])),
  };
}

/** Draws everything; `scale` is screen pixels per map pixel, (`left`, `top`) the map's corner. */
export function draw(
  ctx: Context,
  state: State,
  view: View,
  shapes: Shapes,
  density: Density | null,
  frame: { scale: number; left: number; top: number; ratio: number },
): void {
  if (state.show.density && density) drawDensity(ctx, density, view);
  ctx.save();
  ctx.translate(frame.left, frame.top);
  ctx.scale(frame.scale, frame.scale);
  const pixel = frame.ratio / frame.scale;
  for (const [name, one] of shapes.exposure) {
    if (state.show[`exposure:${name}`]) drawExposure(ctx, one, state.level, pixel);
  }
  if (state.show.districts && shapes.districts) {
    stroke(ctx, shapes.districts, CASING, 3.2 * pixel);
    ctx.setLineDash([7 * pixel, 4 * pixel]);
    stroke(ctx, shapes.districts, DISTRICT, 1.5 * pixel);
    ctx.setLineDash([]);
  }
  ctx.restore();
  if (state.slides) drawSlides(ctx, state, view, frame);
}

function stroke(ctx: Context, path: Path2D, colour: string, width: number): void {
  ctx.strokeStyle = colour;
  ctx.lineWidth = width;
  ctx.lineJoin = "round";
  ctx.stroke(path);
}

function drawExposure(
  ctx: Context,
  one: { touched: Shape[]; others: Path2D; points: boolean },
  level: number,
  pixel: number,
): void {
  stroke(ctx, one.others, CASING, 2 * pixel);
  stroke(ctx, one.others, SAFE, 1.1 * pixel);
  for (const [struck, colour, width] of [
    [false, CASING, 2],
    [false, SAFE, 1.1],
    [true, "#063b36", 5],
    [true, EXPOSED, 3],
  ] as const) {
    for (const shape of one.touched) {
      if (shape.highest >= level === struck) stroke(ctx, shape.path, colour, width * pixel);
    }
  }
}

function drawDensity(ctx: Context, density: Density, view: View): void {
  const { edge, rows, columns, perKm2 } = density;
  const clamp = (value: number, most: number) => Math.min(Math.max(Math.floor(value), 0), most);
  for (let row = clamp(view.north / edge, rows); row < clamp(view.south / edge + 1, rows); row++) {
    const [y0, y1] = [view.y(row * edge), view.y((row + 1) * edge)];
    for (let c = clamp(view.west / edge, columns); c < clamp(view.east / edge + 1, columns); c++) {
      const value = perKm2[row * columns + c]!;
      if (!(value > 0)) continue;
      ctx.fillStyle = DENSITY.find(([most]) => value <= most)![1];
      const [x0, x1] = [view.x(c * edge), view.x((c + 1) * edge)];
      ctx.fillRect(x0, y0, x1 - x0, y1 - y0);
    }
  }
}

function drawSlides(
  ctx: Context,
  state: State,
  view: View,
  frame: { scale: number; ratio: number },
): void {
  const found = state.slides!;
  const near = frame.ratio / frame.scale <= OUTLINED;
  if (state.show.outlines && near) {
    ctx.beginPath();
    traceOutlines(ctx, found, view, (one) => state.passing[one] === 1);
    ctx.strokeStyle = CASING;
    ctx.lineWidth = 2.6 * frame.ratio;
    ctx.stroke();
    ctx.strokeStyle = OUTLINE;
    ctx.lineWidth = 1.3 * frame.ratio;
    ctx.stroke();
  }
  if (state.chosen >= 0 && state.chosen < found.count) drawChosen(ctx, state, view, frame.ratio);
}

function drawChosen(ctx: Context, state: State, view: View, ratio: number): void {
  const found = state.slides!;
  const one = state.chosen;
  const own = {
    ...view,
    north: found.north[one]!,
    south: found.south[one]!,
    west: found.west[one]!,
    east: found.east[one]!,
  };
  ctx.beginPath();
  traceOutlines(ctx, found, own, (slide) => slide === one);
  ctx.strokeStyle = "#ffffff";
  ctx.lineWidth = 5 * ratio;
  ctx.stroke();
  ctx.strokeStyle = CHOSEN;
  ctx.lineWidth = 2.6 * ratio;
  ctx.stroke();
  const x = (view.x(own.west) + view.x(own.east)) / 2;
  const y = (view.y(own.north) + view.y(own.south)) / 2;
  const size = Math.max(view.x(own.east) - view.x(own.west), view.y(own.south) - view.y(own.north));
  ctx.beginPath();
  ctx.arc(x, y, Math.max(size * 0.75, 16 * ratio), 0, 2 * Math.PI);
  ctx.strokeStyle = "#ffffff";
  ctx.lineWidth = 4 * ratio;
  ctx.stroke();
  ctx.strokeStyle = CHOSEN;
  ctx.lineWidth = 2 * ratio;
  ctx.stroke();
}
