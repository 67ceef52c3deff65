"""STAC records of the simulated event, shaped like those of the Planetary Computer.

Projection fields sit on the radar and elevation items, and some numbers are strings, as recorded in
2024 from https://planetarycomputer.microsoft.com/api/stac/v1; each record says SIMULATED.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from sarmap.simulate.elevation import TILE, tile_columns, tile_id, tile_transform
from sarmap.simulate.passes import Slice, Timing

__all__ = [
    "ATTRIBUTION",
    "collections",
    "elevation_item",
    "optical_item",
    "radar_id",
    "radar_item",
]

Record = dict[str, Any]

ATTRIBUTION = "SIMULATED data made by sarmap: no satellite measured it, no landslide in it is real."
SLICE_SECONDS = 25.0

_EXTENSIONS = "https://stac-extensions.github.io"
_FIRST_ORBIT = {
    # launch, and the absolute orbit that was the first on relative orbit 1
    "SENTINEL-1A": (dt.datetime(2014, 4, 3, 21, 2, tzinfo=dt.UTC), 73, "2014-016A"),
    "SENTINEL-1B": (dt.datetime(2016, 4, 25, 21, 2, tzinfo=dt.UTC), 27, "2016-025A"),
}


def _iso(when: dt.datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _degrees(shape: Any, crs: Any) -> Any:
    """A projected polygon in degrees, rounded to about a millimetre."""
    import shapely
    from pyproj import Transformer

    to_degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    dense = shapely.segmentize(shape, 5_000)
    moved = shapely.transform(dense, to_degrees.transform, interleaved=False)
    return shapely.set_precision(moved, 1e-8)


def _place(shape: Any) -> Record:
    import shapely

    return {"geometry": shapely.geometry.mapping(shape), "bbox": list(shape.bounds)}


def _grid_fields(transform: Any, shape: tuple[int, int]) -> Record:
    a = transform
    return {
        "proj:bbox": [a.c, a.f + a.e * shape[0], a.c + a.a * shape[1], a.f],
        "proj:shape": list(shape),
        "proj:transform": [a.a, a.b, a.c, a.d, a.e, a.f, 0.0, 0.0, 1.0],
    }


def _absolute_orbit(timing: Timing) -> int:
    """The absolute orbit nearest the instant that lies on the track's relative orbit."""
    launch, first, _ = _FIRST_ORBIT[timing.track.platform]
    repeats = ((timing.when - launch) / dt.timedelta(days=12)) - timing.track.relative_orbit / 175
    return max(0, round(repeats)) * 175 + first + timing.track.relative_orbit - 1


def _slice_times(timing: Timing, number: int) -> tuple[dt.datetime, dt.datetime]:
    length = dt.timedelta(seconds=SLICE_SECONDS)
    return (
        (timing.when - length, timing.when) if number == 1 else (timing.when, timing.when + length)
    )


def radar_id(timing: Timing, number: int, polarisations: tuple[str, ...]) -> str:
    """Item id in the pattern of Sentinel-1 products.

    Examples
    --------
    >>> from sarmap.simulate.geometry import TRACKS
    >>> when = dt.datetime(2018, 9, 1, 8, 34, 11, tzinfo=dt.UTC)
    >>> radar_id(Timing(TRACKS["ascending"], "ascending", when), 1, ("vv", "vh"))
    'S1B_IW_GRDH_1SDV_20180901T083346_20180901T083411_012519_00C39C_rtc'
    """
    start, end = (f"{when:%Y%m%dT%H%M%S}" for when in _slice_times(timing, number))
    orbit = _absolute_orbit(timing)
    mission = "S1" + timing.track.platform[-1]
    kind = "1SDV" if len(polarisations) == 2 else f"1SS{polarisations[0][0].upper()}"
    return f"{mission}_IW_GRDH_{kind}_{start}_{end}_{orbit:06d}_{orbit * 4:06X}_rtc"


def _radar_asset(item_id: str, polarisation: str) -> Record:
    name = {"v": "vertical", "h": "horizontal"}
    received = name[polarisation[1]]
    return {
        "href": f"sentinel-1-rtc/{item_id}/iw-{polarisation}.rtc.tiff",
        "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "roles": ["data"],
        "title": f"SIMULATED {polarisation.upper()}: vertical transmit, {received} receive",
        "description": f"SIMULATED terrain-corrected gamma naught, {polarisation.upper()}.",
        "raster:bands": [{"nodata": -32768, "data_type": "float32", "spatial_resolution": 10.0}],
    }


def radar_item(
    timing: Timing, part: Slice, grid: Any, polarisations: tuple[str, ...], seed: int
) -> Record:
    """Record of one slice of a pass."""
    track, item_id = timing.track, radar_id(timing, part.number, polarisations)
    start, end = _slice_times(timing, part.number)
    rows, columns = part.window
    transform = grid.transform * grid.transform.translation(columns.start, rows.start)
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    orbit = _absolute_orbit(timing)
    properties = {
        "title": f"SIMULATED Sentinel-1 RTC, {timing.when:%Y-%m-%d}, {track.orbit_state}",
        "datetime": _iso(start + (end - start) / 2),
        "start_datetime": start.strftime("%Y-%m-%d %H:%M:%S.%f+00:00"),
        "end_datetime": end.strftime("%Y-%m-%d %H:%M:%S.%f+00:00"),
        "platform": track.platform,
        "constellation": "Sentinel-1",
        "s1:shape": [shape[1], shape[0]],
        "s1:resolution": "high",
        "s1:datatake_id": str(orbit * 4),
        "s1:orbit_source": "SIMULATED",
        "s1:slice_number": str(part.number),
        "s1:total_slices": "2",
        "s1:processing_level": "1",
        "sar:looks_range": 5,
        "sar:looks_azimuth": 1,
        "sar:product_type": "GRD",
        "sar:polarizations": [p.upper() for p in polarisations],
        "sar:frequency_band": "C",
        "sar:instrument_mode": "IW",
        "sar:center_frequency": 5.405,
        "sar:resolution_range": 20,
        "sar:resolution_azimuth": 22,
        "sar:pixel_spacing_range": 10,
        "sar:pixel_spacing_azimuth": 10,
        "sar:observation_direction": "right",
        "sar:looks_equivalent_number": 4.4,
        "sat:orbit_state": track.orbit_state,
        "sat:absolute_orbit": orbit,
        "sat:relative_orbit": track.relative_orbit,
        "sat:platform_international_designator": _FIRST_ORBIT[track.platform][2],
        "view:incidence_angle": track.incidence,
        "view:azimuth": round(track.look, 3),
        "proj:epsg": grid.crs.epsg,
        **_grid_fields(transform, shape),
        "sarmap:simulated": True,
        "sarmap:seed": seed,
    }
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [
            f"{_EXTENSIONS}/sar/v1.0.0/schema.json",
            f"{_EXTENSIONS}/sat/v1.0.0/schema.json",
            f"{_EXTENSIONS}/view/v1.0.0/schema.json",
            f"{_EXTENSIONS}/projection/v1.1.0/schema.json",
            f"{_EXTENSIONS}/raster/v1.1.0/schema.json",
        ],
        "id": item_id,
        "collection": "sentinel-1-rtc",
        **_place(_degrees(part.footprint, grid.crs)),
        "properties": properties,
        "assets": {p: _radar_asset(item_id, p) for p in polarisations},
        "links": [],
    }


def elevation_item(latitude: int, longitude: int, seed: int) -> Record:
    """Record of one elevation tile."""
    import shapely

    item_id = tile_id(latitude, longitude)
    transform, shape = tile_transform(latitude, longitude), (TILE, tile_columns(latitude))
    fields = _grid_fields(transform, shape)
    outline = shapely.box(*fields.pop("proj:bbox"))
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [f"{_EXTENSIONS}/projection/v1.0.0/schema.json"],
        "id": item_id,
        "collection": "cop-dem-glo-30",
        **_place(outline),
        "properties": {
            "title": f"SIMULATED elevation {item_id[22:-4]}",
            "gsd": 30,
            "datetime": "2021-04-22T00:00:00Z",
            "platform": "TanDEM-X",
            "proj:epsg": 4326,
            **fields,
            "sarmap:simulated": True,
            "sarmap:seed": seed,
        },
        "assets": {
            "data": {
                "href": f"cop-dem-glo-30/{item_id}.tif",
                "title": f"SIMULATED {item_id[22:-4]}",
                "type": "image/tiff; application=geotiff; profile=cloud-optimized",
                "roles": ["data"],
            }
        },
        "links": [],
    }


def optical_item(when: dt.datetime, grid: Any, bands: tuple[str, ...], seed: int) -> Record:
    """Record of the clear Sentinel-2 scene."""
    import shapely

    item_id = f"S2A_MSIL2A_{when:%Y%m%dT%H%M%S}_R031_SIMULATED"
    fields = _grid_fields(grid.transform, (int(grid.shape[0]), int(grid.shape[1])))
    names = {"B04": ("Red", "red"), "B03": ("Green", "green"), "B02": ("Blue", "blue")}
    assets = {
        band: {
            "href": f"sentinel-2-l2a/{item_id}/{band}_10m.tif",
            "title": f"SIMULATED Band {band[-1]} - {names[band][0]} - 10m",
            "type": "image/tiff; application=geotiff; profile=cloud-optimized",
            "roles": ["data"],
            "gsd": 10.0,
            "eo:bands": [{"name": band, "common_name": names[band][1]}],
            "raster:bands": [{"nodata": 0, "data_type": "uint16", "spatial_resolution": 10.0}],
            **fields,
        }
        for band in bands
    }
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [
            f"{_EXTENSIONS}/eo/v1.0.0/schema.json",
            f"{_EXTENSIONS}/projection/v1.1.0/schema.json",
            f"{_EXTENSIONS}/raster/v1.1.0/schema.json",
        ],
        "id": item_id,
        "collection": "sentinel-2-l2a",
        **_place(_degrees(shapely.box(*grid.boundingbox), grid.crs)),
        "properties": {
            "title": f"SIMULATED Sentinel-2 L2A, {when:%Y-%m-%d}",
            "datetime": _iso(when),
            "platform": "Sentinel-2A",
            "constellation": "Sentinel 2",
            "instruments": ["msi"],
            "eo:cloud_cover": 0.4,
            "proj:epsg": grid.crs.epsg,
            "s2:product_type": "S2MSI2A",
            "sarmap:simulated": True,
            "sarmap:seed": seed,
        },
        "assets": assets,
        "links": [],
    }


def _collection(name: str, title: str, items: list[Record]) -> Record:
    boxes = [item["bbox"] for item in items]
    times = sorted(item["properties"]["datetime"] for item in items)
    west, south = min(b[0] for b in boxes), min(b[1] for b in boxes)
    east, north = max(b[2] for b in boxes), max(b[3] for b in boxes)
    return {
        "type": "Collection",
        "stac_version": "1.0.0",
        "id": name,
        "title": f"SIMULATED {title}",
        "description": f"{ATTRIBUTION} Its records look like those of {title}.",
        "license": "Apache-2.0",
        "keywords": ["SIMULATED"],
        "extent": {
            "spatial": {"bbox": [[west, south, east, north]]},
            "temporal": {"interval": [[times[0], times[-1]]]},
        },
        "links": [],
        "sarmap:simulated": True,
        "sarmap:attribution": ATTRIBUTION,
    }


def collections(items: list[Record]) -> list[Record]:
    """Records of the collections that hold the given items."""
    titles = {
        "sentinel-1-rtc": "Sentinel 1 Radiometrically Terrain Corrected (RTC)",
        "cop-dem-glo-30": "Copernicus DEM GLO-30",
        "sentinel-2-l2a": "Sentinel-2 Level-2A",
    }
    own = {name: [i for i in items if i["collection"] == name] for name in titles}
    return [_collection(name, titles[name], held) for name, held in own.items() if held]
