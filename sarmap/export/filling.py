"""Storing a lazy map, from the first block or from where an earlier run was interrupted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sarmap.errors import RequestError
from sarmap.export.arrays import complete, create, reopen
from sarmap.export.blocks import layer_families
from sarmap.export.georeference import geobox_of
from sarmap.export.identity import IDENTITY, check_identity, make_identity
from sarmap.export.layout import CHUNK, plan_layout
from sarmap.export.ledger import BLOCKS, STATUS, Ledger, is_whole, read_attributes
from sarmap.export.location import storage_errors, store_at, writing_to
from sarmap.export.pieces import load_pieces, piece_family
from sarmap.export.provenance import public_attributes
from sarmap.export.retrying import PATIENCE, patiently
from sarmap.export.waves import do_missing, kept_blocks

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Stored", "store_map", "tidy"]


@dataclass(frozen=True)
class Stored:
    """A map that is stored."""

    path: str
    """The place written to, as given."""
    computed: int
    """Blocks that this run has done, of all families; 0 where all were done before."""


def store_map(
    dataset: xr.Dataset,
    out: str | Path,
    *,
    attrs: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    chunk: int = CHUNK,
    shard: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    alongside: xr.DataArray | None = None,
    resume: bool = False,
    identity: Mapping[str, Any] | None = None,
    patience: float = PATIENCE,
    spoilt: xr.Dataset | None = None,
) -> Stored:
    """`write_zarr`, which see, telling how much was done; the picture's pieces stay until `tidy`.

    Raises
    ------
    RequestError, OutputError
        As `write_zarr`.
    """
    grid = geobox_of(dataset)
    _check_layers(dataset)
    layouts = plan_layout(dataset, chunk=chunk, shard=shard)
    described = {**dataset.attrs, **(attrs or {})}
    late = {key: value for key, value in described.items() if callable(value)}
    known = {key: value for key, value in described.items() if key not in late}
    wanted = make_identity(identity or {}, dataset, grid, layouts)

    def continues(store: Any) -> bool:
        return _continues(store, wanted, Path(str(out)).name, replace=overwrite)

    how = continues if resume else None
    with writing_to(out, overwrite=overwrite, continues=how) as store:
        ledger = Ledger(store)
        begun = read_attributes(store)
        if begun is not None and is_whole(begun):
            if alongside is not None:
                load_pieces(alongside, store)
            return Stored(str(out), 0)
        if begun is None:
            attributes = {**public_attributes(known), IDENTITY: json.dumps(wanted)}
            group = create(store, dataset, grid, layouts, attributes, patience)
        else:
            group = reopen(store, begun, patience)
        families = layer_families(dataset, layouts, group, ledger, patience, spoilt)
        if alongside is not None:
            families.append(piece_family(alongside, ledger, patience))
        if begun is not None:
            ledger.start(kept_blocks(families, ledger.read()))
        computed = do_missing(families, ledger, progress)
        if alongside is not None:
            load_pieces(alongside, store)
        final = public_attributes({key: value() for key, value in late.items()})
        done = ledger.read()
        patiently(lambda: complete(store, group, done, final), "The map's record", patience)
    return Stored(str(out), computed)


def tidy(out: str | Path) -> None:
    """Remove the ledger and the pieces of a finished map without unread pixels."""
    store = store_at(out)
    with suppress(*storage_errors()):
        begun = read_attributes(store)
        if begun is not None and is_whole(begun):
            Ledger(store).remove()


def _continues(store: Any, wanted: Mapping[str, Any], shown: str, *, replace: bool) -> bool:
    """True where a run can go on in a store; otherwise refused, unless it may be replaced."""
    begun = read_attributes(store)
    if begun is None or STATUS not in begun:
        if replace:
            return False
        raise RequestError(f"{shown} is a Zarr store, but not a map that sarmap wrote.")
    if begun[STATUS] == "writing" and BLOCKS not in begun:
        return False  # its run ended before all arrays were there
    try:
        check_identity(json.loads(begun.get(IDENTITY, "{}")), wanted, shown)
    except RequestError:
        if replace:
            return False
        raise
    return True


def _check_layers(dataset: xr.Dataset) -> None:
    for name in ("probability", "observation"):
        if name not in dataset or dataset[name].dims != ("y", "x"):
            raise RequestError(f"A map needs the variable {name!r} with dims (y, x).")
    for key, variable in dataset.data_vars.items():
        if variable.dims not in (("y", "x"), ("window_y", "window_x")):
            raise RequestError(
                f"Variable {key!r} has dims {variable.dims}; a map keeps only (y, x) and "
                "(window_y, window_x): drop it."
            )
