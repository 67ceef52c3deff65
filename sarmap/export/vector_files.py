"""Landslides as files: GeoPackage, GeoParquet, GeoJSON, FlatGeobuf and KMZ, by one writer.

What holds of a whole file (scenes, notice, title) stands in it once, what holds of a landslide in
its row. A GeoPackage opens drawn in QGIS; a KMZ has a folder for each class of certainty.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from sarmap.errors import OutputError, RequestError
from sarmap.export.styles import CERTAINTY, NOT_SEEN, certainty_of, layer_styles
from sarmap.store.delivery import replacing

if TYPE_CHECKING:
    from geopandas import GeoDataFrame, GeoSeries

    from sarmap.store.provenance import Provenance

VECTORS = {
    "geopackage": ".gpkg",
    "geoparquet": ".parquet",
    "geojson": ".geojson",
    "flatgeobuf": ".fgb",
    "kmz": ".kmz",
}
"""Product -> ending of its file."""


def described(made: Provenance, count: int) -> dict[str, Any]:
    """What each landslide of a map says of its making: columns of `count` rows."""
    import pandas as pd

    ends = dict.fromkeys(f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in made.event or ())
    same = {
        "event": "/".join(ends),
        "passes_before": made.days("pre"),
        "passes_after": made.days("post"),
        "orbit": ", ".join(made.orbits),
        "relative_orbit": ", ".join(map(str, made.relative_orbits)),
        "detector": made.detector,
    }
    return {name: pd.Series([text] * count, dtype="str") for name, text in same.items()}


def file_attributes(made: Provenance, what: str) -> dict[str, str]:
    """What a file of a map's landslides says of itself."""
    return {
        "title": f"{'SIMULATED ' if made.simulated else ''}{what}",
        "attribution": made.attribution,
        "simulated": "YES" if made.simulated else "NO",
        "software": f"sarmap {made.version}".strip(),
        "scenes": ", ".join(made.scene_ids),
    }


def lonlat(shapes: GeoSeries) -> dict[str, Any]:
    """Columns ``lon`` and ``lat``: the middle of each geometry in degrees, six decimals."""
    import geopandas

    plain = geopandas.GeoSeries(shapes.to_numpy(), crs=None).centroid
    middle = geopandas.GeoSeries(plain.to_numpy(), crs=shapes.crs).to_crs("EPSG:4326")
    east = (middle.x.to_numpy() + 180) % 360 - 180
    return {"lon": east.round(6), "lat": middle.y.to_numpy().round(6)}


def check_ending(file: Path) -> None:
    """Refuse a file whose ending is of no kind that is written; the RequestError names those that
    are.
    """
    if file.suffix.lower() not in VECTORS.values():
        raise RequestError(f"{file.name} must end in {', '.join(VECTORS.values())}.")


def write_frame(
    frame: GeoDataFrame,
    file: Path,
    *,
    layer: str,
    kind: str,
    overwrite: bool,
    gaps: GeoDataFrame | None = None,
) -> str:
    """Write polygons or points whole or not at all, in the format of the file's ending; the frame's
    ``attrs`` become the file's metadata.

    The layer's name chooses the style in a GeoPackage; `kind` is its geometry, 'Polygon',
    'MultiPolygon' or 'Point'; `gaps` (`sarmap.export.polygons.outlined`) is a further layer of a
    GeoPackage. Raises RequestError where the file exists or has another ending, OutputError where
    it cannot be written.
    """
    from pyogrio.errors import DataSourceError

    check_ending(file)
    write = _WRITERS[file.suffix.lower()]
    with replacing(file, overwrite=overwrite) as fresh:
        try:
            write(frame, fresh, layer, kind)
            if gaps is not None and file.suffix.lower() == ".gpkg":
                _geopackage(gaps, fresh, NOT_SEEN, kind)
        except DataSourceError as error:
            raise OutputError(f"{file.name} cannot be written: choose another place.") from error
    return str(file)


def _geopackage(frame: GeoDataFrame, file: Path, layer: str, kind: str) -> None:
    import pyogrio

    metadata = {key.upper(): str(value) for key, value in frame.attrs.items()}
    _with_gdal(frame, file, "GPKG", layer, kind, layer_metadata=metadata)
    styles = layer_styles(layer)
    if styles is not None:
        known = "layer_styles" in {str(name) for name, _ in pyogrio.list_layers(file)}
        pyogrio.write_dataframe(styles, file, driver="GPKG", layer="layer_styles", append=known)


def _geoparquet(frame: GeoDataFrame, file: Path, layer: str, kind: str) -> None:
    frame.to_parquet(
        file, index=False, compression="zstd", write_covering_bbox=True, schema_version="1.1.0"
    )


def _geojson(frame: GeoDataFrame, file: Path, layer: str, kind: str) -> None:
    """RFC 7946: degrees, seven decimals (a centimetre), rings wound as it asks."""
    told = ". ".join(frame.attrs[key] for key in ("title", "attribution") if frame.attrs.get(key))
    options = {"RFC7946": "YES", "COORDINATE_PRECISION": "7", "DESCRIPTION": told}
    kind = kind if len(frame) else "Unknown"
    _with_gdal(frame.to_crs("EPSG:4326"), file, "GeoJSON", layer, kind, layer_options=options)


def _flatgeobuf(frame: GeoDataFrame, file: Path, layer: str, kind: str) -> None:
    told = {key.upper(): frame.attrs.get(name, "") for key, name in _TOLD.items()}
    _with_gdal(frame, file, "FlatGeobuf", layer, kind, layer_options=told)


_TOLD = {"title": "title", "description": "attribution"}


def _with_gdal(
    frame: GeoDataFrame, file: Path, driver: str, layer: str, kind: str, **words: Any
) -> None:
    import pyogrio

    multiple = kind == "MultiPolygon"
    pyogrio.write_dataframe(
        frame, file, driver=driver, layer=layer, geometry_type=kind, promote_to_multi=multiple,
        **words,
    )  # fmt: skip


# --- KMZ -----------------------------------------------------------------------------------------

_KML = "http://www.opengis.net/kml/2.2"


def _kmz(frame: GeoDataFrame, file: Path, layer: str, kind: str) -> None:
    """KML 2.2 in a zip file: a folder for each class of certainty, the most certain first.

    Written as text: half a million elements, made one by one, take most of the time of a map.
    """
    placed = frame.to_crs("EPSG:4326")
    name = "mean_probability" if "mean_probability" in frame else "probability"
    classes = certainty_of(frame[name].to_numpy())
    folders = []
    for number, one in enumerate(CERTAINTY):
        rows = placed[classes == number].to_dict("records")
        marks = "".join(_placemark(row, placed.geometry.name, one.key) for row in rows)
        folders.append(f"<Folder>{_tag('name', one.label)}{marks}</Folder>")
    title = _tag("name", frame.attrs.get("title", layer))
    about = _tag("description", frame.attrs.get("attribution", ""))
    styles = "".join(
        f'<Style id="{one.key}"><IconStyle><color>{one.kml}</color></IconStyle>'
        f"<LineStyle><color>{one.kml}</color></LineStyle>"
        f"<PolyStyle><color>99{one.kml[2:]}</color></PolyStyle></Style>"
        for one in CERTAINTY
    )
    text = (
        f'<?xml version="1.0" encoding="utf-8"?>\n<kml xmlns="{_KML}">'
        f"<Document>{title}{about}{styles}{''.join(folders)}</Document></kml>"
    )
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("doc.kml", text)


def _placemark(row: Mapping[str, Any], geometry: Any, style: str) -> str:
    name = f"{'SIMULATED ' if row.get('simulated') else ''}candidate {row['id']}"
    data = "".join(
        f"<Data name={quoteattr(key)}>{_tag('value', str(value))}</Data>"
        for key, value in row.items()
        if key != geometry and value == value  # a NaN is no value
    )
    return (
        f"<Placemark>{_tag('name', name)}<styleUrl>#{style}</styleUrl>"
        f"<ExtendedData>{data}</ExtendedData>{_shape(row[geometry])}</Placemark>"
    )


def _shape(shape: Any) -> str:
    """A geometry in KML; several parts as one MultiGeometry."""
    if hasattr(shape, "geoms"):
        return f"<MultiGeometry>{''.join(map(_shape, shape.geoms))}</MultiGeometry>"
    if shape.geom_type == "Point":
        return f"<Point>{_corners(shape)}</Point>"
    outer, *inner = (
        f"<LinearRing>{_corners(ring)}</LinearRing>" for ring in (shape.exterior, *shape.interiors)
    )
    holes = "".join(f"<innerBoundaryIs>{ring}</innerBoundaryIs>" for ring in inner)
    return f"<Polygon><outerBoundaryIs>{outer}</outerBoundaryIs>{holes}</Polygon>"


def _corners(shape: Any) -> str:
    corners = np.asarray(shape.coords)[:, :2].tolist()
    return _tag("coordinates", " ".join(f"{x:.7f},{y:.7f}" for x, y in corners))


def _tag(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"


_WRITERS: Mapping[str, Callable[[Any, Path, str, str], None]] = {
    ".gpkg": _geopackage,
    ".parquet": _geoparquet,
    ".geojson": _geojson,
    ".fgb": _flatgeobuf,
    ".kmz": _kmz,
}
