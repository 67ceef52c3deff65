"""Units agree with one big map, and so with each other, to the bit.

The big map is one unit over the whole area; the small ones are a grid of units over the same area.
Everything that looks at neighbours is in it: tiles that overlap, windows, halos, resampled scenes,
slope, incidence, layover and shadow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from numpy.typing import NDArray

import sarmap
from sarmap.acquire.dem import CELL, Dem, find_dem
from sarmap.assembly import assemble
from sarmap.regions import tracks
from sarmap.regions.decisions import make_design
from sarmap.regions.scan_folder import Folder
from sarmap.regions.survey import make_survey
from sarmap.regions.unit_map import prepared_unit


class Textured:
    """A segment detector whose answer at a pixel depends on the pixel's place in its tile and on
    all pixels of the tile."""

    bands = ("vv_post_1", "slope", "incidence")
    kind, tile, normalisation = "segment", 64, "tile-minmax"

    def __init__(self, halo: int = 0) -> None:
        self.halo = halo

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        edge = tiles.shape[1]
        ramp = np.linspace(0.5, 1, edge, dtype=np.float32)
        mean = tiles.mean(axis=(1, 2, 3), keepdims=True)[..., 0]
        return (tiles[..., 0] * ramp + tiles[..., 1] * ramp[:, None] + mean) / np.float32(3)


class Windows:
    """A window detector: the mean of its window, normalised by its own extremes."""

    bands = ("vv_post_1", "dem")
    kind, tile, stride, normalisation = "window", 25, 2, "tile-minmax"

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        return tiles.reshape(len(tiles), -1).mean(axis=1)


class Brightest:
    """A pixel detector with a halo: the brightest of the 15 x 15 pixels around."""

    bands = ("vv_post_1",)
    kind, halo, scaling = "pixel", 7, "amplitude"

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        from scipy.ndimage import maximum_filter

        filled = np.nan_to_num(tiles[0, ..., 0])
        return np.clip(maximum_filter(filled, 15), 0, 1)[None]


class Waiting(Textured):
    """A detector for which no unit has enough passes: another of odd tiles maps them all, though
    units are made of this one's."""

    bands = ("vv_post_1", "vv_post_4", "slope")

    def __init__(self) -> None:
        super().__init__()
        odd = Textured(halo=5)
        odd.tile = 48
        self.otherwise = (odd,)


CASES = {
    "segment, side by side": (Textured(), {}),
    "segment with a halo": (Textured(halo=9), {}),
    "segment, overlap 16": (Textured(), {"overlap": 16}),
    "pixels with a halo": (Brightest(), {}),
    "log-ratio": ("log-ratio", {}),
    "a detector that is not the one asked for": (Waiting(), {}),
}


def _units(request: sarmap.ScanRequest) -> dict[str, dict[str, xr.Dataset]]:
    """Zone -> unit -> its computed map, as `map_landslides` would write it."""
    known = make_survey(request)
    laid = make_design(known)
    made: dict[str, dict[str, xr.Dataset]] = {}
    for name, work in known.works.items():
        if not laid.decisions[name].takes:  # a corner that no scene reaches
            assert laid.decisions[name].no_radar
            continue
        dataset = assemble(prepared_unit(work, laid, Folder(str(request.out)))).dataset
        made.setdefault(work.unit.lattice.zone, {})[name] = dataset.load(scheduler="threads")
    return made


@pytest.fixture(autouse=True)
def _few_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units read only the scenes right over them and their context, so that neighbours read others
    wherever they may."""
    monkeypatch.setattr(tracks, "ROUGH", 0.0)


NIGHTLY = ("segment, side by side", "log-ratio")
"""Cases that others hold, too: the papers' cut below, and pixels with a halo."""


@pytest.mark.parametrize(
    "case",
    [pytest.param(one, marks=pytest.mark.nightly) if one in NIGHTLY else one for one in CASES],
)
def test_small_units_hold_the_pixels_of_one_big_map(
    case: str, scan_request: Callable[..., sarmap.ScanRequest]
) -> None:
    detector, changes = CASES[case]
    big = _units(scan_request(detector=detector, unit=8192, chunk=4096, **changes))
    small = _units(scan_request(detector=detector, unit=128, chunk=100, **changes))
    _assert_alike(big, small)


def _assert_alike(
    big: dict[str, dict[str, xr.Dataset]], small: dict[str, dict[str, xr.Dataset]]
) -> None:
    assert set(big) == set(small) == {"53N", "54N"}
    for zone, units in small.items():
        (whole,) = big[zone].values()
        assert len(units) >= 4
        for name, unit in units.items():
            same = whole.sel(x=unit.x, y=unit.y)
            for layer in ("probability", "observation", "slope", "orbit"):
                np.testing.assert_array_equal(
                    unit[layer].values, same[layer].values, err_msg=f"{layer} of {name}"
                )
    seen = sum(float((unit.observation == 0).sum()) for unit in small["54N"].values())
    assert seen > 10_000


def test_windows_are_answered_once_each(scan_request: Callable[..., sarmap.ScanRequest]) -> None:
    big = _units(scan_request(detector=Windows(), unit=8192, chunk=4096))
    small = _units(scan_request(detector=Windows(), unit=128, chunk=100))
    _assert_alike(big, small)
    for zone, units in small.items():
        (whole,) = big[zone].values()
        centres = []
        for unit in units.values():
            same = whole.window_probability.sel(window_x=unit.window_x, window_y=unit.window_y)
            np.testing.assert_array_equal(unit.window_probability.values, same.values)
            xs, ys = np.meshgrid(unit.window_x.values, unit.window_y.values)
            centres += list(zip(xs.ravel(), ys.ravel(), strict=True))
        assert len(centres) == len(set(centres)) > 0


def test_the_papers_cut_equals_a_plain_map_of_the_same_grid(
    scan_request: Callable[..., sarmap.ScanRequest], tmp_path: Path
) -> None:
    """No unit, no context: `map_landslides` on the grid of all units together."""
    request = scan_request(detector=Textured(), unit=128, products=())
    result = sarmap.scan(request)
    assert not result.incomplete
    scan = sarmap.open_scan(result.path)
    zone = scan.zones["54N"]
    plain = sarmap.map_landslides(
        sarmap.MapRequest(
            area=zone.grid,
            event=request.event,
            catalog=request.catalog,
            detector=request.detector,
            orbit="ascending",
            out=str(tmp_path / "plain.zarr"),
        )
    ).dataset.load()
    mosaic = scan["54N"].load()
    for unit in zone.placed:
        at: Any = {
            "y": slice(unit.top, unit.top + unit.rows),
            "x": slice(unit.left, unit.left + unit.columns),
        }
        for layer in ("probability", "observation", "slope"):
            np.testing.assert_array_equal(
                mosaic[layer].isel(at).values, plain[layer].isel(at).values
            )


def test_neighbours_read_different_scenes(
    scan_request: Callable[..., sarmap.ScanRequest],
) -> None:
    """The slices of a pass that are read do differ from unit to unit: the tests above mean it."""
    request = scan_request(unit=128)
    known = make_survey(request)
    laid = make_design(known)
    read = {
        tuple(item.id for item in passes.post[0].items)
        for name, work in known.works.items()
        if laid.decisions[name].takes
        for passes in prepared_unit(work, laid, Folder(str(request.out))).passes
    }
    assert len(read) > 1


def test_elevation_is_the_same_whatever_other_tiles_a_map_needs(
    border_server: Any, border_event: Any
) -> None:
    """Four tiles meet at 138 E, 37 N; a cell of one of them must not know the others, here one
    whose lattice is off by a 200th of a pixel, which counts as the same lattice."""
    dem = find_dem(border_event.grid, border_server.catalog, margin=15_000.0)
    (group,) = dem.groups
    assert len(group) >= 4
    row = int(-border_event.grid.boundingbox.top / dem.resolution) // CELL - 1
    column = int(border_event.grid.boundingbox.right / dem.resolution) // CELL + 1
    own = tuple(tile for tile in group if "N37" in tile.item and "E138" in tile.item)
    assert len(own) == 1
    far = next(tile for tile in group if "N36" in tile.item and "E137" in tile.item)
    off = replace(far, transform=far.transform * Affine.translation(0.005, 0.005))
    alone = Dem((own,), dem.epsg, dem.resolution, dem.signer)
    cell = Dem(((off, *own),), dem.epsg, dem.resolution, dem.signer).cell(row, column)
    assert np.isfinite(cell).any()
    np.testing.assert_array_equal(cell, alone.cell(row, column))
