"""A whole simulated landslide event: a STAC catalogue of COGs, and what truly happened.

Made after the 2018 Hokkaido Eastern Iburi earthquake (Nava et al. 2022, Remote Sensing 14, 1449).
Every random choice hangs on the seed and on what it is for, never on order, so any number of
threads makes the same event.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import OutputError, RequestError
from sarmap.simulate import items as records
from sarmap.simulate.elevation import elevation_tile, tile_transform, tiles_touched
from sarmap.simulate.geometry import TRACKS, View, see
from sarmap.simulate.landcover import Cover, make_land_cover
from sarmap.simulate.landslides import Slides, describe, invent_slides
from sarmap.simulate.optical import OPTICAL_BANDS, reflectance
from sarmap.simulate.passes import Timing, cut_into_slices, timings
from sarmap.simulate.place import make_place, read_outlines
from sarmap.simulate.radar import Ground, backscatter, make_ground
from sarmap.simulate.rasters import keep_bits, write_cog
from sarmap.simulate.record import SimulatedEvent, open_event, write_event
from sarmap.simulate.terrain import Relief, make_relief, sample, slope_aspect

__all__ = ["SimulatedEvent", "open_event", "simulate_event"]

Field = NDArray[np.float32]
Progress = Callable[[str, float], None]

NODATA = -32768.0
OPTICAL_DELAY = dt.timedelta(days=45)
"""From the event to the first clear Sentinel-2 scene: 2018-10-20 for Iburi."""


@dataclass(frozen=True)
class Scene:
    """The ground of an event, before any satellite looks at it."""

    grid: Any
    """GeoBox of the scene."""
    relief: Relief
    """The ground at 30 m, for the elevation tiles."""
    height: Field
    """Metres on the grid (y, x)."""
    slope: Field
    """Degrees."""
    aspect: Field
    """Degrees clockwise from north, downhill."""
    gradient: tuple[Field, Field]
    """Tangents towards east and north."""
    ground: Ground
    """Cover, texture and change."""
    slides: Slides
    """The landslides."""


def simulate_event(
    out: str | Path,
    *,
    seed: int = 2018,
    rows: int = 3842,
    columns: int = 2346,
    center: tuple[float, float] | None = None,
    crs: str | int | None = None,
    event: str | dt.datetime = "2018-09-05T18:08:00Z",
    orbits: tuple[str, ...] = ("ascending", "descending"),
    earlier: int = 4,
    inventory: str | Path | None = None,
    polarisations: tuple[str, ...] = ("vv", "vh"),
    optical: bool = True,
    decoy: bool = True,
    progress: Progress | None = None,
    overwrite: bool = False,
) -> SimulatedEvent:
    """Simulate a landslide event and its satellite record in a folder.

    Parameters
    ----------
    out
        Folder to make. It appears only when everything in it is written.
    seed
        Whole number that everything grows from.
    rows, columns
        Size of the scene in 10 m pixels.
    center
        Longitude and latitude of the scene's centre, degrees. None: the centre of `inventory`,
        or eastern Iburi.
    crs
        Projected system in metres with an EPSG code; None: the UTM zone of the centre.
    event
        Instant of the landslides; without a zone it is UTC.
    orbits
        'ascending', 'descending' or both.
    earlier
        Passes per orbit before the one just before the event.
    inventory
        Landslides to use instead of invented ones: any vector file that
        `sarmap.assess.inventory.read_inventory` takes. The terrain is made to agree with them.
    polarisations
        'vv', 'vh' or both.
    optical, decoy
        Whether to make a Sentinel-2 scene, and a third relative orbit that covers only the west.
    progress
        Called with what is being made and the share done, 0 to 1, from one thread at a time.
    overwrite
        Replace what is in `out`.

    Returns
    -------
    SimulatedEvent
        The finished folder.

    Raises
    ------
    RequestError
        An argument is refused, or `out` exists and `overwrite` is False.
    OutputError
        `out` cannot be written.
    """
    instant = _instant(event)
    _check(rows, columns, orbits, earlier, polarisations)
    outlines = None if inventory is None else read_outlines(inventory)
    grid = make_place(rows, columns, center, crs, outlines)
    say = progress or (lambda what, share: None)
    with _unfinished(Path(out).expanduser(), overwrite) as folder:
        say("terrain", 0.0)
        scene = _make_scene(seed, grid, outlines)
        say("radar", 0.15)
        passes = timings(instant, tuple(orbits), earlier, decoy)
        made = _write_rasters(folder, seed, scene, passes, instant, polarisations, optical, say)
        _write_records(folder, made, scene.slides)
        finished = SimulatedEvent(
            path=Path(out).expanduser(),
            seed=seed,
            event=instant.strftime("%Y-%m-%dT%H:%M:%SZ"),
            area=_degrees_of(grid),
            crs=f"EPSG:{grid.crs.epsg}",
            transform=tuple(grid.transform)[:6],
            shape=(rows, columns),
            landslides=len(scene.slides.frame),
            orbits=tuple(orbits),
        )
        write_event(finished, folder)
    say("done", 1.0)
    return finished


def _instant(event: str | dt.datetime) -> dt.datetime:
    try:
        when = dt.datetime.fromisoformat(event) if isinstance(event, str) else event
    except ValueError:
        raise RequestError(
            f"event={event!r} is not an instant; write it like 2018-09-05T18:08:00Z."
        ) from None
    return when.replace(tzinfo=dt.UTC) if when.tzinfo is None else when.astimezone(dt.UTC)


def _check(
    rows: int, columns: int, orbits: tuple[str, ...], earlier: int, polarisations: tuple[str, ...]
) -> None:
    if not (64 <= rows <= 20_000 and 64 <= columns <= 20_000):
        raise RequestError(f"rows={rows}, columns={columns}: both must be from 64 to 20,000.")
    if not orbits or not set(orbits) <= {"ascending", "descending"}:
        raise RequestError(f"orbits={orbits!r} must be 'ascending', 'descending' or both.")
    if not polarisations or not set(polarisations) <= {"vv", "vh"}:
        raise RequestError(f"polarisations={polarisations!r} must be 'vv', 'vh' or both.")
    if not 0 <= earlier <= 60:
        raise RequestError(f"earlier={earlier} must be from 0 to 60 passes.")


@contextmanager
def _unfinished(out: Path, overwrite: bool) -> Iterator[Path]:
    """A folder beside `out` that takes its place when all went well, and vanishes when not."""
    if out.exists() and not overwrite:
        raise RequestError(
            f"{out.name!r} exists; give another folder as out, or overwrite=True (`--overwrite`)."
        )
    partial = out.with_name(out.name + ".partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
            if out.is_dir():
                shutil.rmtree(out)
            elif out.exists():
                out.unlink()
            partial.rename(out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            f"The simulated event could not be written to {out.name!r} "
            f"({error.strerror or type(error).__name__}); give another folder as out."
        ) from error


def _random(seed: int, *purpose: str) -> np.random.Generator:
    """A stream of its own for each purpose, so that order and threads change nothing."""
    return np.random.default_rng([seed, *(zlib.crc32(word.encode()) for word in purpose)])


def _degrees_of(grid: Any) -> tuple[float, float, float, float]:
    from rasterio.warp import transform_bounds

    west, south, east, north = transform_bounds(grid.crs.to_wkt(), "EPSG:4326", *grid.boundingbox)
    return west, south, east, north


def _make_scene(seed: int, grid: Any, outlines: Any) -> Scene:
    """The ground and its landslides."""
    shapes = None if outlines is None else outlines.on(grid)
    relief = make_relief(
        _random(seed, "relief"),
        tuple(grid.boundingbox),
        land=None if outlines is None else outlines.points(grid),
        shapes=shapes,
    )
    height = sample(relief, relief.height, grid)
    slope, aspect, east, north = slope_aspect(height, abs(grid.transform.a))
    offshore = sample(relief, relief.offshore, grid, order=1)
    land = make_land_cover(_random(seed, "cover"), relief, height, slope, grid)
    if shapes is None:
        dry = (offshore < -100) & np.isin(land.cover, (Cover.FOREST, Cover.CLEARING))
        gradient = (east, north)
        shapes = invent_slides(_random(seed, "slides"), height, slope, aspect, gradient, dry, grid)
    slides = describe(_random(seed, "inventory"), shapes, slope, aspect, grid)
    land.cover[(slides.label > 0) & (land.cover != Cover.CLEARING)] = Cover.FOREST
    ground = make_ground(
        _random(seed, "ground"),
        land,
        offshore,
        slides.label,
        slides.frame["changed"].to_numpy(dtype=bool),
    )
    return Scene(grid, relief, height, slope, aspect, (east, north), ground, slides)


def _write_rasters(
    folder: Path,
    seed: int,
    scene: Scene,
    passes: list[Timing],
    event: dt.datetime,
    polarisations: tuple[str, ...],
    optical: bool,
    say: Progress,
) -> list[dict[str, Any]]:
    """Write every raster on all cores; returns the item records in a fixed order."""
    views = {
        name: see(TRACKS[name], scene.height, *scene.gradient, abs(scene.grid.transform.a))
        for name in {timing.name for timing in passes}
    }
    jobs: list[Callable[[], list[dict[str, Any]]]] = [
        lambda t=timing, v=views[timing.name]: _write_pass(  # type: ignore[misc]
            folder, seed, scene, v, t, event, polarisations
        )
        for timing in passes
    ]
    jobs += [
        lambda c=corner: [_write_elevation(folder, seed, scene, *c)]  # type: ignore[misc]
        for corner in tiles_touched(_margin(_degrees_of(scene.grid)))
    ]
    if optical:
        jobs.append(lambda: [_write_optical(folder, seed, scene, event)])
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        waiting = [pool.submit(job) for job in jobs]
        try:
            for done, one in enumerate(as_completed(waiting), start=1):
                one.result()
                say("radar", 0.15 + 0.83 * done / len(jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [record for one in waiting for record in one.result()]


def _margin(area: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """A few hundred metres more, for readers that need elevation around the scene."""
    west, south, east, north = area
    return west - 0.005, south - 0.005, east + 0.005, north + 0.005


def _write_pass(
    folder: Path,
    seed: int,
    scene: Scene,
    view: View,
    timing: Timing,
    event: dt.datetime,
    polarisations: tuple[str, ...],
) -> list[dict[str, Any]]:
    """Write both slices of one pass; returns their records."""
    parts = cut_into_slices(timing.track, scene.grid)
    made = [records.radar_item(timing, part, scene.grid, polarisations, seed) for part in parts]
    for polarisation in polarisations:
        chance = _random(seed, timing.name, timing.when.isoformat(), polarisation)
        power = backscatter(chance, scene.ground, view, polarisation, timing.when, event)
        rounded = np.where(np.isnan(power), np.float32(NODATA), keep_bits(power, 8))
        for part, record in zip(parts, made, strict=True):
            values = np.where(part.valid, rounded[part.window], np.float32(NODATA))
            posing = part.edge & (values > 0) & (chance.uniform(size=values.shape) < 0.4)
            values[posing] = chance.choice(np.array([0, -1e-4], np.float32), int(posing.sum()))
            rows, columns = part.window
            shift = scene.grid.transform.translation(columns.start, rows.start)
            write_cog(
                folder / record["assets"][polarisation]["href"],
                values,
                scene.grid.transform * shift,
                scene.grid.crs.to_wkt(),
                nodata=NODATA,
                tags={"TITLE": record["properties"]["title"], "SEED": str(seed)},
            )
    return made


def _write_elevation(
    folder: Path, seed: int, scene: Scene, latitude: int, longitude: int
) -> dict[str, Any]:
    record = records.elevation_item(latitude, longitude, seed)
    chance = _random(seed, record["id"])
    crs = scene.grid.crs.to_wkt()
    tile = elevation_tile(chance, scene.relief, crs, latitude, longitude)
    write_cog(
        folder / record["assets"]["data"]["href"],
        keep_bits(tile, 12),
        tile_transform(latitude, longitude),
        "EPSG:4326",
        nodata=None,
        tags={"TITLE": record["properties"]["title"], "SEED": str(seed)},
        predictor="FLOATING_POINT",
    )
    return record


def _write_optical(folder: Path, seed: int, scene: Scene, event: dt.datetime) -> dict[str, Any]:
    day = (event + OPTICAL_DELAY).date()
    when = dt.datetime.combine(day, dt.time(1, 26, 51), dt.UTC)
    record = records.optical_item(when, scene.grid, OPTICAL_BANDS, seed)
    for number, band in enumerate(OPTICAL_BANDS):
        chance = _random(seed, "optical")  # the same ground in every band
        write_cog(
            folder / record["assets"][band]["href"],
            reflectance(chance, scene.ground, scene.slope, scene.aspect, number),
            scene.grid.transform,
            scene.grid.crs.to_wkt(),
            nodata=0,
            tags={"TITLE": record["properties"]["title"], "SEED": str(seed)},
            predictor="STANDARD",
        )
    return record


_README = """SIMULATED data: no satellite measured it, and no landslide in it is real.

Made by `sarmap simulate`. Contents:

- `items.json`, `collections.json`: STAC records; asset hrefs are relative to this folder.
- `sentinel-1-rtc/`: radar backscatter, gamma-nought power, linear, no data -32768.
- `cop-dem-glo-30/`: elevation in metres.
- `sentinel-2-l2a/`: surface reflectance x 10,000 after the event.
- `landslides.gpkg`: the landslides, as an interpreter would have drawn them.
- `event.json`: seed, place and time. Written last: without it the folder is unfinished.
"""


def _write_records(folder: Path, made: list[dict[str, Any]], slides: Slides) -> None:
    import pyogrio

    features = {"type": "FeatureCollection", "features": made}
    (folder / "items.json").write_text(json.dumps(features), encoding="utf-8")
    held = records.collections(made)
    (folder / "collections.json").write_text(json.dumps(held), encoding="utf-8")
    pyogrio.write_dataframe(
        slides.frame,
        folder / "landslides.gpkg",
        layer="landslides",
        geometry_type="Polygon",
        layer_metadata={"SIMULATED": "YES"},
        layer_options={"DESCRIPTION": records.ATTRIBUTION, "IDENTIFIER": "SIMULATED landslides"},
    )
    (folder / "README.md").write_text(_README, encoding="utf-8")
