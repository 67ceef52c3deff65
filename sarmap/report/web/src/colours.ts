// Colours that colour-blind readers can tell apart.

/** Probability from 0 to 1: white over ochre and red to near black. */
const RAMP: [number, number, number, number][] = [
  [0.0, 247, 246, 242],
  [0.1, 254, 237, 190],
  [0.3, 253, 187, 99],
  [0.5, 240, 120, 60],
  [0.7, 203, 45, 62],
  [0.9, 125, 15, 88],
  [1.0, 70, 5, 80],
];

export function rampAt(probability: number): [number, number, number] {
  for (let i = 1; i < RAMP.length; i++) {
    const [high, ...to] = RAMP[i]!;
    if (probability > high) continue;
    const [low, ...from] = RAMP[i - 1]!;
    const share = (probability - low) / (high - low);
    return from.map((one, k) => Math.round(one + share * (to[k]! - one))) as [
      number,
      number,
      number,
    ];
  }
  return [70, 5, 80];
}

const words = new Uint8Array(4);
const word = new Uint32Array(words.buffer);

/** One pixel's colour as canvas memory holds it. */
export function packed(r: number, g: number, b: number, a = 255): number {
  words.set([r, g, b, a]);
  return word[0]!;
}

export const SLIDE = packed(230, 57, 30, 165);
export const OUTLINE = "#ffd60a";
export const AT_EDGE = "#b9c4d0";
export const CASING = "rgba(20, 20, 20, 0.75)";
export const CHOSEN = "#00b4ff";
export const BACKGROUND = "#1f5f8b";
export const DISTRICT = "#ffffff";
export const EXPOSED = "#00e0c6";
export const SAFE = "rgba(225, 232, 240, 0.85)";

/** Hatch of ground that the radar could not see, by observation code. */
export const HATCH: Record<number, { line: number; ground: number; css: string; name: string }> = {
  1: {
    line: packed(140, 140, 140, 150),
    ground: packed(217, 217, 217, 120),
    css: "#8c8c8c",
    name: "no data",
  },
  2: {
    line: packed(166, 54, 3, 230),
    ground: packed(244, 214, 198, 200),
    css: "#a63603",
    name: "could not be read",
  },
  3: {
    line: packed(58, 40, 120, 235),
    ground: packed(190, 180, 225, 170),
    css: "#3a2878",
    name: "layover or shadow",
  },
};

/** Landslides per km²: upper bound of each class and its colour. */
export const DENSITY: [number, string][] = [
  [1, "rgba(255, 247, 188, 0.72)"],
  [2, "rgba(254, 217, 118, 0.74)"],
  [5, "rgba(254, 153, 41, 0.76)"],
  [10, "rgba(217, 72, 1, 0.78)"],
  [Infinity, "rgba(127, 0, 60, 0.82)"],
];
