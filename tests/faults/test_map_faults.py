"""Whole maps through faults: identical where reads recover, marked and resumed where not."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import binary_dilation

import sarmap
from sarmap.errors import RequestError
from sarmap.planning import READ_THREADS

LAYERS = ("probability", "observation", "slope")


@pytest.fixture(scope="session")
def faulty(event: Any, fault_proxy: ModuleType) -> Callable[..., Any]:
    """`with faulty(*faults) as (catalog, server):` the event's API, its files behind faults."""
    from sarmap.simulate.serve import absolute_hrefs, serve_catalog

    @contextlib.contextmanager
    def serve(*faults: Any, seed: int = 0) -> Iterator[tuple[Any, Any]]:
        items = json.loads(event.items.read_text())["features"]
        collections = json.loads(event.collections.read_text())
        with fault_proxy.serve_faults(folder=event.path, faults=faults, seed=seed) as server:
            moved = [absolute_hrefs(item, server.url) for item in items]
            with serve_catalog(moved, collections, event.path) as api:
                yield api.catalog, server

    return serve


@pytest.fixture
def map_of(event: Any, tmp_path: Any) -> Callable[..., Any]:
    """Map the event from a catalogue."""

    def make(catalog: Any, name: str, **changes: Any) -> Any:
        request = sarmap.MapRequest(
            area=event.grid,
            event=event.event,
            catalog=catalog,
            detector="log-ratio",
            orbit="ascending",
            chunk=128,
            out=str(tmp_path / name),
            **changes,
        )
        return sarmap.map_landslides(request)

    return make


@pytest.fixture
def undisturbed(map_of: Any, server: Any) -> Any:
    return xr.open_zarr(map_of(server.catalog, "undisturbed.zarr").path).load()


def assert_same(one: Any, other: Any) -> None:
    for name in LAYERS:
        np.testing.assert_array_equal(one[name].values, other[name].values)


def test_a_map_through_faults_is_the_undisturbed_one(
    faulty: Any, map_of: Any, undisturbed: Any, fault_proxy: ModuleType
) -> None:
    with (
        dask.config.set({"sarmap.reads.attempts": 25}),
        faulty(*fault_proxy.usual(0.3), seed=1) as (catalog, server),
    ):
        result = map_of(catalog, "map.zarr")
    assert not result.read_failed
    assert server.hits > 0
    assert_same(xr.open_zarr(result.path), undisturbed)
    assert result.reads["retries"] > 0
    assert result.reads["failures"] == 0
    assert json.loads(result.dataset.attrs["sarmap:reads"]) == result.reads


def test_what_cannot_be_read_is_marked_and_a_resume_reads_just_that(
    faulty: Any, map_of: Any, undisturbed: Any, fault_proxy: ModuleType
) -> None:
    scene = _post_scene(undisturbed)
    fault = fault_proxy.Fault("503", path=scene, seconds=0)  # one of the two slices of its pass
    with (
        dask.config.set({"sarmap.reads.attempts": 2}),
        faulty(fault) as (catalog, server),
    ):
        marked = map_of(catalog, "map.zarr")
        assert marked.read_failed
        assert marked.reads["failures"] > 0
        stored = xr.open_zarr(marked.path).load()
        failed = stored["observation"].values == 2
        assert 0 < failed.mean() < 1
        assert np.isnan(stored["probability"].values[failed]).all()
        near = binary_dilation(failed, iterations=32)  # a detector looks around
        whole = ~near & (stored["observation"].values == 0)
        assert whole.mean() > 0.2
        np.testing.assert_array_equal(
            stored["probability"].values[whole], undisturbed["probability"].values[whole]
        )
        server.faults = []
        blocks = marked.plan.blocks
        resumed = map_of(catalog, "map.zarr", resume=True)
    assert 0 < resumed.computed < blocks
    assert not resumed.read_failed
    assert_same(xr.open_zarr(resumed.path), undisturbed)


def _post_scene(made: Any, role: str = "post") -> str:
    """Folder name of a scene after the event, or in another role."""
    scenes = json.loads(made.attrs["scenes"])
    return str(next(one["id"] for one in scenes if one["role"].startswith(role)))


def test_the_command_line_says_that_data_is_missing_by_its_exit_code(
    faulty: Any, event: Any, fault_proxy: ModuleType, tmp_path: Any, undisturbed: Any
) -> None:
    from sarmap.cli import main

    fault = fault_proxy.Fault("reset", path=_post_scene(undisturbed))
    west, south, east, north = event.area
    with (
        dask.config.set({"sarmap.reads.attempts": 2}),
        faulty(fault) as (catalog, _),
        pytest.raises(SystemExit) as left,
    ):
        main(
            [
                *("map", "--area", f"{west},{south},{east},{north}", "--event", event.event),
                *("--catalog", catalog.url, "--detector", "log-ratio", "--orbit", "ascending"),
                *("--out", str(tmp_path / "cli.zarr"), "--json"),
            ]
        )
    assert left.value.code == 3


class Storage:
    """Tokens of a fake hour, and a storage that knows them."""

    def __init__(self) -> None:
        self.now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        self.given: dict[str, dt.datetime] = {}

    def fetch(self, _endpoint: str) -> tuple[str, dt.datetime]:
        token = f"sig=token{len(self.given)}"
        self.given[token] = self.now + dt.timedelta(hours=1)
        return token, self.given[token]

    def opens(self, query: str) -> bool:
        return self.given.get(query, self.now) > self.now


def test_tokens_that_expire_in_the_middle_are_signed_again_at_the_read(
    fault_proxy: ModuleType,
    event: Any,
    monkeypatch: pytest.MonkeyPatch,
    map_of: Any,
    undisturbed: Any,
) -> None:
    """Each request passes eleven minutes of a fake clock; tokens last an hour of it."""
    from sarmap.net import signing
    from sarmap.simulate.serve import absolute_hrefs, serve_catalog

    storage = Storage()
    monkeypatch.setattr(signing, "_TOKENS", signing.TokenStore(storage.fetch, lambda: storage.now))
    refused = []

    def guard(server: Any) -> None:
        draw = server.draw

        def judge(method: str, path: str, asked: str) -> Any:
            storage.now += dt.timedelta(minutes=11)
            return draw(method, path, asked)

        server.draw = judge

    items = json.loads(event.items.read_text())["features"]
    collections = json.loads(event.collections.read_text())
    with fault_proxy.serve_faults(folder=event.path.parent) as server:
        guard(server)
        server.guard = lambda query: storage.opens(query) or refused.append(query)
        # As the storage emulator has it: /account/container/path.
        base = f"{server.url}{event.path.name}/"
        moved = [absolute_hrefs(item, base) for item in items]
        with serve_catalog(moved, collections, event.path) as api:
            catalog = replace(
                api.catalog, signing="planetary-computer", signing_url="http://127.0.0.1:9/t"
            )
            # Many threads read; while one waits for its turn, the others let its token grow old.
            with dask.config.set({"sarmap.reads.attempts": 25, "sarmap.reads.backoff": 0.05}):
                result = map_of(catalog, "map.zarr")
    assert not result.read_failed
    assert len(storage.given) > 3
    assert_same(xr.open_zarr(result.path), undisturbed)
    assert all(one.query for one in server.seen)  # no request without a token
    assert {one.status for one in server.seen} <= {206, 403}
    assert len(refused) <= READ_THREADS * len(storage.given)  # no thread asks on with a dead one


def test_a_scene_replaced_in_the_middle_ends_the_map_and_its_resuming(
    faulty: Any, map_of: Any, undisturbed: Any, fault_proxy: ModuleType
) -> None:
    scene, unread = _post_scene(undisturbed), _post_scene(undisturbed, "pre")
    requests = itertools.count()
    with (
        dask.config.set({"sarmap.reads.attempts": 2}),
        faulty(fault_proxy.Fault("503", path=unread, seconds=0)) as (catalog, server),
    ):
        assert map_of(catalog, "map.zarr").read_failed
        server.faults = []
        server.named = lambda path, tag: {"ETag": '"new"' if scene in path else tag}
        with pytest.raises(RequestError, match=f"{scene}.*begin anew"):
            map_of(catalog, "map.zarr", resume=True)
        made = map_of(catalog, "map.zarr", resume=True, overwrite=True)
        assert_same(xr.open_zarr(made.path), undisturbed)
        server.named = lambda path, tag: {
            "ETag": tag if scene not in path or next(requests) else '"newest"'
        }
        with pytest.raises(RequestError, match=f"{scene}.*begin anew"):
            map_of(catalog, "other.zarr")


def test_a_resumed_map_takes_either_name_of_a_scene(
    faulty: Any, map_of: Any, undisturbed: Any
) -> None:
    turn = itertools.cycle("ab")
    with faulty() as (catalog, server):
        server.named = lambda _path, _tag: {"ETag": f'"{next(turn)}"'}
        map_of(catalog, "map.zarr")
        made = map_of(catalog, "map.zarr", resume=True)
    assert made.computed == 0
    assert_same(xr.open_zarr(made.path), undisturbed)
