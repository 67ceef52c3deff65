"""What decides a map's pixels, kept in its store: a run continues only what it would have made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sarmap.errors import RequestError
from sarmap.store.layout import Layout
from sarmap.store.ledger import damaged, read_attributes
from sarmap.store.location import begun_store
from sarmap.store.objects import storage_errors
from sarmap.store.provenance import public_attributes

if TYPE_CHECKING:
    import xarray as xr
    from odc.geo.geobox import GeoBox

IDENTITY = "sarmap:identity"
_LONGEST = 60
"""Characters of a value shown in a sentence."""


def make_identity(
    given: Mapping[str, Any], dataset: xr.Dataset, grid: GeoBox, layouts: Mapping[str, Layout]
) -> dict[str, Any]:
    """What the caller says decides the pixels, and how they are laid out, as plain JSON values."""
    affine = [float(value) for value in tuple(grid.affine)[:6]]
    laid_out = {
        "grid": [list(map(int, grid.shape)), _crs_text(grid), affine],
        "layers": {str(name): str(one.dtype) for name, one in sorted(dataset.data_vars.items())},
        "blocks": {name: [list(at.chunks), list(at.shards)] for name, at in layouts.items()},
    }
    public = public_attributes({"identity": {**given, **laid_out}})["identity"]
    identity: dict[str, Any] = json.loads(public)
    return identity


def begun_with(out: str) -> dict[str, Any] | None:
    """What a map to be resumed was begun with; None where none is, or its record is damaged."""
    with suppress(RequestError, *storage_errors()):
        store = begun_store(out)
        begun = None if store is None else read_attributes(store)
        return None if begun is None else identity_in(begun)
    return None


def identity_in(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What the map of a store's attributes was begun with; RequestError where it cannot be read."""
    try:
        found = dict(json.loads(attributes.get(IDENTITY, "{}")))
        return {**found, "files": dict(found.get("files", {}))}
    except (ValueError, TypeError):
        raise damaged(f"its attribute {IDENTITY} cannot be read") from None


def _crs_text(grid: GeoBox) -> str:
    code = grid.crs.to_epsg() if grid.crs else None
    return f"EPSG:{code}" if code else str(grid.crs)


def check_identity(begun: Mapping[str, Any], wanted: Mapping[str, Any], shown: str) -> None:
    """Refuse to continue a map that was begun as another one: a RequestError names what differs.

    >>> check_identity({"overlap": 0}, {"overlap": 32}, "map.zarr")
    Traceback (most recent call last):
    sarmap.errors.RequestError: map.zarr was made with overlap 0, and this request has overlap 32: \
ask for the same to continue it, choose another `out`, or start anew with overwrite=True \
(--overwrite).
    """
    begun, wanted = _of_shared_files(begun, wanted), _of_shared_files(wanted, begun)
    different = [name for name in {**wanted, **begun} if begun.get(name) != wanted.get(name)]
    if not different:
        return
    name = different[0]
    how = _tell_apart(name, begun.get(name), wanted.get(name))
    also = f" ({', '.join(different[1:])} differ, too)" if different[1:] else ""
    if name == "layers" and any(one.endswith("_db") for one in begun.get(name) or {}):
        also += "; it keeps the radar, which --keep-radar (or --products all) asks for"
    raise RequestError(
        f"{shown} was made {how}{also}: ask for the same to continue it, choose another `out`, or "
        "start anew with overwrite=True (--overwrite)."
    )


def _of_shared_files(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Without files that only one of two runs could open as it began."""
    mine, theirs = one.get("files", {}), other.get("files", {})
    return {**one, "files": {name: file for name, file in mine.items() if name in theirs}}


def _tell_apart(name: str, old: Any, new: Any) -> str:
    """Two values in few words; of lists and records only what the other has not.

    >>> _tell_apart("scenes", ["a"], ["a", "b"])
    'without scenes b, which this request has'
    """
    if isinstance(old, list) and isinstance(new, list):
        only_old = [value for value in old if value not in new]
        only_new = [value for value in new if value not in old]
        old, new = (only_old, only_new) if only_old or only_new else (old, new)
    if isinstance(old, dict) and isinstance(new, dict):
        old, new = (
            {k: v for k, v in one.items() if other.get(k) != v}
            for one, other in ((old, new), (new, old))
        )
    if old in ([], {}):
        return f"without {name} {_short(new)}, which this request has"
    if new in ([], {}):
        return f"with {name} {_short(old)}, which this request has not"
    return f"with {name} {_short(old)}, and this request has {name} {_short(new)}"


def _short(value: Any) -> str:
    if value is None or value in ([], {}):
        return "none"
    if isinstance(value, list):
        text = ", ".join(map(str, value))
    elif isinstance(value, dict):
        text = ", ".join(f"{key} {one}" for key, one in value.items())
    else:
        text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
