"""Which blocks of a result store are done: a ledger kept inside the store itself.

How it works, once. A store is cut into *families* of blocks: the map's own pixels, the windows of a
window classifier, the pieces of a picture. The task that has stored the whole of a block leaves a
*mark* for it: one small object whose name says which block, what was counted in it, how many bytes
its objects have, and which run stored it. So one listing tells all that is done, without reading
anything; another one tells whether what the marks vouch for still stands, whole. A block with two
different marks (a worker thought dead that came back) is done again, and so is one without any, one
whose objects are not as its mark says, and one whose mark is of another run than the store's.

When a run starts on a store that has marks, it gathers those it keeps into one *page* and removes
the rest; when a run ends whole, the page goes too, unless pixels are unread and may be retried. A
finished map without unread pixels is a plain Zarr store.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sarmap.errors import RequestError
from sarmap.store.objects import delete_folder, get, names_in, put
from sarmap.types import Observation

STATUS = "sarmap:status"
PIXELS = "sarmap:pixels"
PARTLY = "sarmap:partly_read"
BYTES = "sarmap:bytes"
"""Attribute of a finished map: layer -> bytes of its objects."""
BLOCKS = "sarmap:blocks"
MAP = "probability"
"""Family of the map's own blocks: all layers on its pixels."""

ROOM = ".sarmap"
_MARKS = f"{ROOM}/blocks"
_PAGE = f"{ROOM}/page.json"
_MARK = re.compile(r"\w+(,\d+){8},[0-9a-f]*")

Block = tuple[int, int]
"""Row and column of a block in its family."""
Counts = tuple[int, int, int, int, int]
"""Pixels per observation code, and of those seen the ones that depend on unread data too."""
Entry = tuple[Counts, int | None]
"""What was counted in a block, and the bytes of its objects (None: not known)."""
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


def mark_name(family: str, block: Block, counts: Counts, size: int, run: str = "") -> str:
    """Key of the mark of a block whose objects have `size` bytes.

    >>> mark_name("probability", (3, 12), (900, 0, 100, 0, 0), 512, "5c1f")
    '.sarmap/blocks/probability,3,12,900,0,100,0,0,512,5c1f'
    """
    return f"{_MARKS}/{','.join(map(str, (family, *block, *counts, size, run)))}"


@dataclass(frozen=True)
class Ledger:
    """The marks and the page of one store; travels to the workers that leave marks."""

    store: Any
    """Zarr store that the map is in."""
    run: str = ""
    """The run that writes; its marks alone count. Empty: any."""

    def mark(self, family: str, block: Block, counts: Counts, size: int) -> None:
        """Say that all of a block is stored; to be called when it is, by who stored it."""
        put(self.store, mark_name(family, block, counts, size, self.run), b"1")

    def read(self) -> dict[str, dict[Block, Counts]]:
        """Family -> block -> what was counted in it, of every block that is done."""
        return {
            family: {block: counts for block, (counts, _) in blocks.items()}
            for family, blocks in self.entries().items()
        }

    def entries(self) -> dict[str, dict[Block, Entry]]:
        """As `read`, with the bytes of each block's objects (None: not known)."""
        kept = _page(get(self.store, _PAGE))
        marked: dict[tuple[str, Block], set[Entry]] = {}
        # A mark that is being written, or that a kill has left half written, has another ending.
        for name in filter(_MARK.fullmatch, names_in(self.store, _MARKS)):
            family, row, column, *numbers, run = name.split(",")
            if not self.run or run == self.run:
                entry = _counts(numbers[:5]), int(numbers[5])
                marked.setdefault((family, (int(row), int(column))), set()).add(entry)
        for (family, block), several in marked.items():
            kept.setdefault(family, {}).pop(block, None)
            if len(several) == 1:
                kept[family][block] = several.pop()
        return kept

    def start(self, kept: Mapping[str, Mapping[Block, Counts]]) -> None:
        """Keep these blocks as done, on one page, and forget all others."""
        known = Ledger(self.store).entries()
        page = {
            family: {
                f"{row},{column}": [*counts, known.get(family, {}).get((row, column), (0, None))[1]]
                for (row, column), counts in blocks.items()
            }
            for family, blocks in kept.items()
        }
        put(self.store, _PAGE, json.dumps(page, sort_keys=True).encode())
        delete_folder(self.store, _MARKS)

    def remove(self) -> None:
        """Forget everything: the map is whole."""
        delete_folder(self.store, ROOM)


def _page(text: bytes | None) -> dict[str, dict[Block, Entry]]:
    """What a page says; of one that is damaged, all that can be understood."""
    found: dict[str, dict[Block, Entry]] = {}
    try:
        families = dict(json.loads(text or b"{}"))
    except (ValueError, TypeError):
        return {}
    for family, blocks in families.items():
        for key, numbers in blocks.items() if isinstance(blocks, dict) else ():
            with suppress(ValueError, TypeError, AttributeError):
                row, column = map(int, key.split(","))
                *counts, size = numbers
                entry = _counts(counts), None if size is None else int(size)
                found.setdefault(str(family), {})[row, column] = entry
    return found


def _counts(values: Iterable[Any]) -> Counts:
    a, b, c, d, e = map(int, values)
    return a, b, c, d, e


def read_attributes(store: Any) -> dict[str, Any] | None:
    """Attributes of the group at a store's root; None where there is none."""
    record = get(store, "zarr.json")
    if record is None:
        return None
    try:
        attributes = json.loads(record).get("attributes", {})
        if isinstance(attributes, dict):
            return attributes
    except (ValueError, AttributeError):
        pass
    raise damaged("its record, zarr.json, cannot be read")


def damaged(why: str) -> RequestError:
    """The sentence for a store that cannot be mended."""
    return RequestError(
        f"The map's store is damaged: {why}. Begin anew with overwrite=True (--overwrite), or at "
        "another `out`."
    )


def is_whole(attributes: Mapping[str, Any]) -> bool:
    """True for the attributes of a finished map without unread pixels."""
    try:
        unread = json.loads(attributes.get(PIXELS, "{}")).get("read_failed", 0)
        return bool(attributes.get(STATUS) == "complete" and not unread + attributes.get(PARTLY, 0))
    except (ValueError, TypeError, AttributeError):
        raise damaged(f"its attribute {PIXELS} or {PARTLY} is of another kind") from None
