"""From an event's description to its lazy composite and labels: nothing is read yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from sarmap.assess.ground import LandCover
from sarmap.assess.labels import read_labels
from sarmap.errors import RequestError
from sarmap.learn.config import EventSource
from sarmap.learn.scene import Scene
from sarmap.types import Scaling


@contextmanager
def open_scenes(
    events: Sequence[EventSource], bands: Sequence[str], scaling: Scaling
) -> Iterator[list[Scene]]:
    """The events as lazy scenes of some bands and scaling, while the block lasts; simulated ones
    are served on loopback.

    Raises RequestError where an event, its inventory or its land cover cannot be used, and says so.
    """
    with ExitStack() as servers:
        yield [_scene(event, bands, scaling, servers) for event in events]


def _scene(
    source: EventSource, bands: Sequence[str], scaling: Scaling, servers: ExitStack
) -> Scene:
    area, when, catalog, grid, inventory = _place(source, servers)
    try:
        labels = read_labels(
            grid,
            inventory,
            surveyed=source.surveyed,
            clouds=source.clouds,
            layer=source.inventory_layer,
            crs=source.inventory_crs,
        )
        composite = lazy_composite(area, when, catalog, grid, bands, scaling, orbit=source.orbit)
    except RequestError as error:
        raise RequestError(f"Event {source.name}: {error}") from error
    simulated = source.simulated is not None or bool(composite.attrs.get("simulated"))
    return Scene(
        source.name, composite, labels, _covers(source, grid), source.role, simulated=simulated
    )


def _place(source: EventSource, servers: ExitStack) -> tuple[Any, Any, Any, Any, str]:
    """Area, instant, catalogue, grid and inventory of an event."""
    from sarmap.acquire.grid import make_grid

    if source.simulated is None:
        grid = make_grid(source.area, crs=source.crs, resolution=source.resolution)
        return source.area, source.event, source.catalog, grid, str(source.inventory)
    from sarmap.simulate.record import open_event
    from sarmap.simulate.serve import serve_event

    event = open_event(source.simulated)
    server = servers.enter_context(serve_event(event))
    inventory = source.inventory or str(event.inventory)
    return event.grid, event.event, server.catalog, event.grid, inventory


def lazy_composite(
    area: Any,
    when: Any,
    catalog: Any,
    grid: Any,
    bands: Sequence[str],
    scaling: Scaling,
    *,
    orbit: Any = None,
) -> Any:
    """The composite (band, y, x) of one event by the route of a map: search, cube, terrain,
    `sarmap.make_composite`; errors are those of its steps.
    """
    from sarmap.acquire.catalogs import resolve_catalog
    from sarmap.acquire.cube import open_cube
    from sarmap.acquire.search import search_passes
    from sarmap.acquire.terrain import open_terrain
    from sarmap.compose.composites import make_composite
    from sarmap.compose.names import (
        needs_optical,
        needs_terrain,
        required_passes,
        required_radar_bands,
    )

    settings = resolve_catalog(catalog)
    pre, post = required_passes(bands)
    radar = required_radar_bands(bands)
    passes = search_passes(
        area,
        when,
        catalog=settings,
        orbit=orbit,
        pre=max(pre, 1),
        post=max(post, 1),
        optical=needs_optical(bands),
        bands=radar or ("vv",),
    )
    wanted = (*radar, *(band for band in bands if band in ("red", "green", "blue")))
    cube = open_cube(passes, grid, bands=wanted)
    terrain = None
    if needs_terrain(bands) or settings.dem_collection is not None:
        terrain = open_terrain(grid, catalog=settings, passes=passes)
    composite = make_composite(cube, terrain, list(bands), scaling=scaling)
    composite.attrs["scenes"] = [item.id for one in passes for item in one.items]
    composite.attrs["simulated"] = int(passes.simulated)
    return composite


def _covers(source: EventSource, grid: Any) -> LandCover | None:
    if source.land_cover is None:
        return None
    if source.land_cover != "simulated":
        path = Path(source.land_cover).expanduser()
        if not path.is_file():
            raise RequestError(f"Event {source.name}: land cover {path.name!r} does not exist.")
        return LandCover(grid, path, source.land_cover_names)
    codes, names = _simulated_cover(source.simulated or "")
    return LandCover(grid, codes, names)


@lru_cache(maxsize=2)
def _simulated_cover(folder: str) -> tuple[Any, dict[int, str]]:
    """`sarmap.simulate.cover.land_cover`, which takes a while, once for each event."""
    from sarmap.simulate.cover import land_cover

    return land_cover(folder)
