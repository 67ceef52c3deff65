// The map: images before and after, probability, what is drawn over them, and the swipe.
import OlMap from "ol/Map";
import OlView from "ol/View";
import Layer from "ol/layer/Layer";
import TileLayer from "ol/layer/Tile";
import Projection from "ol/proj/Projection";
import ScaleLine from "ol/control/ScaleLine";
import Zoom from "ol/control/Zoom";
import TileGrid from "ol/tilegrid/TileGrid";
import DataTileSource from "ol/source/DataTile";
import TileImage from "ol/source/TileImage";
import { defaults as interactions } from "ol/interaction/defaults";
import { getRenderPixel } from "ol/render";
import type RenderEvent from "ol/render/Event";
import type { FrameState } from "ol/Map";
import { peek, single, type Page, type Places } from "./data";
import type { Density } from "./density";
import { draw, shapesOf } from "./drawing";
import type { View } from "./outlines";
import type { Store } from "./state";
import { Tiles } from "./tiles";

const EMPTY = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==";

export class MapView {
  readonly map: OlMap;
  readonly tiles: Tiles;
  private readonly bases = new Map<string, [TileLayer, TileLayer]>();
  private readonly overlay: TileLayer;
  private readonly drawn: Layer;
  private readonly grid: TileGrid;
  private readonly projection: Projection;
  private canvas = document.createElement("canvas");
  private shapes = shapesOf(null);
  density: Density | null = null;
  private split = 0.5;
  private sides: [string, string] = ["", ""];

  constructor(
    private readonly page: Page,
    private readonly store: Store,
    target: HTMLElement,
  ) {
    const extent = [0, -page.rows, page.columns, 0];
    this.projection = new Projection({
      code: "MAP-PIXELS",
      units: "m",
      metersPerUnit: page.metres,
      extent,
      getPointResolution: (resolution) => resolution * page.metres,
    });
    this.grid = new TileGrid({
      origin: [0, 0],
      extent,
      tileSize: page.tile,
      resolutions: Array.from({ length: page.levels }, (_, i) => 2 ** (page.levels - 1 - i)),
    });
    this.tiles = new Tiles(page, this.look());
    for (const name of [...page.radar, "probability"]) {
      this.bases.set(name, [this.base(name, 0), this.base(name, 1)]);
    }
    this.overlay = this.painted((z, x, y) => this.tiles.overlay(z, x, y), 2);
    this.overlay.on("prerender", (event) => {
      const [west, south, east, north] = event.frameState!.extent!;
      this.tiles.refresh(west!, -north!, east!, -south!);
    });
    this.drawn = new Layer({ zIndex: 3, render: (frame) => this.draw(frame) });
    this.map = new OlMap({
      target,
      layers: [...[...this.bases.values()].flat(), this.overlay, this.drawn],
      controls: [new Zoom(), new ScaleLine({ minWidth: 90 })],
      interactions: interactions({ altShiftDragRotate: false, pinchRotate: false }),
      view: new OlView({
        projection: this.projection,
        extent: [
          -page.columns * 0.5,
          -page.rows * 1.5,
          page.columns * 1.5,
          page.rows * 0.5,
        ],
        showFullExtent: true,
        minResolution: 1 / 16,
        maxResolution: (2 * Math.max(page.rows, page.columns)) / 300,
        center: [page.columns / 2, -page.rows / 2],
        resolution: Math.max(page.rows, page.columns) / 600,
        enableRotation: false,
      }),
    });
    this.whole(0);
    this.map.on("moveend", () => store.tell("view"));
  }

  private look() {
    const { level, show } = this.store.state;
    return { level, slides: show.slides === true, unseen: show.unseen === true };
  }

  private painted(
    loader: (z: number, x: number, y: number) => Promise<HTMLCanvasElement>,
    zIndex: number,
  ): TileLayer {
    const source = new DataTileSource({
      loader,
      tileGrid: this.grid,
      projection: this.projection,
      tileSize: this.page.tile,
      interpolate: false,
      transition: 0,
    });
    return new TileLayer({ source: source as never, zIndex, cacheSize: 64 });
  }

  private base(name: string, side: 0 | 1): TileLayer {
    const layer =
      name === "probability"
        ? this.painted((z, x, y) => this.tiles.ramp(z, x, y), 0)
        : new TileLayer({
            source: new TileImage({
              tileGrid: this.grid,
              projection: this.projection,
              tileUrlFunction: ([z, x, y]) => this.address(name, z!, x!, y!),
              transition: 0,
            }),
            cacheSize: 64,
          });
    layer.setVisible(false);
    layer.on("prerender", (event) => this.clip(event, side));
    layer.on("postrender", (event) => (event.context as CanvasRenderingContext2D).restore());
    return layer;
  }

  private address(name: string, z: number, x: number, y: number): string {
    if (!this.tiles.has(name, z, x, y)) return EMPTY;
    const key = `${name}/${z}/${y}/${x}`;
    return single ? (peek(key) as string) : `tiles/${key}.webp`;
  }

  /** Each side's image is drawn on its side of the divider only. */
  private clip(event: RenderEvent, side: 0 | 1): void {
    const ctx = event.context as CanvasRenderingContext2D;
    const [width, height] = this.map.getSize() as [number, number];
    const at = this.sides[0] === this.sides[1] ? width : width * this.split;
    const [from, to] = side === 0 ? [0, at] : [at, width];
    const corners = [
      [from, 0],
      [to, 0],
      [to, height],
      [from, height],
    ].map((corner) => getRenderPixel(event, corner));
    ctx.save();
    ctx.beginPath();
    corners.forEach(([x, y], i) => (i ? ctx.lineTo(x!, y!) : ctx.moveTo(x!, y!)));
    ctx.closePath();
    ctx.clip();
  }

  /** Images of the left and right side. */
  compare(left: string, right: string): void {
    this.sides = [left, right];
    for (const [name, [a, b]] of this.bases) {
      a.setVisible(name === left);
      b.setVisible(name === right && right !== left);
    }
    this.map.render();
  }

  /** Where the divider stands, 0 to 1 of the width. */
  swipe(share: number): void {
    this.split = share;
    this.map.render();
  }

  places(places: Places): void {
    this.shapes = shapesOf(places);
    this.drawn.changed();
  }

  /** Draw anew what depends on the reader's choices. */
  refresh(): void {
    this.tiles.change(this.look());
    this.overlay.changed();
    this.drawn.changed();
  }

  whole(duration = 250): void {
    const { rows, columns } = this.page;
    this.map.getView().fit([0, -rows, columns, 0], { padding: [10, 10, 10, 10], duration });
  }

  /** Show a rectangle of columns and rows. */
  show(west: number, north: number, east: number, south: number): void {
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    const least = 40;
    const [x, y] = [(west + east) / 2, (north + south) / 2];
    const half = [Math.max(east - west, least) / 2, Math.max(south - north, least) / 2];
    this.map.getView().fit([x - half[0]!, -y - half[1]!, x + half[0]!, -y + half[1]!], {
      padding: [60, 60, 60, 60],
      minResolution: 0.25,
      duration: still ? 0 : 350,
    });
  }

  /** Columns and rows in view: west, north, east, south. */
  extent(): [number, number, number, number] {
    const [west, south, east, north] = this.map.getView().calculateExtent(this.map.getSize());
    return [west!, -north!, east!, -south!];
  }

  /** Level of the tiles in view. */
  level(): number {
    return this.grid.getZForResolution(this.map.getView().getResolution() ?? 1);
  }

  private draw(frame: FrameState): HTMLElement {
    const { canvas } = this;
    const ratio = frame.pixelRatio;
    const [width, height] = frame.size.map((one) => Math.round(one * ratio)) as [number, number];
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
      canvas.className = "drawn";
    }
    const ctx = canvas.getContext("2d")!;
    ctx.clearRect(0, 0, width, height);
    const { center, resolution } = frame.viewState;
    const scale = ratio / resolution;
    const left = width / 2 - center[0]! * scale;
    const top = height / 2 + center[1]! * scale;
    const view: View = {
      west: -left / scale,
      east: (width - left) / scale,
      north: -top / scale,
      south: (height - top) / scale,
      x: (column) => left + column * scale,
      y: (row) => top + row * scale,
    };
    const { rows, columns } = this.page;
    const where = { scale, left, top, ratio, rows, columns };
    draw(ctx, this.store.state, view, this.shapes, this.density, where);
    return canvas;
  }
}
