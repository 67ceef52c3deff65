// All that is drawn over the images: density, districts, roads and buildings, outlines.
import { AT_EDGE, BACKGROUND, CASING, CHOSEN, DENSITY, DISTRICT, EXPOSED, OUTLINE, SAFE } from "./colours";
import type { ExposureRecord, Places } from "./data";
import type { Density } from "./density";
import { traceOutlines, type View } from "./outlines";
import type { State } from "./state";

type Context = CanvasRenderingContext2D;

interface Shape {
  path: Path2D;
  highest: number;
  /** Where a line is touched: column and row in tenths, packed probability. */
  marks: [number, number, number][];
}

interface Exposed {
  touched: Shape[];
  others: Path2D;
  lines: boolean;
}

/** Screen pixels per map pixel, the map's corner on the screen, device pixels, the map's size. */
export interface Frame {
  scale: number;
  left: number;
  top: number;
  ratio: number;
  rows: number;
  columns: number;
}

interface Shapes {
  background: Path2D | null;
  districts: Path2D | null;
  exposure: Map<string, Exposed>;
}

/** Coarser than this many map pixels per screen pixel, outlines would hide what they surround. */
const OUTLINED = 4;
/** Coarser than this, buildings that are not touched would hide the map. */
const FAR = 2;

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

function exposureShapes(record: ExposureRecord): Exposed {
  const points = record.kind === "points";
  return {
    touched: record.touched.map((one) => ({
      path: pathOf([one.lines], points),
      highest: one.highest,
      marks: one.marks,
    })),
    others: pathOf(record.others, points),
    lines: record.kind === "lines",
  };
}

export function shapesOf(places: Places | null): Shapes {
  return {
    background: places?.background.length ? pathOf(places.background, false) : null,
    districts: places?.districts ? pathOf(places.districts.lines, false) : null,
    exposure: new Map((places?.exposure ?? []).map((one) => [one.name, exposureShapes(one)])),
  };
}

/** Draws everything that lies over the images. */
export function draw(
  ctx: Context,
  state: State,
  view: View,
  shapes: Shapes,
  density: Density | null,
  frame: Frame,
): void {
  if (state.show.density && density) drawDensity(ctx, density, view);
  ctx.save();
  ctx.translate(frame.left, frame.top);
  ctx.scale(frame.scale, frame.scale);
  ctx.beginPath();
  ctx.rect(0, 0, frame.columns, frame.rows);
  ctx.clip();
  const pixel = frame.ratio / frame.scale;
  if (state.show.background && shapes.background) {
    stroke(ctx, shapes.background, CASING, 2.4 * pixel);
    stroke(ctx, shapes.background, BACKGROUND, 1.1 * pixel);
  }
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

/** What is touched stands out; of lines only where they are touched. */
function drawExposure(ctx: Context, one: Exposed, level: number, pixel: number): void {
  const safe = one.lines || pixel <= FAR;
  const rest = one.touched.filter(({ highest }) => one.lines || highest < level);
  for (const [colour, width] of [
    [CASING, 2.2],
    [SAFE, 1.2],
  ] as const) {
    if (!safe) break;
    stroke(ctx, one.others, colour, width * pixel);
    for (const { path } of rest) stroke(ctx, path, colour, width * pixel);
  }
  const struck = one.lines
    ? [marksOf(one.touched, level, pixel)]
    : one.touched.filter(({ highest }) => highest >= level).map(({ path }) => path);
  for (const [colour, width] of [
    ["#063b36", 4.5],
    [EXPOSED, 2.6],
  ] as const) {
    for (const path of struck) stroke(ctx, path, colour, width * pixel);
  }
}

/** Dots where lines are touched, near one another as pixels are. */
function marksOf(touched: Shape[], level: number, pixel: number): Path2D {
  const path = new Path2D();
  const size = Math.max(0.3, pixel);
  for (const { marks } of touched) {
    for (const [x, y, value] of marks) {
      if (value >= level) path.rect(x / 10 - size / 2, y / 10 - size / 2, size, size);
    }
  }
  return path;
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
  frame: Frame,
): void {
  const found = state.slides!;
  const near = frame.ratio / frame.scale <= OUTLINED;
  if (state.show.outlines && near) {
    for (const edge of [0, 1]) {
      ctx.beginPath();
      traceOutlines(ctx, found, view, (one) => state.passing[one] === 1 && found.edge[one] === edge);
      ctx.strokeStyle = CASING;
      ctx.lineWidth = 2.6 * frame.ratio;
      ctx.stroke();
      ctx.strokeStyle = edge ? AT_EDGE : OUTLINE;
      ctx.lineWidth = 1.3 * frame.ratio;
      ctx.stroke();
    }
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
