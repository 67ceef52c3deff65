"""Reads through a server that fails on purpose: the right pixels, or none; and always an end."""

from __future__ import annotations

import base64
import hashlib
import logging
import threading
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import dask
import numpy as np
import pytest
import rasterio

from sarmap.acquire.reader import read_source
from sarmap.net import remote
from sarmap.net.reach import Reach
from sarmap.net.signing import Signer

READ_FAILED = -np.inf

PASSING = [
    "429",
    "429-date",
    "500",
    "503",
    "403",
    "reset",
    "reset-midway",
    "truncated",
    "short",
    "wrong-range",
    "whole",
    "html",
    "html-range",
    "garbled",
]
SLOW = ["timeout", "trickle"]
ENDINGS = [*PASSING, "404"]


@pytest.fixture
def serve(fault_proxy: ModuleType, cogs: Any) -> Callable[..., Any]:
    """`with serve(kind, **fault) as server:` the COG behind one fault."""

    def make(*kinds: str, seed: int = 0, **fault: Any) -> Any:
        faults = [fault_proxy.Fault(kind, **{"seconds": 0, **fault}) for kind in kinds]
        return fault_proxy.serve_faults(folder=cogs, faults=faults, seed=seed)

    return make


def in_time(call: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What a call gives; fails, instead of hanging, where it does not end."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(call()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "the read does not end"
    return found[0]


@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_that_passes_costs_a_retry_and_no_pixel(
    kind: str, serve: Any, read: Any, power: Any, counted: Any
) -> None:
    with serve(kind, tries=1) as server:
        pixels = read(server.url)
    np.testing.assert_array_equal(pixels, power)
    assert server.counts[kind] > 0
    assert counted()["retries"] > 0
    assert counted()["failures"] == 0


@pytest.mark.parametrize("kind", SLOW)
def test_a_stall_that_passes_costs_a_retry_and_no_pixel(
    kind: str, serve: Any, read: Any, power: Any
) -> None:
    with serve(kind, times=1, after=1) as server:
        pixels = in_time(lambda: read(server.url))
    np.testing.assert_array_equal(pixels, power)
    assert server.counts[kind] == 1


@pytest.mark.parametrize("kind", [*ENDINGS, *SLOW])
def test_a_fault_that_stays_ends_the_read_without_a_pixel(
    kind: str, serve: Any, read: Any, counted: Any
) -> None:
    attempts = 3
    with dask.config.set({"sarmap.reads.attempts": attempts}), serve(kind) as server:
        pixels = in_time(lambda: read(server.url))
        asked = server.counts["requests"]
    assert pixels is None
    assert counted()["failures"] == 1
    # Once for the whole, once to save what can be saved; a decoder's tries on top.
    assert asked <= (1 if kind == "404" else 3 * attempts + 1)


@pytest.mark.parametrize("kind", [*ENDINGS, *SLOW])
def test_one_block_that_never_comes_is_marked_and_no_other(
    kind: str, serve: Any, read: Any, power: Any, block_bytes: Any
) -> None:
    with (
        dask.config.set({"sarmap.reads.attempts": 2}),
        serve(kind, within=block_bytes[1, 1], after=0) as server,
    ):
        first = block_bytes[1, 1][0]
        assert first > 65_536  # the head of the file comes
        pixels = in_time(lambda: read(server.url))
    expected = power.copy()
    if kind == "404":  # the server is sure that there is no such file: nobody asks on
        assert pixels is None
        return
    expected[128:256, 128:256] = READ_FAILED
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("seed", range(6))
def test_many_faults_at_once_still_give_the_right_pixels(
    seed: int, fault_proxy: ModuleType, cogs: Any, source_of: Any, power: Any
) -> None:
    from sarmap.acquire.reader import read_source
    from sarmap.net.signing import Signer

    pixels = np.full_like(power, np.nan)
    with (
        dask.config.set({"sarmap.reads.attempts": 30}),
        fault_proxy.serve_faults(folder=cogs, faults=fault_proxy.usual(0.5), seed=seed) as server,
    ):
        source = source_of(server.url)
        for row in range(0, 300, 100):
            for column in range(0, 260, 130):
                box = (row, row + 100, column, column + 130)
                found = read_source(source, lambda _, box=box: box, Signer(None), positive=True)
                pixels[box[0] : box[1], box[2] : box[3]] = found[0]
    np.testing.assert_array_equal(pixels, power)
    assert server.hits > 0


def test_an_index_that_cannot_be_read_is_not_taken_for_an_empty_one(
    fault_proxy: ModuleType, tmp_path: Any, source_of: Any
) -> None:
    """libtiff takes block offsets it could not read for zero, and zero for 'no data here'."""
    import rasterio

    from sarmap.acquire.reader import read_source
    from sarmap.net.signing import Signer

    profile = {
        "driver": "GTiff",
        "count": 1,
        "height": 4096,
        "width": 4096,
        "dtype": "float32",
        "compress": "deflate",
        "tiled": True,
        "blockxsize": 16,
        "blockysize": 16,
        "crs": "EPSG:32654",
        "nodata": 0,
        "transform": rasterio.Affine(10, 0, 600_000, 0, -10, 4_740_000),
    }
    with rasterio.open(tmp_path / "a.tif", "w", **profile) as made:  # an index of 500 kB
        made.write(np.full((1, 4096, 4096), 7, np.float32))
    beyond_the_head = fault_proxy.Fault("500", within=(65_536, 10**9))
    with (
        dask.config.set({"sarmap.reads.attempts": 1}),
        fault_proxy.serve_faults(folder=tmp_path, faults=[beyond_the_head]) as server,
    ):
        found = read_source(
            source_of(server.url), lambda _: (4000, 4096, 4000, 4096), Signer(None), positive=True
        )
    assert found is None or np.isneginf(found[0]).all()


class TestRetryAfter:
    @pytest.mark.parametrize("kind", ["429", "503"])
    def test_is_honoured_in_seconds(
        self, kind: str, serve: Any, read: Any, power: Any, fake_time: Any
    ) -> None:
        with serve(kind, times=1, seconds=7) as server:
            np.testing.assert_array_equal(read(server.url), power)
        assert max(fake_time.slept) == pytest.approx(7, abs=0.1)

    def test_is_honoured_as_a_date(self, serve: Any, read: Any, power: Any, fake_time: Any) -> None:
        with serve("429-date", times=1, seconds=9) as server:
            np.testing.assert_array_equal(read(server.url), power)
        assert 6 < max(fake_time.slept) <= 9

    def test_longer_than_the_read_may_take_ends_it_at_once(
        self, serve: Any, read: Any, fake_time: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        with serve("429", seconds=3600) as server:
            assert read(server.url) is None
            assert server.counts["requests"] == 1
        assert sum(fake_time.slept) < 20
        assert "left alone for 3600 s" in caplog.text

    def test_holds_for_other_reads_of_that_host(
        self, serve: Any, read: Any, power: Any, fake_time: Any
    ) -> None:
        from sarmap.net.patience import Deadline, hold_off, wait_for

        hold_off("e.org", 5.0)
        assert wait_for("f.org", Deadline(20))
        assert fake_time.slept == []
        assert wait_for("e.org", Deadline(20))
        assert sum(fake_time.slept) == pytest.approx(5.0)

    def test_of_nonsense_is_an_ordinary_wait(self) -> None:
        from sarmap.net.patience import retry_after

        for text in (None, "", "soon", "-3", "1e9", "Wed, 99 Oct 2015", "\u0664"):
            assert retry_after(text) is None


def test_waits_grow_and_are_jittered() -> None:
    from sarmap.net.patience import Patience

    limits = Patience(backoff=1.0, longest=8.0)
    waits = [[limits.pause(attempt) for _ in range(200)] for attempt in range(6)]
    for attempt, several in enumerate(waits):
        step = min(8.0, 2.0**attempt)
        assert 0.5 * step <= min(several)
        assert max(several) <= 1.5 * step
        assert len(set(several)) > 100


def test_the_time_for_a_read_is_bounded_whatever_its_tries(
    serve: Any, read: Any, fake_time: Any, caplog: pytest.LogCaptureFixture
) -> None:
    limits = {"sarmap.reads.attempts": 1_000_000, "sarmap.reads.backoff": 1.0}
    with dask.config.set(limits), serve("500") as server:
        assert in_time(lambda: read(server.url)) is None
    assert sum(fake_time.slept) <= 20
    assert "time for this read is over" in caplog.text


def test_a_file_that_changes_while_it_is_read_is_never_mixed(
    fault_proxy: ModuleType, tmp_path: Any, power: Any, source_of: Any
) -> None:
    """A new version of the same size, moved by a pixel: its pixels, and its place."""
    import rasterio

    from sarmap.acquire.reader import read_source
    from sarmap.net.signing import Signer

    def write(left: float, pixels: Any) -> int:
        transform = rasterio.Affine(10, 0, left, 0, -10, 4_740_000)
        shape = {"count": 1, "height": 300, "width": 260, "dtype": "float32"}
        with rasterio.open(
            tmp_path / "a.tif", "w", driver="GTiff", crs="EPSG:32654", transform=transform, **shape
        ) as made:
            made.write(pixels, 1)
        return int((tmp_path / "a.tif").stat().st_size)

    before = write(600_000, power)
    with fault_proxy.serve_faults(folder=tmp_path) as server:
        source = source_of(server.url)
        assert read_source(source, lambda _: (0, 50, 0, 50), Signer(None), positive=True)
        assert write(600_010, power + 1) == before
        found = read_source(source, lambda _: (200, 300, 0, 260), Signer(None), positive=True)
    assert found is not None
    np.testing.assert_array_equal(found[0], power[200:300] + 1)
    assert found[1].transform.c == 600_010


def test_a_redirect_is_followed_and_remembered(
    serve: Any, read: Any, power: Any, fault_proxy: ModuleType, cogs: Any
) -> None:
    with (
        fault_proxy.serve_faults(folder=cogs) as storage,
        serve("redirect", location=f"{storage.url}a.tif") as server,
    ):
        np.testing.assert_array_equal(read(server.url), power)
        assert server.counts["requests"] < storage.counts["requests"] + 2


def test_a_failure_is_told_once_by_item_and_reason(
    serve: Any, read: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO), serve("500") as server:
        read(server.url)
        read(server.url)
    told = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert len(told) == 1
    assert "'S1_a', asset 'vv'" in told[0].getMessage()
    assert "HTTP 500" in told[0].getMessage()
    assert server.url not in caplog.text


def test_a_page_that_poses_as_a_range_is_told_by_its_type(
    serve: Any, read: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with dask.config.set({"sarmap.reads.attempts": 1}), serve("html-range") as server:
        assert read(server.url) is None
    assert "answered with a page, not with data" in caplog.text


class Parts:
    """An answer whose body comes in given parts, with no length announced."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = [*parts, b""]

    def read1(self, _amount: int, decode_content: bool) -> bytes:
        assert not decode_content
        return self.parts.pop(0)


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content).digest()).decode()


SUMMED: dict[str, Any] = {
    "Content-MD5": lambda body, _: {"Content-MD5": _md5(body)},
    "Content-Digest": lambda body, _: {
        "Content-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
    },
    "x-amz-checksum-crc32": lambda body, _: {
        "x-amz-checksum-crc32": base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
    },
    "Adler-32 of the block": lambda _, __: {},
}


@pytest.fixture
def inflated(cogs: Path, tmp_path: Path) -> Path:
    """Folder with `a.tif` not deflated, so that no block has a checksum of its own."""
    with rasterio.open(cogs / "a.tif") as made:
        profile = made.profile | {"compress": None}
        with rasterio.open(tmp_path / "a.tif", "w", **profile) as plain:
            plain.write(made.read())
    return tmp_path


@pytest.mark.parametrize("kind", SUMMED)
def test_one_flipped_bit_costs_a_retry_and_no_pixel(
    fault_proxy: ModuleType,
    cogs: Path,
    inflated: Path,
    read: Any,
    power: Any,
    counted: Any,
    kind: str,
) -> None:
    folder = cogs if kind.startswith("Adler") else inflated
    flipped = fault_proxy.Fault("flipped", after=1, times=1)
    with fault_proxy.serve_faults(folder=folder, faults=[flipped]) as server:
        server.summed = SUMMED[kind]
        np.testing.assert_array_equal(read(server.url), power)
        assert server.counts["flipped"] == 1
    assert counted()["retries"] == 1
    assert counted()["failures"] == 0


@pytest.mark.parametrize("kind", ["Adler-32 of the block", "Content-Digest"])
def test_a_block_is_inflated_to_check_it_only_where_its_answer_has_no_checksum(
    fault_proxy: ModuleType,
    cogs: Path,
    read: Any,
    power: Any,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    inflated: list[bytes] = []
    monkeypatch.setattr(remote, "inflates", lambda block, _: inflated.append(block) or True)
    with fault_proxy.serve_faults(folder=cogs, faults=[]) as server:
        server.summed = SUMMED[kind]
        np.testing.assert_array_equal(read(server.url), power)
    assert bool(inflated) == (kind == "Adler-32 of the block")


@pytest.mark.parametrize("kind", ["no checksum", "Content-MD5"])
def test_where_asked_two_reads_of_what_no_checksum_speaks_for_are_compared(
    fault_proxy: ModuleType,
    inflated: Path,
    source_of: Any,
    power: Any,
    counted: Any,
    kind: str,
) -> None:
    flipped = fault_proxy.Fault("flipped", after=1, times=1)
    with fault_proxy.serve_faults(folder=inflated, faults=[flipped]) as server:
        server.summed = SUMMED.get(kind, lambda _, __: {})
        asked = replace(source_of(server.url), reach=Reach(home=("127.0.0.1",), verify=True))
        found = read_source(asked, lambda _: (0, 300, 0, 260), Signer(None), positive=True)
    assert found is not None
    np.testing.assert_array_equal(found[0], power)
    assert counted()["retries"] == 1
    # a head and a run of blocks, one of them again
    assert counted()["requests"] == (6 if kind == "no checksum" else 3)


def test_bits_that_flip_at_every_try_are_no_pixels(
    fault_proxy: ModuleType, cogs: Path, read: Any, power: Any
) -> None:
    with fault_proxy.serve_faults(
        folder=cogs, faults=[fault_proxy.Fault("flipped", after=1)]
    ) as server:
        found = read(server.url)
    unread = np.isneginf(found)
    assert unread.any()
    np.testing.assert_array_equal(found[~unread], power[~unread])


def test_the_checksum_of_the_whole_file_is_not_taken_for_that_of_a_range(
    fault_proxy: ModuleType, cogs: Path, read: Any, power: Any, counted: Any
) -> None:
    with fault_proxy.serve_faults(folder=cogs) as server:
        server.summed = lambda _, whole: {"Content-MD5": _md5(whole)}
        np.testing.assert_array_equal(read(server.url), power)
    assert counted()["retries"] == 0


def test_a_body_that_ends_early_is_no_body() -> None:
    from sarmap.net.patience import Deadline, Patience
    from sarmap.net.web import ReadError, _body

    limits = Patience()
    assert _body(Parts(b"abc", b"def"), 6, limits, Deadline(9)) == b"abcdef"
    with pytest.raises(ReadError, match="broke off after 6 of 7 bytes"):
        _body(Parts(b"abc", b"def"), 7, limits, Deadline(9))
