"""The place a scan is written to, local or in an object store: small objects by name.

scan.json                  what was asked, the units, and what each is read from
progress.json              what became of each unit, and when
collection.json            the STAC collection over all finished units
units/<unit>/map.zarr      the map of one unit
units/<unit>/<unit>.json   its STAC item
units/<unit>/overview.npz  it at a 64th of its resolution, for a picture
landslides.gpkg, landslides.parquet, overview.png
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sarmap.errors import OutputError, RequestError
from sarmap.export.ledger import get_bytes, read_bytes, write_bytes
from sarmap.export.location import is_url, storage_errors, store_at
from sarmap.export.retrying import patiently

__all__ = ["Folder"]


class Folder:
    """All objects of one scan.

    >>> folder = Folder("memory://doctest-scan")
    >>> folder.write("a/b.json", {"n": 1})
    >>> folder.read("a/b.json"), folder.read("c.json")
    ({'n': 1}, None)
    >>> folder.path("units/54N-0001-0002/map.zarr")
    'memory://doctest-scan/units/54N-0001-0002/map.zarr'
    """

    def __init__(self, out: str | Path) -> None:
        text = str(out) if is_url(out) else str(Path(str(out)).expanduser().absolute())
        self.out = text.rstrip("/")
        self.store = store_at(self.out)
        self._reading = store_at(self.out, read_only=True)  # which makes no folder

    @property
    def shown(self) -> str:
        """Its name, without the folders it lies in."""
        return self.out.rsplit("/", 1)[-1]

    def path(self, name: str) -> str:
        """Path or URL of something in it."""
        return f"{self.out}/{name}"

    def read_bytes(self, name: str) -> bytes | None:
        """An object; None where there is none.

        Raises:
            OutputError: the store does not answer.
        """
        try:
            return get_bytes(self._reading, name)
        except FileNotFoundError:  # no folder at all
            return None
        except storage_errors() as error:
            raise OutputError(
                f"{self.shown} cannot be read ({type(error).__name__}): check the path and the "
                "credentials in the environment."
            ) from None

    def read(self, name: str) -> Any:
        """A JSON object; None where there is none.

        Raises:
            OutputError: the store does not answer, or what is there is not JSON.
        """
        found = self.read_bytes(name)
        if found is None:
            return None
        try:
            return json.loads(found)
        except ValueError:
            raise OutputError(f"{name} in {self.shown} is damaged: it is not JSON.") from None

    def read_many(self, names: Iterable[str]) -> dict[str, bytes]:
        """Those of several objects that exist, asked for side by side."""
        import asyncio

        from zarr.core.sync import sync

        wanted = list(names)

        async def all_of_them() -> list[bytes | None]:
            return await asyncio.gather(*(read_bytes(self._reading, name) for name in wanted))

        try:
            found = sync(all_of_them())
        except storage_errors() as error:
            raise OutputError(
                f"{self.shown} cannot be read ({type(error).__name__}): check the path and the "
                "credentials in the environment."
            ) from None
        return {name: one for name, one in zip(wanted, found, strict=True) if one is not None}

    def write_bytes(self, name: str, value: bytes) -> None:
        """Put an object, whole or not at all.

        Raises:
            OutputError: the store does not take it.
        """
        patiently(lambda: write_bytes(self.store, name, value), f"{name} in {self.shown}")

    def write(self, name: str, record: Mapping[str, Any]) -> None:
        """Put a JSON object."""
        text = json.dumps(record, indent=1, ensure_ascii=False)
        self.write_bytes(name, (text + "\n").encode())

    def begin(self, *, resume: bool, overwrite: bool) -> dict[str, Any] | None:
        """The record of the scan that is to be continued here; None for a new one.

        Raises:
            RequestError: something is there that may not be continued or replaced.
            OutputError: the place does not take files.
        """
        if not is_url(self.out) and Path(self.out).is_file():
            raise RequestError(f"{self.shown} is a file: give a folder as out.")
        known = self.read("scan.json")
        if known is None:
            if not self._empty():
                raise RequestError(
                    f"{self.shown} exists and holds no scan, so nothing is written into it: choose "
                    "another `out`."
                )
            return None
        if overwrite:
            self._clear()
            return None
        if not resume:
            raise RequestError(
                f"{self.shown} holds a scan already: give resume=True (--resume) to continue it, "
                "overwrite=True (--overwrite) to start anew, or another `out`."
            )
        return dict(known)

    def _empty(self) -> bool:
        from zarr.core.sync import sync

        async def nothing() -> bool:
            async for _ in self._reading.list_prefix(""):
                return False
            return True

        try:
            return bool(sync(nothing()))
        except FileNotFoundError:
            return True
        except storage_errors() as error:
            raise OutputError(
                f"{self.shown} does not answer ({type(error).__name__}): check `out` and the "
                "credentials in the environment."
            ) from None

    def _clear(self) -> None:
        """Remove the scan, its record last: what is left of it is known for a scan."""
        from zarr.core.sync import sync

        async def clear() -> None:
            for name in ("units/", ""):
                keys = [key async for key in self.store.list_prefix(name) if key != "scan.json"]
                for key in keys:
                    await self.store.delete(key)
            await self.store.delete_dir("units")
            await self.store.delete("scan.json")

        try:
            sync(clear())
        except storage_errors() as error:
            raise OutputError(
                f"The old scan cannot be removed ({type(error).__name__}): check the permissions."
            ) from None

    @contextmanager
    def file(self, name: str) -> Iterator[Path]:
        """A local file to write, put in place when the block ends well."""
        with tempfile.TemporaryDirectory(prefix="sarmap-scan-") as scratch:
            fresh = Path(scratch) / Path(name).name
            yield fresh
            self.write_bytes(name, fresh.read_bytes())
