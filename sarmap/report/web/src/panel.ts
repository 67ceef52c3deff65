// The panel beside the map: figures, threshold, what is compared, what is shown, the legend.
import { AT_EDGE, DENSITY, EXPOSED, HATCH, OUTLINE, rampAt } from "./colours";
import type { Page, Places } from "./data";
import type { Density } from "./density";
import { km2, make, number, part, percent, probability } from "./format";
import type { MapView } from "./map";
import type { Store } from "./state";

const WORDS: Record<string, string> = {
  pre: "before",
  post_1: "after",
};

export function nameOf(layer: string): string {
  if (layer === "probability") return "Probability";
  const role = layer.slice(3);
  return `Radar ${WORDS[role] ?? role.replace("_", " ")}`;
}

export class Panel {
  constructor(
    private readonly page: Page,
    private readonly store: Store,
    private readonly view: MapView,
    private readonly setLevel: (level: number) => void,
  ) {
    this.threshold();
    this.compare();
    this.layers(null);
    part("interval-text").textContent = page.interval.text;
    this.legend(null);
  }

  private threshold(): void {
    const slider = part<HTMLInputElement>("threshold");
    const lowest = Math.ceil(this.page.lowest / 5) * 5;
    slider.min = String(this.page.threshold < lowest ? this.page.threshold : lowest);
    slider.step = (this.page.threshold - Number(slider.min)) % 5 ? "1" : "5";
    slider.value = String(this.page.threshold);
    part("threshold-low").textContent = `${probability(Number(slider.min))}: more, less sure`;
    let waiting = 0;
    const follow = () => {
      const level = Number(slider.value);
      slider.setAttribute("aria-valuetext", `probability ${probability(level)}`);
      part("threshold-shown").textContent = probability(level);
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame(() => this.setLevel(level));
    };
    slider.addEventListener("input", follow);
    part("threshold-reset").addEventListener("click", () => {
      slider.value = String(this.page.threshold);
      follow();
    });
    slider.setAttribute("aria-valuetext", `probability ${probability(this.page.threshold)}`);
    part("threshold-shown").textContent = probability(this.page.threshold);
  }

  private compare(): void {
    const choices = [...this.page.radar, "probability"];
    const left = part<HTMLSelectElement>("left");
    const right = part<HTMLSelectElement>("right");
    for (const select of [left, right]) {
      for (const name of choices) select.append(make("option", { value: name }, nameOf(name)));
    }
    left.value = choices[0]!;
    right.value = choices.length > 2 ? choices[1]! : "probability";
    const swipe = part<HTMLInputElement>("swipe");
    swipe.closest("fieldset")!.hidden = choices.length < 2;
    const divider = part("divider");
    const apply = () => {
      const same = left.value === right.value;
      this.view.compare(left.value, right.value);
      this.view.swipe(Number(swipe.value) / 100);
      divider.style.left = `${swipe.value}%`;
      divider.hidden = same;
      swipe.disabled = same;
      for (const [id, one] of [["side-left", left], ["side-right", right]] as const) {
        part(id).textContent = nameOf(one.value);
        part(id).hidden = same && id === "side-right";
      }
      swipe.setAttribute("aria-valuetext", `${swipe.value} percent`);
    };
    for (const one of [left, right]) one.addEventListener("change", apply);
    swipe.addEventListener("input", apply);
    dragged(divider, part("stage"), (share) => {
      swipe.value = String(Math.round(share * 100));
      apply();
    });
    apply();
  }

  /** Check boxes of what may be drawn over the images. */
  layers(places: Places | null): void {
    const box = part("layers");
    box.querySelectorAll("label").forEach((one) => one.remove());
    const { show } = this.store.state;
    const choices: [string, string][] = [
      ["slides", "Landslides, filled"],
      ["outlines", "Landslides, outlined (when near)"],
      ["unseen", "Here the radar could not see"],
      ["density", "Landslides per km²"],
    ];
    if (places?.background.length) choices.push(["background", "Background"]);
    if (places?.districts) choices.push(["districts", "Districts"]);
    for (const one of places?.exposure ?? []) {
      show[`exposure:${one.name}`] ??= true;
      choices.push([`exposure:${one.name}`, one.name]);
    }
    for (const [key, words] of choices) {
      const check = make("input", { type: "checkbox", "data-layer": key });
      check.checked = show[key] ?? false;
      check.addEventListener("change", () => {
        show[key] = check.checked;
        this.store.tell("show");
      });
      box.append(make("label", { class: "check" }, check, ` ${words}`));
    }
    this.legend(places);
  }

  /** What the colours mean. */
  legend(places: Places | null): void {
    const box = part("legend");
    const { show } = this.store.state;
    const rows: HTMLElement[] = [ramp()];
    if (show.slides) rows.push(swatch("rgba(230, 57, 30, 0.75)", "mapped landslide"));
    if (show.outlines) {
      rows.push(swatch("transparent", "outline of a landslide", OUTLINE));
      rows.push(swatch("transparent", "the same, at the edge of what was seen", AT_EDGE));
    }
    if (show.unseen) {
      for (const [code, one] of Object.entries(HATCH)) {
        if (this.page.observation[Number(code)]) {
          const key = swatch("", `not seen: ${one.name}`);
          key.firstElementChild!.classList.add(`hatch-${code}`);
          rows.push(key);
        }
      }
    }
    if (show.density) {
      let from = 0;
      for (const [most, colour] of DENSITY) {
        const to = most === Infinity ? `more than ${from}` : `${from || "up"} to ${most}`;
        rows.push(swatch(colour, `${to} per km²`));
        from = most;
      }
    }
    if ((places?.exposure ?? []).some((one) => show[`exposure:${one.name}`])) {
      rows.push(swatch(EXPOSED, "road, building … touched"));
    }
    box.replaceChildren(...rows);
  }

  /** Number, area and interval at the threshold. */
  figures(density: Density | null): void {
    const { slides, level } = this.store.state;
    if (!slides) return;
    const area = slides.pixels.reduce((sum, one) => sum + one, 0) * this.page.pixelArea;
    part("count").textContent = number(slides.count);
    part("area").textContent = km2(area);
    const { low, high, best, short } = this.page.interval;
    const line = part("interval");
    const ends = [low[level], high[level]];
    const estimate = best[level];
    line.textContent =
      ends[0] == null || ends[1] == null
        ? "no interval at this threshold"
        : `${estimate == null ? "" : `estimate ${km2(area * estimate)} km², `}` +
          `${km2(area * ends[0])} to ${km2(area * ends[1])} km²: ${short}`;
    const seen = this.page.observation[0]! * this.page.pixelArea;
    const parts = [
      `${percent(seen ? area / seen : 0)} of ${number(seen / 1e6, 0)} km² seen`,
      ...(density && Number.isFinite(density.mean)
        ? [
            `${number(density.mean, 2)} candidates per km² on average, ` +
              `${number(density.highest, density.highest < 10 ? 1 : 0)} in the densest square ` +
              `(${number(this.page.grid.km, 2)} km wide)`,
          ]
        : []),
    ];
    part("slides-lead").textContent =
      `${number(slides.count)} candidate landslides at probability ${probability(level)} and above` +
      (this.page.minArea ? `, ${number(this.page.minArea)} m² or larger` : "") +
      `: ${km2(area)} km² mapped, ${parts.join("; ")}. They are candidates until assessed.`;
  }
}

function ramp(): HTMLElement {
  const stops = [0, 0.1, 0.3, 0.5, 0.7, 0.9, 1].map(
    (at) => `rgb(${rampAt(at).join(" ")}) ${100 * at}%`,
  );
  const bar = make("span", { class: "ramp" });
  bar.style.background = `linear-gradient(90deg, ${stops.join(", ")})`;
  return make("p", { class: "key ramp-key" }, "probability 0 ", bar, " 1");
}

function swatch(colour: string, words: string, border = ""): HTMLElement {
  const mark = make("span", { class: "swatch" });
  if (colour) mark.style.background = colour;
  if (border) {
    mark.style.borderColor = border;
    mark.style.borderWidth = "3px";
  }
  return make("p", { class: "key" }, mark, words);
}

function dragged(handle: HTMLElement, within: HTMLElement, move: (share: number) => void): void {
  handle.addEventListener("pointerdown", (event) => {
    handle.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const box = within.getBoundingClientRect();
    move(Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1));
  });
}
