"""Storing a lazy map, from the first block or from where an earlier run was interrupted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sarmap.errors import OutputError, RequestError
from sarmap.store.blocks import Family, layer_families, load_pieces, piece_family
from sarmap.store.georeference import geobox_of
from sarmap.store.identity import IDENTITY, check_identity, identity_in, make_identity
from sarmap.store.layout import CHUNK, plan_layout
from sarmap.store.ledger import BLOCKS, STATUS, Block, Counts, Ledger, is_whole, read_attributes
from sarmap.store.location import store_at, writing_to
from sarmap.store.objects import delete, storage_errors
from sarmap.store.owner import check_ours, owning
from sarmap.store.provenance import public_attributes
from sarmap.store.retrying import PATIENCE, patiently
from sarmap.store.sizes import check_whole, sizes_of
from sarmap.store.waves import do_missing, kept_blocks
from sarmap.store.zarr_arrays import complete, create, reopen

if TYPE_CHECKING:
    import xarray as xr


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
    """`write_zarr`, telling how much was done; the pieces of the picture stay until `tidy`."""
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
    shown = Path(str(out)).name
    with writing_to(out, overwrite=overwrite, continues=how) as store, owning(store, shown) as run:
        ledger = Ledger(store, run)
        begun = read_attributes(store)
        if begun is not None and is_whole(begun):
            check_whole(out)
            if alongside is not None:
                load_pieces(alongside, store)
            return Stored(str(out), 0)
        if begun is None:
            attributes = {**public_attributes(known), IDENTITY: json.dumps(wanted)}
            group = create(store, dataset, grid, layouts, attributes, patience)
        else:
            group = reopen(store, begun, dataset, layouts, patience)
        families = layer_families(dataset, layouts, group, ledger, patience, spoilt)
        if alongside is not None:
            families.append(piece_family(alongside, ledger, patience))
        if begun is not None:
            ledger.start(kept_blocks(families, _standing(families, Ledger(store))))
        computed = _do_all(families, ledger, progress)
        if alongside is not None:
            load_pieces(alongside, store)
        check_ours(store, run, shown)
        final = public_attributes({key: value() for key, value in late.items()})
        done = ledger.read()
        patiently(
            partial(complete, store, group, done, final, list(layouts)),
            "The map's record",
            patience,
        )
    return Stored(str(out), computed)


def _do_all(
    families: Sequence[Family], ledger: Ledger, progress: Callable[[int, int], None] | None
) -> int:
    """Do all blocks, and again those whose objects are not as their marks say in the end;
    OutputError where they are others than were written, again and again.
    """
    computed = 0
    for _ in range(3):
        computed += do_missing(families, ledger, progress)
        standing = _standing(families, ledger)
        done = ledger.read()
        if standing == {name: done.get(name, {}) for name in standing}:
            return computed
        ledger.start(standing)
    raise OutputError(
        "Stored objects of the map are others than were written, three times in a row: does "
        "another program write to the same `out`?"
    )


def _standing(families: Sequence[Family], ledger: Ledger) -> dict[str, dict[Block, Counts]]:
    """Blocks that are done, as far as their objects stand as their marks say.

    Objects of other blocks are removed: damage in them would be read before it is replaced.
    """
    entries, sizes = ledger.entries(), sizes_of(ledger.store)
    standing: dict[str, dict[Block, Counts]] = {}
    fallen: list[str] = []
    for family in families:
        known = entries.get(family.name, {})
        standing[family.name] = {}
        for row, column in product(range(family.shape[0]), range(family.shape[1])):
            block, keys = (row, column), family.keys((row, column))
            entry = known.get(block)
            held = sum(sizes.get(key, 0) for key in keys)
            if entry is not None and entry[1] in (None, held):
                standing[family.name][block] = entry[0]
            else:
                fallen += [key for key in keys if key in sizes]
    delete(ledger.store, fallen)
    return standing


def tidy(out: str | Path) -> None:
    """Remove the ledger and the pieces of a finished map without unread pixels."""
    store = store_at(out)
    with suppress(*storage_errors()):
        begun = read_attributes(store)
        if begun is not None and is_whole(begun):
            Ledger(store).remove()


def _continues(store: Any, wanted: Mapping[str, Any], shown: str, *, replace: bool) -> bool:
    """True where a run can go on in a store; otherwise refused, unless it may be replaced."""
    try:
        begun = read_attributes(store)
        if begun is None or STATUS not in begun:
            raise RequestError(f"{shown} is a Zarr store, but not a map that sarmap wrote.")
        if begun[STATUS] == "writing" and BLOCKS not in begun:
            return False  # its run ended before all arrays were there
        check_identity(identity_in(begun), wanted, shown)
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
