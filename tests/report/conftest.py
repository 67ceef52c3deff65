"""One small map with known landslides, and its page, for all tests of the room."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
import xarray as xr

ROWS, COLUMNS = 700, 620
LEFT, TOP = 570_000.0, 4_740_000.0


def make_map(rows: int = ROWS, columns: int = COLUMNS, *, radar: bool = True) -> xr.Dataset:
    """Blobs of probability on a slope, a strip in layover, a corner without data."""
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:rows, :columns]
    probability = rng.uniform(0, 0.08, (rows, columns))
    for _ in range(60):
        row, column, size = rng.uniform(0, rows), rng.uniform(0, columns), rng.uniform(3, 14)
        peak = rng.uniform(0.2, 1.2)
        distance = np.hypot(y - row, (x - column) * 1.3)
        probability = np.maximum(probability, np.clip(peak * (1.2 - distance / size), 0, 1))
    observation = np.zeros((rows, columns), np.uint8)
    observation[:, columns // 3 : columns // 3 + 9] = 3
    observation[-rows // 5 :, : columns // 5] = 1
    seen = np.where(observation == 0, probability, np.nan).astype(np.float32)
    layers: dict[str, Any] = {
        "probability": (("y", "x"), seen),
        "observation": (("y", "x"), observation),
        "slope": (("y", "x"), (20 + 10 * np.sin(x / 40)).astype(np.float32)),
    }
    if radar:
        for name, change in (("vv_pre_db", 0.0), ("vv_post_1_db", -6.0)):
            image = rng.normal(-10, 2, (rows, columns)) + change * (probability > 0.5)
            layers[name] = (("y", "x"), np.where(observation == 1, np.nan, image))
    data = xr.Dataset(
        layers,
        coords={
            "y": TOP - 10 * (np.arange(rows) + 0.5),
            "x": LEFT + 10 * (np.arange(columns) + 0.5),
        },
    )
    data.coords["spatial_ref"] = ((), 0, {"crs_wkt": "EPSG:32654"})
    return data


SCENES = [
    {
        "id": f"S1A_{role}",
        "datetime": f"2018-09-{day}T08:33:00+00:00",
        "role": role,
        "orbit_state": "ascending",
        "relative_orbit": 68,
        "platform": "SENTINEL-1A",
    }
    for role, day in (("pre", "01"), ("post_1", "13"))
]
ATTRS = {
    "scenes": json.dumps(SCENES),
    "detector": json.dumps({"name": "log-ratio", "bands": ["vv_pre", "vv_post_1", "slope"]}),
    "attribution": "Contains modified Copernicus Sentinel data <2018>",
    "simulated": 1,
    "sarmap:event": json.dumps(["2018-09-05T18:08:00+00:00"] * 2),
    "sarmap:request": json.dumps({"threshold": 0.5, "min_area": 0.0, "catalog": "here"}),
}


@pytest.fixture(scope="session")
def map_data() -> xr.Dataset:
    """The map as a Dataset."""
    return make_map().assign_attrs(ATTRS)


@pytest.fixture(scope="session")
def map_store(map_data: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The map as a store."""
    from sarmap.store.result import write_zarr

    return Path(write_zarr(map_data, tmp_path_factory.mktemp("maps") / "small.zarr", attrs=ATTRS))


@pytest.fixture(scope="session")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two districts side by side, two roads, three buildings."""
    folder = tmp_path_factory.mktemp("vectors")
    width, height = COLUMNS * 10, ROWS * 10
    west = shapely.box(LEFT, TOP - height, LEFT + width / 2, TOP)
    east = shapely.box(LEFT + width / 2, TOP - height, LEFT + width, TOP)
    roads = [
        shapely.LineString([(LEFT + 5, TOP - 3005), (LEFT + width - 5, TOP - 3005)]),
        shapely.LineString([(LEFT + 15, TOP - height + 15), (LEFT + 115, TOP - height + 15)]),
    ]
    corners = [(100, 100), (2500, 4500), (50, height - 60)]
    buildings = [shapely.box(LEFT + x, TOP - y - 12, LEFT + x + 12, TOP - y) for x, y in corners]
    frames = {
        "districts": ({"name": ["West", "East <b>"]}, [west, east]),
        "roads": ({"name": ["Long Road", None], "highway": ["primary", "track"]}, roads),
        "buildings": ({"building": ["house", "barn", "house"]}, buildings),
    }
    files = {}
    for name, (columns, shapes) in frames.items():
        files[name] = folder / f"{name}.gpkg"
        frame = geopandas.GeoDataFrame(columns, geometry=shapes, crs="EPSG:32654")
        frame.to_crs("EPSG:4326").to_file(files[name], driver="GPKG")
    return files


@pytest.fixture(scope="session")
def page(
    map_store: Path, vectors: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The map's page as a folder, with districts, roads and buildings."""
    from sarmap.report.writing import write_report

    out = tmp_path_factory.mktemp("pages") / "small_report"
    write_report(
        map_store,
        out,
        districts=vectors["districts"],
        exposure=[vectors["roads"], vectors["buildings"]],
        background=[vectors["roads"]],
    )
    return out


@pytest.fixture(scope="session")
def put() -> Any:
    """Reads what a script of a page hands over."""

    def read(file: Path) -> Any:
        text = file.read_text()
        return json.loads(text[text.index(",") + 1 : text.rindex(")")])

    return read


@pytest.fixture(scope="session")
def front_end() -> Path:
    """The page's sources with their npm packages; tests that need them skip where they are not."""
    folder = Path(__file__).parents[2] / "sarmap" / "report" / "web"
    if not (folder / "node_modules" / "axe-core").is_dir() or shutil.which("node") is None:
        words = "the page's npm packages are not installed: npm ci in sarmap/report/web"
        if os.environ.get("SARMAP_REQUIRE_SERVICES") == "1":
            pytest.fail(words)
        pytest.skip(words)
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A real Chromium without a screen; tests that need it skip where there is none."""
    required = os.environ.get("SARMAP_REQUIRE_SERVICES") == "1"
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sync_playwright = None
    if chromium is None or sync_playwright is None:
        lacking = "Chromium (Debian: chromium)" if chromium is None else "playwright (PyPI)"
        if required:
            pytest.fail(f"SARMAP_REQUIRE_SERVICES=1, and there is no {lacking}")
        pytest.skip(f"there is no {lacking} to open a page with")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=chromium, args=flags)
        yield running
        running.close()
