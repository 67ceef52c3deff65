"""The radar before and after the event, read again from the catalogue the map was made from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sarmap.draw.colours import display_bands
from sarmap.errors import RequestError
from sarmap.export.backscatter import to_decibels
from sarmap.report.pyramid import TILE

if TYPE_CHECKING:
    import xarray as xr

    from sarmap.store.reading import MapReader


def shown_bands(reader: MapReader) -> tuple[str, ...]:
    """Radar bands that the page shows of a map: what its detector read before and after."""
    detector = reader.attrs.get("detector", "")
    bands = json.loads(detector).get("bands", []) if str(detector)[:1] == "{" else []
    shown = dict.fromkeys(display_bands([str(band) for band in bands])) if bands else {}
    return tuple(band for band in shown if band.startswith(("vv_", "vh_")))


def reopen_radar(reader: MapReader, catalog: Any) -> dict[str, xr.DataArray]:
    """Band -> lazy image in dB on the map's grid, from the very scenes the map names.

    Parameters
    ----------
    reader
        The map.
    catalog
        As of `sarmap.MapRequest`: a preset, the URL of a STAC API, or settings.

    Raises
    ------
    RequestError
        The map names no event or radar, or the catalogue has other scenes.
    CatalogError
        The catalogue cannot be reached.
    """
    import numpy as np
    import xarray as xr

    from sarmap.acquire.cube import open_cube
    from sarmap.acquire.search import search_passes

    made, bands = reader.provenance, shown_bands(reader)
    if made.event is None or not bands:
        raise RequestError("The map names no event or no radar, so its scenes cannot be found.")
    roles = {band: band[3:] for band in bands}
    passes = search_passes(
        reader.grid,
        made.event,
        catalog=catalog,
        orbit=made.orbits[0] if made.orbits else None,  # type: ignore[arg-type]
        pre=max([1, *(_number(role) for role in roles.values() if role.startswith("pre"))]),
        post=max([1, *(_number(role) for role in roles.values() if role.startswith("post"))]),
    )
    found = {item.id for one in passes for item in one.items if one.role in roles.values()}
    wanted = {
        str(scene.get("id"))
        for scene in made.scenes
        if scene.get("role") in roles.values() and scene.get("orbit_state") == made.orbits[0]
    }
    if found != wanted:
        raise RequestError(
            f"The catalogue has other scenes than the map was made from ({len(found & wanted)} of "
            f"{len(wanted)} agree)."
        )
    kinds = tuple(dict.fromkeys(band[:2] for band in bands))
    cube = open_cube(passes, reader.grid, bands=kinds, chunk=TILE)
    held = [str(role) for role in cube["role"].values]
    images = {}
    for band, role in roles.items():
        power = cube[band[:2]].isel(time=held.index(role))
        images[band] = xr.apply_ufunc(
            to_decibels, power, kwargs={"scaling": "power"}, dask="parallelized",
            output_dtypes=[np.float32],
        )  # fmt: skip
    return images


def _number(role: str) -> int:
    """Which pass of its kind: 1 for 'pre' and 'post_1', 2 for 'pre_2'."""
    return int(role.rpartition("_")[2]) if "_" in role else 1
