// Outlines of landslides, along pixel edges, for the rows and columns in view.
import type { Slides } from "./slides";

export interface View {
  /** Columns and rows in view. */
  west: number;
  east: number;
  north: number;
  south: number;
  /** Where a column and a row lie on the canvas. */
  x(column: number): number;
  y(row: number): number;
}

/** Adds the edges of the landslides that `wanted` takes to the canvas's path. */
export function traceOutlines(
  ctx: CanvasRenderingContext2D,
  found: Slides,
  view: View,
  wanted: (slide: number) => boolean,
): void {
  const rows = found.rowIndex.length - 1;
  const top = Math.max(Math.floor(view.north), 0);
  const bottom = Math.min(Math.ceil(view.south), rows);
  for (let row = top; row <= bottom; row++) {
    const here = row < rows ? rangeOf(found, row) : ([0, 0] as const);
    const above = row > 0 ? rangeOf(found, row - 1) : ([0, 0] as const);
    const y = view.y(row);
    edges(ctx, found, view, here, above, y, wanted);
    edges(ctx, found, view, above, here, y, wanted);
    const next = view.y(row + 1);
    for (let i = here[0]; i < here[1]; i++) {
      if (!shown(found, view, i, wanted)) continue;
      ctx.moveTo(view.x(found.runStart[i]!), y);
      ctx.lineTo(view.x(found.runStart[i]!), next);
      ctx.moveTo(view.x(found.runEnd[i]!), y);
      ctx.lineTo(view.x(found.runEnd[i]!), next);
    }
  }
}

type Range = readonly [number, number];

function rangeOf(found: Slides, row: number): Range {
  return [found.rowIndex[row]!, found.rowIndex[row + 1]!];
}

function shown(found: Slides, view: View, run: number, wanted: (slide: number) => boolean): boolean {
  const owner = found.owner[run]!;
  return (
    owner >= 0 &&
    found.runEnd[run]! >= view.west &&
    found.runStart[run]! <= view.east &&
    wanted(owner)
  );
}

/** Parts of one row's runs that do not border on the other row's. */
function edges(
  ctx: CanvasRenderingContext2D,
  found: Slides,
  view: View,
  mine: Range,
  theirs: Range,
  y: number,
  wanted: (slide: number) => boolean,
): void {
  let other = theirs[0];
  for (let i = mine[0]; i < mine[1]; i++) {
    if (!shown(found, view, i, wanted)) continue;
    let from = found.runStart[i]!;
    const to = found.runEnd[i]!;
    while (other < theirs[1] && found.runEnd[other]! <= from) other++;
    for (let j = other; j < theirs[1] && found.runStart[j]! < to; j++) {
      if (found.runStart[j]! > from) line(ctx, view, from, found.runStart[j]!, y);
      from = Math.max(from, found.runEnd[j]!);
    }
    if (from < to) line(ctx, view, from, to, y);
  }
}

function line(ctx: CanvasRenderingContext2D, view: View, from: number, to: number, y: number): void {
  ctx.moveTo(view.x(from), y);
  ctx.lineTo(view.x(to), y);
}
