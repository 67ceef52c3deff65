"""A store is believed as far as its objects stand: the rest is done again, or refused in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from sarmap.assess.scores import score_map
from sarmap.errors import OutputError, RequestError
from sarmap.report.writing import write_report
from sarmap.store.block_progress import read_progress
from sarmap.store.ledger import Ledger
from sarmap.store.location import store_at
from sarmap.store.owner import OWNER
from sarmap.store.result import write_zarr

LAYOUT: dict[str, Any] = {"chunk": 32, "shard": 64}
LazyMap = Callable[..., xr.Dataset]
Objects = Callable[[Path | str], dict[str, bytes]]


@pytest.fixture
def undisturbed(lazy_map: LazyMap, weather: Any, objects: Objects, tmp_path: Path) -> Any:
    """The objects of a map that was made in one go."""
    write_zarr(lazy_map(), tmp_path / "undisturbed.zarr", **LAYOUT)
    weather.computed.clear()
    return objects(tmp_path / "undisturbed.zarr")


@pytest.fixture
def begun(lazy_map: LazyMap, weather: Any, tmp_path: Path) -> Path:
    """A map that was interrupted at its block (3, 1), one block after the other."""
    import dask

    weather.raising = {(3, 1): RuntimeError("killed")}
    with dask.config.set(scheduler="synchronous"), pytest.raises(RuntimeError, match="killed"):
        write_zarr(lazy_map(), tmp_path / "map.zarr", **LAYOUT)
    weather.raising = {}
    weather.computed.clear()
    return tmp_path / "map.zarr"


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


@pytest.mark.parametrize("harm", [cut, Path.unlink])
def test_a_marked_block_whose_object_is_lacking_or_cut_is_done_again(
    harm: Callable[[Path], None],
    begun: Path,
    lazy_map: LazyMap,
    weather: Any,
    objects: Objects,
    undisturbed: Any,
) -> None:
    done = set(Ledger(store_at(begun)).read()["probability"])
    block = min(done)
    harm(begun / "observation" / "c" / str(block[0]) / str(block[1]))
    write_zarr(lazy_map(), begun, resume=True, **LAYOUT)
    assert block in weather.computed
    assert not (done - {block}) & set(weather.computed)
    assert objects(begun) == undisturbed


def test_a_mark_of_a_block_that_was_never_stored_counts_for_nothing(
    begun: Path, lazy_map: LazyMap, weather: Any, objects: Objects, undisturbed: Any
) -> None:
    Ledger(store_at(begun)).mark("probability", (4, 3), (54 * 44, 0, 0, 0, 0), 999)
    write_zarr(lazy_map(), begun, resume=True, **LAYOUT)
    assert (4, 3) in weather.computed
    assert objects(begun) == undisturbed


@pytest.mark.parametrize(
    "page", [b"{", b"[1, 2]", b'{"probability": {"0,0": "x", "a": [1], "b": 3}}']
)
def test_a_page_that_cannot_be_understood_costs_its_blocks(
    page: bytes, begun: Path, lazy_map: LazyMap, objects: Objects, undisturbed: Any
) -> None:
    ledger = Ledger(store_at(begun))
    ledger.start(ledger.read())
    (begun / ".sarmap" / "page.json").write_bytes(page)
    assert read_progress(begun).done == 0
    write_zarr(lazy_map(), begun, resume=True, **LAYOUT)
    assert objects(begun) == undisturbed


def test_what_cannot_be_mended_says_how_to_begin_anew(
    begun: Path, lazy_map: LazyMap, objects: Objects, undisturbed: Any
) -> None:
    record = begun / "zarr.json"
    whole = record.read_bytes()
    of_other_kinds = json.loads(whole)
    of_other_kinds["attributes"]["sarmap:identity"] = [3]
    array = begun / "observation" / "zarr.json"
    kept = array.read_bytes()
    for harm in (
        lambda: record.write_bytes(whole[:200]),
        lambda: record.write_bytes(b"[]"),
        lambda: record.write_text(json.dumps(of_other_kinds)),
        array.unlink,
        lambda: array.write_bytes(kept.replace(b"64", b"32")),
        lambda: array.write_bytes(kept[:80]),
    ):
        harm()
        with pytest.raises(RequestError, match=r"damaged: .* Begin anew with overwrite=True"):
            write_zarr(lazy_map(), begun, resume=True, **LAYOUT)
        record.write_bytes(whole)
        array.write_bytes(kept)
    record.write_bytes(whole[:200])
    write_zarr(lazy_map(), begun, resume=True, overwrite=True, **LAYOUT)
    assert objects(begun) == undisturbed


@pytest.mark.parametrize("harm", [cut, Path.unlink])
def test_a_finished_map_that_is_not_whole_any_more_is_refused(
    harm: Callable[[Path], None], lazy_map: LazyMap, tmp_path: Path
) -> None:
    out = tmp_path / "map.zarr"
    write_zarr(lazy_map(), out, **LAYOUT)
    harm(out / "probability" / "c" / "2" / "1")
    for use in (
        lambda: score_map(str(out), tmp_path / "inventory.gpkg"),
        lambda: write_report(out, tmp_path / "page"),
        lambda: write_zarr(lazy_map(), out, resume=True, **LAYOUT),
    ):
        with pytest.raises(RequestError, match=r"map\.zarr is not whole any more: .*probability"):
            use()
    assert not (tmp_path / "page").exists()


def living(out: Path, **changes: Any) -> str:
    """The record of a run that works in this very process."""
    from dataclasses import asdict

    from sarmap.store.owner import _myself

    return json.dumps({**asdict(_myself()), **changes})


def test_a_map_that_another_run_writes_is_refused_with_who_and_since_when(
    begun: Path, lazy_map: LazyMap
) -> None:
    (begun / OWNER).write_text(living(begun, since="2018-09-06 01:00:00 UTC"))
    with pytest.raises(RequestError, match=r"being written by process \d+ on .*, since 2018-09-06"):
        write_zarr(lazy_map(), begun, resume=True, **LAYOUT)


@pytest.mark.parametrize("changes", [{"pid": 2**22 - 1}, {"born": 1.0}, {"host": "gone"}])
def test_the_record_of_a_run_that_was_killed_stands_in_nobody_s_way(
    changes: dict[str, Any],
    begun: Path,
    lazy_map: LazyMap,
    objects: Objects,
    undisturbed: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sarmap.store.owner.BEAT", 0.01)
    (begun / OWNER).write_text(living(begun, **changes))
    write_zarr(lazy_map(), begun, resume=True, **LAYOUT)
    assert objects(begun) == undisturbed


def test_a_run_that_was_taken_over_stops_and_leaves_nothing_in_the_new_map(
    lazy_map: LazyMap, weather: Any, objects: Objects, undisturbed: Any, tmp_path: Path
) -> None:
    """The second run begins, and ends, while the first one computes its block (3, 1)."""
    import dask

    out = tmp_path / "map.zarr"

    class Second(Exception):
        def __init__(self) -> None:
            weather.raising = {}
            write_zarr(lazy_map(), out, overwrite=True, **LAYOUT)

    first = lazy_map()
    real = weather.raising
    weather.raising = _Once((3, 1), Second)
    with dask.config.set(scheduler="synchronous"), pytest.raises(OutputError, match="taken over"):
        write_zarr(first, out, **LAYOUT)
    weather.raising = real
    assert objects(out) == undisturbed
    assert read_progress(out).complete


class _Once(dict[Any, Any]):
    """Where a block is reached for the first time, something else is done first."""

    def __init__(self, block: tuple[int, int], act: Callable[[], Any]) -> None:
        super().__init__()
        self.block, self.act = block, act

    def __contains__(self, block: object) -> bool:
        if block == self.block:
            self.act()
        return False


def test_what_another_program_changed_while_the_map_was_made_is_done_again(
    lazy_map: LazyMap, weather: Any, objects: Objects, undisturbed: Any, tmp_path: Path
) -> None:
    import dask

    out = tmp_path / "map.zarr"
    weather.raising = _Once(
        (4, 3), lambda: (out / "probability" / "c" / "0" / "0").write_bytes(b"")
    )
    with dask.config.set(scheduler="synchronous"):
        write_zarr(lazy_map(), out, **LAYOUT)
    assert objects(out) == undisturbed
