"""The products beside a map: what they were made with, and whether anybody has edited them since.

The store keeps a record of each product: its settings and a fingerprint of what was written. So a
product is made again where the map or its settings have changed, and never over an edited file.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sarmap.errors import RequestError
from sarmap.export.products import product_files, write_products
from sarmap.export.vector_files import VECTORS
from sarmap.store.delivery import fetched, stands
from sarmap.store.ledger import is_whole, read_attributes
from sarmap.store.location import is_url, store_at
from sarmap.store.result import annotate

if TYPE_CHECKING:
    import xarray as xr

_RECORD = "sarmap:products"
_DEPENDS = {
    "cog": ("cog_dtype", "calibration"),
    **dict.fromkeys((*VECTORS, "quicklook"), ("threshold", "min_area", "calibration")),
    "points": ("threshold",),
}
"""Which settings decide a product, beside the map itself."""
BEGUN = "begun"
"""Fingerprint of a product that is just being written: whatever stands there is ours."""


@dataclass(frozen=True)
class Products:
    """The products of one map: where they go, with what settings, and what is known of them."""

    out: str
    """The map's store."""
    files: Mapping[str, str]
    """Product -> file or URL."""
    settings: Mapping[str, Any]
    """Threshold, smallest area and the like."""
    record: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What the store knew of its products before."""

    @staticmethod
    def of(out: str, files: Mapping[str, str], **settings: Any) -> Products:
        """The products of the map at `out`, with what its store knows of them."""
        return Products(out, files, settings, read_record(out) if files else {})

    def lacking(self, *, changed: bool) -> set[str]:
        """Products to be made: all of a map that has changed, else those absent or other now."""
        found = {
            name
            for name, file in self.files.items()
            if changed or self._differs(name) or not stands(file)
        }
        return found | ({"item"} & set(self.files) if found else set())  # it names the others

    def _differs(self, name: str) -> bool:
        known = self.record.get(name)
        wanted = self._wanted(name)
        return known is None or {key: known.get(key) for key in wanted} != wanted

    def _wanted(self, name: str) -> dict[str, Any]:
        return {key: self.settings.get(key) for key in _DEPENDS.get(name, ())}

    def refuse_edited(self, *, overwrite: bool = False, changed: bool | None = None) -> None:
        """Refuse (RequestError), before any work, to replace a file that is not as it was written.

        With `overwrite` files that no record tells of may be replaced, as the caller says;
        `changed` says whether the map's pixels will change, None: as far as its store tells.
        """
        if changed is None:
            begun = _attributes(self.out)
            changed = not begun or not is_whole(begun)
        for name in sorted(self.lacking(changed=changed)):
            file = self.files[name]
            if stands(file) and not self._ours(name, overwrite):
                why = "stands there, and the map's store does not know it"
                if name in self.record:
                    why = "was edited after sarmap wrote it"
                raise RequestError(
                    f"{_shown(file)} {why}, so it is not replaced: rename it, or "
                    f"leave {name!r} out of products=."
                )

    def _ours(self, name: str, overwrite: bool) -> bool:
        known = self.record.get(name)
        if known is None:
            return overwrite
        return known["digest"] in (BEGUN, fingerprint(self.files[name]))

    def write(
        self,
        names: Iterable[str],
        *,
        source: xr.Dataset | None = None,
        overview: xr.DataArray | None = None,
    ) -> dict[str, str]:
        """Make products, replacing what stands there; returns all files of the map. `source` is
        what they are made from where it is not the stored map itself; errors as in
        `write_products`.
        """
        lacking = {name: file for name, file in self.files.items() if name in set(names)}
        if not lacking:
            return dict(self.files)
        standing = {name: file for name, file in self.files.items() if name not in lacking}
        self._note(dict.fromkeys(lacking, BEGUN))
        write_products(
            self.out if source is None else source,
            lacking,
            threshold=self.settings["threshold"],
            min_area=self.settings["min_area"],
            cog_dtype=self.settings.get("cog_dtype", "uint8"),
            overwrite=True,
            overview=overview,
            standing=standing,
        )
        self._note({name: fingerprint(file) for name, file in lacking.items()})
        return dict(self.files)

    def _note(self, digests: Mapping[str, str]) -> None:
        """Keep settings and fingerprints of products in the store."""
        fresh = {
            name: {"file": _shown(self.files[name]), "digest": digest, **self._wanted(name)}
            for name, digest in digests.items()
        }
        annotate(self.out, {_RECORD: json.dumps({**self.record, **fresh}, sort_keys=True)})


def remake_vectors(
    out: str | Path, *, threshold: float, min_area: float, source: xr.Dataset | None = None
) -> dict[str, str]:
    """Make the polygon files of a finished map again, those it has, else a GeoPackage; product ->
    file.

    `source` is the map with other probabilities, such as calibrated ones. Raises RequestError where
    there is no finished map or a file was edited since it was written, OutputError where a file
    cannot be written.
    """
    record = read_record(str(out))
    names = VECTORS.keys() & record.keys() or {"geopackage"}
    products = Products.of(
        str(out),
        product_files(names, str(out)),
        threshold=threshold,
        min_area=min_area,
        calibration=None if source is None else source.attrs.get("sarmap:calibration"),
    )
    products.refuse_edited(changed=True)
    return products.write(names, source=source)


def read_record(out: str) -> dict[str, Any]:
    """Product -> settings and fingerprint, as the store at `out` has them; empty where none has."""
    known = _attributes(out).get(_RECORD, "{}")
    try:
        record = json.loads(known)
        return {str(name): {"digest": "", **entry} for name, entry in record.items()}
    except (TypeError, ValueError, AttributeError):
        return {}


def _attributes(out: str) -> dict[str, Any]:
    """Attributes of a store; of one that is damaged, as of one that is not there, none."""
    try:
        return read_attributes(store_at(out)) or {}
    except RequestError:
        return {}


def fingerprint(file: str) -> str:
    """What tells a file that was written from one that was edited.

    Of a GeoPackage its features, since a program that only opens one writes into its header.
    """
    if is_url(file):
        return hashlib.sha256(fetched(file)).hexdigest()
    path = Path(file)
    if path.suffix.lower() == ".gpkg":
        return _features(path)
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _features(path: Path) -> str:
    """Hash of all rows of all feature tables; of a file that is none, a text that fits nothing."""
    found = hashlib.sha256()
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as base:
            tables = base.execute(
                "SELECT table_name FROM gpkg_contents WHERE data_type = 'features' ORDER BY 1"
            ).fetchall()
            for (table,) in tables:
                name = str(table).replace('"', '""')
                rows = base.execute(f'SELECT * FROM "{name}" ORDER BY rowid')
                found.update(repr((table, [one[0] for one in rows.description])).encode())
                for row in rows:
                    found.update(repr(row).encode())
    except sqlite3.Error as error:
        return f"unreadable: {type(error).__name__}"
    return found.hexdigest()


def _shown(file: str) -> str:
    return file.rstrip("/").rpartition("/")[2]
