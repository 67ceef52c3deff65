"""The parts that figures hang on: virtual files, counting, operations, fresh processes."""

from __future__ import annotations

import urllib.error
import urllib.request

import numpy as np
import pytest
import rasterio
from affine import Affine

from benchmarks.files import serve_files
from benchmarks.mosaic import largest_tiles, virtual_file
from benchmarks.processes import TaskFailed, run_task


@pytest.fixture
def small(tmp_path):
    """A GeoTIFF of 1100 x 600 px in tiles of 512, its values their own place."""
    path = tmp_path / "small.tif"
    values = np.arange(1100 * 600, dtype=np.float32).reshape(1100, 600)
    profile = {
        "driver": "GTiff", "height": 1100, "width": 600, "count": 1, "dtype": "float32",
        "crs": "EPSG:32654", "transform": Affine(10, 0, 5e5, 0, -10, 4.7e6), "tiled": True,
        "blockxsize": 512, "blockysize": 512, "compress": "deflate", "nodata": -1,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(values, 1)
    return path, values


def test_a_virtual_file_reads_as_its_tiles_in_turns(small, tmp_path):
    path, values = small
    tiles = largest_tiles([path])
    assert len(tiles) == 2  # the others are not whole
    corner = Affine(10, 0, 6e5, 0, -10, 4.8e6)
    record = virtual_file(path, tiles, (1000, 1500), corner, tmp_path / "head")
    with serve_files(tmp_path, {"big.tif": record}) as server:
        with rasterio.open(f"/vsicurl/{server.url}big.tif") as dataset:
            assert dataset.shape == (1000, 1500)
            assert dataset.transform == corner
            found = dataset.read(1)
        told = server.counts()
    one, two = values[:512, :512], values[512:1024, :512]
    expected = np.block([[one, two, one], [two, one, two]])[:1000, :1500]
    np.testing.assert_array_equal(found, expected)
    assert told["requests"] > 0
    assert told["bytes"] > 0


def test_requests_are_counted_and_fail_as_told(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"0123456789")
    with serve_files(tmp_path) as server:
        request = urllib.request.Request(server.url + "a.bin", headers={"Range": "bytes=2-4"})
        with urllib.request.urlopen(request) as answer:
            assert (answer.status, answer.read()) == (206, b"234")
        assert server.counts() == {"requests": 1, "bytes": 3, "failed": 0}
        server.reset(fail=1.0)
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(server.url + "a.bin")
        assert server.counts() == {"requests": 1, "bytes": 0, "failed": 1}
        server.reset()
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(server.url + "../secret")


def test_operations_are_counted_as_by_hand():
    import openvino
    import openvino.opset13 as ops

    from benchmarks.tasks.flops import count_flops

    given = ops.parameter([1, 4, 64, 64], np.float32)
    kernel = ops.constant(np.zeros((32, 4, 3, 3), np.float32))
    layer = ops.convolution(given, kernel, [1, 1], [1, 1], [1, 1], [1, 1])
    assert count_flops(openvino.Model([layer], [given])) == 2 * 64 * 64 * 32 * 4 * 9
    product = ops.matmul(
        ops.parameter([5, 7], np.float32), np.zeros((7, 3), np.float32), False, False
    )
    model = openvino.Model([product], [product.input_value(0).get_node()])
    assert count_flops(model) == 2 * 5 * 7 * 3


def test_a_fresh_process_tells_its_seconds_and_its_own_peak_memory():
    told = run_task("floors:gemm", {"n": 64, "rounds": 1})
    assert told["metrics"]["gflops"] > 0
    assert 10e6 < told["peak_memory"] < 2e9
    assert told["process_seconds"] > told["metrics"]["seconds"]


def test_a_process_that_breaks_tells_why_without_a_path():
    with pytest.raises(TaskFailed, match="has no attribute") as caught:
        run_task("floors:nothing", {})
    assert "/" not in str(caught.value).removeprefix("floors:nothing failed:")
