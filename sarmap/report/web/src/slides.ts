// Landslides at any threshold: connected pixels, found as sarmap.export.polygons finds them.
import { bytesOf, longs, shorts, type CellRecord } from "./data";

const NONE = 255;

/** All pixels that may be landslide: runs along rows, and the values of their pixels. */
export interface Cells {
  row: Int32Array;
  column: Int32Array;
  length: Uint16Array;
  district: Uint16Array;
  values: Uint8Array;
  slopes: Uint8Array;
  near: Uint8Array;
}

/** Landslides at one threshold, in order of their first pixel, row by row. */
export interface Slides {
  count: number;
  /** Place of the most probable pixel, from 1: the same at every threshold, and in the downloads. */
  id: Float64Array;
  /** 1 where half the pixels or more have ground near that was not seen. */
  edge: Uint8Array;
  level: number;
  pixels: Float64Array;
  mean: Float64Array;
  highest: Uint8Array;
  /** Degrees, NaN where unknown. */
  slope: Float64Array;
  west: Int32Array;
  east: Int32Array;
  north: Int32Array;
  south: Int32Array;
  /** Mean column and row of the pixels' centres. */
  x: Float64Array;
  y: Float64Array;
  /** District with most of its pixels, from 1; 0: none. */
  district: Uint16Array;
  /** Runs of pixels, row by row; `owner` is the landslide's index, -1: too small. */
  runRow: Int32Array;
  runStart: Int32Array;
  runEnd: Int32Array;
  owner: Int32Array;
  /** Index of the first run of each row; one more at the end. */
  rowIndex: Int32Array;
}

export function decodeCells(record: CellRecord, columns: number): Cells {
  const gaps = longs(record.gaps);
  const length = shorts(record.lengths);
  const row = new Int32Array(record.runs);
  const column = new Int32Array(record.runs);
  let at = 0;
  for (let i = 0; i < record.runs; i++) {
    at += gaps[i]!;
    row[i] = Math.floor(at / columns);
    column[i] = at - row[i]! * columns;
    at += length[i]!;
  }
  return {
    row,
    column,
    length,
    district: shorts(record.districts),
    values: bytesOf(record.values),
    slopes: bytesOf(record.slopes),
    near: bytesOf(record.near),
  };
}

class Grown {
  data: Int32Array;
  size = 0;
  constructor(capacity: number) {
    this.data = new Int32Array(Math.max(capacity, 16));
  }
  push(value: number): void {
    if (this.size === this.data.length) {
      const more = new Int32Array(this.size * 2);
      more.set(this.data);
      this.data = more;
    }
    this.data[this.size++] = value;
  }
  done(): Int32Array {
    return this.data.slice(0, this.size);
  }
}

interface Runs {
  row: Int32Array;
  start: Int32Array;
  end: Int32Array;
  /** Sums over the pixels of each run. */
  total: Float64Array;
  highest: Uint8Array;
  /** Column of the first of the highest. */
  peak: Int32Array;
  near: Int32Array;
  slopes: Float64Array;
  sloped: Int32Array;
  /** Pieces of runs that lie in one district: run, district, pixels. */
  pieces: [Int32Array, Int32Array, Int32Array];
}

/** Runs of pixels that reach a level. */
function runsAt(cells: Cells, level: number): Runs {
  const guess = cells.row.length * 2;
  const row = new Grown(guess);
  const start = new Grown(guess);
  const end = new Grown(guess);
  const pieces = [new Grown(guess), new Grown(guess), new Grown(guess)] as const;
  const sums: number[][] = [[], [], [], [], [], []];
  let offset = 0;
  for (let run = 0; run < cells.row.length; run++) {
    const length = cells.length[run]!;
    const first = cells.column[run]!;
    let open = -1;
    for (let i = 0; i <= length; i++) {
      const value = i < length ? cells.values[offset + i]! : 0;
      if (value >= level) {
        if (open < 0) {
          open = i;
          const last = row.size - 1;
          const joins =
            last >= 0 && row.data[last] === cells.row[run] && end.data[last] === first + i;
          if (!joins) {
            row.push(cells.row[run]!);
            start.push(first + i);
            end.push(first + i);
            for (const sum of sums) sum.push(0);
          }
        }
        const here = row.size - 1;
        const slope = cells.slopes[offset + i]!;
        sums[0]![here]! += value;
        if (value > sums[1]![here]!) {
          sums[1]![here] = value;
          sums[4]![here] = first + i;
        }
        sums[5]![here]! += cells.near[offset + i]!;
        if (slope !== NONE) {
          sums[2]![here]! += slope;
          sums[3]![here]!++;
        }
        end.data[here] = first + i + 1;
      } else if (open >= 0) {
        pieces[0].push(row.size - 1);
        pieces[1].push(cells.district[run]!);
        pieces[2].push(i - open);
        open = -1;
      }
    }
    offset += length;
  }
  return {
    row: row.done(),
    start: start.done(),
    end: end.done(),
    total: Float64Array.from(sums[0]!),
    highest: Uint8Array.from(sums[1]!),
    peak: Int32Array.from(sums[4]!),
    near: Int32Array.from(sums[5]!),
    slopes: Float64Array.from(sums[2]!),
    sloped: Int32Array.from(sums[3]!),
    pieces: [pieces[0].done(), pieces[1].done(), pieces[2].done()],
  };
}

function indexRows(row: Int32Array, rows: number): Int32Array {
  const index = new Int32Array(rows + 1);
  for (const one of row) index[one + 1]!++;
  for (let i = 0; i < rows; i++) index[i + 1]! += index[i]!;
  return index;
}

/** Which run leads each run's component: runs that touch along an edge belong together. */
function joined(runs: Runs, index: Int32Array): Int32Array {
  const parent = Int32Array.from(runs.row, (_, i) => i);
  const find = (i: number): number => {
    while (parent[i] !== i) {
      parent[i] = parent[parent[i]!]!;
      i = parent[i]!;
    }
    return i;
  };
  for (let row = 1; row + 1 < index.length; row++) {
    let above = index[row - 1]!;
    let here = index[row]!;
    while (above < index[row]! && here < index[row + 1]!) {
      if (runs.start[above]! < runs.end[here]! && runs.start[here]! < runs.end[above]!) {
        const a = find(above);
        const b = find(here);
        if (a < b) parent[b] = a;
        else parent[a] = b;
      }
      if (runs.end[above]! < runs.end[here]!) above++;
      else here++;
    }
  }
  return parent.map((_, i) => find(i));
}

/** Landslides of at least `smallest` pixels at a packed threshold. */
export function findSlides(
  cells: Cells,
  level: number,
  smallest: number,
  rows: number,
  columns: number,
): Slides {
  const runs = runsAt(cells, level);
  const rowIndex = indexRows(runs.row, rows);
  const leader = joined(runs, rowIndex);
  const size = new Float64Array(leader.length);
  for (let i = 0; i < leader.length; i++) size[leader[i]!]! += runs.end[i]! - runs.start[i]!;
  const owner = new Int32Array(leader.length).fill(-1);
  let count = 0;
  for (let i = 0; i < leader.length; i++) {
    if (size[leader[i]!]! < smallest) continue;
    owner[i] = leader[i] === i ? count++ : owner[leader[i]!]!;
  }
  return measured(runs, owner, count, level, rowIndex, columns);
}

function measured(
  runs: Runs,
  owner: Int32Array,
  count: number,
  level: number,
  rowIndex: Int32Array,
  columns: number,
): Slides {
  const found: Slides = {
    count,
    id: new Float64Array(count),
    edge: new Uint8Array(count),
    level,
    pixels: new Float64Array(count),
    mean: new Float64Array(count),
    highest: new Uint8Array(count),
    slope: new Float64Array(count),
    west: new Int32Array(count).fill(2 ** 31 - 1),
    east: new Int32Array(count),
    north: new Int32Array(count).fill(2 ** 31 - 1),
    south: new Int32Array(count),
    x: new Float64Array(count),
    y: new Float64Array(count),
    district: districtsOf(runs, owner, count),
    runRow: runs.row,
    runStart: runs.start,
    runEnd: runs.end,
    owner,
    rowIndex,
  };
  const sloped = new Float64Array(count);
  const near = new Float64Array(count);
  for (let i = 0; i < owner.length; i++) {
    const one = owner[i]!;
    if (one < 0) continue;
    const [row, start, end] = [runs.row[i]!, runs.start[i]!, runs.end[i]!];
    const length = end - start;
    found.pixels[one]! += length;
    found.mean[one]! += runs.total[i]!;
    near[one]! += runs.near[i]!;
    if (runs.highest[i]! > found.highest[one]!) {
      found.highest[one] = runs.highest[i]!;
      found.id[one] = row * columns + runs.peak[i]! + 1;
    }
    found.slope[one]! += runs.slopes[i]!;
    sloped[one]! += runs.sloped[i]!;
    found.west[one] = Math.min(found.west[one]!, start);
    found.east[one] = Math.max(found.east[one]!, end);
    found.north[one] = Math.min(found.north[one]!, row);
    found.south[one] = Math.max(found.south[one]!, row + 1);
    found.x[one]! += (length * (start + end)) / 2;
    found.y[one]! += length * (row + 0.5);
  }
  for (let one = 0; one < count; one++) {
    found.edge[one] = Number(2 * near[one]! >= found.pixels[one]!);
    found.mean[one] = (found.mean[one]! / found.pixels[one]!) * 0.004;
    found.slope[one] = sloped[one] ? (found.slope[one]! / sloped[one]!) * 0.4 : NaN;
    found.x[one]! /= found.pixels[one]!;
    found.y[one]! /= found.pixels[one]!;
  }
  return found;
}

/** The district that holds most of each landslide, the first of several that hold as much. */
function districtsOf(runs: Runs, owner: Int32Array, count: number): Uint16Array {
  const [run, district, pixels] = runs.pieces;
  const district_ = new Uint16Array(count);
  const sums = new Map<number, number>();
  for (let i = 0; i < run.length; i++) {
    const one = owner[run[i]!]!;
    if (one < 0 || !district[i]) continue;
    const key = one * 65536 + district[i]!;
    sums.set(key, (sums.get(key) ?? 0) + pixels[i]!);
  }
  const most = new Float64Array(count);
  for (const [key, sum] of sums) {
    const one = Math.floor(key / 65536);
    if (sum > most[one]!) {
      most[one] = sum;
      district_[one] = key % 65536;
    }
  }
  return district_;
}

/** Index of the landslide at a pixel; -1: none. */
export function slideAt(found: Slides, row: number, column: number): number {
  if (row < 0 || row + 1 >= found.rowIndex.length) return -1;
  for (let i = found.rowIndex[row]!; i < found.rowIndex[row + 1]!; i++) {
    if (column >= found.runStart[i]! && column < found.runEnd[i]!) return found.owner[i]!;
  }
  return -1;
}
