// Tables of districts and of what was touched, at the threshold.
import type { DistrictRecord, ExposureRecord, Page, Places, Touched } from "./data";
import { kilometres, km2, make, number, part, percent } from "./format";
import type { MapView } from "./map";
import type { Store } from "./state";

const LISTED = 12;

type Cell = string | Node;

interface DistrictRow {
  name: string;
  index: number;
  values: number[];
}

export class PlaceTables {
  private sorted = 3;
  private down = true;
  private readonly open = new Set<string>();

  constructor(
    private readonly page: Page,
    private readonly store: Store,
    private readonly view: MapView,
    private readonly places: Places,
  ) {
    for (const [id, there] of [
      ["districts", places.districts !== null],
      ["exposure", places.exposure.length > 0],
    ] as const) {
      if (!there) continue;
      part(id).hidden = false;
      document.querySelector<HTMLElement>(`[data-for="${id}"]`)!.hidden = false;
    }
    store.on(["slides"], () => this.update());
    this.update();
  }

  private update(): void {
    if (!this.store.state.slides) return;
    if (this.places.districts) this.districts(this.places.districts);
    if (this.places.exposure.length) {
      part("exposure-body").replaceChildren(
        ...this.places.exposure.map((one) => this.exposure(one)),
      );
    }
  }

  /** Area from the pixels in the district; landslides by where most of each lies. */
  private rows(record: DistrictRecord): DistrictRow[] {
    const { slides, level } = this.store.state;
    const counts = new Float64Array(record.names.length + 1);
    for (const district of slides!.district) counts[district]!++;
    const unit = this.page.pixelArea;
    return record.names.map((name, index) => {
      const [steps, pixels] = record.histogram[index]!;
      const mapped = steps.reduce((sum, s, i) => sum + (s >= level ? pixels[i]! : 0), 0) * unit;
      const seen = record.seen[index]! * unit;
      const total = record.total[index]! * unit;
      const count = counts[index + 1]!;
      const density = seen ? count / (seen / 1e6) : NaN;
      return {
        name,
        index,
        values: [total, total ? 1 - seen / total : NaN, count, density, mapped, mapped / seen],
      };
    });
  }

  private districts(record: DistrictRecord): void {
    const heads = [
      "District",
      "On the map, km²",
      "Not seen",
      "Landslides",
      "Per km² seen",
      "Mapped, km²",
      "Of what was seen",
    ];
    const rows = this.rows(record);
    const sign = this.down ? -1 : 1;
    rows.sort((a, b) => {
      if (!this.sorted) return sign * -a.name.localeCompare(b.name);
      const [x, y] = [a, b].map((one) => one.values[this.sorted - 1] || 0) as [number, number];
      return sign * (x - y) || a.index - b.index;
    });
    const head = make("tr");
    heads.forEach((title, i) => {
      const button = make("button", { type: "button" }, title);
      button.addEventListener("click", () => {
        this.down = this.sorted === i ? !this.down : true;
        this.sorted = i;
        this.districts(record);
        part("districts-table").querySelectorAll<HTMLElement>("th button")[i]!.focus();
      });
      const th = make("th", { scope: "col" }, button);
      if (this.sorted === i) th.setAttribute("aria-sort", this.down ? "descending" : "ascending");
      head.append(th);
    });
    const table = part("districts-table");
    table.querySelector("thead")!.replaceChildren(head);
    table.querySelector("tbody")!.replaceChildren(
      ...rows.map((row) => this.districtRow(record, row)),
    );
    const slides = this.store.state.slides!;
    const outside = slides.district.reduce((sum, one) => sum + Number(one === 0), 0);
    part("districts-lead").textContent =
      "A landslide counts for the district that holds most of it; areas are those of the pixels " +
      "in each district. " +
      (outside ? `${number(outside)} landslides lie in none.` : "");
  }

  private districtRow(record: DistrictRecord, row: DistrictRow): HTMLTableRowElement {
    const [total, unseen, count, density, mapped, share] = row.values as [
      number, number, number, number, number, number,
    ];
    const known = (value: number, text: string) => (Number.isFinite(value) ? text : "–");
    const button = make(
      "button",
      { type: "button", "aria-label": `Show ${row.name} on the map` },
      row.name,
    );
    button.addEventListener("click", () => this.show(record.lines[row.index]!));
    const cells: Cell[] = [
      button,
      km2(total),
      known(unseen, percent(unseen)),
      number(count),
      known(density, number(density, 2)),
      km2(mapped),
      known(share, percent(share)),
    ];
    return make("tr", {}, ...cells.map((cell) => make("td", {}, cell)));
  }

  private show(lines: number[][]): void {
    let [west, north, east, south] = [Infinity, Infinity, -Infinity, -Infinity];
    for (const steps of lines) {
      let [x, y] = [0, 0];
      for (let i = 0; i < steps.length; i += 2) {
        x += steps[i]! / 10;
        y += steps[i + 1]! / 10;
        [west, east] = [Math.min(west, x), Math.max(east, x)];
        [north, south] = [Math.min(north, y), Math.max(south, y)];
      }
    }
    this.zoom([west, north, east, south]);
  }

  private zoom(box: [number, number, number, number]): void {
    this.view.show(...box);
    part("map-part").scrollIntoView({ block: "start" });
  }

  private exposure(record: ExposureRecord): HTMLElement {
    const { level } = this.store.state;
    const touched = record.touched.filter((one) => one.highest >= level);
    const number_ = record.highest.slice(level).reduce((sum, one) => sum + one, 0);
    const lines = record.kind === "lines" || record.kind === "mixed";
    const metres = record.metres.slice(level, 251).reduce((sum, one) => sum + one, 0);
    const all = record.metres.reduce((sum, one) => sum + one, 0);
    const unseen = record.metres[251]!;
    const words = [
      `${number(number_)} of ${number(record.features)} touched`,
      ...(lines && all ? [`${kilometres(metres)} of ${kilometres(all)} under landslides`] : []),
      `${number(record.unseen)} not seen by the radar at all` +
        (lines && all ? ` (${kilometres(unseen)} of line not seen)` : ""),
    ];
    const box = make("div", { class: "exposed", "data-exposure": record.name });
    box.append(make("h3", {}, record.name), make("p", {}, `${words.join("; ")}.`));
    if (touched.length) box.append(this.listed(record, touched, lines));
    return box;
  }

  private listed(record: ExposureRecord, touched: Touched[], lines: boolean): HTMLElement {
    const { level } = this.store.state;
    const length = (one: Touched) =>
      one.steps.reduce((sum, [step, metres]) => sum + (step >= level ? metres : 0), 0);
    const rows = touched
      .map((one) => ({ one, metres: length(one) }))
      .sort((a, b) => b.metres - a.metres || b.one.highest - a.one.highest);
    const open = this.open.has(record.name);
    const heads = ["Name", ...(lines ? ["Length touched"] : []), "Highest probability"];
    const table = make(
      "table",
      {},
      make("caption", { class: "quiet" }, `${record.name} touched by landslides`),
      make("thead", {}, make("tr", {}, ...heads.map((h) => make("th", { scope: "col" }, h)))),
    );
    const body = make("tbody");
    for (const { one, metres } of open ? rows : rows.slice(0, LISTED)) {
      const button = make(
        "button",
        { type: "button", "aria-label": `Show ${one.label} on the map` },
        one.label,
      );
      button.addEventListener("click", () => this.zoom(one.box));
      const cells: Cell[] = [
        button,
        ...(lines ? [kilometres(metres)] : []),
        (one.highest * 0.004).toFixed(2),
      ];
      body.append(make("tr", {}, ...cells.map((cell) => make("td", {}, cell))));
    }
    table.append(body);
    const label = `Table of ${record.name} touched`;
    const box = make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": label });
    box.append(table);
    const whole = make("div", {}, box);
    if (rows.length > LISTED) whole.append(this.more(record, rows.length, open));
    if (record.left_out) {
      whole.append(make("p", {}, `${number(record.left_out)} more, less probable, are not listed.`));
    }
    return whole;
  }

  private more(record: ExposureRecord, count: number, open: boolean): HTMLButtonElement {
    const words = open ? "Show fewer" : `Show all ${number(count)}`;
    const more = make("button", { type: "button", class: "link" }, words);
    more.addEventListener("click", () => {
      if (open) this.open.delete(record.name);
      else this.open.add(record.name);
      this.update();
    });
    return more;
  }
}
