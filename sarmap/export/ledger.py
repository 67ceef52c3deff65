"""Which blocks of a result store are done: a ledger kept inside the store itself.

How it works, once. A store is cut into *families* of blocks: the map's own pixels, the windows of a
window classifier, the pieces of a picture. The task that has stored the whole of a block leaves a
*mark* for it: one small object whose name says which block, and what was counted in it. So one
listing tells all that is done, without reading anything, and a mark that stands vouches for arrays
that stood before it. A block with two different marks (a worker thought dead that came back) is
done again, and so is one without any.

When a run starts on a store that has marks, it gathers those it keeps into one *page* and removes
the rest; when a run ends whole, the page goes too, unless pixels are unread and may be retried. A
finished map without unread pixels is a plain Zarr store.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sarmap.types import Observation

__all__ = [
    "BLOCKS",
    "MAP",
    "PARTLY",
    "PIXELS",
    "ROOM",
    "STATUS",
    "Block",
    "Counts",
    "Ledger",
    "failed",
    "get_bytes",
    "is_whole",
    "mark_name",
    "read_attributes",
    "read_bytes",
    "total",
    "write_bytes",
]

STATUS = "sarmap:status"
PIXELS = "sarmap:pixels"
PARTLY = "sarmap:partly_read"
BLOCKS = "sarmap:blocks"
MAP = "probability"
"""Family of the map's own blocks: all layers on its pixels."""

ROOM = ".sarmap"
_MARKS = f"{ROOM}/blocks"
_PAGE = f"{ROOM}/page.json"
_MARK = re.compile(r"\w+(,\d+){7}")

Block = tuple[int, int]
"""Row and column of a block in its family."""
Counts = tuple[int, int, int, int, int]
"""Pixels per observation code, and of those seen the ones that hang on unread data too."""
NOTHING: Counts = (0, 0, 0, 0, 0)


def failed(counts: Counts) -> bool:
    """True for a block with pixels that could not be read.

    >>> failed((9, 0, 0, 1, 0)), failed((9, 0, 0, 0, 2))
    (False, True)
    """
    return counts[Observation.READ_FAILED] + counts[4] > 0


def total(many: Iterable[Counts]) -> Counts:
    """Sums over blocks.

    >>> total([(1, 0, 0, 0, 0), (2, 0, 5, 0, 1)])
    (3, 0, 5, 0, 1)
    """
    sums = [sum(column) for column in zip(*many, strict=True)] or list(NOTHING)
    return (sums[0], sums[1], sums[2], sums[3], sums[4])


def mark_name(family: str, block: Block, counts: Counts) -> str:
    """Key of the mark of a block.

    >>> mark_name("probability", (3, 12), (900, 0, 100, 0, 0))
    '.sarmap/blocks/probability,3,12,900,0,100,0,0'
    """
    return f"{_MARKS}/{','.join(map(str, (family, *block, *counts)))}"


@dataclass(frozen=True)
class Ledger:
    """The marks and the page of one store; travels to the workers that leave marks."""

    store: Any
    """Zarr store that the map is in."""

    def mark(self, family: str, block: Block, counts: Counts) -> None:
        """Say that all of a block is stored; to be called when it is, by who stored it."""
        write_bytes(self.store, mark_name(family, block, counts), b"1")

    def read(self) -> dict[str, dict[Block, Counts]]:
        """Family -> block -> what was counted in it, of every block that is done."""
        page = get_bytes(self.store, _PAGE)
        kept: dict[str, dict[Block, Counts]] = {}
        for family, blocks in json.loads(page or b"{}").items():
            kept[family] = {_block(key): _counts(value) for key, value in blocks.items()}
        marked: dict[tuple[str, Block], set[Counts]] = {}
        for name in _names(self.store):
            family, row, column, *counts = name.split(",")
            marked.setdefault((family, (int(row), int(column))), set()).add(_counts(counts))
        for (family, block), several in marked.items():
            kept.setdefault(family, {}).pop(block, None)
            if len(several) == 1:
                kept[family][block] = several.pop()
        return kept

    def start(self, kept: Mapping[str, Mapping[Block, Counts]]) -> None:
        """Keep these blocks as done, on one page, and forget all others."""
        page = {
            family: {f"{row},{column}": counts for (row, column), counts in blocks.items()}
            for family, blocks in kept.items()
        }
        write_bytes(self.store, _PAGE, json.dumps(page, sort_keys=True).encode())
        _delete_dir(self.store, _MARKS)

    def remove(self) -> None:
        """Forget everything: the map is whole."""
        _delete_dir(self.store, ROOM)


def _block(key: str) -> Block:
    row, column = map(int, key.split(","))
    return row, column


def _counts(values: Iterable[Any]) -> Counts:
    a, b, c, d, e = map(int, values)
    return a, b, c, d, e


def read_attributes(store: Any) -> dict[str, Any] | None:
    """Attributes of the group at a store's root; None where there is none."""
    record = get_bytes(store, "zarr.json")
    if record is None:
        return None
    attributes: dict[str, Any] = json.loads(record).get("attributes", {})
    return attributes


def is_whole(attributes: Mapping[str, Any]) -> bool:
    """True for the attributes of a finished map without unread pixels."""
    unread = json.loads(attributes.get(PIXELS, "{}")).get("read_failed", 0)
    return bool(attributes.get(STATUS) == "complete" and not unread + attributes.get(PARTLY, 0))


# --- a store's objects, as bytes -----------------------------------------------------------------


async def read_bytes(store: Any, key: str) -> bytes | None:
    """An object of a Zarr store; None where there is none."""
    from zarr.core.buffer import default_buffer_prototype

    found = await store.get(key, default_buffer_prototype())
    return None if found is None else bytes(found.to_bytes())


def get_bytes(store: Any, key: str) -> bytes | None:
    """`read_bytes`, waited for."""
    from zarr.core.sync import sync

    found: bytes | None = sync(read_bytes(store, key))
    return found


def write_bytes(store: Any, key: str, value: bytes) -> None:
    """Put an object into a Zarr store, whole or not at all."""
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync

    sync(store.set(key, default_buffer_prototype().buffer.from_bytes(value)))


def _delete_dir(store: Any, key: str) -> None:
    from zarr.core.sync import sync

    sync(store.delete_dir(key))


def _names(store: Any) -> list[str]:
    """Names of all marks."""
    from zarr.core.sync import sync

    async def listed() -> list[str]:
        return [key async for key in store.list_dir(_MARKS)]

    # A mark that is just being written, or that a kill has left half written, has another ending.
    names = (key.rstrip("/").rpartition("/")[2] for key in sync(listed()))
    return [name for name in names if _MARK.fullmatch(name)]
