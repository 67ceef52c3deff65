// What the reader has chosen, and who is told when it changes.
import type { Cells, Slides } from "./slides";

export interface Filter {
  area: number;
  probability: number;
  slopeLow: number;
  slopeHigh: number;
  district: number;
  inView: boolean;
  /** Leave out what lies at the edge of what was seen. */
  inside: boolean;
}

export const NO_FILTER: Filter = {
  area: 0,
  probability: 0,
  slopeLow: 0,
  slopeHigh: 90,
  district: 0,
  inView: false,
  inside: false,
};

export interface State {
  level: number;
  cells: Cells | null;
  slides: Slides | null;
  /** Indices of the landslides that pass the filter. */
  passing: Uint8Array;
  filter: Filter;
  chosen: number;
  show: Record<string, boolean>;
}

export type Topic = "slides" | "filter" | "chosen" | "show" | "view";

type Listener = () => void;

export class Store {
  readonly state: State;
  private readonly listeners = new Map<Topic, Listener[]>();

  constructor(level: number) {
    this.state = {
      level,
      cells: null,
      slides: null,
      passing: new Uint8Array(0),
      filter: { ...NO_FILTER },
      chosen: -1,
      show: { slides: true, outlines: true, unseen: true, density: false, districts: true, background: true },
    };
  }

  on(topics: Topic[], listener: Listener): void {
    for (const topic of topics) {
      const known = this.listeners.get(topic) ?? [];
      known.push(listener);
      this.listeners.set(topic, known);
    }
  }

  tell(topic: Topic): void {
    for (const listener of this.listeners.get(topic) ?? []) listener();
  }
}
