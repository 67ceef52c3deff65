"""The Zarr arrays of a result store: made empty, opened again, and declared finished."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from sarmap.store.encoding import layer_of
from sarmap.store.georeference import coordinate_attrs, geozarr_attrs, spatial_ref_attrs
from sarmap.store.layout import Layout
from sarmap.store.ledger import (
    BLOCKS,
    BYTES,
    MAP,
    PARTLY,
    PIXELS,
    STATUS,
    Block,
    Counts,
    Ledger,
    damaged,
    failed,
    total,
)
from sarmap.store.location import sweep
from sarmap.store.objects import get, put
from sarmap.store.owner import OWNER
from sarmap.store.provenance import public_attributes, read_provenance
from sarmap.store.retrying import patiently
from sarmap.store.sizes import layer_bytes, sizes_of
from sarmap.types import Observation
from sarmap.version import __version__

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox

SESSIONS = "sarmap:sessions"
"""Attribute: runs that it took, one where none was interrupted."""
_WINDOW_AXES = {"window_y": "y", "window_x": "x"}


def create(
    store: Any,
    dataset: xr.Dataset,
    grid: GeoBox,
    layouts: Mapping[str, Layout],
    attributes: Mapping[str, Any],
    patience: float,
) -> Any:
    """Empty arrays, coordinates and attributes, marked as being written."""
    simulated = "SIMULATED " if read_provenance(attributes).simulated else ""
    described = {
        "Conventions": "CF-1.11",
        "title": f"{simulated}landslide probability",
        "sarmap:version": __version__,
        **attributes,
        "history": _history(attributes),
        **geozarr_attrs(grid),
        STATUS: "writing",
        SESSIONS: 1,
    }

    owner = patiently(partial(get, store, OWNER), "The result's owner", patience)

    def make() -> Any:
        group = zarr.create_group(store, zarr_format=3, attributes=described, overwrite=True)
        if owner is not None:  # all else that was there is gone
            put(store, OWNER, owner)
        for name in ("y", "x", *_WINDOW_AXES):
            if name in dataset.sizes:
                _create_coordinate(group, name, dataset, grid)
        group.create_array(
            "spatial_ref", shape=(), dtype="int64", attributes=spatial_ref_attrs(grid)
        )
        for name, layout in layouts.items():
            _create_layer(group, name, dataset[name], layout)
        # Last: a store without this record was never fit to be continued.
        sizes = zip(dataset["probability"].shape, layouts["probability"].shards, strict=True)
        blocks = [-(-size // edge) for size, edge in sizes]
        group.update_attributes({BLOCKS: json.dumps({MAP: blocks})})
        _consolidate(store)
        return group

    return patiently(make, "The result", patience)


def _history(attributes: Mapping[str, Any]) -> str:
    """CF's line on how a map came to be, behind those that its dataset has already."""
    # no clock: the same map is the same bytes
    line = f"{attributes.get('sarmap:created', '')} sarmap {__version__}: write_zarr".strip()
    return "\n".join(filter(None, (str(attributes.get("history", "")), line)))


def reopen(
    store: Any,
    begun: Mapping[str, Any],
    dataset: xr.Dataset,
    layouts: Mapping[str, Layout],
    patience: float,
) -> Any:
    """The group of a map that is to be continued, marked as being written again; RequestError where
    an array's record is lacking or not as it was made.
    """
    shapes = {name: dataset[name].shape for name in layouts}

    def open_again() -> Any:
        sweep(store)
        _check_arrays(store, layouts, shapes)
        group = zarr.open_group(store, mode="r+", use_consolidated=False)
        group.update_attributes({STATUS: "writing", SESSIONS: begun.get(SESSIONS, 1) + 1})
        _consolidate(store)
        return zarr.open_group(store, mode="r+", use_consolidated=False)

    return patiently(open_again, "The map's record", patience)


def _check_arrays(
    store: Any, layouts: Mapping[str, Layout], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Refuse a store whose arrays are not those that it was begun with."""
    for name, layout in layouts.items():
        try:
            array = zarr.open_array(store, path=name, mode="r")
            same = array.shape == shapes[name] and array.shards == layout.shards
        except (ValueError, TypeError, KeyError, AttributeError, FileNotFoundError):
            same = False  # zarr raises as many kinds as a record can be damaged in
        if not same:
            raise damaged(f"the record of its layer {name!r} is lacking or not as it was made")


def _create_coordinate(group: Any, name: str, dataset: xr.Dataset, grid: GeoBox) -> None:
    attrs = coordinate_attrs(grid, _WINDOW_AXES.get(name, name))
    if name in _WINDOW_AXES:
        attrs["long_name"] = f"{_WINDOW_AXES[name]} of window centre"
    values = np.asarray(dataset[name].values, np.float64)
    array = group.create_array(
        name,
        shape=values.shape,
        dtype="float64",
        chunks=values.shape,
        dimension_names=[name],
        fill_value=np.nan,
        attributes=attrs,
    )
    array[...] = values


def _create_layer(group: Any, name: str, variable: xr.DataArray, layout: Layout) -> None:
    layer = layer_of(name, variable.dtype)
    described = (
        {**public_attributes(variable.attrs), **layer.attrs}
        if layer.packing == "none"
        else layer.attrs
    )
    group.create_array(
        name,
        shape=variable.shape,
        dtype=layer.dtype,
        chunks=layout.chunks,
        shards=layout.shards,
        compressors=[ZstdCodec(level=1)],
        fill_value=layer.fill,
        dimension_names=list(variable.dims),
        attributes={**described, "grid_mapping": "spatial_ref", "coordinates": "spatial_ref"},
    )


def complete(
    store: Any,
    group: Any,
    done: Mapping[str, Mapping[Block, Counts]],
    attributes: Mapping[str, Any],
    layers: Iterable[str],
) -> None:
    """Say what was counted, and in one last stroke that the map is finished."""
    counts = total(done[MAP].values())
    partly = sum(total(blocks.values())[4] for blocks in done.values())
    pixels = {code.meaning: counts[code] for code in Observation}
    group.update_attributes(
        {
            **attributes,
            PIXELS: json.dumps(pixels),
            PARTLY: partly,
            BYTES: json.dumps(layer_bytes(sizes_of(store), layers)),
        }
    )
    whole = _consolidate(store)
    if any(failed(counts) for blocks in done.values() for counts in blocks.values()):
        Ledger(store).start(done)
    whole.update_attributes({STATUS: "complete"})


def _consolidate(store: Any) -> Any:
    """One metadata record for the whole store: plain `open_zarr` warns where there is none."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        warnings.filterwarnings("ignore", message="Object at .sarmap")  # the ledger, no array
        return zarr.consolidate_metadata(store, zarr_format=3)
