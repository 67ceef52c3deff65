"""Which blocks are still to be done, in what order, and doing them in waves.

A wave is a bounded number of neighbouring blocks whose task graph is made, optimised, run and
forgotten before the next one's, so that neither the graph nor what its tasks hold grows with the
map. Blocks of another family (windows, the picture) run in the wave of the last map block that they
reach, where both are made from one reading.

What counts as done is what the ledger says, not what a scheduler reports. So a round of waves that
loses workers is followed by another one for what is missing, until nothing is, or until several
rounds in a row have come no further. A worker that a block kills takes the blocks beside it along:
once a round has come no further, blocks are taken one by one, so that only those that are lost
alone stay behind.
"""

from __future__ import annotations

import threading
import uuid
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from sarmap.errors import ClusterError
from sarmap.store.blocks import Family
from sarmap.store.ledger import Block, Counts, Ledger, failed
from sarmap.store.workers import killed_worker, watched

Progress = Callable[[int, int], None]
Wave = Sequence[tuple[Family, list[Block]]]

_SQUARE = 8
"""Blocks are taken in squares of this edge, so that a wave has short borders."""
WAVE = 64
"""Blocks in one wave, or eight per thread where a cluster has more threads than that.

On threads nearly all composites of a wave are in memory at a time: blocks borrow thin strips of
each other, and a strip keeps the array alive that it is a view of."""
_FRUITLESS_ROUNDS = 3
"""Rounds in a row that may end without one more block done."""
_FRUITLESS_WAVES = 8
"""Waves in a row that may be lost whole before their round ends."""


def kept_blocks(
    families: Sequence[Family], done: Mapping[str, Mapping[Block, Counts]]
) -> dict[str, dict[Block, Counts]]:
    """Of the blocks that are done, those that need not be done again.

    Blocks with unread pixels, or with answers that depend on such, are tried again, and with those
    of the map so are all that lie over them. Blocks that no family has are dropped.
    """
    first = families[0]
    bad = [block for block, counts in done.get(first.name, {}).items() if failed(counts)]
    kept = {}
    for family in families:
        above = [] if family is first else bad
        spoilt = {one for block in above for one in _over(first, block, family)}
        kept[family.name] = {
            block: counts
            for block, counts in done.get(family.name, {}).items()
            if block not in spoilt
            and not failed(counts)
            and block[0] < family.shape[0]
            and block[1] < family.shape[1]
        }
    return kept


def _over(first: Family, block: Block, other: Family) -> Iterator[Block]:
    """Blocks of another family that lie over a block of `first`."""
    ranges: list[range] = []
    for axis in (0, 1):
        edges, theirs = first.edges[axis], other.edges[axis]
        # Their lattice lies only about evenly over the map: allow for two of theirs more.
        scale = theirs[-1] / edges[-1]
        low, high = int(edges[block[axis]] * scale) - 2, int(edges[block[axis] + 1] * scale) + 2
        start = max(bisect_right(theirs, low) - 1, 0)
        stop = max(bisect_right(theirs, high - 1), start + 1)
        ranges.append(range(start, min(stop, len(theirs) - 1)))
    yield from product(ranges[0], ranges[1])


def do_missing(families: Sequence[Family], ledger: Ledger, progress: Progress | None) -> int:
    """Do all blocks that the ledger does not have; returns how many were missing.

    Raises ClusterError where the cluster is gone, or blocks are lost again and again; whatever a
    task raises is raised as it is.
    """
    tick = _Ticker(families[0], progress)
    missing = first = _missing(families, ledger.read())
    fruitless = 0
    while sum(map(len, missing.values())):
        tick.start(len(missing[families[0].name]))
        _round(_waves(families, missing, alone=fruitless > 0), tick)
        before, missing = missing, _missing(families, ledger.read())
        came_on = sum(map(len, missing.values())) < sum(map(len, before.values()))
        fruitless = 0 if came_on else fruitless + 1
        if fruitless >= _FRUITLESS_ROUNDS:
            raise ClusterError(_lost_blocks(missing, fruitless))
    return sum(map(len, first.values()))


def _round(waves: Iterable[Wave], tick: _Ticker) -> None:
    """Do waves, until too many in a row have been lost whole."""
    lost = 0
    for wave in waves:
        lost = 0 if _run(wave, tick) else lost + 1
        if lost == _FRUITLESS_WAVES:
            return


def _lost_blocks(missing: Mapping[str, Sequence[Block]], times: int) -> str:
    count = sum(map(len, missing.values()))
    name, (row, column) = next((name, blocks[0]) for name, blocks in missing.items() if blocks)
    block = f"block {row}, {column} (row, column) of {name}"
    subject = f"B{block[1:]} was" if count == 1 else f"{count} blocks, first {block}, were"
    return (
        f"{subject} lost with {'its' if count == 1 else 'their'} workers {times} times in a row: "
        "give the workers more memory, or smaller blocks (chunk=)."
    )


def _missing(
    families: Sequence[Family], done: Mapping[str, Mapping[Block, Counts]]
) -> dict[str, list[Block]]:
    """Family -> blocks not done, row by row."""
    return {
        family.name: [
            block
            for block in product(range(family.shape[0]), range(family.shape[1]))
            if block not in done.get(family.name, {})
        ]
        for family in families
    }


def _waves(
    families: Sequence[Family], missing: Mapping[str, Sequence[Block]], alone: bool
) -> Iterator[Wave]:
    """Bounded groups of neighbouring blocks, all families'; or each block alone."""
    first = families[0]
    client = _active_client()
    threads = 0 if client is None else sum(client.nthreads().values())
    size = 1 if alone else max(WAVE, 8 * threads)
    placed = sorted(
        (_order(_last_under(family, block, first)), number, block)
        for number, family in enumerate(families)
        for block in missing[family.name]
    )
    for start in range(0, len(placed), size):
        here = placed[start : start + size]
        chosen = [
            (family, [block for _, n, block in here if n == number])
            for number, family in enumerate(families)
        ]
        yield [(family, blocks) for family, blocks in chosen if blocks]


def _order(block: Block) -> tuple[int, int, int, int]:
    """Squares of blocks row by row, and in each square its blocks row by row."""
    row, column = block
    return row // _SQUARE, column // _SQUARE, row, column


def _last_under(family: Family, block: Block, first: Family) -> Block:
    """The last map block that lies under a block of another family."""
    if family is first:
        return block
    found = []
    for axis in (0, 1):
        mine, theirs = family.edges[axis], first.edges[axis]
        last = mine[block[axis] + 1] / max(mine[-1], 1) * theirs[-1]
        found.append(min(max(bisect_right(theirs, last - 1) - 1, 0), len(theirs) - 2))
    return found[0], found[1]


# --- running one wave ----------------------------------------------------------------------------


class _Ticker:
    """Tells of map blocks as they finish, however many rounds they take."""

    def __init__(self, first: Family, progress: Progress | None) -> None:
        self.family = first.name
        self.total = first.shape[0] * first.shape[1]
        self.progress = progress
        self.lock = threading.Lock()
        self.done = 0

    def start(self, missing: int) -> None:
        with self.lock:
            self.done = self.total - missing
            if self.done:
                self._tell()

    def __call__(self) -> None:
        with self.lock:
            self.done += 1
            self._tell()

    def _tell(self) -> None:
        if self.progress is not None:
            self.progress(self.done, self.total)


def _run(wave: Wave, tick: _Ticker) -> bool:
    """Do a wave's blocks on the active scheduler; False where all were lost with their workers."""
    from dask.base import compute

    chosen = {family.name: _chosen(family.writers, blocks) for family, blocks in wave}
    counted = set(_keys(chosen[tick.family])) if tick.family in chosen else set()
    client = _active_client()
    if client is not None:
        return _run_on_cluster(client, list(chosen.values()), counted, tick)
    before = tick.done
    with _counting(counted, tick):
        compute(*chosen.values())
    for _ in range(tick.done - before, len(counted)):
        tick()  # a sole block's task is fused with what gathers the result, under its name
    return True


def _chosen(writers: Any, blocks: Sequence[Block]) -> Any:
    """The given blocks of a lazy array, as one of their own: nothing else gets into the graph."""
    import dask.array as da
    from dask._task_spec import Alias
    from dask.highlevelgraph import HighLevelGraph

    name = f"wave-{uuid.uuid4().hex}"
    # Dask has no public alias, and with a plain key here tests/survive saw a block that had killed
    # its workers never done
    layer: dict[Any, Any] = {
        (name, number, 0, 0): Alias((name, number, 0, 0), (writers.name, *block, 0))
        for number, block in enumerate(blocks)
    }
    graph = HighLevelGraph.from_collections(name, layer, dependencies=[writers])
    chunks = ((1,) * len(blocks), (1,), writers.chunks[2])
    return da.Array(graph, name, chunks, meta=writers._meta)


def _keys(array: Any) -> Iterable[Any]:
    from dask.core import flatten

    keys: Iterable[Any] = flatten(array.__dask_keys__())
    return keys


def _active_client() -> Any:
    """The distributed client that dask would compute on, or None."""
    from dask.base import get_scheduler

    return getattr(get_scheduler(), "__self__", None)


def _counting(keys: set[Any], tick: _Ticker) -> Any:
    """Dask callback that tells of finished writers of a local scheduler."""
    from dask.callbacks import Callback

    def posttask(key: Any, *_: Any) -> None:
        if key in keys:
            tick()

    return Callback(posttask=posttask)


def _run_on_cluster(client: Any, arrays: Sequence[Any], counted: set[Any], tick: _Ticker) -> bool:
    """Compute on a cluster; what is done is let go at once, so that no lost worker undoes it.

    False where no task came to its end.
    """
    from dask.base import persist
    from distributed import as_completed, futures_of

    waiting = {future.key: future for future in futures_of(persist(*arrays))}
    came_on = False
    try:
        with watched(client, waiting):
            for future in as_completed(list(waiting.values())):
                waiting.pop(future.key)
                if future.status == "finished":
                    came_on = True
                    if future.key in counted:
                        tick()
                elif not _lost(future):
                    future.result()
    finally:
        if waiting and client.status == "running":
            client.cancel(list(waiting.values()))
    if client.status != "running":
        raise ClusterError("The Dask cluster is gone: its scheduler does not answer any more.")
    return came_on


def _lost(future: Any) -> bool:
    """True for a task that ended with its worker, not through an error of its own."""
    return future.status in ("cancelled", "lost") or killed_worker(future)
