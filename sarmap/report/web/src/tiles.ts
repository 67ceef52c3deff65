// Tiles of the map's values, painted here: a colour ramp, or what reaches the threshold.
import { HATCH, SLIDE, packed, rampAt } from "./colours";
import { bytesOf, load, single, type Page } from "./data";

const MOST = 160;
const NONE = 255;
const UNSEEN_GROUND = packed(223, 223, 220);

export interface Values {
  width: number;
  height: number;
  /** Packed probability, 255: not seen. */
  probability: Uint8Array;
  observation: Uint8Array;
}

interface Painted {
  values: Values;
  canvas: HTMLCanvasElement;
  stamp: number;
  level: number;
  column: number;
  row: number;
}

const RAMP = Uint32Array.from({ length: 256 }, (_, value) =>
  value > 250 ? UNSEEN_GROUND : packed(...rampAt(value / 250)),
);

/** What overlay tiles show. */
export interface Look {
  level: number;
  slides: boolean;
  unseen: boolean;
}

export class Tiles {
  private readonly values = new Map<string, Promise<Values | null>>();
  private readonly ready = new Map<string, Values>();
  private readonly overlays = new Map<string, Painted>();
  private stamp = 1;

  constructor(
    private readonly page: Page,
    private look: Look,
  ) {}

  /** Whether a layer has a tile there. */
  has(layer: string, level: number, column: number, row: number): boolean {
    const shrink = this.page.tile << (this.page.levels - 1 - level);
    const across = Math.ceil(this.page.columns / shrink);
    if (column < 0 || row < 0 || column >= across) return false;
    return this.page.tiles[layer]?.[level]?.[row * across + column] === "1";
  }

  /** Values of a tile; null where nothing is. */
  read(level: number, column: number, row: number): Promise<Values | null> {
    const name = `value/${level}/${row}/${column}`;
    let found = this.values.get(name);
    if (!found) {
      found = this.has("value", level, column, row)
        ? load<string>(name, single ? null : `tiles/${name}.js`).then((text) => {
            const values = this.decode(text, level, column, row);
            this.ready.set(name, values);
            return values;
          })
        : Promise.resolve(null);
      this.values.set(name, found);
      if (this.values.size > MOST) {
        const oldest = this.values.keys().next().value!;
        this.values.delete(oldest);
        this.ready.delete(oldest);
      }
    }
    return found;
  }

  private decode(text: string, level: number, column: number, row: number): Values {
    const { tile, levels } = this.page;
    const scale = 2 ** (levels - 1 - level);
    const width = Math.min(Math.ceil(this.page.columns / scale) - column * tile, tile);
    const height = Math.min(Math.ceil(this.page.rows / scale) - row * tile, tile);
    const bytes = bytesOf(text);
    const size = width * height;
    return {
      width,
      height,
      probability: bytes.subarray(0, size),
      observation: bytes.subarray(size, 2 * size),
    };
  }

  private canvas(): HTMLCanvasElement {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = this.page.tile;
    return canvas;
  }

  /** A tile of the colour ramp. */
  async ramp(level: number, column: number, row: number): Promise<HTMLCanvasElement> {
    const canvas = this.canvas();
    const values = await this.read(level, column, row);
    if (values) paint(canvas, values, (pixels) => values.probability.forEach((value, i) => (pixels[i] = RAMP[value]!)));
    return canvas;
  }

  /** A tile of what reaches the threshold and of what was not seen. */
  async overlay(level: number, column: number, row: number): Promise<HTMLCanvasElement> {
    const values = await this.read(level, column, row);
    const canvas = this.canvas();
    if (!values) return canvas;
    const painted = { values, canvas, stamp: 0, level, column, row };
    this.repaint(painted);
    const name = `${level}/${row}/${column}`;
    this.overlays.delete(name);
    this.overlays.set(name, painted);
    if (this.overlays.size > MOST) this.overlays.delete(this.overlays.keys().next().value!);
    return canvas;
  }

  /** Another threshold or other layers: tiles in view are painted anew when they are drawn. */
  change(look: Look): void {
    this.look = look;
    this.stamp++;
  }

  /** Paint anew what is in view, in columns and rows of the map, and out of date. */
  refresh(west: number, north: number, east: number, south: number): void {
    for (const one of this.overlays.values()) {
      if (one.stamp === this.stamp) continue;
      const size = this.page.tile * 2 ** (this.page.levels - 1 - one.level);
      const [left, top] = [one.column * size, one.row * size];
      if (left < east && left + size > west && top < south && top + size > north) this.repaint(one);
    }
  }

  private repaint(one: Painted): void {
    const { level, slides, unseen } = this.look;
    const { probability, observation, width } = one.values;
    paint(one.canvas, one.values, (pixels) => {
      for (let i = 0; i < pixels.length; i++) {
        const value = probability[i]!;
        const code = observation[i]!;
        if (slides && value !== NONE && value >= level) pixels[i] = SLIDE;
        else if (unseen && code) pixels[i] = hatched(code, i % width, Math.floor(i / width));
      }
    });
    one.stamp = this.stamp;
  }

  /** Packed probability and observation at a pixel of the map, from the tile in view. */
  valueAt(level: number, column: number, row: number): [number, number] | null {
    const scale = 2 ** (this.page.levels - 1 - level);
    const [x, y] = [Math.floor(column / scale), Math.floor(row / scale)];
    const { tile } = this.page;
    const [across, down] = [Math.floor(x / tile), Math.floor(y / tile)];
    const values = this.ready.get(`value/${level}/${down}/${across}`);
    if (!values) return null;
    const i = (y - down * tile) * values.width + (x - across * tile);
    return [values.probability[i]!, values.observation[i]!];
  }
}

function hatched(code: number, x: number, y: number): number {
  const { line, ground } = HATCH[code] ?? HATCH[1]!;
  if (code === 3) return (x - y + 4096) % 6 < 2 ? line : ground;
  const slash = (x + y) % 10 < 2;
  return slash || (code === 2 && (x - y + 4100) % 10 < 2) ? line : ground;
}

function paint(
  canvas: HTMLCanvasElement,
  values: Values,
  fill: (pixels: Uint32Array) => void,
): void {
  const ctx = canvas.getContext("2d")!;
  const image = ctx.createImageData(values.width, values.height);
  fill(new Uint32Array(image.data.buffer));
  ctx.clearRect(0, 0, canvas.width, canvas.height);
  ctx.putImageData(image, 0, 0);
}
