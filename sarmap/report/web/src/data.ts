// The page's data: handed over by scripts of the folder, or held in the page itself.
import { unzlibSync } from "fflate";

export interface Interval {
  kind: string;
  low: (number | null)[];
  high: (number | null)[];
  best: (number | null)[];
  short: string;
  text: string;
}

export interface Page {
  name: string;
  rows: number;
  columns: number;
  tile: number;
  levels: number;
  metres: number;
  pixelArea: number;
  simulated: boolean;
  threshold: number;
  lowest: number;
  minArea: number;
  radar: string[];
  tiles: Record<string, string[]>;
  histogram: number[];
  observation: number[];
  lonlat: { number: number; lon: number[]; lat: number[] };
  interval: Interval;
  grid: { edge: number; km: number; rows: number; columns: number; seen: string };
  hasSlope: boolean;
  places: boolean;
}

export interface CellRecord {
  level: number;
  pixels: number;
  runs: number;
  gaps: string;
  lengths: string;
  districts: string;
  values: string;
  slopes: string;
  /** 1 where ground that was not seen is near. */
  near: string;
}

export interface DistrictRecord {
  names: string[];
  total: number[];
  seen: number[];
  histogram: [number[], number[]][];
  lines: number[][][];
}

export interface Touched {
  label: string;
  highest: number;
  steps: [number, number][];
  marks: [number, number, number][];
  box: [number, number, number, number];
  lines: number[][];
}

export interface ExposureRecord {
  name: string;
  kind: "lines" | "areas" | "points" | "mixed";
  features: number;
  unseen: number;
  highest: number[];
  metres: number[];
  touched: Touched[];
  left_out: number;
  others: number[][][];
}

export interface Places {
  districts: DistrictRecord | null;
  exposure: ExposureRecord[];
  /** Coast, roads, rivers: lines below all else. */
  background: number[][][];
}

declare global {
  interface Window {
    sarmapPut(key: string, value: unknown): void;
  }
}

const held = new Map<string, unknown>();
const waiting = new Map<string, (value: unknown) => void>();

window.sarmapPut = (key, value) => {
  const resolve = waiting.get(key);
  if (resolve) {
    waiting.delete(key);
    resolve(value);
  } else {
    held.set(key, value);
  }
};

const inline = document.getElementById("sarmap-data");
if (inline?.textContent) {
  for (const [key, value] of Object.entries(JSON.parse(inline.textContent))) held.set(key, value);
  inline.remove();
}

/** Whether all data is in the page itself. */
export const single = inline !== null;

/** What the page's own parts hold by a name, or undefined. */
export function peek(key: string): unknown {
  return held.get(key);
}

/** What is kept under a name; in a folder, the script that hands it over is loaded first. */
export function load<T>(key: string, file: string | null): Promise<T> {
  if (held.has(key)) return Promise.resolve(held.get(key) as T);
  if (single) return Promise.reject(new Error(`${key} is not in this page`));
  return new Promise<T>((resolve, reject) => {
    waiting.set(key, resolve as (value: unknown) => void);
    if (file === null) return;
    const script = document.createElement("script");
    script.src = file;
    script.onload = () => script.remove();
    script.onerror = () => {
      waiting.delete(key);
      reject(new Error(`${file} is missing from the folder of this page`));
    };
    document.head.append(script);
  });
}

/** Bytes of packed base64 text. */
export function bytesOf(text: string): Uint8Array {
  const raw = atob(text);
  const packed = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) packed[i] = raw.charCodeAt(i);
  return unzlibSync(packed);
}

/** Longitude and latitude between the corners of a coarse lattice. */
export function lonlat(page: Page, column: number, row: number): [number, number] {
  const { number, lon, lat } = page.lonlat;
  const x = (column / page.columns) * (number - 1);
  const y = (row / page.rows) * (number - 1);
  const [i, j] = [Math.min(Math.floor(x), number - 2), Math.min(Math.floor(y), number - 2)];
  const [u, v] = [x - i, y - j];
  const at = (values: number[]) =>
    values[j * number + i]! * (1 - u) * (1 - v) +
    values[j * number + i + 1]! * u * (1 - v) +
    values[(j + 1) * number + i]! * (1 - u) * v +
    values[(j + 1) * number + i + 1]! * u * v;
  return [at(lon), at(lat)];
}

/** Unsigned numbers of 4 bytes. */
export function longs(text: string): Uint32Array {
  const bytes = bytesOf(text);
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);
}

/** Unsigned numbers of 2 bytes. */
export function shorts(text: string): Uint16Array {
  const bytes = bytesOf(text);
  return new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 1);
}
