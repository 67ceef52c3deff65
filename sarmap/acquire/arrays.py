"""Passes and terrain that somebody holds already, as arrays or files, to what a map is made from.

    cube = sarmap.make_cube([before], [after_1, after_2], times=["2018-09-01", ...])
    terrain = sarmap.make_terrain(dem)
    result = sarmap.map_cube(cube, terrain)

Arrays lie on one grid, pixel on pixel. Files (`sarmap.acquire.files`) may lie on others: they are
warped to the first one's as scenes of a catalogue are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sarmap.acquire.cube import other_band
from sarmap.acquire.slope import horn, slope_degrees
from sarmap.acquire.terrain import ATTRS
from sarmap.acquire.values import refuse_decibel
from sarmap.errors import RequestError
from sarmap.types import Observation

POLARISATIONS = ("vv", "vh", "hh", "hv")
_POWER = {"units": "1", "long_name": "gamma-nought backscatter power"}
_SCALINGS = ("power", "amplitude", "db", "dn")


def make_cube(
    pre: Sequence[Any],
    post: Sequence[Any],
    *,
    times: Sequence[Any] | None = None,
    crs: Any = None,
    scaling: str = "power",
    chunk: int | None = None,
) -> xr.Dataset:
    """A cube of passes from arrays or files: what `sarmap.map_cube` and `make_composite` read.

    Parameters
    ----------
    pre, post
        Passes before and after the event, oldest first. A pass is a Dataset (y, x) with `vv` and/or
        `vh` (also `hh`, `hv`, for the detector `change`), a mapping of these names to raster files,
        one GeoTIFF of two bands (named by their descriptions, else VV and then VH), or one HDF5
        product of OPERA RTC-S1 or NISAR GCOV. All arrays, or all files. A Dataset of another radar
        than C-band says so by its attribute `frequency_band`, or `sar:frequency_band` ("L").
    times
        Instants of all passes, before and then after, oldest first; dates alone will do. None:
        12 days apart, which is said in the attribute `times`.
    crs
        Coordinate reference system of arrays that do not say it themselves; None: as they say.
    scaling
        What the values are: 'power' (linear gamma-nought), 'amplitude', 'db', or of files 'dn'
        (digital numbers of amplitude, by the factor that the file says). Told as power, what
        cannot be power is refused when it is read: decibel block by block by their signs, amplitude
        and digital numbers by `sarmap.map_cube`.
    chunk
        Block edge in pixels; None: the arrays' own blocks (files: 1024).

    Returns
    -------
    Dataset of `vv` and others (time, y, x) float32 linear power, NaN where nothing was measured
    (NaN, infinite; of power and amplitude zero and below), and `observation` (time, y, x) uint8.
    Coordinates: `time` (UTC), `role` ('pre' is the last pass before the event, 'pre_2' the one
    before it ...; 'post_1' the first after), `y`, `x` at pixel centres, `spatial_ref` where known.

    Raises
    ------
    RequestError
        No pass on either side, passes on different grids or with different bands, unknown
        scaling, times that do not fit, or a file that cannot be read.

    Examples
    --------
    >>> one = xr.Dataset({"vv": (("y", "x"), np.float32([[0.1, np.nan]]))})
    >>> cube = make_cube([one, one], [one], times=["2024-01-01", "2024-01-13", "2024-01-25"])
    >>> cube.role.values.tolist(), cube.observation.values[0].tolist()
    (['pre_2', 'pre', 'post_1'], [[0, 1]])
    """
    if not len(pre) or not len(post):
        raise RequestError(
            f"{len(pre)} passes before and {len(post)} after the event: give at least one of each."
        )
    if scaling not in _SCALINGS:
        raise RequestError(f"scaling={scaling!r} is unknown: choose from {', '.join(_SCALINGS)}.")
    passes = [*pre, *post]
    if all(isinstance(one, xr.Dataset) for one in passes):
        cube = _from_arrays(passes, crs, scaling, chunk)
    elif any(isinstance(one, xr.Dataset) for one in passes):
        raise RequestError("Some passes are arrays and some are files: give all as one or other.")
    else:
        from sarmap.acquire.files import read_passes

        cube = read_passes(passes, scaling=scaling, chunk=chunk or 1024)
    return _described(cube, len(pre), len(post), times, scaling)


def _described(
    cube: xr.Dataset, pre: int, post: int, times: Sequence[Any] | None, scaling: str
) -> xr.Dataset:
    """With instants and roles along time, and how it was said that the values are stored."""
    roles = [*("pre" if n == 1 else f"pre_{n}" for n in range(pre, 0, -1))]
    roles += [f"post_{n}" for n in range(1, post + 1)]
    instants = _instants(times, pre + post)
    described = cube.assign_coords(time=("time", instants), role=("time", roles))
    said = "as given" if times is not None else "not known: 12 days apart"
    told = "" if scaling == "power" else scaling
    return described.assign_attrs(
        times=said, simulated=int(cube.attrs.get("simulated", 0)), scaling_told=told
    )


def _instants(times: Sequence[Any] | None, count: int) -> NDArray[np.datetime64]:
    if times is None:
        first = np.datetime64("2000-01-01", "ns")
        return np.asarray(first + np.arange(count) * np.timedelta64(12, "D"))
    from sarmap.acquire.instants import parse_event

    if len(times) != count:
        raise RequestError(
            f"times has {len(times)} instants for {count} passes: give one for each, those before "
            "the event first."
        )
    given = [t if not isinstance(t, np.datetime64) else str(t) for t in times]
    found = [parse_event(one)[0].replace(tzinfo=None) for one in given]
    if any(later < one for one, later in pairwise(found)):
        raise RequestError(
            "times do not rise: give the passes oldest first, before and then after."
        )
    return np.array(found, dtype="datetime64[ns]")


# --- arrays --------------------------------------------------------------------------------------


def _from_arrays(
    passes: Sequence[xr.Dataset], crs: Any, scaling: str, chunk: int | None
) -> xr.Dataset:
    if scaling == "dn":
        raise RequestError(
            "Arrays of digital numbers do not say their factor: multiply by it, and give "
            "scaling='amplitude'."
        )
    first = passes[0]
    bands = [band for band in POLARISATIONS if band in first]
    if not bands:
        raise RequestError(
            f"The first pass holds {', '.join(map(str, first.data_vars)) or 'nothing'}: name its "
            f"variables {', '.join(POLARISATIONS)}."
        )
    for number, one in enumerate(passes, start=1):
        _check_pass(one, first, bands, number)
    variables = {band: _stack([one[band] for one in passes], scaling, chunk) for band in bands}
    codes = _codes([variables[band] for band in bands])
    cube = xr.Dataset({**variables, "observation": codes}, attrs=_kept(passes))
    return _placed(cube, first, crs)


def _kept(passes: Sequence[xr.Dataset]) -> dict[str, Any]:
    """What the first pass says of itself, and the wavelength of any that is not of C-band."""
    first = passes[0].attrs
    names = ("attribution", "simulated", "orbit_state", "relative_orbit")
    bands = [
        one.attrs.get("frequency_band") or one.attrs.get("sar:frequency_band") for one in passes
    ]
    return {name: first[name] for name in names if name in first} | {
        "frequency_band": other_band(bands)
    }


def _check_pass(one: xr.Dataset, first: xr.Dataset, bands: Sequence[str], number: int) -> None:
    """Every pass has the first one's bands, on its grid."""
    held = [band for band in POLARISATIONS if band in one]
    if held != list(bands):
        raise RequestError(
            f"Pass {number} holds {', '.join(held) or 'no band'} and pass 1 {', '.join(bands)}: "
            "give all passes the same bands."
        )
    for band in bands:
        if set(one[band].dims) != {"y", "x"}:
            raise RequestError(
                f"{band} of pass {number} has the dims {one[band].dims}: give it y and x."
            )
    for dim in ("y", "x"):
        same = one.sizes[dim] == first.sizes[dim]
        if same and dim in one.coords and dim in first.coords:
            same = bool(np.allclose(one[dim].values, first[dim].values, rtol=0, atol=1e-6))
        if not same:
            raise RequestError(
                f"Pass {number} lies on another grid than pass 1 (along {dim}): bring all passes "
                "to one grid, or give files, which are warped to the first."
            )


def _stack(layers: Sequence[xr.DataArray], scaling: str, chunk: int | None) -> xr.DataArray:
    """Power along time; what is no measurement is NaN."""
    order = layers[0].dims
    arrays = [da.asarray(one.transpose(*order).data) for one in layers]
    stack = da.stack(arrays).astype(np.float32)
    if chunk is not None:
        stack = stack.rechunk((1, chunk, chunk))
    elif not any(hasattr(one.data, "dask") for one in layers):
        stack = stack.rechunk((1, 1024, 1024))
    power = stack.map_blocks(_as_power, scaling=scaling, dtype=np.float32)
    return xr.DataArray(power, dims=("time", *order), attrs=_POWER)


def _as_power(values: NDArray[np.float32], scaling: str) -> NDArray[np.float32]:
    """Linear power, NaN where nothing was measured.

    Raises RequestError where they are decibel: found here, in the block, since what a Dask array
    holds is not known before.

    >>> _as_power(np.float32([2, 0, np.inf]), "amplitude").tolist()
    [4.0, nan, nan]
    """
    if scaling != "db":
        refuse_decibel(values, "A pass")
    valid = np.isfinite(values)
    if scaling == "db":
        power = np.power(np.float32(10), values * np.float32(0.1), where=valid, out=values.copy())
    else:
        valid &= values > 0
        power = np.square(values) if scaling == "amplitude" else values
    return np.where(valid, power, np.float32(np.nan)).astype(np.float32)


def _codes(layers: Sequence[xr.DataArray]) -> xr.DataArray:
    """Observed where any band is: a detector says itself which it needs."""
    seen = np.isfinite(layers[0])
    for layer in layers[1:]:
        seen = seen | np.isfinite(layer)
    code = xr.where(seen, np.uint8(Observation.OBSERVED), np.uint8(Observation.NO_DATA))
    codes: xr.DataArray = code.assign_attrs(ATTRS["observation"])
    return codes


def _placed(cube: xr.Dataset, first: xr.Dataset, crs: Any) -> xr.Dataset:
    """With the first pass's coordinates, pixel numbers where it has none, and a CRS if known."""
    # a pass cut out of a series brings its scalar time along: not into the cube
    dims = ("y", "x")
    coords: dict[str, Any] = {dim: (dim, np.arange(first.sizes[dim], dtype=float)) for dim in dims}
    coords |= {dim: first[dim].variable for dim in coords if dim in first.coords}
    placed = cube.assign_coords(coords)
    if "spatial_ref" in first.coords:
        placed = placed.assign_coords(spatial_ref=first["spatial_ref"].variable)
    if crs is not None:
        import rioxarray  # noqa: F401  (the accessor `rio`)

        placed = placed.rio.write_crs(crs)
    return placed


# --- terrain -------------------------------------------------------------------------------------


def make_terrain(
    dem: Any = None, *, slope: Any = None, incidence: Any = None, crs: Any = None
) -> xr.Dataset:
    """Terrain from arrays or files; what is given is used, and slope is derived from elevation.

    Parameters
    ----------
    dem
        Elevation in metres (y, x): a DataArray, or the path of a raster.
    slope
        Slope in degrees; None: from `dem`, after Horn (1981).
    incidence
        *Local* incidence angle in degrees, from the ground's normal to the look; None: left out.
    crs
        Coordinate reference system, where the arrays do not say it.

    Returns
    -------
    Dataset (y, x) float32 of what is known of `dem`, `slope` and `incidence`.

    Raises
    ------
    RequestError
        Nothing was given, the arrays lie on different grids, or elevation without coordinates: a
        slope needs metres between pixels.

    Examples
    --------
    >>> plane = xr.DataArray(np.tile(np.float32([0, 10, 20]), (3, 1)), dims=("y", "x"),
    ...                      coords={"y": [20.0, 10.0, 0.0], "x": [0.0, 10.0, 20.0]})
    >>> make_terrain(plane).slope.values[1].round().tolist()
    [27.0, 45.0, 27.0]
    """
    given = {"dem": dem, "slope": slope, "incidence": incidence}
    layers = {name: _layer(name, one) for name, one in given.items() if one is not None}
    if not layers:
        raise RequestError("make_terrain got nothing: give dem=, slope= or incidence=.")
    first = next(iter(layers.values()))
    for name, layer in layers.items():
        if layer.shape != first.shape or any(
            d in layer.coords
            and d in first.coords
            and not np.allclose(layer[d].values, first[d].values, rtol=0, atol=1e-6)
            for d in ("y", "x")
        ):
            raise RequestError(f"{name} lies on another grid than the others: bring all to one.")
    if "slope" not in layers and "dem" in layers:
        layers["slope"] = _slope(layers["dem"])
    terrain = xr.Dataset(
        {name: (("y", "x"), layer.data, dict(ATTRS[name])) for name, layer in layers.items()},
        coords={d: first[d] for d in ("y", "x") if d in first.coords},
        attrs={"given": json.dumps([name for name, one in given.items() if one is not None])},
    )
    return _placed(terrain, first.to_dataset(name="first"), crs)


def _layer(name: str, given: Any) -> xr.DataArray:
    """One plane (y, x) of float32."""
    if isinstance(given, str | Path):
        from sarmap.acquire.files import read_plane

        given = read_plane(given)
    if not isinstance(given, xr.DataArray):
        given = xr.DataArray(np.asarray(given), dims=("y", "x"))
    if set(given.dims) != {"y", "x"}:
        raise RequestError(f"{name} has the dims {given.dims}: give it y and x.")
    plane: xr.DataArray = given.transpose("y", "x").astype(np.float32)
    return plane


def _slope(dem: xr.DataArray) -> xr.DataArray:
    """Slope in degrees, the border's from its neighbours mirrored."""
    steps = _metres(dem)
    heights = da.asarray(dem.data)
    found = da.map_overlap(
        _slope_block, heights, depth=1, boundary="nearest", dtype=np.float32, steps=steps
    )
    return xr.DataArray(found, dims=("y", "x"))


def _slope_block(heights: NDArray[np.float32], steps: tuple[float, float]) -> NDArray[np.float32]:
    east, north = horn(heights, 1.0)
    inner = slope_degrees(east / np.float32(steps[1]), north / np.float32(steps[0]))
    return np.pad(inner, 1)


def _metres(dem: xr.DataArray) -> tuple[float, float]:
    """Metres from pixel to pixel along y and x."""
    if not all(d in dem.coords and dem.sizes[d] > 1 for d in ("y", "x")):
        raise RequestError(
            "The elevation has no coordinates, so its slope is not known: give y and x in metres "
            "(or degrees), or slope= itself."
        )
    steps = [abs(float(dem[d].values[1] - dem[d].values[0])) for d in ("y", "x")]
    if max(steps) < 0.01:  # degrees
        latitude = float(np.radians(dem["y"].values.mean()))
        return steps[0] * 110_574.0, steps[1] * 111_320.0 * float(np.cos(latitude))
    return steps[0], steps[1]
