// The table of landslides: sorted, filtered, a page at a time.
import { lonlat, type Page, type Places } from "./data";
import { make, number, part, place } from "./format";
import type { MapView } from "./map";
import type { Slides } from "./slides";
import { NO_FILTER, type Store } from "./state";

const ROWS = 25;

interface Column {
  key: string;
  title: string;
  value(found: Slides, one: number): number | string;
  text(found: Slides, one: number): string;
}

export class SlideTable {
  private order: number[] = [];
  private sorted = { key: "area", down: true };
  private first = 0;
  private places: Places | null = null;
  private columns: Column[] = [];

  constructor(
    private readonly page: Page,
    private readonly store: Store,
    private readonly view: MapView,
  ) {
    this.filters();
    this.heads();
    part("previous").addEventListener("click", () => this.turn(-ROWS));
    part("next").addEventListener("click", () => this.turn(ROWS));
    store.on(["slides", "filter"], () => this.update());
    store.on(["view"], () => store.state.filter.inView && this.filter());
    store.on(["chosen"], () => this.reveal());
  }

  /** Districts by name, once they are known. */
  withPlaces(places: Places): void {
    this.places = places;
    if (places.districts) {
      const select = part<HTMLSelectElement>("f-district");
      select.append(make("option", { value: "0" }, "any"));
      places.districts.names.forEach((name, i) =>
        select.append(make("option", { value: String(i + 1) }, name)),
      );
      part("f-district-label").hidden = false;
      this.heads();
      this.update();
    }
  }

  private heads(): void {
    const { pixelArea, hasSlope } = this.page;
    const degrees = (value: number) => (Number.isNaN(value) ? "–" : number(value, 1));
    this.columns = [
      {
        key: "id",
        title: "Id",
        value: (found, one) => found.id[one]!,
        text: (found, one) => String(found.id[one]!),
      },
      {
        key: "area",
        title: "Area, m²",
        value: (found, one) => found.pixels[one]!,
        text: (found, one) => number(found.pixels[one]! * pixelArea),
      },
      {
        key: "mean",
        title: "Mean probability",
        value: (found, one) => found.mean[one]!,
        text: (found, one) => found.mean[one]!.toFixed(2),
      },
      {
        key: "highest",
        title: "Highest",
        value: (found, one) => found.highest[one]!,
        text: (found, one) => (found.highest[one]! * 0.004).toFixed(2),
      },
    ];
    if (hasSlope) {
      this.columns.push({
        key: "slope",
        title: "Mean slope, °",
        value: (found, one) => (Number.isNaN(found.slope[one]!) ? -1 : found.slope[one]!),
        text: (found, one) => degrees(found.slope[one]!),
      });
    }
    this.columns.push({
      key: "edge",
      title: "At the edge",
      value: (found, one) => found.edge[one]!,
      text: (found, one) => (found.edge[one] ? "yes" : "–"),
    });
    const middle = (found: Slides, one: number) => lonlat(this.page, found.x[one]!, found.y[one]!);
    this.columns.push({
      key: "place",
      title: "Latitude, longitude",
      value: (found, one) => middle(found, one)[1],
      text: (found, one) => place(...middle(found, one)),
    });
    if (this.places?.districts) {
      this.columns.push({
        key: "district",
        title: "District",
        value: (found, one) => this.district(found, one),
        text: (found, one) => this.district(found, one),
      });
    }
    const row = make("tr");
    for (const column of this.columns) {
      const button = make("button", { type: "button" }, column.title);
      button.addEventListener("click", () => {
        const same = this.sorted.key === column.key;
        const down = same ? !this.sorted.down : !["id", "district"].includes(column.key);
        this.sorted = { key: column.key, down };
        this.update();
      });
      row.append(make("th", { scope: "col", "data-key": column.key }, button));
    }
    part("slides-table").querySelector("thead")!.replaceChildren(row);
  }

  private district(found: Slides, one: number): string {
    const number = found.district[one]!;
    return number ? this.places!.districts!.names[number - 1]! : "–";
  }

  private filters(): void {
    const { state } = this.store;
    const read = () => {
      const value = (id: string, empty: number) => {
        const text = part<HTMLInputElement>(id).value;
        return text === "" ? empty : Number(text);
      };
      state.filter = {
        area: value("f-area", NO_FILTER.area),
        probability: value("f-probability", NO_FILTER.probability),
        slopeLow: value("f-slope-low", NO_FILTER.slopeLow),
        slopeHigh: value("f-slope-high", NO_FILTER.slopeHigh),
        district: Number(part<HTMLSelectElement>("f-district").value || 0),
        inView: part<HTMLInputElement>("f-view").checked,
        inside: part<HTMLInputElement>("f-inside").checked,
      };
      this.filter();
    };
    const form = part<HTMLFormElement>("filters");
    form.addEventListener("input", read);
    form.addEventListener("reset", () => setTimeout(read));
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  /** Mark the landslides that pass the filter. */
  filter(): void {
    const { state } = this.store;
    const found = state.slides;
    if (!found) return;
    const { area, probability, slopeLow, slopeHigh, district, inView, inside: away } = state.filter;
    const [west, north, east, south] = this.view.extent();
    state.passing = new Uint8Array(found.count);
    for (let one = 0; one < found.count; one++) {
      const slope = found.slope[one]!;
      const sloped =
        (slopeLow <= 0 && slopeHigh >= 90) || (slope >= slopeLow && slope <= slopeHigh);
      const inside =
        !inView ||
        (found.x[one]! >= west &&
          found.x[one]! <= east &&
          found.y[one]! >= north &&
          found.y[one]! <= south);
      state.passing[one] = Number(
        found.pixels[one]! * this.page.pixelArea >= area &&
          found.mean[one]! >= probability &&
          sloped &&
          inside &&
          !(away && found.edge[one]) &&
          (!district || found.district[one] === district),
      );
    }
    this.first = 0;
    this.store.tell("filter");
  }

  private update(): void {
    const found = this.store.state.slides;
    if (!found) return;
    const { passing } = this.store.state;
    const column = this.columns.find(({ key }) => key === this.sorted.key) ?? this.columns[0]!;
    const sign = this.sorted.down ? -1 : 1;
    this.order = [];
    for (let one = 0; one < found.count; one++) if (passing[one]) this.order.push(one);
    const values = Array.from({ length: found.count }, (_, one) => column.value(found, one));
    this.order.sort((a, b) => {
      const [x, y] = [values[a]!, values[b]!];
      return (x < y ? -sign : x > y ? sign : 0) || found.id[a]! - found.id[b]!;
    });
    const area = this.order.reduce((sum, one) => sum + found.pixels[one]!, 0);
    part("filtered").textContent =
      this.order.length === found.count
        ? ""
        : `${number(this.order.length)} of ${number(found.count)} landslides, ` +
          `${number((area * this.page.pixelArea) / 1e6, 2)} km²`;
    for (const head of part("slides-table").querySelectorAll("th")) {
      const active = head.dataset.key === this.sorted.key;
      if (active) head.setAttribute("aria-sort", this.sorted.down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    this.first = Math.min(this.first, Math.max(this.order.length - 1, 0));
    this.first -= this.first % ROWS;
    this.rows();
  }

  private turn(step: number): void {
    const next = this.first + step;
    if (next < 0 || next >= this.order.length) return;
    this.first = next;
    this.rows();
  }

  private rows(): void {
    const found = this.store.state.slides!;
    const shown = this.order.slice(this.first, this.first + ROWS);
    const rows = shown.map((one) => this.row(found, one));
    if (!rows.length) {
      const words = found.count ? "No landslide passes the filter." : "No landslide was mapped.";
      rows.push(make("tr", {}, make("td", { colspan: String(this.columns.length) }, words)));
    }
    part("slides-table").querySelector("tbody")!.replaceChildren(...rows);
    const last = this.first + shown.length;
    part("page").textContent = shown.length
      ? `${number(this.first + 1)} to ${number(last)} of ${number(this.order.length)}`
      : "";
    part<HTMLButtonElement>("previous").disabled = this.first === 0;
    part<HTMLButtonElement>("next").disabled = last >= this.order.length;
  }

  private row(found: Slides, one: number): HTMLTableRowElement {
    const row = make("tr", { "data-slide": String(one) });
    if (one === this.store.state.chosen) row.classList.add("chosen");
    this.columns.forEach((column, i) => {
      const text = column.text(found, one);
      if (i) {
        row.append(make("td", {}, text));
        return;
      }
      const label = `Show landslide ${text} on the map`;
      const button = make("button", { type: "button", "aria-label": label }, text);
      row.append(make("td", {}, button));
    });
    row.addEventListener("click", () => this.choose(one));
    return row;
  }

  /** Choose a landslide and show it on the map. */
  choose(one: number): void {
    const found = this.store.state.slides!;
    this.store.state.chosen = one;
    this.view.show(found.west[one]!, found.north[one]!, found.east[one]!, found.south[one]!);
    this.store.tell("chosen");
    const stage = part("stage").getBoundingClientRect();
    const visible = Math.min(stage.bottom, window.innerHeight) - Math.max(stage.top, 0);
    if (visible < 0.6 * stage.height) part("map-part").scrollIntoView({ block: "start" });
  }

  /** Turn to the page with the chosen landslide and mark it. */
  private reveal(): void {
    const at = this.order.indexOf(this.store.state.chosen);
    if (at >= 0) this.first = at - (at % ROWS);
    this.rows();
  }
}
