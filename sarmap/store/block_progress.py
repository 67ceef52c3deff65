"""How far a map is, told by the ledger in its store: cheap, also where the store is far away."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sarmap.errors import OutputError, RequestError
from sarmap.store.ledger import (
    BLOCKS,
    MAP,
    PIXELS,
    STATUS,
    Ledger,
    damaged,
    failed,
    is_whole,
    read_attributes,
    total,
)
from sarmap.store.location import begun_store
from sarmap.store.objects import storage_errors
from sarmap.types import Observation


@dataclass(frozen=True)
class BlockProgress:
    """How far a map is, in blocks."""

    status: Literal["nothing", "unfinished", "finished"]
    """What stands at the place."""
    total: int
    """Blocks of the map; 0 where there is nothing."""
    done: int
    """Blocks that are stored, those with unread pixels among them."""
    failed: int
    """Stored blocks (of pixels or of windows, whichever are more) that hold or depend on pixels
    which could not be read, and are tried again by resuming."""
    pixels: Mapping[str, int] = field(default_factory=dict)
    """Pixels per observation meaning in the blocks that are done."""

    @property
    def left(self) -> int:
        """Blocks not stored yet."""
        return self.total - self.done

    @property
    def complete(self) -> bool:
        """True where nothing is left to be done or tried again."""
        return self.status == "finished" and self.failed == 0


def read_progress(out: str | Path) -> BlockProgress:
    """How many blocks of a map are done: one listing and two small reads, wherever it is.

    A local map that is being replaced tells of the new one, which stands beside it until it is
    whole. Raises RequestError where something else than a map of sarmap stands there, OutputError
    where the object store does not answer.
    """
    store = begun_store(out)
    try:
        return _progress(store, Path(str(out)).name)
    except storage_errors() as error:
        raise OutputError(
            f"{Path(str(out)).name} does not answer ({type(error).__name__}): check `out` and the "
            "credentials in the environment."
        ) from error


def _progress(store: Any, shown: str) -> BlockProgress:
    attributes = None if store is None else read_attributes(store)
    if store is None or attributes is None:
        return BlockProgress("nothing", 0, 0, 0)
    if STATUS not in attributes:
        raise RequestError(f"{shown} is a Zarr store, but not a map that sarmap wrote.")
    finished = attributes[STATUS] == "complete"
    try:
        rows, columns = json.loads(attributes.get(BLOCKS, "{}")).get(MAP, (0, 0))
        pixels = dict(json.loads(attributes.get(PIXELS, "{}")))
    except (ValueError, TypeError, AttributeError):
        raise damaged(f"its attribute {BLOCKS} or {PIXELS} cannot be read") from None
    if is_whole(attributes):
        return BlockProgress("finished", rows * columns, rows * columns, 0, pixels)
    families = Ledger(store).read()
    done = families.get(MAP, {})
    sums = total(done.values())
    return BlockProgress(
        "finished" if finished else "unfinished",
        rows * columns,
        len(done),
        max(sum(map(failed, blocks.values())) for blocks in ({}, *families.values())),
        {code.meaning: sums[code] for code in Observation},
    )
