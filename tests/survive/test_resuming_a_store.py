"""A run ends early, and the next one does the rest: the store is as if nothing had happened."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

from sarmap.errors import OutputError, RequestError
from sarmap.store.block_progress import read_progress
from sarmap.store.ledger import Ledger, read_attributes
from sarmap.store.location import store_at
from sarmap.store.result import open_map, write_zarr

BLOCKS = list(product(range(5), range(4)))
ALL = len(BLOCKS)
LAYOUT: dict[str, Any] = {"chunk": 32, "shard": 64}
LazyMap = Callable[..., xr.Dataset]
Objects = Callable[[Path | str], dict[str, bytes]]


@pytest.fixture
def undisturbed(lazy_map: LazyMap, weather: Any, objects: Objects, tmp_path: Path) -> Any:
    """The objects of a map that was made in one go."""
    write_zarr(lazy_map(), tmp_path / "undisturbed.zarr", **LAYOUT)
    weather.computed.clear()
    return objects(tmp_path / "undisturbed.zarr")


def stop(lazy_map: LazyMap, weather: Any, out: Path | str, *blocks: Any, **how: Any) -> None:
    """Run until one of `blocks` ends it, one block after the other."""
    import dask

    weather.raising = {block: RuntimeError("killed") for block in blocks}
    with dask.config.set(scheduler="synchronous"), pytest.raises(RuntimeError, match="killed"):
        write_zarr(lazy_map(), out, **LAYOUT, **how)
    weather.raising = {}
    weather.computed.clear()


def test_only_what_is_missing_is_computed(
    lazy_map: LazyMap, weather: Any, objects: Objects, undisturbed: Any, tmp_path: Path
) -> None:
    out = tmp_path / "map.zarr"
    stop(lazy_map, weather, out, (3, 1))
    progress = read_progress(out)
    assert progress.status == "unfinished"
    assert 0 < progress.done < ALL
    assert progress.total == ALL
    assert progress.left == ALL - progress.done
    with pytest.raises(RequestError, match="--resume"):
        open_map(out)
    write_zarr(lazy_map(), out, resume=True, **LAYOUT)
    assert len(weather.computed) == ALL - progress.done
    assert objects(out) == undisturbed
    assert read_progress(out).complete
    assert not (out / ".sarmap").exists()


def test_every_moment_is_a_good_one_to_be_killed(
    lazy_map: LazyMap, weather: Any, objects: Objects, undisturbed: Any, tmp_path: Path
) -> None:
    """Block after block ends a run, and each run keeps what the ones before it have done."""
    out, runs = tmp_path / "map.zarr", 1
    done: set[tuple[int, int]] = set()
    while missing := sorted(set(BLOCKS) - done):
        stop(lazy_map, weather, out, missing[len(missing) // 2], resume=True)
        runs += 1
        now = set(Ledger(store_at(out)).read()["probability"]) if out.exists() else set()
        assert now >= done
        if now == done:
            break
        done = now
    assert runs > 2
    write_zarr(lazy_map(), out, resume=True, **LAYOUT)
    assert objects(out) == undisturbed
    assert xr.open_zarr(out).attrs["sarmap:sessions"] == runs


def test_unread_blocks_are_tried_again_and_no_others(
    lazy_map: LazyMap, weather: Any, objects: Objects, undisturbed: Any, tmp_path: Path
) -> None:
    out = tmp_path / "map.zarr"
    weather.unread = {(1, 1), (4, 3)}
    write_zarr(lazy_map(), out, **LAYOUT)
    assert int((open_map(out)["observation"] == 2).sum()) > 0
    progress = read_progress(out)
    assert (progress.status, progress.failed, progress.complete) == ("finished", 2, False)
    weather.unread = {(4, 3)}
    weather.computed.clear()
    write_zarr(lazy_map(), out, resume=True, **LAYOUT)
    assert set(weather.computed) == {(1, 1), (4, 3)}
    assert read_progress(out).failed == 1
    weather.unread = set()
    weather.computed.clear()
    write_zarr(lazy_map(), out, resume=True, **LAYOUT)
    assert set(weather.computed) == {(4, 3)}
    assert objects(out) == undisturbed
    counted = json.loads(open_map(out).attrs["sarmap:pixels"])
    assert counted["observed"] == sum(counted.values()) == open_map(out)["observation"].size
    assert read_progress(out).complete


def test_what_hangs_on_an_unread_pixel_is_done_again_too(
    lazy_map: LazyMap, weather: Any, tmp_path: Path
) -> None:
    out = tmp_path / "map.zarr"
    weather.unread = {(2, 2)}
    dataset = lazy_map()
    beside = np.zeros(dataset["probability"].shape, np.bool_)
    beside[100:140, 120:130] = True  # in blocks (1, 1) to (2, 2)
    write_zarr(dataset, out, spoilt=xr.Dataset({"spoilt": (("y", "x"), beside)}), **LAYOUT)
    weather.unread = set()
    weather.computed.clear()
    write_zarr(lazy_map(), out, resume=True, **LAYOUT)
    assert set(weather.computed) == {(1, 1), (1, 2), (2, 1), (2, 2)}
    assert read_progress(out).complete


def store_windows(lazy_map: LazyMap, out: Path, **how: Any) -> None:
    """Write a map with windows, which tell of the unread pixels that they saw."""
    dataset = lazy_map(windows=True)
    unread = dataset["observation"].data[6:-6:2, 6:-6:2] == 2
    spoilt = xr.Dataset({"window_spoilt": (("window_y", "window_x"), unread)})
    write_zarr(dataset, out, spoilt=spoilt, **LAYOUT, **how)


@pytest.mark.parametrize("block", [(0, 0), (2, 1), (4, 3)])
def test_windows_are_resumed_and_follow_their_unread_pixels(
    block: tuple[int, int], lazy_map: LazyMap, weather: Any, objects: Objects, tmp_path: Path
) -> None:
    store_windows(lazy_map, tmp_path / "undisturbed.zarr")
    out = tmp_path / "map.zarr"
    weather.raising = {(3, 1): RuntimeError("killed")}
    with pytest.raises(RuntimeError):
        store_windows(lazy_map, out)
    weather.raising = {}
    weather.unread = {block}
    store_windows(lazy_map, out, resume=True)
    assert objects(out) != objects(tmp_path / "undisturbed.zarr")
    weather.unread = set()
    store_windows(lazy_map, out, resume=True)
    assert objects(out) == objects(tmp_path / "undisturbed.zarr")


def test_windows_that_read_worse_than_the_map_below_them_are_told_of_and_done_again(
    lazy_map: LazyMap, weather: Any, objects: Objects, tmp_path: Path
) -> None:
    """The map's blocks are stored before the interruption; reading fails for the windows only."""
    store_windows(lazy_map, tmp_path / "undisturbed.zarr")
    out = tmp_path / "map.zarr"
    store_windows(lazy_map, out)
    ledger = Ledger(store_at(out))
    group = zarr.open_group(out, mode="r+")
    blocks = {
        (r, c): (group["observation"][r * 64 : r * 64 + 64, c * 64 : c * 64 + 64].size, 0, 0, 0, 0)
        for r, c in BLOCKS
    }
    ledger.start({"probability": blocks})  # as an interruption before any window leaves it
    group.attrs["sarmap:status"] = "writing"
    weather.unread = {(2, 1)}
    store_windows(lazy_map, out, resume=True)
    attributes = read_attributes(store_at(out))
    assert attributes is not None
    assert json.loads(attributes["sarmap:pixels"])["read_failed"] == 0
    assert attributes["sarmap:partly_read"] > 0
    assert not read_progress(out).complete
    weather.unread = set()
    store_windows(lazy_map, out, resume=True)
    assert read_progress(out).complete
    assert objects(out) == objects(tmp_path / "undisturbed.zarr")


def test_a_picture_is_not_read_twice(lazy_map: LazyMap, weather: Any, tmp_path: Path) -> None:
    out = tmp_path / "map.zarr"

    def picture(dataset: xr.Dataset) -> xr.DataArray:
        return dataset["probability"][::7, ::7]

    whole = picture(lazy_map()).compute()
    weather.raising = {(3, 1): RuntimeError("killed")}
    dataset = lazy_map()
    with pytest.raises(RuntimeError):
        write_zarr(dataset, out, alongside=picture(dataset), **LAYOUT)
    weather.raising = {}
    done = read_progress(out).done
    weather.computed.clear()
    dataset = lazy_map()
    overview = picture(dataset)
    write_zarr(dataset, out, alongside=overview, resume=True, **LAYOUT)
    assert len(weather.computed) <= ALL - done + 1
    assert isinstance(overview.data, type(whole.data))
    xr.testing.assert_equal(overview, whole)
    assert not (out / ".sarmap").exists()


def test_a_picture_of_what_could_not_be_read_is_made_again_there(
    lazy_map: LazyMap, weather: Any, tmp_path: Path
) -> None:
    out = tmp_path / "map.zarr"

    def stored() -> xr.DataArray:
        dataset = lazy_map()
        overview = dataset["probability"][::7, ::7]
        write_zarr(dataset, out, alongside=overview, resume=True, **LAYOUT)
        return overview

    whole = lazy_map()["probability"][::7, ::7].compute()
    weather.unread = {(2, 1)}
    assert stored().isnull().any()
    weather.unread = set()
    xr.testing.assert_equal(stored(), whole)


def test_a_finished_map_is_left_alone(
    lazy_map: LazyMap, weather: Any, undisturbed: Any, objects: Objects, tmp_path: Path
) -> None:
    out = tmp_path / "undisturbed.zarr"
    record = (out / "zarr.json").read_bytes()
    write_zarr(lazy_map(), out, resume=True, **LAYOUT)
    assert not weather.computed
    assert (out / "zarr.json").read_bytes() == record
    assert objects(out) == undisturbed


def test_resuming_where_nothing_is_starts(
    lazy_map: LazyMap, objects: Objects, undisturbed: Any, tmp_path: Path
) -> None:
    write_zarr(lazy_map(), tmp_path / "map.zarr", resume=True, **LAYOUT)
    assert objects(tmp_path / "map.zarr") == undisturbed


def test_without_resume_an_unfinished_map_is_refused_with_both_ways_out(
    lazy_map: LazyMap, weather: Any, objects: Objects, undisturbed: Any, tmp_path: Path
) -> None:
    out = tmp_path / "map.zarr"
    stop(lazy_map, weather, out, (3, 1))
    with pytest.raises(RequestError, match=r"not finished: .*--resume.*--overwrite"):
        write_zarr(lazy_map(), out, **LAYOUT)
    write_zarr(lazy_map(), out, overwrite=True, **LAYOUT)
    assert len(weather.computed) == ALL
    assert objects(out) == undisturbed


def test_another_map_is_not_continued_and_the_sentence_says_why(
    lazy_map: LazyMap, weather: Any, tmp_path: Path
) -> None:
    out = tmp_path / "map.zarr"
    stop(lazy_map, weather, out, (3, 1), identity={"overlap": 0, "scenes": ["a", "b"]})
    kept = read_progress(out)
    for identity, sentence in (
        ({"overlap": 32, "scenes": ["a", "b"]}, "with overlap 0, and this request has overlap 32"),
        ({"overlap": 0, "scenes": ["a", "c"]}, "with scenes b, and this request has scenes c"),
    ):
        with pytest.raises(RequestError, match=sentence):
            write_zarr(lazy_map(), out, resume=True, identity=identity, **LAYOUT)
    same = {"overlap": 0, "scenes": ["a", "b"]}
    with pytest.raises(RequestError, match="made with blocks"):
        write_zarr(lazy_map(), out, resume=True, identity=same, chunk=64, shard=64)
    with pytest.raises(RequestError, match="made with grid"):
        write_zarr(lazy_map().isel(x=slice(0, 64)), out, resume=True, identity=same, **LAYOUT)
    assert not weather.computed
    assert read_progress(out) == kept


def test_resume_and_overwrite_together_continue_or_else_replace(
    lazy_map: LazyMap, weather: Any, tmp_path: Path
) -> None:
    out = tmp_path / "map.zarr"
    both: dict[str, Any] = {"resume": True, "overwrite": True}
    stop(lazy_map, weather, out, (3, 1), identity={"overlap": 0})
    done = read_progress(out).done
    write_zarr(lazy_map(), out, identity={"overlap": 0}, **both, **LAYOUT)
    assert len(weather.computed) == ALL - done
    weather.computed.clear()
    write_zarr(lazy_map(), out, identity={"overlap": 32}, **both, **LAYOUT)
    assert len(weather.computed) == ALL


def test_an_interrupted_replacement_keeps_the_old_map_and_is_continued(
    lazy_map: LazyMap, weather: Any, objects: Objects, undisturbed: Any, tmp_path: Path
) -> None:
    out = tmp_path / "map.zarr"
    write_zarr(lazy_map(), out, identity={"overlap": 32}, **LAYOUT)
    old = (out / "zarr.json").read_bytes()
    stop(lazy_map, weather, out, (3, 1), overwrite=True)
    assert (out / "zarr.json").read_bytes() == old
    done = read_progress(out).done
    assert 0 < done < ALL
    write_zarr(lazy_map(), out, resume=True, **LAYOUT)
    assert len(weather.computed) == ALL - done
    assert json.loads(xr.open_zarr(out).attrs["sarmap:identity"]).get("overlap") is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.zarr", "undisturbed.zarr"]


def test_a_block_with_two_marks_is_done_again(
    lazy_map: LazyMap, weather: Any, objects: Objects, undisturbed: Any, tmp_path: Path
) -> None:
    """As a worker leaves it that was thought dead, could not read, and came back."""
    out = tmp_path / "map.zarr"
    stop(lazy_map, weather, out, (3, 1))
    ledger = Ledger(store_at(out))
    done = ledger.read()["probability"]
    block = next(iter(done))
    ledger.mark("probability", block, (0, 0, sum(done[block]), 0, 0), 0)
    assert block not in ledger.read()["probability"]
    write_zarr(lazy_map(), out, resume=True, **LAYOUT)
    assert block in weather.computed
    assert objects(out) == undisturbed


def test_a_mark_that_a_kill_left_half_written_counts_for_nothing(
    lazy_map: LazyMap, weather: Any, tmp_path: Path
) -> None:
    out = tmp_path / "map.zarr"
    stop(lazy_map, weather, out, (3, 1))
    done = read_progress(out).done
    (out / ".sarmap" / "blocks" / "probability,3,1,9,0,0,0,0,7,5c.9c2f.partial").write_bytes(b"")
    assert read_progress(out).done == done


def test_files_that_a_kill_left_half_written_are_swept(
    lazy_map: LazyMap, weather: Any, tmp_path: Path
) -> None:
    out = tmp_path / "map.zarr"
    stop(lazy_map, weather, out, (3, 1))
    half = out / "probability" / "c" / "0" / "0.5f2b.partial"
    half.parent.mkdir(parents=True, exist_ok=True)
    half.write_bytes(b"half")
    write_zarr(lazy_map(), out, resume=True, **LAYOUT)
    assert not list(out.rglob("*.partial"))


def test_a_run_killed_before_its_arrays_were_there_starts_anew(
    lazy_map: LazyMap, objects: Objects, undisturbed: Any, tmp_path: Path
) -> None:
    out = tmp_path / "map.zarr"
    zarr.create_group(out, zarr_format=3, attributes={"sarmap:status": "writing"})
    write_zarr(lazy_map(), out, resume=True, **LAYOUT)
    assert objects(out) == undisturbed
    bare = tmp_path / "bare.zarr"
    bare.mkdir()
    (bare / "zarr.77.partial").write_bytes(b"{")
    write_zarr(lazy_map(), bare, **LAYOUT)
    assert objects(bare) == undisturbed


def test_what_is_no_map_is_never_continued(lazy_map: LazyMap, tmp_path: Path) -> None:
    xr.Dataset({"a": ("x", [1])}).to_zarr(tmp_path / "other.zarr", consolidated=False)
    with pytest.raises(RequestError, match="not a map that sarmap wrote"):
        write_zarr(lazy_map(), tmp_path / "other.zarr", resume=True, **LAYOUT)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.txt").write_text("dear")
    with pytest.raises(RequestError, match="never replaced"):
        write_zarr(lazy_map(), tmp_path / "folder", resume=True, **LAYOUT)
    with pytest.raises(RequestError, match="not a map"):
        read_progress(tmp_path / "other.zarr")


def test_a_mark_is_left_only_when_all_layers_stand(
    lazy_map: LazyMap, weather: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last layer of each block cannot be written, so no block may count as done."""
    whole = zarr.Array.__setitem__

    def refuse(array: Any, here: Any, values: Any) -> None:
        if array.name == "/observation":
            raise OSError(13, "Permission denied")
        whole(array, here, values)

    monkeypatch.setattr(zarr.Array, "__setitem__", refuse)
    with pytest.raises(OutputError, match="'observation'"):
        write_zarr(lazy_map(), tmp_path / "map.zarr", **LAYOUT)
    assert read_progress(tmp_path / "map.zarr").done == 0


def test_the_record_of_a_map_being_read_again_says_that_it_is_being_written(
    lazy_map: LazyMap, weather: Any, tmp_path: Path
) -> None:
    out = tmp_path / "map.zarr"
    weather.unread = {(1, 1)}
    write_zarr(lazy_map(), out, **LAYOUT)
    weather.unread = set()
    weather.raising = {(1, 1): RuntimeError("killed")}
    with pytest.raises(RuntimeError):
        write_zarr(lazy_map(), out, resume=True, **LAYOUT)
    assert (read_attributes(store_at(out)) or {})["sarmap:status"] == "writing"
    assert read_progress(out).done == ALL - 1


def test_progress_goes_on_where_it_was(lazy_map: LazyMap, weather: Any, tmp_path: Path) -> None:
    out = tmp_path / "map.zarr"
    stop(lazy_map, weather, out, (3, 1))
    done, told = read_progress(out).done, []
    write_zarr(lazy_map(), out, resume=True, progress=lambda *now: told.append(now), **LAYOUT)
    assert told == [(count, ALL) for count in range(done, ALL + 1)]


def test_it_resumes_behind_a_url(lazy_map: LazyMap, weather: Any, objects: Objects) -> None:
    out = "memory://survive/map.zarr"
    stop(lazy_map, weather, out, (3, 1))
    done = read_progress(out).done
    write_zarr(lazy_map(), out, resume=True, **LAYOUT)
    assert 0 < len(weather.computed) == ALL - done
    assert read_progress(out).complete
