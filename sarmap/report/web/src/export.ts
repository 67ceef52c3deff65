// The landslides that the page shows, at its threshold and through its filter, as a GeoJSON file.
import { lonlat, type Page } from "./data";
import type { Slides } from "./slides";
import type { State } from "./state";

type Corner = [number, number];

/** Hands the reader a file of the landslides that pass the filter. */
export function saveShown(page: Page, state: State): void {
  const found = state.slides;
  if (!found) return;
  const threshold = Number((state.level * 0.004).toFixed(3));
  const features = rungs(found, (one) => state.passing[one] === 1).map(([one, runs]) => ({
    type: "Feature",
    properties: {
      id: found.id[one],
      area_m2: Number((found.pixels[one]! * page.pixelArea).toFixed(2)),
      mean_probability: Number(found.mean[one]!.toFixed(4)),
      max_probability: Number((found.highest[one]! * 0.004).toFixed(4)),
      mean_slope_deg: Number.isNaN(found.slope[one]!) ? null : Number(found.slope[one]!.toFixed(2)),
      lon: Number(lonlat(page, found.x[one]!, found.y[one]!)[0].toFixed(6)),
      lat: Number(lonlat(page, found.x[one]!, found.y[one]!)[1].toFixed(6)),
      at_edge: found.edge[one] === 1,
      threshold,
      simulated: page.simulated,
    },
    geometry: { type: "Polygon", coordinates: polygon(found, runs).map((ring) => placed(page, ring)) },
  }));
  const text = JSON.stringify({ type: "FeatureCollection", features });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/geo+json" }));
  link.download = `${page.name}_${threshold}.geojson`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Runs of each landslide that is wanted, in order. */
function rungs(found: Slides, wanted: (one: number) => boolean): [number, number[]][] {
  const runs = new Map<number, number[]>();
  for (let i = 0; i < found.owner.length; i++) {
    const one = found.owner[i]!;
    if (one < 0 || !wanted(one)) continue;
    const known = runs.get(one);
    if (known) known.push(i);
    else runs.set(one, [i]);
  }
  return [...runs].sort(([a], [b]) => a - b);
}

/** The outline and then the holes of one landslide, in columns and rows, each ring closed. */
function polygon(found: Slides, runs: number[]): Corner[][] {
  const rings = ringsOf(edgesOf(found, runs)).map(straightened);
  // Clockwise on the screen: the outline, of which connected pixels have one.
  return rings.sort((a, b) => Number(turn(a) < 0) - Number(turn(b) < 0));
}

/** Pixel edges from corner to corner, the landslide on the right; one or two leave a corner. */
function edgesOf(found: Slides, runs: number[]): Map<string, Corner[]> {
  const from = new Map<string, Corner[]>();
  const add = (a: Corner, b: Corner) => {
    const known = from.get(String(a));
    if (known) known.push(b);
    else from.set(String(a), [b]);
  };
  const byRow = new Map<number, number[]>();
  for (const i of runs) {
    const row = found.runRow[i]!;
    byRow.set(row, [...(byRow.get(row) ?? []), i]);
  }
  for (const i of runs) {
    const [row, start, end] = [found.runRow[i]!, found.runStart[i]!, found.runEnd[i]!];
    for (const [a, b] of bare(found, byRow.get(row - 1), start, end)) add([a, row], [b, row]);
    for (const [a, b] of bare(found, byRow.get(row + 1), start, end)) add([b, row + 1], [a, row + 1]);
    add([end, row], [end, row + 1]);
    add([start, row + 1], [start, row]);
  }
  return from;
}

/** Parts of some columns that no run of a neighbouring row covers. */
function bare(
  found: Slides,
  others: number[] | undefined,
  start: number,
  end: number,
): [number, number][] {
  const parts: [number, number][] = [];
  let at = start;
  for (const j of others ?? []) {
    const [low, high] = [found.runStart[j]!, found.runEnd[j]!];
    if (high <= at) continue;
    if (low >= end) break;
    if (low > at) parts.push([at, low]);
    at = Math.max(at, high);
  }
  if (at < end) parts.push([at, end]);
  return parts;
}

/** Rings of the edges; one that comes back to a corner of its own is cut there. */
function ringsOf(from: Map<string, Corner[]>): Corner[][] {
  const rings: Corner[][] = [];
  for (const key of [...from.keys()]) {
    while (from.get(key)?.length) {
      const path: Corner[] = [key.split(",").map(Number) as Corner];
      const places = new Map([[key, 0]]);
      do {
        const next = follow(from, path);
        path.push(next);
        const before = places.get(String(next));
        if (before !== undefined) {
          const ring = path.splice(before);
          for (const corner of ring) places.delete(String(corner));
          rings.push([...ring.slice(0, -1), next]);
          path.push(next);
        }
        places.set(String(next), path.length - 1);
      } while (path.length > 1);
    }
  }
  return rings;
}

/** The next corner; of two the one to the right, so that pixels that touch at a corner part. */
function follow(from: Map<string, Corner[]>, path: Corner[]): Corner {
  const here = path[path.length - 1]!;
  const choices = from.get(String(here))!;
  const last = path[path.length - 2];
  let best = 0;
  if (choices.length > 1 && last) {
    const [dx, dy] = [here[0] - last[0], here[1] - last[1]];
    const right = choices.findIndex(([x, y]) => dx * (y - here[1]) - dy * (x - here[0]) > 0);
    best = Math.max(right, 0);
  }
  return choices.splice(best, 1)[0]!;
}

/** Twice the area inside a ring: positive where it runs clockwise on the screen. */
function turn(ring: Corner[]): number {
  let sum = 0;
  for (let i = 1; i < ring.length; i++) {
    sum += ring[i - 1]![0] * ring[i]![1] - ring[i]![0] * ring[i - 1]![1];
  }
  return sum;
}

/** A ring without corners on straight lines, begun anywhere. */
function straightened(ring: Corner[]): Corner[] {
  const open = ring.slice(0, -1);
  const kept = open.filter(([x, y], i) => {
    const [a, b] = [open[(i + open.length - 1) % open.length]!, open[(i + 1) % open.length]!];
    return (x - a[0]) * (b[1] - y) !== (y - a[1]) * (b[0] - x);
  });
  return [...kept, kept[0]!];
}

/** A ring in degrees, wound as RFC 7946 asks. */
function placed(page: Page, ring: Corner[]): Corner[] {
  return ring
    .map(([x, y]) => lonlat(page, x, y).map((value) => Number(value.toFixed(6))) as Corner)
    .reverse();
}
