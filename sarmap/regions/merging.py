"""Landslide polygons of a whole scan: one that crosses a border of units or zones is one polygon.

Within a zone the units are one raster, so components are found across unit borders as across block
borders (`sarmap.export.polygons`). Between zones a pixel counts for the zone whose meridians it
lies between; polygons are cut there, and halves that share a piece of the cut are joined again.
Ground that was not seen is outlined likewise, and units that are not mapped yet whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from scipy.sparse import coo_array

from sarmap.export.polygons import outlined as outlined_map
from sarmap.export.vector_files import lonlat
from sarmap.regions.mosaic import Mosaic, ZoneMap
from sarmap.regions.region import in_degrees
from sarmap.regions.scan_folder import State
from sarmap.regions.scan_record import shape_of

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_SHARED = 1e-7
"""Degrees (1 cm) of common cut from which two halves are one landslide."""
_OUTSIDE = 255
"""Code of ground that is of no mapped unit, so that it is outlined as none that was not seen."""


def landslides(scan: Mosaic, *, threshold: float, min_area: float) -> GeoDataFrame:
    """All landslides of a scan, each once, as `sarmap.export.polygons.polygonise` gives them, with
    `zone` and `unit`.

    They are in the zone's CRS where there is one zone, else in degrees (EPSG:4326), with ids from
    1. Areas are those of the zones' own pixels.
    """
    return outlined(scan, threshold=threshold, min_area=min_area, gaps=False)[0]


def outlined(
    scan: Mosaic, *, threshold: float, min_area: float, gaps: bool = True
) -> tuple[GeoDataFrame, GeoDataFrame]:
    """The `landslides` of a scan, and the ground that was not seen, in the same CRS with the
    columns ``why`` and ``area_m2``; both read in one pass.

    Gaps are cut where zones meet; units that are not mapped are gaps of their own. None without
    `gaps`.
    """
    one_zone = len(scan.record["zones"]) == 1
    parts, holes = [], []
    for name, zone in scan.record["zones"].items():
        if name in scan.zones:
            frame, unseen = outlined_map(
                scan.zones[name].reader(_OUTSIDE),
                threshold=threshold,
                min_area=min_area if one_zone else 0.0,
                gaps=gaps,
            )
            if not one_zone:
                frame["id"] = np.arange(1, len(frame) + 1, dtype=np.int64)
            frame = _with_sources(frame, scan.zones[name], scan)
            parts.append(frame if one_zone else _in_zone(frame, zone))
            holes.append(unseen if one_zone else _in_zone(unseen, zone))
        left = _not_mapped(scan, name)
        if gaps and len(left):
            holes.append(left if one_zone else _in_zone(left, zone))
    return _whole(parts, min_area, one_zone), _together(holes)


def _whole(parts: list[GeoDataFrame], min_area: float, one_zone: bool) -> GeoDataFrame:
    """The landslides of all zones, those that cross a cut once."""
    import geopandas

    if not parts:
        return geopandas.GeoDataFrame(geometry=[], crs="EPSG:4326")
    whole = parts[0] if one_zone else _joined(pd.concat(parts, ignore_index=True))
    whole = whole[whole["area_m2"] >= min_area - 1e-6].reset_index(drop=True)
    if not one_zone:
        whole["id"] = np.arange(1, len(whole) + 1, dtype=np.int64)
        for name, middle in lonlat(whole.geometry).items():
            whole[name] = middle
    whole.attrs = dict(parts[0].attrs)
    whole.attrs.pop("scenes", None)  # those of all units stand in their STAC items
    return whole


def _not_mapped(scan: Mosaic, zone: str) -> GeoDataFrame:
    """The units of a zone that are not mapped, in its CRS."""
    import geopandas

    states = {
        name: scan.states.get(name, State())
        for name, unit in scan.record["units"].items()
        if unit["zone"] == zone
    }
    left = {name: state for name, state in states.items() if not state.mapped}
    shapes = []
    for name in left:
        unit = scan.record["units"][name]
        rows, columns = shape_of(unit)
        corner = Affine(*unit["transform"])
        (west, north), (east, south) = corner * (0, 0), corner * (columns, rows)
        shapes.append(shapely.box(west, south, east, north))
    whys = ["no data" if state.status == "no_radar" else "not mapped" for state in left.values()]
    return geopandas.GeoDataFrame(
        {"why": np.array(whys, object), "area_m2": shapely.area(np.array(shapes, object))},
        geometry=shapes,
        crs=f"EPSG:{scan.record['zones'][zone]['epsg']}",
    )


def _together(parts: list[GeoDataFrame]) -> GeoDataFrame:
    """Gaps of all zones as one frame."""
    import geopandas

    if not parts:
        return geopandas.GeoDataFrame(geometry=[], crs="EPSG:4326")
    whole = geopandas.GeoDataFrame(pd.concat(parts, ignore_index=True), crs=parts[0].crs)
    whole.attrs = {name: text for name, text in parts[0].attrs.items() if name != "scenes"}
    return whole


def _with_sources(frame: GeoDataFrame, zone: ZoneMap, scan: Mosaic) -> GeoDataFrame:
    """The frame with zone, unit and the orbit that each polygon was read from."""
    inside = shapely.point_on_surface(frame.geometry.to_numpy())
    corner = zone.grid.affine
    columns = (shapely.get_x(inside) - corner.c) / corner.a
    rows = (shapely.get_y(inside) - corner.f) / corner.e
    at = np.column_stack((np.floor(rows), np.floor(columns))).astype(np.intp).reshape(-1, 2)
    names = np.full(len(frame), "", object)
    orbits = np.full(len(frame), "", object)
    directions = np.full(len(frame), "", object)
    for unit in zone.placed:
        here = (at >= (unit.top, unit.left)).all(axis=1)
        here &= (at < (unit.top + unit.rows, unit.left + unit.columns)).all(axis=1)
        if here.any():
            takes = scan.record["units"][unit.name]["decision"]["takes"]
            names[here] = unit.name
            orbits[here], directions[here] = _orbits(zone, at[here], takes, scan)
    frame["orbit"], frame["relative_orbit"] = directions, orbits
    frame["zone"], frame["unit"] = zone.zone, names
    for name in ("orbit", "relative_orbit", "zone", "unit"):
        frame[name] = frame[name].astype("str")
    return frame


def _orbits(
    zone: ZoneMap, at: NDArray[np.intp], takes: Sequence[str], scan: Mosaic
) -> tuple[list[str], list[str]]:
    """Relative orbits and directions that the pixels `at` (row, column) were read from."""
    passes = [scan.record["takes"][key] for key in takes]
    if len(passes) == 1:
        same = str(passes[0]["relative_orbit"]), passes[0]["orbit_state"]
        return [same[0]] * len(at), [same[1]] * len(at)
    state = {str(one["relative_orbit"]): one["orbit_state"] for one in passes}
    layers = [name for name in zone.layers if name.startswith("orbit")]
    found: list[list[str]] = [[] for _ in at]
    for layer in layers:
        canvas = zone.canvas(layer)
        for number, (row, column) in enumerate(at):
            value = str(int(canvas[row : row + 1, column : column + 1][0, 0]))
            if value in state and value not in found[number]:
                found[number].append(value)
    return (
        [", ".join(each) for each in found],
        [", ".join(dict.fromkeys(state[value] for value in each)) for each in found],
    )


def _in_zone(frame: GeoDataFrame, zone: dict[str, Any]) -> GeoDataFrame:
    """Polygons in degrees, cut to the zone's meridians (and the equator); areas cut alike."""
    import geopandas

    move = Transformer.from_crs(f"EPSG:{zone['epsg']}", "EPSG:4326", always_xy=True)
    west, south, east, north = _band(zone)
    moved = in_degrees(frame.geometry.to_numpy(), move, (west + east) / 2)
    before = shapely.area(moved)
    cut = shapely.intersection(moved, shapely.box(west, south, east, north))
    after = shapely.area(cut)
    kept = after > 1e-9 * before
    whole = frame[kept].copy()
    whole["area_m2"] = whole["area_m2"] * (after / before)[kept]
    return geopandas.GeoDataFrame(
        whole.drop(columns=frame.geometry.name), geometry=cut[kept], crs="EPSG:4326"
    )


def _band(zone: dict[str, Any]) -> tuple[float, float, float, float]:
    """West, south, east and north of a UTM zone; of another system, the whole globe."""
    code = int(zone["epsg"])
    if not (32601 <= code <= 32660 or 32701 <= code <= 32760):
        return -540.0, -90.0, 540.0, 90.0
    west = 6.0 * (code % 100) - 186
    return (west, 0.0, west + 6, 90.0) if code < 32700 else (west, -90.0, west + 6, 0.0)


def _joined(frame: GeoDataFrame) -> GeoDataFrame:
    """Polygons of all zones, halves that share a piece of a cut as one."""
    import geopandas

    groups = _touching(frame)
    single = {group[0] for group in groups if len(group) == 1}
    alone = frame[frame.index.isin(single)]
    merged = [_one(frame.loc[group]) for group in groups if len(group) > 1]
    if not merged:
        return frame
    whole = geopandas.GeoDataFrame(merged, columns=frame.columns, crs=frame.crs)
    return geopandas.GeoDataFrame(
        pd.concat([alone, whole]).sort_values("id").reset_index(drop=True)
    )


def _touching(frame: GeoDataFrame) -> list[list[int]]:
    """Rows that belong together: of different zones, sharing a line along the cut."""
    from scipy.sparse.csgraph import connected_components

    shapes = frame.geometry.to_numpy()
    # across the antimeridian the two sides are a whole turn apart
    turned = shapely.transform(shapes, lambda xy: np.add(xy, (360.0, 0.0)))
    pairs = [_pairs(shapes, other, frame["zone"].to_numpy()) for other in (shapes, turned)]
    links = np.concatenate(pairs)
    graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(len(frame),) * 2)
    _, owner = connected_components(graph, directed=False)
    order = np.argsort(owner, kind="stable")
    return [
        list(map(int, part)) for part in np.split(order, np.flatnonzero(np.diff(owner[order])) + 1)
    ]


def _pairs(one: Any, other: Any, zones: NDArray[Any]) -> NDArray[np.intp]:
    tree = shapely.STRtree(other)
    a, b = tree.query(one, predicate="intersects")
    different = zones[a] != zones[b]
    a, b = a[different], b[different]
    shared = shapely.length(shapely.intersection(one[a], other[b])) > _SHARED
    return np.column_stack((a[shared], b[shared]))


def _one(rows: GeoDataFrame) -> dict[str, Any]:
    """Several halves as one landslide: areas added, probabilities weighed by area."""
    west = rows.geometry.bounds["minx"].min()
    shapes = [
        shapely.transform(shape, lambda xy: np.add(xy, (-360.0, 0.0)))
        if shape.bounds[0] - west > 180
        else shape
        for shape in rows.geometry
    ]
    area = rows["area_m2"].to_numpy()
    whole: dict[str, Any] = dict(rows.iloc[0])
    whole["area_m2"] = float(area.sum())
    whole["at_edge"] = bool(rows["at_edge"].all())
    whole["max_probability"] = float(rows["max_probability"].max())
    for name in ("mean_probability", "mean_slope_deg"):
        values = rows[name].to_numpy(dtype=float)
        finite = np.isfinite(values)
        whole[name] = (
            float(np.average(values[finite], weights=area[finite])) if finite.any() else np.nan
        )
    for name in ("orbit", "relative_orbit", "zone", "unit"):
        whole[name] = ", ".join(dict.fromkeys(rows[name]))
    whole[str(rows.geometry.name)] = shapely.union_all(shapes)
    return whole
