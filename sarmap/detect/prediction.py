"""A composite to a lazy probability map: the Dask wiring around `sarmap.detect.block`.

The strategy, once. Blocks are planned first (`sarmap.detect.windows.plan_blocks`): where the
composite's chunks cut tiles or are smaller than what a neighbour borrows, it is rechunked to blocks
that do not. Then one `dask.array.map_overlap` hands each block the pixels that its tiles reach,
without padding: what lies beyond the scene is mirrored inside the block, by the scene's own
indices. So the answer at a pixel depends on the scene and the detector alone, to the bit, whatever
the chunks, the workers or the engine's batches. It is one task per block (and Dask's own slicing
where blocks borrow).

The detector is one entry of the graph that all blocks refer to, never a part of each task.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from dask.delayed import delayed

from sarmap.detect.block import answer_block
from sarmap.detect.protocol import Detector, DetectorSpec, describe
from sarmap.detect.windows import BlockedAxis, TileAxis, plan_blocks
from sarmap.errors import RequestError
from sarmap.types import Observation

_MEMORY_CHUNK = 1024
"""Block edge for a composite that has no chunks of its own."""


def predict(
    composite: xr.DataArray, detector: Detector, *, overlap: int = 0, spoilt: bool = False
) -> xr.Dataset:
    """Landslide probability for every pixel of a composite, lazily.

    Parameters
    ----------
    composite
        float32 ``band, y, x`` with the coordinate ``band`` (names) and the attribute ``scaling``.
        The coordinate ``observation`` (``y, x``; `sarmap.types.Observation`) says what is known of
        each pixel; without it every pixel counts as observed.
    detector
        What is asked; see `sarmap.detect.protocol` for what it may say about itself.
    overlap
        Pixels by which tiles of a `segment` detector overlap and are blended; 0 takes the
        detector's own stride (the papers' cut: side by side).
    spoilt
        Whether to tell, too, which answers depend on pixels that could not be read.

    Returns
    -------
    ``probability`` (``y, x``) float32, 0 to 1, NaN where not observed; ``observation`` (``y, x``)
    uint8, in which pixels that lack any band have become ``no_data``; and for a `window` detector
    ``window_probability`` (``window_y, window_x``) float32, each window's own answer at its exact
    centre (NaN only where the window holds no measured pixel); with `spoilt` also bool ``spoilt``
    and for windows ``window_spoilt``, of those answers. The composite's coordinates, CRS and
    provenance attributes are kept; tiling and detector are added.

    Raises
    ------
    RequestError
        Bands or scaling are not the detector's, or the overlap is not possible. On computing: the
        detector answers another shape than its kind has, or not 0 to 1.

    >>> def bright(tiles):
    ...     return (tiles[..., 0] > 0.5).astype("float32")
    >>> bright.bands = ("vv_post_1",)
    >>> image = xr.DataArray(np.float32([[[0.1, 0.9, np.nan]]]), dims=("band", "y", "x"),
    ...                      coords={"band": ["vv_post_1"]}, attrs={"scaling": "power"})
    >>> predict(image, bright).probability.values
    array([[ 0.,  1., nan]], dtype=float32)
    """
    spec = describe(detector)
    _check_composite(composite, spec)
    stride = stride_of(spec, overlap)
    values, codes = _arrays(composite)
    rows, columns = (
        plan_blocks(TileAxis(spec.kind, size, spec.tile, stride, spec.halo), chunks)
        for size, chunks in zip(values.shape[1:], values.chunks[1:], strict=True)
    )
    layers = _layers(values, codes, detector, spec, rows, columns, spoilt)
    dataset = _dataset(composite, layers, spec, rows, columns, overlap)
    return dataset.assign(_spoilt(layers[-1], spec, rows, columns)) if spoilt else dataset


# --- what is refused -----------------------------------------------------------------------------


def _check_composite(composite: xr.DataArray, spec: DetectorSpec) -> None:
    """Refuse a composite that the detector was not made for."""
    if set(composite.dims) != {"band", "y", "x"}:
        raise RequestError(f"a composite has the dims band, y, x, not {composite.dims}")
    if "band" not in composite.coords:
        raise RequestError("the composite has no coordinate band; name its bands there")
    if 0 in composite.shape:
        raise RequestError(f"the composite is empty: {dict(composite.sizes)}")
    bands = tuple(str(band) for band in composite["band"].values)
    if bands != spec.bands:
        raise RequestError(
            f"the composite's bands are {', '.join(bands)}, and detector {spec.name} reads "
            f"{', '.join(spec.bands)}; make the composite from the detector's bands"
        )
    scaling = composite.attrs.get("scaling")
    if scaling != spec.scaling:
        raise RequestError(
            f"the composite's scaling is {scaling or 'not given'}, and detector {spec.name} reads "
            f"{spec.scaling}; make the composite with scaling={spec.scaling!r}"
        )


def stride_of(spec: DetectorSpec, overlap: int) -> int:
    """Step from tile to tile that an overlap asks for."""
    if overlap and spec.kind != "segment":
        raise RequestError(
            f"overlap={overlap} blends tiles, and detector {spec.name} is of kind {spec.kind}; "
            "leave overlap at 0"
        )
    if not 0 <= overlap < spec.tile:
        raise RequestError(
            f"overlap={overlap} does not fit the {spec.tile} px tiles of detector {spec.name}; "
            f"use 0 to {spec.tile - 1}"
        )
    return spec.tile - overlap if overlap else spec.stride


# --- the graph -----------------------------------------------------------------------------------


def _arrays(composite: xr.DataArray) -> tuple[da.Array, da.Array]:
    """Values ``[band, y, x]``, all bands in one chunk, and observation codes ``[y, x]``."""
    image = composite.transpose("band", "y", "x")
    if image.chunks is None:
        image = image.chunk(y=_MEMORY_CHUNK, x=_MEMORY_CHUNK)
    values = image.chunk(band=-1).data
    if "observation" not in composite.coords:
        return values, da.zeros(values.shape[1:], dtype=np.uint8, chunks=values.chunks[1:])
    codes = (
        composite["observation"].transpose("y", "x").chunk(y=values.chunks[1], x=values.chunks[2])
    )
    return values, codes.data.astype(np.uint8)


def _layers(
    values: da.Array,
    codes: da.Array,
    detector: Detector,
    spec: DetectorSpec,
    rows: BlockedAxis,
    columns: BlockedAxis,
    spoilt: bool,
) -> da.Array:
    """The layers of `answer_block` as one array, in the planned blocks."""
    planned = (rows.chunks, columns.chunks)
    # only a plain 0 lets map_overlap leave blocks that borrow nothing uncut
    depth = {axis: at.depth if any(at.depth) else 0 for axis, at in ((1, rows), (2, columns))}
    # codes of what is borrowed are wanted only where they are to be told of
    around = {0: depth[1], 1: depth[2]} if spoilt else {0: 0, 1: 0}
    blocks = da.map_overlap(
        answer_block,
        values.rechunk((-1, *planned)),
        codes.rechunk(planned),
        depth=[{0: 0, **depth}, around],
        boundary="none",
        trim=False,
        align_arrays=False,
        allow_rechunk=False,
        token="predict",
        dtype=np.float32,
        meta=np.empty((0, 0, 0), np.float32),
        chunks=(((3 if spec.kind == "window" else 2) + spoilt,), *planned),
        detector=_shared(detector),
        spec=spec,
        rows=rows,
        columns=columns,
        spoilt=spoilt,
    )
    return _as_given(blocks, values.chunks)


def _shared(detector: Detector) -> Any:
    """The detector as one entry of the graph.

    Named after its own token where it has one; otherwise uniquely, since hashing unknown weights
    may cost more than the map.
    """
    own = hasattr(detector, "__dask_tokenize__")
    token = tokenize(detector) if own else uuid.uuid4().hex
    return delayed(detector, name=f"detector-{token}", traverse=False)


def _as_given(blocks: da.Array, chunks: tuple[tuple[int, ...], ...]) -> da.Array:
    """Blocks that only joined whole chunks are cut again, so that a store's shards stay aligned."""
    joined = all(
        set(accumulate(planned)) <= set(accumulate(given))
        for planned, given in zip(blocks.chunks[1:], chunks[1:], strict=True)
    )
    if not joined:
        return blocks
    again: da.Array = blocks.rechunk((-1, *chunks[1:]))
    return again


# --- the result ----------------------------------------------------------------------------------


def _dataset(
    composite: xr.DataArray,
    layers: da.Array,
    spec: DetectorSpec,
    rows: BlockedAxis,
    columns: BlockedAxis,
    overlap: int,
) -> xr.Dataset:
    """The layers as variables, with coordinates, CRS and attributes."""
    kept = {
        name: coord
        for name, coord in composite.coords.items()
        if name != "observation" and set(coord.dims) <= {"y", "x"}
    }
    variables: dict[str, Any] = {
        "probability": (("y", "x"), layers[0], _PROBABILITY),
        "observation": (("y", "x"), layers[1].astype(np.uint8), _OBSERVATION),
    }
    if spec.kind == "window":
        windows = layers[2][rows.axis.representatives(), columns.axis.representatives()]
        variables["window_probability"] = (("window_y", "window_x"), windows, _PROBABILITY)
        kept["window_y"] = _centres(composite, "y", rows.axis)
        kept["window_x"] = _centres(composite, "x", columns.axis)
    attrs = {**composite.attrs, **spec.attributes, "stride": rows.axis.stride, "overlap": overlap}
    dataset = xr.Dataset(variables, coords=kept, attrs=attrs)
    _keep_grid_mapping(composite, dataset)
    return dataset


def _spoilt(
    layer: da.Array, spec: DetectorSpec, rows: BlockedAxis, columns: BlockedAxis
) -> dict[str, Any]:
    """Which answers depend on unread pixels, as variables."""
    flags = layer > 0
    if spec.kind != "window":
        return {"spoilt": (("y", "x"), flags)}
    windows = flags[rows.axis.representatives(), columns.axis.representatives()]
    return {"spoilt": (("y", "x"), flags), "window_spoilt": (("window_y", "window_x"), windows)}


_PROBABILITY: Mapping[str, Any] = {
    "long_name": "landslide probability",
    "units": "1",
    "valid_range": [0.0, 1.0],
}
_OBSERVATION: Mapping[str, Any] = {
    "long_name": "what is known of the pixel",
    "flag_values": [code.value for code in Observation],
    "flag_meanings": " ".join(code.meaning for code in Observation),
}


def _centres(composite: xr.DataArray, dim: str, axis: TileAxis) -> xr.DataArray:
    """Coordinates of the windows' centres, in the units of `dim` (without any: pixel numbers)."""
    along = composite[dim]
    values = along.values.astype(np.float64)
    step = (values[-1] - values[0]) / (axis.size - 1) if axis.size > 1 else 0.0
    pixel = np.clip(np.floor(axis.centres()).astype(np.intp), 0, axis.size - 1)
    places = values[pixel] + (axis.centres() - pixel) * step
    return xr.DataArray(places, dims=f"window_{dim}", attrs=along.attrs)


def _keep_grid_mapping(composite: xr.DataArray, dataset: xr.Dataset) -> None:
    """Name the CRS coordinate in every variable, as the composite does (or CF's usual name)."""
    name = composite.encoding.get("grid_mapping") or composite.attrs.get("grid_mapping")
    name = name or ("spatial_ref" if "spatial_ref" in composite.coords else None)
    dataset.attrs.pop("grid_mapping", None)
    if name:
        for variable in dataset.data_vars.values():
            variable.encoding["grid_mapping"] = name
