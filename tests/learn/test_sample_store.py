"""Samples in a Zarr: what the papers ask for, lazily, and whole again after a kill."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr
import zarr
from distributed import Client, LocalCluster

from sarmap.assess.ground import LandCover
from sarmap.errors import ClusterError, RequestError
from sarmap.learn.index import ClipRule, PatchRule
from sarmap.learn.sample_store import open_samples
from sarmap.learn.sample_writing import write_samples
from sarmap.learn.splits import PARTS

RULE = PatchRule(tile=32, stride=32)


def read_all(path: Path) -> dict[str, np.ndarray]:
    """Everything stored, in order of place."""
    with xr.open_zarr(path) as opened:
        order = np.lexsort((opened.column.values, opened.row.values, opened.event.values))
        return {
            name: opened[name].values[order]
            for name in opened
            if "sample" in opened[name].dims and name != "part"
        }


def test_patches_open_in_xarray_and_are_the_scene_s_own(
    make_scene, make_composite, truth, tmp_path
):
    store = write_samples([make_scene()], tmp_path / "s.zarr", RULE)
    stored = read_all(tmp_path / "s.zarr")
    assert len(store) == len(stored["row"])
    values = make_composite().values
    for number in (0, 7, len(store) - 1):
        at = np.s_[
            stored["row"][number] : stored["row"][number] + 32,
            stored["column"][number] : stored["column"][number] + 32,
        ]
        np.testing.assert_array_equal(stored["masks"][number], truth[at])
        pixels = np.moveaxis(values[:, *at], 0, -1)
        low, high = pixels.min(axis=(0, 1)), pixels.max(axis=(0, 1))
        np.testing.assert_allclose(
            stored["patches"][number], (pixels - low) / (high - low), atol=1e-6
        )
    assert set(np.unique(stored["masks"])) == {0, 1}
    assert stored["masks"].any(axis=(1, 2)).all()


def test_positions_are_on_the_map(make_scene, grid, tmp_path):
    write_samples([make_scene()], tmp_path / "s.zarr", RULE)
    stored = read_all(tmp_path / "s.zarr")
    x, y = grid.transform * (stored["column"] + 16.0, stored["row"] + 16.0)
    np.testing.assert_allclose(stored["x"], x)
    np.testing.assert_allclose(stored["y"], y)


@pytest.mark.parametrize(("chunk", "window"), [(64, 64), (100, 90), (400, 1024)])
@pytest.mark.parametrize("rule", [RULE, ClipRule(clip=9, stride=5, per_polygon=2)])
def test_chunks_and_windows_change_nothing(make_scene, tmp_path, chunk, window, rule):
    normal = "tile-minmax" if rule is RULE else "none"
    hole = (slice(0, 20), slice(0, 60))
    write_samples([make_scene(holes=hole)], tmp_path / "a.zarr", rule, normalisation=normal)
    write_samples(
        [make_scene(holes=hole, chunk=chunk)],
        tmp_path / "b.zarr",
        rule,
        normalisation=normal,
        window=window,
    )
    one, other = read_all(tmp_path / "a.zarr"), read_all(tmp_path / "b.zarr")
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_pixels_that_nobody_saw_or_surveyed_are_not_labelled(make_scene, tmp_path):
    import geopandas
    import shapely

    cloud = geopandas.GeoDataFrame(
        geometry=[shapely.box(500_000, 4_799_900, 500_100, 4_800_000)], crs=32654
    )
    scene = make_scene(holes=(slice(40, 50), slice(40, 50)), clouds=cloud)
    write_samples([scene], tmp_path / "s.zarr", RULE)
    stored = read_all(tmp_path / "s.zarr")
    first = np.flatnonzero((stored["row"] == 0) & (stored["column"] == 0))[0]
    assert (stored["masks"][first, :10, :10] == 255).all()
    holed = np.flatnonzero((stored["row"] == 32) & (stored["column"] == 32))[0]
    assert (stored["masks"][holed, 8:18, 8:18] == 255).all()
    assert (stored["masks"][holed] == 255).sum() == 100
    assert np.isfinite(stored["patches"]).all()


def test_a_patch_of_nothing_is_left_out_and_a_scene_of_nothing_refused(make_scene, tmp_path):
    store = write_samples(
        [make_scene(holes=(slice(0, 64), slice(0, 256)))], tmp_path / "s.zarr", RULE
    )
    assert not store.valid[store.row < 64].any()
    assert store.valid[store.row >= 64].all()
    parts = store.parts("random", seed=0)
    assert (parts[~store.valid] == PARTS.index("left_out")).all()
    with pytest.raises(RequestError, match="Not one sample was observed"):
        write_samples([make_scene(holes=(slice(None), slice(None)))], tmp_path / "n.zarr", RULE)


def test_clips_keep_the_composite_s_units_and_hold_no_gap(make_scene, make_composite, tmp_path):
    hole = (slice(150, 152), slice(100, 160))
    rule = ClipRule(clip=9, stride=4, per_polygon=3)
    store = write_samples(
        [make_scene(holes=hole)], tmp_path / "c.zarr", rule, normalisation="fixed"
    )
    values = make_composite(holes=hole).values
    chosen = np.flatnonzero(store.valid)
    images, labels = store.read(chosen)
    assert np.isfinite(images).all()
    assert 0 < (~store.valid).sum() < len(store) / 4
    np.testing.assert_array_equal(labels, store.positive[chosen])
    row, column = store.row[chosen[5]], store.column[chosen[5]]
    expected = np.moveaxis(values[:, row : row + 9, column : column + 9], 0, -1)
    np.testing.assert_array_equal(images[5], expected)


def test_several_events_keep_their_names_and_roles(make_scene, tmp_path):
    scenes = [make_scene("one"), make_scene("two", role="test", seed=1)]
    store = write_samples(scenes, tmp_path / "s.zarr", RULE)
    assert [(one["name"], one["role"]) for one in store.events] == [
        ("one", "training"),
        ("two", "test"),
    ]
    parts = store.parts("events", seed=0, block=64)
    assert (parts[store.event == 1] == PARTS.index("held_out")).all()
    np.testing.assert_array_equal(open_samples(tmp_path / "s.zarr").stored_parts(), parts)


def test_land_cover_is_kept_beside_the_masks(make_scene, grid, tmp_path):
    codes = np.zeros((320, 256), np.uint8)
    codes[:, 100:] = 4
    covers = LandCover(grid, codes, {0: "forest", 4: "town"})
    store = write_samples([make_scene(covers=covers)], tmp_path / "s.zarr", RULE)
    at = np.flatnonzero((store.row == 32) & (store.column == 96))
    np.testing.assert_array_equal(store.read_covers(at)[0], codes[32:64, 96:128])
    assert store.cover_names() == {0: "forest", 4: "town"}


def test_finished_samples_are_reused_and_others_never_overwritten_unasked(make_scene, tmp_path):
    out = tmp_path / "s.zarr"
    write_samples([make_scene()], out, RULE)
    stamp = (out / "patches" / "zarr.json").stat().st_mtime_ns
    write_samples([make_scene()], out, RULE)
    assert (out / "patches" / "zarr.json").stat().st_mtime_ns == stamp
    with pytest.raises(RequestError, match="--overwrite"):
        write_samples([make_scene()], out, PatchRule(tile=16, stride=16))
    assert (
        write_samples([make_scene()], out, PatchRule(tile=16, stride=16), overwrite=True).edge == 16
    )


def test_a_folder_of_something_else_is_left_alone(make_scene, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(RequestError, match="no samples"):
        write_samples([make_scene()], tmp_path, RULE, overwrite=True)
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_scenes_that_differ_in_bands_are_refused(make_scene, tmp_path):
    from dataclasses import replace

    other = make_scene("two")
    other = replace(other, composite=other.composite.assign_coords(band=["a", "b", "c"]))
    with pytest.raises(RequestError, match="differ in bands"):
        write_samples([make_scene("one"), other], tmp_path / "s.zarr", RULE)


@pytest.mark.parametrize("lacking", ["a landslide", "no sample"])
def test_a_split_of_one_class_or_part_is_refused(make_scene, slides, tmp_path, lacking):
    rule = PatchRule(tile=64, stride=64, keep="all")
    few = slides.iloc[:1] if lacking == "a landslide" else slides
    store = write_samples([make_scene(slides=few)], tmp_path / "s.zarr", rule)
    share = 0.0 if lacking == "no sample" else 0.2
    with pytest.raises(RequestError, match=lacking):
        store.parts("random", seed=1, validation=share)


KILLED = """
    import json, os, signal, sys
    import numpy as np
    sys.path.insert(0, sys.argv[2])
    import conftest_parts as parts
    from sarmap.learn.index import PatchRule
    from sarmap.learn.sample_writing import write_samples

    def die_after_two(done, total):
        if done >= 8:
            os.kill(os.getpid(), signal.SIGKILL)

    write_samples([parts.scene()], sys.argv[1], PatchRule(tile=32, stride=32), window=64,
                  progress=die_after_two)
"""
PARTS_OF_TEST = """
    import dask.array as da, geopandas, numpy as np, shapely, xarray as xr
    from affine import Affine
    from odc.geo.geobox import GeoBox
    from sarmap.assess.labels import read_labels
    from sarmap.learn.scene import Scene

    def scene(counted=None):
        grid = GeoBox((320, 256), Affine(10, 0, 500_000, 0, -10, 4_800_000), "EPSG:32654")
        slides = geopandas.GeoDataFrame(
            geometry=[shapely.box(500_000, 4_796_800, 502_560, 4_800_000)], crs=32654)
        values = np.random.default_rng(0).normal(0, 1, (2, 320, 256)).astype(np.float32)
        lazy = da.from_array(values, chunks=(2, 64, 64))
        if counted is not None:
            lazy = lazy.map_blocks(lambda b: (counted.append(1), b)[1], dtype=np.float32,
                                   meta=np.empty((0, 0, 0), np.float32))
        composite = xr.DataArray(lazy, dims=("band", "y", "x"), coords={"band": ["a", "b"]},
                                 attrs={"scaling": "db"})
        return Scene("killed", composite, read_labels(grid, slides))
"""


def test_a_killed_run_goes_on_where_it_stopped(tmp_path, monkeypatch):
    (tmp_path / "conftest_parts.py").write_text(textwrap.dedent(PARTS_OF_TEST))
    (tmp_path / "run.py").write_text(textwrap.dedent(KILLED))
    out = tmp_path / "s.zarr"
    done = subprocess.run([sys.executable, tmp_path / "run.py", out, tmp_path], check=False)
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(RequestError, match="not finished"):
        open_samples(out)
    monkeypatch.syspath_prepend(str(tmp_path))
    import conftest_parts as parts

    read: list[int] = []
    write_samples([parts.scene(read)], out, RULE, window=64)
    assert len(read) == 20 - 8
    write_samples([parts.scene()], tmp_path / "whole.zarr", RULE, window=64)
    one, other = read_all(out), read_all(tmp_path / "whole.zarr")
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    assert json.loads((out / "zarr.json").read_text())["attributes"]["sarmap:samples"] == "complete"


def test_windows_that_end_their_workers_are_said_and_what_was_cut_is_kept(
    make_scene, make_composite, tmp_path, local_workers
):
    """The third row of chunks ends every process that computes it, but this one."""
    here, rows = os.getpid(), make_composite(chunk=64)

    def deadly(block, block_info=None):
        import os

        if block_info[0]["chunk-location"][1] == 2 and os.getpid() != here:
            os._exit(1)
        return block

    scene = make_scene()
    lazy = rows.copy(data=rows.data.map_blocks(deadly, dtype=rows.dtype, meta=rows.data._meta))
    out = tmp_path / "samples.zarr"
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        local_workers(1, threads=2) as client,
        pytest.raises(ClusterError, match=r"Windows of the composite ended .* same command goes"),
    ):
        write_samples([replace(scene, composite=lazy)], out, RULE, window=64, client=client)
    done = zarr.open_group(out)["done"][:]
    assert 0 < done.sum() < done.size
    write_samples([replace(scene, composite=lazy)], out, RULE, window=64)
    whole = tmp_path / "whole.zarr"
    write_samples([scene], whole, RULE, window=64)
    for name, values in read_all(out).items():
        np.testing.assert_array_equal(values, read_all(whole)[name], err_msg=name)


def test_a_cluster_without_workers_is_not_waited_for_without_end(make_scene, tmp_path):
    """Of a cluster that the client did not start: of its own it asks for workers."""
    with (
        dask.config.set({"sarmap.cluster.no_worker": 1}),
        LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=None) as cluster,
        Client(cluster.scheduler_address) as client,
        pytest.raises(ClusterError, match="had no worker for 1 s"),
    ):
        write_samples([make_scene()], tmp_path / "s.zarr", RULE, client=client)
