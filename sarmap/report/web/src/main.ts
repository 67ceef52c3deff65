// The page comes alive: the map first, then the landslides, then districts and what was touched.
import "./style.css";
import { load, lonlat, single, type CellRecord, type Page, type Places } from "./data";
import { densityOf } from "./density";
import { part, place } from "./format";
import { HATCH } from "./colours";
import { saveShown } from "./export";
import { MapView } from "./map";
import { Panel } from "./panel";
import { PlaceTables } from "./places";
import { decodeCells, findSlides, slideAt } from "./slides";
import { Store } from "./state";
import { SlideTable } from "./table";

async function start(): Promise<void> {
  const page = await load<Page>("page", null);
  const store = new Store(page.threshold);
  const view = new MapView(page, store, part("map"));
  const table = new SlideTable(page, store, view);
  const panel = new Panel(page, store, view, setLevel);
  store.on(["show", "filter", "chosen"], () => view.refresh());
  let places: Places | null = null;
  store.on(["show"], () => panel.legend(places));
  readout(page, view);
  keys(view);
  chosenByClick();
  part("export").addEventListener("click", () => saveShown(page, store.state));

  function setLevel(level: number): void {
    const { state } = store;
    if (!state.cells) return;
    state.level = level;
    state.chosen = -1;
    const smallest = Math.max(Math.ceil(page.minArea / page.pixelArea - 1e-9), 1);
    state.slides = findSlides(state.cells, level, smallest, page.rows, page.columns);
    view.density = densityOf(page, state.slides);
    panel.figures(view.density);
    table.filter();
    store.tell("slides");
    view.refresh();
  }

  function chosenByClick(): void {
    view.map.on("singleclick", (event) => {
      const [x, y] = event.coordinate as [number, number];
      const { slides } = store.state;
      const one = slides ? slideAt(slides, Math.floor(-y), Math.floor(x)) : -1;
      store.state.chosen = one >= 0 && store.state.passing[one] ? one : -1;
      store.tell("chosen");
      const found = store.state.chosen;
      part("readout").textContent =
        found < 0
          ? ""
          : `Candidate ${slides!.id[found]}: ${Math.round(slides!.pixels[found]! * page.pixelArea)} m², ` +
            `mean probability ${slides!.mean[found]!.toFixed(2)}` +
            (Number.isNaN(slides!.slope[found]!)
              ? ""
              : `, slope ${slides!.slope[found]!.toFixed(0)}°`) +
            (slides!.edge[found] ? ", at the edge of what was seen" : "") +
            ` · ${place(...lonlat(page, slides!.x[found]!, slides!.y[found]!))}`;
    });
  }

  const file = (name: string) => (single ? null : `data/${name}.js`);
  const record = await load<CellRecord>("cells", file("cells"));
  store.state.cells = decodeCells(record, page.columns);
  setLevel(page.threshold);
  part("waiting").hidden = true;
  document.body.dataset.ready = "slides";
  if (page.places) {
    places = await load<Places>("places", file("places"));
    view.places(places);
    table.withPlaces(places);
    panel.layers(places);
    new PlaceTables(page, store, view, places);
  }
  document.body.dataset.ready = "all";
}

/** Where the pointer is, and what the map says there. */
function readout(page: Page, view: MapView): void {
  const line = part("readout");
  view.map.on("pointermove", (event) => {
    if (event.dragging) return;
    const [x, y] = event.coordinate as [number, number];
    if (x < 0 || y > 0 || x >= page.columns || -y >= page.rows) {
      line.textContent = "";
      return;
    }
    const level = view.level();
    const found = view.tiles.valueAt(level, x, -y);
    const near = 2 ** (page.levels - 1 - level);
    const words = [place(...lonlat(page, x, -y))];
    if (found) {
      const [value, code] = found;
      const best = near > 1 ? `highest of ${near} × ${near} pixels` : "here";
      words.push(
        value <= 250
          ? `probability ${(value * 0.004).toFixed(2)} ${best}`
          : `not seen: ${HATCH[code]?.name ?? "no data"}`,
      );
    }
    line.textContent = words.join(" · ");
  });
}

function keys(view: MapView): void {
  part("map").addEventListener("keydown", (event) => {
    if (event.key !== "Home") return;
    view.whole();
    event.preventDefault();
  });
}

start().catch((error: unknown) => {
  const line = part("waiting");
  line.textContent = `This page is not whole: ${error instanceof Error ? error.message : error}`;
  line.hidden = false;
  line.classList.add("broken");
});

