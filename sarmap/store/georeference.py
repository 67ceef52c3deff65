"""Where a map lies: its grid from pixel-centre coordinates, and the CF record of that grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sarmap.errors import RequestError

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox


def geobox_of(data: xr.Dataset | xr.DataArray) -> GeoBox:
    """Grid of a map, its corner half a pixel out from the first pixel's centre; RequestError where
    the data has no ``spatial_ref``, or no evenly spaced coordinates y, x of pixel centres.

    >>> import numpy as np, xarray as xr
    >>> data = xr.Dataset(coords={"y": [25.0, 15.0, 5.0], "x": [5.0, 15.0]})
    >>> data.coords["spatial_ref"] = ((), 0, {"crs_wkt": "EPSG:32654"})
    >>> geobox_of(data).transform.c, geobox_of(data).transform.f
    (0.0, 30.0)
    """
    from affine import Affine
    from odc.geo.geobox import GeoBox

    given = _given_steps(data)
    steps, corners = [], []
    for axis in ("y", "x"):
        if axis not in data.coords or data.sizes.get(axis, 0) == 0:
            raise RequestError(f"A map needs pixel-centre coordinates along {axis!r}.")
        centres = np.asarray(data[axis].values, np.float64)
        step = _step(centres, given.get(axis), axis)
        steps.append(step)
        corners.append(float(centres[0]) - step / 2)
    transform = Affine(steps[1], 0.0, corners[1], 0.0, steps[0], corners[0])
    return GeoBox((data.sizes["y"], data.sizes["x"]), transform, _crs_of(data))


def _step(centres: np.ndarray[Any, np.dtype[np.float64]], given: float | None, axis: str) -> float:
    if centres.size > 1:
        step = float(centres[-1] - centres[0]) / (centres.size - 1)
        uneven = np.abs(np.diff(centres) - step).max() > 1e-3 * abs(step)
        if step == 0 or uneven:
            raise RequestError(f"Coordinates along {axis!r} are not evenly spaced.")
        rounded = round(step, 9)
        return rounded if abs(rounded - step) < 1e-6 * abs(step) else step
    if given is None:
        raise RequestError(
            f"One pixel along {axis!r} does not tell its size: `spatial_ref` needs a GeoTransform."
        )
    return given


def _given_steps(data: xr.Dataset | xr.DataArray) -> dict[str, float]:
    """Pixel sizes of the GeoTransform attribute; its origin may be that of a larger map."""
    text = _grid_mapping(data).get("GeoTransform")
    if text is None:
        return {}
    numbers = [float(part) for part in str(text).split()]
    return {"x": numbers[1], "y": numbers[5]}


def _grid_mapping(data: xr.Dataset | xr.DataArray) -> dict[Any, Any]:
    """Attributes of ``spatial_ref``: a coordinate, or a variable as `xarray.open_zarr` has it."""
    if "spatial_ref" in data.coords:
        return data.coords["spatial_ref"].attrs
    variables = getattr(data, "data_vars", {})
    return dict(variables["spatial_ref"].attrs) if "spatial_ref" in variables else {}


def _crs_of(data: xr.Dataset | xr.DataArray) -> Any:
    from odc.geo.crs import CRS

    attrs = _grid_mapping(data)
    text = attrs.get("crs_wkt") or attrs.get("spatial_ref")
    if not text:
        raise RequestError(
            "A map needs its reference system in the coordinate `spatial_ref`; "
            "`data.rio.write_crs(...)` writes it."
        )
    return CRS(text)


def spatial_ref_attrs(grid: GeoBox) -> dict[str, Any]:
    """CF grid mapping of a grid, with the WKT and GeoTransform that GDAL and rioxarray read.

    >>> from odc.geo.geobox import GeoBox
    >>> grid = GeoBox.from_bbox((0, 0, 20, 30), "epsg:32654", resolution=10)
    >>> spatial_ref_attrs(grid)["GeoTransform"]
    '0.0 10.0 0.0 30.0 0.0 -10.0'
    """
    transform, crs = grid.transform, _declared(grid)
    wkt = crs.to_wkt()
    numbers = (transform.c, transform.a, transform.b, transform.f, transform.d, transform.e)
    return {
        **{key: _plain(value) for key, value in crs.proj.to_cf().items()},
        "crs_wkt": wkt,
        "spatial_ref": wkt,
        "GeoTransform": " ".join(str(float(number)) for number in numbers),
    }


_CONVENTIONS = {
    "proj": (
        "f17cb550-5864-4468-aeb7-f3180cfb622f",
        "Coordinate reference system information for geospatial data",
    ),
    "spatial": ("689b58e2-cf7b-45e0-9fff-9cfc0883d6b4", "Spatial coordinate information"),
}
"""GeoZarr's conventions (https://geozarr.org, version 0.1): name -> its UUID, and what it is."""


def geozarr_attrs(grid: GeoBox) -> dict[str, Any]:
    """Attributes of a group whose (y, x) arrays lie on a grid, by GeoZarr's ``proj``, ``spatial``.

    >>> from odc.geo.geobox import GeoBox
    >>> grid = GeoBox.from_bbox((0, 0, 20, 30), "epsg:32654", resolution=10)
    >>> told = geozarr_attrs(grid)
    >>> told["proj:code"], told["spatial:transform"], told["spatial:bbox"]
    ('EPSG:32654', [10.0, 0.0, 0.0, 0.0, -10.0, 30.0], [0.0, 0.0, 20.0, 30.0])
    """
    crs, home = _declared(grid), "https://{}/zarr-conventions/{}/{}/v0.1/{}"
    code = {} if crs.epsg is None else {"proj:code": f"EPSG:{crs.epsg}"}
    return {
        "zarr_conventions": [
            {
                "uuid": uuid,
                "name": name,
                "schema_url": home.format(
                    "raw.githubusercontent.com", name, "refs/tags", "schema.json"
                ),
                "spec_url": home.format("github.com", name, "blob", "README.md"),
                "description": description,
            }
            for name, (uuid, description) in _CONVENTIONS.items()
        ],
        **code,
        "proj:wkt2": crs.to_wkt(),
        "spatial:dimensions": ["y", "x"],
        "spatial:transform": [float(number) for number in grid.transform[:6]],
        "spatial:shape": [int(length) for length in grid.shape],
        "spatial:bbox": [float(edge) for edge in grid.boundingbox.bbox],
        "spatial:registration": "pixel",
    }


def _declared(grid: GeoBox) -> Any:
    if grid.crs is None:
        raise RequestError("The grid has no reference system; give it one with `crs`.")
    return grid.crs


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def coordinate_attrs(grid: GeoBox, axis: str) -> dict[str, str]:
    """CF attributes of the coordinate ``"y"`` or ``"x"``.

    >>> from odc.geo.geobox import GeoBox
    >>> grid = GeoBox.from_bbox((0, 0, 20, 30), "epsg:32654", resolution=10)
    >>> coordinate_attrs(grid, "x")["standard_name"], coordinate_attrs(grid, "y")["axis"]
    ('projection_x_coordinate', 'Y')
    """
    crs = _declared(grid)
    if crs.geographic:
        name, unit = {"y": ("latitude", "degrees_north"), "x": ("longitude", "degrees_east")}[axis]
    else:
        unit = str(crs.units[0 if axis == "y" else 1])
        name, unit = f"projection_{axis}_coordinate", {"metre": "m"}.get(unit, unit)
    return {
        "axis": axis.upper(),
        "standard_name": name,
        "long_name": f"{axis} of pixel centre",
        "units": unit,
    }
