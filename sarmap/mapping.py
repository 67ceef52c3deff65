"""From a cube and its terrain to a lazy map: levelled, seen as the detector reads it, and judged.

`map_landslides` does the same after a search; this is for who has passes already.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sarmap.errors import RequestError

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox

    from sarmap.compose.levelling import Levelling
    from sarmap.detect.quiet import QuietPair
    from sarmap.detect.squares import OpenPart
    from sarmap.detect.trust import Note, Trust
    from sarmap.types import Passes

DEFAULT = "attention-unet"
"""The network that `auto` takes where it is to be trusted."""
LOOK = 768
"""Edge of the square that is looked at, pixels."""
WITHOUT_WEIGHTS = "change"
"""The detector that `auto` takes where it is not."""


@dataclass(frozen=True)
class Judged:
    """What the coarse lattice of a cube says before anything is mapped."""

    levelling: Levelling
    """What is taken off each pass, and the noise of a quiet change."""
    trust: Trust
    """Whether the default network was made for such input."""
    quiet: Any
    """Sizes of quiet changes of this place, in noise; empty where passes are too few."""
    event: Any
    """Sizes of the changes across the event, in noise."""
    pair: QuietPair | None
    """Passes before the event that a detector is held to; None: too few."""

    def notes_on(self, detector: str) -> tuple[Note, ...]:
        """What speaks against a detector: of `change`, only what speaks against comparing."""
        from sarmap.detect.trust import ANYWHERE

        if detector != WITHOUT_WEIGHTS:
            return self.trust.notes
        return tuple(note for note in self.trust.notes if note.code in ANYWHERE)


def judge(
    cube: xr.Dataset, terrain: xr.Dataset | None, *, level: bool = True, coarse: bool = False
) -> Judged:
    """Read the coarse lattice of a cube; find levels and noise, and how far to trust networks. With
    `coarse` the terrain lies on that lattice already.

    Raises RequestError where the cube holds no band or no pass on either side, or what cannot be
    power.
    """
    from sarmap.compose.lattice import quiet_lattice, read_lattice
    from sarmap.compose.levelling import change_sizes, find_levels, not_levelled
    from sarmap.compose.units import check_power
    from sarmap.detect.quiet import FEWEST, QuietPair
    from sarmap.detect.trust import doubted, measure, trust_in
    from sarmap.detect.weight_files import made_for

    lattice = read_lattice(cube, terrain, coarse=coarse, align=level)
    levels = find_levels if level else not_levelled
    levelling = levels(lattice)
    before, pair, quiet = quiet_lattice(lattice), None, np.empty(0, np.float32)
    if before is not None:
        found = levels(before)
        quiet = change_sizes(before, found)
        # without a gap, so that a pass has one number among these and among all
        whole = before.post[-1] == len(before.pre) + len(before.post) - 1
        enough = len(lattice.pre) >= FEWEST and whole
        pair = QuietPair(before.pre, before.post, found) if enough else None
    measures = measure(cube, lattice, levelling, quiet)
    trust = trust_in(measures, made_for(DEFAULT))
    if not cube.attrs.get("scaling_told"):
        trust = doubted(trust, check_power(lattice, measures.get("looks")))
    trust = doubted(trust, _other_wavelength(cube), "wavelength")
    return Judged(levelling, trust, quiet, change_sizes(lattice, levelling), pair)


def _other_wavelength(cube: xr.Dataset) -> str:
    """Why passes of another wavelength than Sentinel-1's are no input for its networks; else ''."""
    band = str(cube.attrs.get("frequency_band", "C"))
    if band == "C":
        return ""
    return (
        f"the passes are of {band}-band, and networks learnt from C-band (Sentinel-1), in which "
        "forest, soil and debris look otherwise: use detector change"
    )


def look_at(passes: Passes, grid: GeoBox) -> str:
    """Refuse values that cannot be power, by the middle of a grid, in a RequestError that says the
    setting that reads them; say where it stays open.

    For detectors that read single passes, whose levels nobody looks at else.
    """
    from sarmap.acquire.cube import open_cube
    from sarmap.compose.lattice import read_lattice
    from sarmap.compose.levelling import not_levelled
    from sarmap.compose.units import check_power
    from sarmap.detect.trust import measure

    starts = [max(0, (int(length) - LOOK) // 2) for length in grid.shape]
    middle = grid[starts[0] : starts[0] + LOOK, starts[1] : starts[1] + LOOK]
    cube = open_cube(passes, middle, bands=tuple(passes.catalog.radar_assets))
    lattice = read_lattice(cube)
    measures = measure(cube, lattice, not_levelled(lattice), np.empty(0, np.float32))
    return check_power(lattice, measures.get("looks"))


def map_cube(
    cube: xr.Dataset,
    terrain: xr.Dataset | None = None,
    *,
    detector: Any = "auto",
    level: bool = True,
    overlap: int = 0,
    engine: str = "auto",
    precision: str = "auto",
) -> xr.Dataset:
    """Landslide probability from a cube of one orbit, lazily.

    Parameters
    ----------
    cube
        From `sarmap.make_cube` or `sarmap.open_cube`: power (time, y, x) with `role`.
    terrain
        From `sarmap.make_terrain` or `sarmap.open_terrain`, on the same grid; None: not known.
    detector
        'auto' (the default network where it was made for such input, else `change`), another name,
        a path to weights, or a `Detector`. A named one is never replaced.
    level
        False: the passes are compared as they are, and where they are.
    overlap
        Pixels by which tiles overlap.
    engine, precision
        As for `sarmap.load_detector`.

    Returns
    -------
    `probability` float32, NaN where not seen, and `observation` uint8, lazily, in the cube's dims,
    order and coordinates. `attrs["sarmap:trust"]`: fits (bool) and notes, each with code, measured,
    low, high and text; `attrs["sarmap:levels"]` (JSON): what each pass lay above the others, dB,
    and off them, pixels; `attrs["detector"]`.

    Raises
    ------
    RequestError
        A pass, band or terrain lacks that the detector reads, or the values cannot be power.

    Examples
    --------
    >>> import numpy as np, xarray as xr, sarmap
    >>> rng = np.random.default_rng(1)
    >>> def image(factor):
    ...     power = 0.1 * rng.gamma(4.4, 1 / 4.4, (64, 64))
    ...     power[20:40, 20:40] *= factor
    ...     return xr.Dataset({"vv": (("y", "x"), power)})
    >>> cube = sarmap.make_cube([image(1), image(1)], [image(0.2)])
    >>> result = map_cube(cube, detector="change")
    >>> [bool(result.probability[at, at] > 0.5) for at in (30, 5)]
    [True, False]
    """
    from sarmap.compose.composites import make_composite
    from sarmap.compose.lattice import spacing_of
    from sarmap.detect.prediction import predict
    from sarmap.detect.protocol import describe

    order = [dim for dim in cube["observation"].dims if dim != "time"]
    here = cube.transpose("time", "y", "x")
    ground = _on_grid(terrain, here)
    known = judge(here, ground, level=level)

    def part(rows: slice, columns: slice) -> tuple[xr.Dataset, xr.Dataset | None]:
        ground_there = None if ground is None else ground.isel(y=rows, x=columns)
        return here.isel(y=rows, x=columns), ground_there

    found = suited(
        detector,
        [known],
        [part],
        spacing=spacing_of(here),
        engine=engine,
        precision=precision,
    )
    spec = describe(found)
    composite = make_composite(
        here, ground, spec.bands, scaling=spec.scaling, levelling=known.levelling
    )
    result = predict(composite, found, overlap=overlap)
    return result.transpose(*order, ...).assign_attrs(
        {
            "sarmap:trust": known.trust.record(),
            "sarmap:levels": json.dumps(levels_of(here, known.levelling)),
        }
    )


def levels_of(cube: xr.Dataset, levelling: Levelling) -> list[dict[str, Any]]:
    """What each pass lay above the mean of those before the event, dB, and off them, as records."""
    return [
        {"role": str(role), "time": str(time)[:19], **pass_record(levelling, index)}
        for index, (role, time) in enumerate(
            zip(cube["role"].values, cube["time"].values, strict=True)
        )
    ]


def pass_record(levelling: Levelling, number: int) -> dict[str, Any]:
    """Of one pass its level by polarisation, dB, and where it lay off the others, pixels.

    `moved` (down, right): it is read that far on; `left_out`: too far for that.
    """
    levels = {band: round(float(one[number]), 2) for band, one in levelling.offsets.items()}
    found = levelling.displaced
    moved = {"moved": [*found.moved[number]]} if number in found.moved else {}
    left = {"left_out": found.left_out[number]} if number in found.left_out else {}
    return levels | moved | left


def suited(
    asked: Any,
    known: Sequence[Judged],
    opened: Sequence[OpenPart],
    *,
    spacing: float,
    engine: str = "auto",
    precision: str = "auto",
) -> Any:
    """The detector asked for, fitted to this place; 'auto' by trust in every orbit.

    Of each orbit, `opened` gives cube and terrain of some rows and columns.
    """
    from sarmap.detect.quiet import hold_to_quiet
    from sarmap.detect.signature import fit_signature
    from sarmap.detect.weights import load_detector

    detector = asked
    if isinstance(asked, str | Path):
        name = asked
        if asked == "auto":
            name = DEFAULT if all(one.trust.fits for one in known) else WITHOUT_WEIGHTS
        detector = load_detector(name, engine=engine, precision=precision)
    if hasattr(detector, "fitted"):
        bands = max(len(one.levelling.offsets) for one in known)
        quiet, event = (
            np.concatenate([getattr(one, name) for one in known]) for name in ("quiet", "event")
        )
        detector = detector.fitted(quiet, event, bands)
    levels = [one.levelling for one in known]
    detector = fit_signature(detector, list(zip(levels, opened, strict=True)))
    pairs = [
        (one.pair, part) for one, part in zip(known, opened, strict=True) if one.pair is not None
    ]
    return hold_to_quiet(detector, pairs, spacing)


def _on_grid(terrain: xr.Dataset | None, cube: xr.Dataset) -> xr.Dataset | None:
    """The terrain on the cube's grid: as it is, or warped by cubic interpolation."""
    if terrain is None:
        return None
    same = all(
        terrain.sizes[d] == cube.sizes[d]
        and (
            d not in terrain.coords
            or np.allclose(terrain[d].values, cube[d].values, rtol=0, atol=1e-6)
        )
        for d in ("y", "x")
    )
    if same:
        return terrain.assign_coords(y=cube["y"], x=cube["x"])
    import rioxarray  # noqa: F401  (the accessor `rio`)
    from rasterio.enums import Resampling

    if terrain.rio.crs is None or cube.rio.crs is None:
        raise RequestError(
            "Cube and terrain lie on different grids, and one of them has no CRS: give crs= to "
            "make_cube and make_terrain, or bring both to one grid."
        )
    warped: xr.Dataset = terrain.rio.reproject_match(
        cube["observation"].isel(time=0), resampling=Resampling.cubic, nodata=np.nan
    )
    return warped.assign_coords(y=cube["y"], x=cube["x"])
