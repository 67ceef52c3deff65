// Landslides per square kilometre of seen ground, in squares of about a kilometre.
import { longs, type Page } from "./data";
import type { Slides } from "./slides";

export interface Density {
  edge: number;
  rows: number;
  columns: number;
  /** Landslides per km² seen, NaN where less than a fifth was seen. */
  perKm2: Float64Array;
  mean: number;
  highest: number;
}

const FEWEST = 0.2;
let seen: Uint32Array | null = null;

/** Landslides are counted in the square that holds the middle of their pixels. */
export function densityOf(page: Page, found: Slides): Density {
  const { edge, rows, columns } = page.grid;
  seen ??= longs(page.grid.seen);
  const counts = new Float64Array(rows * columns);
  for (let one = 0; one < found.count; one++) {
    const row = Math.floor(found.y[one]! / edge);
    counts[row * columns + Math.floor(found.x[one]! / edge)]!++;
  }
  let highest = 0;
  const perKm2 = counts.map((count, i) => {
    if (seen![i]! < FEWEST * edge * edge) return NaN;
    const value = count / ((seen![i]! * page.pixelArea) / 1e6);
    highest = Math.max(highest, value);
    return value;
  });
  const total = seen.reduce((sum, one) => sum + one, 0);
  const mean = total ? found.count / ((total * page.pixelArea) / 1e6) : NaN;
  return { edge, rows, columns, perKm2, mean, highest };
}
