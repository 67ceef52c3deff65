"""Reads that go wrong: retried, marked, never raised, never silent, never telling secrets."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from sarmap.acquire import reader
from sarmap.acquire.cube import open_cube
from sarmap.net.reach import Reach
from sarmap.net.signing import Signer

pytestmark = pytest.mark.filterwarnings("ignore:Dataset has no geotransform")

OBSERVED, NO_DATA, READ_FAILED = 0, 1, 2


@pytest.fixture
def cube_of(kit: Any, tmp_path: Path, power: Any, files_server: Any) -> Any:
    """Opens a cube over one scene behind the server."""
    kit.cog(tmp_path / "a.tif", power)

    def make(grid: Any = None, chunk: int = 1024, name: str = "a.tif") -> Any:
        asset = {"href": f"{files_server.url}/{name}"}
        item = kit.item("S1_a", {"vv": asset, "file": tmp_path / "a.tif"})
        passes = kit.passes({"pre": [item], "post_1": [item]})
        return open_cube(passes, grid or kit.box(300, 260), bands=("vv",), chunk=chunk)

    return make


def first(cube: Any) -> tuple[Any, Any]:
    """Power and observation of the first pass."""
    loaded = cube.isel(time=0).compute()
    return loaded.vv.values, loaded.observation.values


def test_a_file_that_is_gone_is_read_failed_and_asked_for_once_per_read(
    cube_of: Any, files_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        values, codes = first(cube_of(name="gone.tif"))
    assert (codes == READ_FAILED).all()
    assert np.isnan(values).all()
    assert len([r for r in files_server.requests if r[0] == "GET"]) <= 1
    assert "'S1_a'" in caplog.text
    assert "'vv'" in caplog.text


def test_only_ground_under_the_scene_is_read_failed(cube_of: Any, kit: Any) -> None:
    _, codes = first(cube_of(kit.box(320, 300, row=-10, column=-20), name="gone.tif"))
    expected = np.full((320, 300), NO_DATA)
    expected[10:310, 20:280] = READ_FAILED
    np.testing.assert_array_equal(codes, expected)


def test_a_server_that_recovers_costs_nothing(
    cube_of: Any, files_server: Any, power: Any, caplog: pytest.LogCaptureFixture
) -> None:
    files_server.refuse = lambda _path, _range, count: 500 if count <= 3 else None
    values, codes = first(cube_of())
    assert (codes == OBSERVED).all()
    np.testing.assert_array_equal(values, power)
    assert not [record for record in caplog.records if record.name.startswith("sarmap")]


def test_a_dead_server_is_marked_and_given_up_sooner_each_time(
    cube_of: Any, files_server: Any
) -> None:
    files_server.refuse = lambda _path, _range, _count: 503
    cube = cube_of(chunk=150)
    _, codes = first(cube)
    assert (codes == READ_FAILED).all()
    blocks = 4
    assert len(files_server.requests) < 12 * blocks


def test_a_file_can_be_read_again_once_it_is_back(
    cube_of: Any, files_server: Any, power: Any
) -> None:
    files_server.refuse = lambda _path, _range, _count: 404
    cube = cube_of()
    assert (first(cube)[1] == READ_FAILED).all()
    files_server.refuse = lambda _path, _range, _count: None
    np.testing.assert_array_equal(first(cube)[0], power)


@pytest.mark.parametrize("chunk", [50, 128, 1024])
def test_a_truncated_file_loses_exactly_its_missing_blocks(
    kit: Any, tmp_path: Path, power: Any, chunk: int
) -> None:
    whole = kit.cog(tmp_path / "a.tif", power).read_bytes()
    item = kit.item("a", {"vv": tmp_path / "a.tif"})
    (tmp_path / "a.tif").write_bytes(whole[: len(whole) * 6 // 10])
    cube = open_cube(
        kit.passes({"pre": [item], "post_1": [item]}), kit.box(300, 260), bands=("vv",), chunk=chunk
    )
    values, codes = first(cube)
    lost = codes == READ_FAILED
    assert 0.2 < lost.mean() < 0.7
    np.testing.assert_array_equal(values[~lost], power[~lost])
    # COG blocks are 128 pixels: each is wholly lost or wholly there.
    for row in range(0, 300, 128):
        for column in range(0, 260, 128):
            assert len(np.unique(codes[row : row + 128, column : column + 128])) == 1


def test_no_slice_stands_in_for_one_that_could_not_be_read(
    kit: Any, tmp_path: Path, power: Any
) -> None:
    """Whether a slice can be read today must not decide what another day's map holds."""
    kit.cog(tmp_path / "a.tif", power)
    missing = {"href": str(tmp_path / "gone.tif")}
    gone = kit.item("gone", {"vv": missing, "file": tmp_path / "a.tif"})
    there = kit.item("there", {"vv": tmp_path / "a.tif"})
    passes = kit.passes({"pre": [gone, there], "post_1": [there, gone]})
    cube = open_cube(passes, kit.box(40, 40), bands=("vv",)).compute()
    assert (cube.observation.values[0] == READ_FAILED).all()
    assert np.isnan(cube.vv.values[0]).all()
    np.testing.assert_array_equal(cube.vv.values[1], power[:40, :40])
    assert (cube.observation.values[1] == OBSERVED).all()


def test_no_infinity_leaves_the_cube(cube_of: Any) -> None:
    values, _ = first(cube_of(name="gone.tif"))
    assert not np.isinf(values).any()


def test_a_failed_part_of_a_resampled_scene_is_marked(kit: Any, tmp_path: Path, power: Any) -> None:
    whole = kit.cog(tmp_path / "a.tif", power).read_bytes()
    item = kit.item("a", {"vv": tmp_path / "a.tif"})
    (tmp_path / "a.tif").write_bytes(whole[: len(whole) * 6 // 10])
    grid = kit.box(280, 240, row=5.3, column=5.3)
    cube = open_cube(kit.passes({"pre": [item], "post_1": [item]}), grid, bands=("vv",))
    _, codes = first(cube)
    assert set(np.unique(codes)) == {OBSERVED, READ_FAILED}


class Tokens:
    """A signer whose first token the storage refuses."""

    def __init__(self) -> None:
        self.number = 1
        self.forgotten: list[str] = []

    def __call__(self, href: str) -> str:
        return f"{href}?sig=secret{self.number}"

    def headers(self, _href: str) -> dict[str, str]:
        return {}

    def forget(self, href: str) -> None:
        self.forgotten.append(href)
        self.number += 1


def read(source: Any, signer: Any) -> Any:
    return reader.read_source(source, lambda _handle: (0, 9, 0, 9), signer, positive=True)


def test_hrefs_are_signed_when_read_and_again_when_refused(
    kit: Any, tmp_path: Path, power: Any, files_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from sarmap.acquire.source import item_source

    kit.cog(tmp_path / "a.tif", power)
    asset = {"href": f"{files_server.url}/a.tif?se=2020-01-01&sig=stale"}
    item = kit.item("a", {"vv": asset, "file": tmp_path / "a.tif"})
    source = item_source(item, "vv", setting="radar_assets", reach=Reach(trusted=True))
    assert source.href == f"{files_server.url}/a.tif"
    files_server.refuse = lambda path, _range, _count: None if "secret2" in path else 403
    tokens = Tokens()
    with caplog.at_level(logging.DEBUG):
        found = read(source, tokens)
    assert "secret" not in caplog.text
    np.testing.assert_array_equal(found[0], power[:9, :9])
    assert tokens.forgotten == [f"{source.href}?sig=secret1"]


def test_a_server_that_keeps_failing_is_logged_without_signature(
    kit: Any, tmp_path: Path, power: Any, files_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from sarmap.acquire.source import item_source

    kit.cog(tmp_path / "a.tif", power)
    asset = {"href": f"{files_server.url}/a.tif"}
    item = kit.item("a", {"vv": asset, "file": tmp_path / "a.tif"})
    files_server.refuse = lambda _path, _range, _count: 500
    with caplog.at_level(logging.DEBUG):
        assert (
            read(
                item_source(item, "vv", setting="radar_assets", reach=Reach(trusted=True)), Tokens()
            )
            is None
        )
    assert "failed" in caplog.text
    assert "secret" not in caplog.text


def test_failures_are_logged_without_signature(
    kit: Any, tmp_path: Path, power: Any, files_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from sarmap.acquire.source import item_source

    kit.cog(tmp_path / "a.tif", power)
    asset = {"href": f"{files_server.url}/gone.tif?sig=old&se=2020"}
    item = kit.item("a", {"vv": asset, "file": tmp_path / "a.tif"})
    source = item_source(item, "vv", setting="radar_assets", reach=Reach(trusted=True))
    assert "sig=" not in source.href
    assert read(source, Tokens()) is None
    assert "secret" not in caplog.text
    assert "asset 'vv'" in caplog.text


def test_no_signature_is_stored_in_the_graph(cube_of: Any) -> None:
    import pickle

    assert b"sig=" not in pickle.dumps(cube_of())


def test_a_read_asks_for_whole_ranges_in_few_requests(
    kit: Any, tmp_path: Path, files_server: Any
) -> None:
    pixels = np.random.default_rng(1).random((1024, 1024), np.float32) + 1
    size = kit.cog(tmp_path / "big.tif", pixels, block=256).stat().st_size
    asset = {"href": f"{files_server.url}/big.tif"}
    item = kit.item("big", {"vv": asset, "file": tmp_path / "big.tif"})
    cube = open_cube(
        kit.passes({"pre": [item], "post_1": [item]}), kit.box(1024, 1024), bands=("vv",), chunk=512
    )
    cube.vv[0].compute(scheduler="sync")
    gets = [r[2] for r in files_server.requests if r[0] == "GET"]
    # Four windows of two by two blocks each: a header, then a range per row of blocks.
    assert len(gets) <= 1 + 4 * 2
    spans = [tuple(map(int, r.removeprefix("bytes=").split("-"))) for r in gets]
    assert sum(last - start + 1 for start, last in spans) < 1.1 * size


def test_concurrent_reads_of_one_file_agree(cube_of: Any, power: Any) -> None:
    cube = cube_of(chunk=32)
    from concurrent.futures import ThreadPoolExecutor

    import dask

    with ThreadPoolExecutor(12) as pool, dask.config.set(pool=pool, scheduler="threads"):
        values, _ = first(cube)
    np.testing.assert_array_equal(values, power)


def test_a_multiband_number_beyond_the_file_is_refused(
    kit: Any, tmp_path: Path, power: Any
) -> None:
    from sarmap.acquire.source import item_source
    from sarmap.errors import RequestError

    kit.cog(tmp_path / "a.tif", power)
    item = kit.item("a", {"vv": tmp_path / "a.tif"})
    source = item_source(item, "vv", band=3, setting="optical_assets", reach=Reach(trusted=True))
    with pytest.raises(RequestError, match="1 bands, not 3"):
        read(source, Signer(None))


def test_handles_are_kept_and_bounded(
    kit: Any, tmp_path: Path, power: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sarmap.acquire import handles

    monkeypatch.setattr(handles, "_pool", handles._Pool(2))
    paths = [str(kit.cog(tmp_path / f"{n}.tif", power[:20, :20])) for n in range(4)]
    opened = []
    for path in paths:
        with handles.lease(path) as handle:
            opened.append(handle)
    assert [handle.dataset.closed for handle in opened] == [True, True, False, False]
    with handles.lease(paths[3]) as again:
        assert again is opened[3]


def test_a_file_written_anew_is_read_anew(kit: Any, tmp_path: Path, power: Any) -> None:
    item = kit.item("a", {"vv": kit.cog(tmp_path / "a.tif", power)})
    cube = open_cube(kit.passes({"pre": [item], "post_1": [item]}), kit.box(9, 9), bands=("vv",))
    np.testing.assert_array_equal(first(cube)[0], power[:9, :9])
    kit.cog(tmp_path / "a.tif", power + 1)
    np.testing.assert_array_equal(first(cube)[0], power[:9, :9] + 1)


def test_a_handle_is_used_by_one_thread_at_a_time(
    kit: Any, tmp_path: Path, power: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sarmap.acquire import handles

    monkeypatch.setattr(handles, "_pool", handles._Pool(8))
    path = str(kit.cog(tmp_path / "a.tif", power[:20, :20]))
    barrier = threading.Barrier(3)
    seen: list[int] = []

    def use() -> None:
        with handles.lease(path) as handle:
            barrier.wait(timeout=60)
            seen.append(id(handle))

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 3


def test_reading_much_keeps_little(tmp_path: Path) -> None:
    """GDAL itself would keep a twentieth of the machine's memory, in each process."""
    edge, block = 14336, 1024
    profile = {"driver": "GTiff", "width": edge, "height": edge, "count": 1, "dtype": "float32"}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "SPARSE_OK": True}
    with rasterio.open(tmp_path / "large.tif", "w", **profile, **tiles):
        pass
    program = f"""
import resource, sys
from sarmap.acquire.handles import lease

def read(row, column):
    with lease(sys.argv[1]) as handle:
        rows, columns = (row, row + {block}), (column, column + {block})
        assert not handle.dataset.read(1, window=(rows, columns)).any()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

before = read(0, 0)
for row in range(0, {edge}, {block}):
    for column in range(0, {edge}, {block}):
        after = read(row, column)
print(after - before)
"""
    command = [sys.executable, "-W", "ignore", "-c", program, str(tmp_path / "large.tif")]
    kept = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert kept < 180, f"{edge**2 * 4 // 2**20} MB were read, and {kept} MB kept"
