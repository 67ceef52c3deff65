"""The store opens in plain xarray, says how it was made, and never passes off half a map."""

import hashlib
import json
import pickle
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pytest
import rasterio
import xarray as xr
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from sarmap.errors import OutputError, RequestError
from sarmap.export.products import product_files
from sarmap.store.blocks import Sink
from sarmap.store.georeference import geobox_of, spatial_ref_attrs
from sarmap.store.location import check_writable
from sarmap.store.result import count_observations, is_simulated, open_map, write_zarr


def make_map(shape=(90, 70), chunk=32, seed=0, slope=True):
    """A map with every kind of unseen pixel; returns it lazily, on the grid of EPSG:32654."""
    rng = np.random.default_rng(seed)
    probability = rng.random(shape, dtype=np.float32)
    observation = rng.choice([0, 0, 0, 0, 0, 1, 2, 3], shape).astype(np.uint8)
    probability[observation != 0] = np.nan
    layers = {"probability": probability, "observation": observation}
    if slope:
        layers["slope"] = rng.uniform(0, 60, shape).astype(np.float32)
    grid = GeoBox.from_bbox(
        (500000, 4700000, 500000 + 10 * shape[1], 4700000 + 10 * shape[0]),
        "epsg:32654",
        resolution=10,
    )
    dataset = xr.Dataset(
        {name: (("y", "x"), da.from_array(layer, chunks=chunk)) for name, layer in layers.items()},
        coords={
            "y": grid.coords["y"].values,
            "x": grid.coords["x"].values,
            "spatial_ref": ((), 0, spatial_ref_attrs(grid)),
        },
        attrs={"simulated": 1, "attribution": "Contains modified Copernicus Sentinel data 2018"},
    )
    return dataset


def fingerprint(folder):
    """Every file of a store and a hash of its bytes; the ledger is no part of the map."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(Path(folder).rglob("*"))
        if file.is_file() and ".sarmap" not in file.parts
    }


def explode(*_):
    raise AssertionError("something was computed")


@pytest.mark.parametrize(
    ("name", "said"), [("n" * 245 + ".zarr", "240 are the most"), ("a\udcff.zarr", "not UTF-8")]
)
def test_a_name_that_files_cannot_have_is_refused_before_any_work(tmp_path, name, said):
    with pytest.raises(RequestError, match=said):
        check_writable(tmp_path / name)


@pytest.mark.parametrize("folder", ["f!g", "f;g", "f\ng"])
def test_a_folder_that_no_geopackage_can_be_in_is_refused_before_any_work(tmp_path, folder):
    with pytest.raises(RequestError, match="GeoPackage cannot be written"):
        product_files(["geopackage"], str(tmp_path / folder / "m.zarr"))
    assert product_files(["cog", "item"], str(tmp_path / folder / "m.zarr"))


def test_plain_xarray_opens_it_without_a_warning(tmp_path):
    dataset = make_map()
    out = write_zarr(dataset, tmp_path / "map.zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stored = xr.open_zarr(out)
    probability = dataset["probability"].values
    np.testing.assert_allclose(stored["probability"], probability, atol=0.004)
    np.testing.assert_array_equal(stored["probability"] >= 0.5, probability >= 0.5)
    np.testing.assert_array_equal(stored["observation"], dataset["observation"])
    np.testing.assert_allclose(stored["slope"], dataset["slope"], atol=0.2001)
    np.testing.assert_array_equal(stored["y"], dataset["y"])
    np.testing.assert_array_equal(stored["x"], dataset["x"])


def test_it_is_cf_with_flags_scale_and_reference_system(tmp_path):
    stored = xr.open_zarr(write_zarr(make_map(), tmp_path / "map.zarr"))
    observation = stored["observation"]
    assert observation.dtype == np.uint8
    assert observation.attrs["flag_values"] == [0, 1, 2, 3]
    assert observation.attrs["flag_meanings"] == "observed no_data read_failed layover_shadow"
    raw = xr.open_zarr(tmp_path / "map.zarr", mask_and_scale=False)["probability"]
    assert raw.dtype == np.uint8
    assert raw.attrs["scale_factor"] == 0.004
    assert raw.attrs["_FillValue"] == 255
    for name in ("probability", "observation", "slope"):
        assert stored[name].attrs["grid_mapping"] == "spatial_ref"
    assert stored["y"].attrs["axis"] == "Y"
    assert stored["x"].attrs["standard_name"] == "projection_x_coordinate"
    assert stored.attrs["Conventions"] == "CF-1.11"
    assert re.fullmatch(r"sarmap \S+: write_zarr", stored.attrs["history"])


def test_it_says_where_it_lies_by_geozarrs_conventions(tmp_path):
    """Also where it is part of a larger map, whose attributes it has."""
    whole = xr.open_zarr(write_zarr(make_map(shape=(9, 7)), tmp_path / "map.zarr"))
    part = whole.isel(y=slice(2, None), x=slice(1, None)).load()
    attrs = xr.open_zarr(write_zarr(part, tmp_path / "part.zarr")).attrs
    assert {one["name"]: one["uuid"] for one in attrs["zarr_conventions"]} == {
        "proj": "f17cb550-5864-4468-aeb7-f3180cfb622f",
        "spatial": "689b58e2-cf7b-45e0-9fff-9cfc0883d6b4",
    }
    assert attrs["proj:code"] == "EPSG:32654"
    assert attrs["spatial:dimensions"] == ["y", "x"]
    assert attrs["spatial:shape"] == [7, 6]
    assert attrs["spatial:transform"] == [10, 0, 500010, 0, -10, 4700070]
    assert attrs["history"].count(": write_zarr") == 2


def test_georeference_agrees_with_rioxarray_and_odc(tmp_path):
    import odc.geo.xr
    import rioxarray  # noqa: F401

    dataset = make_map(shape=(9, 7))
    stored = xr.open_zarr(write_zarr(dataset, tmp_path / "map.zarr"))
    expected = rasterio.transform.from_origin(500000, 4700090, 10, 10)
    assert stored.rio.crs.to_epsg() == 32654
    assert stored["probability"].rio.transform() == expected
    assert odc.geo.xr.ODCExtensionDs(stored).geobox.transform == expected
    assert geobox_of(stored) == geobox_of(dataset)


def test_what_was_never_stored_reads_as_not_seen(tmp_path):
    out = write_zarr(make_map(), tmp_path / "map.zarr")
    for name in ("probability", "observation"):
        shutil.rmtree(tmp_path / "map.zarr" / name / "c")
    stored = xr.open_zarr(out)
    assert np.isnan(stored["probability"]).all()
    assert (stored["observation"] == 1).all()


def test_one_nan_costs_one_pixel_and_is_marked_as_no_data(tmp_path):
    dataset = make_map(shape=(20, 20)).load()
    dataset["observation"][:] = 0
    dataset["probability"][:] = 0.7
    dataset["probability"][3, 4] = np.nan
    dataset["observation"][8, 9] = 3
    stored = open_map(write_zarr(dataset, tmp_path / "map.zarr"))
    assert int(np.isnan(stored["probability"]).sum()) == 2
    assert int(stored["observation"][3, 4]) == 1
    assert int(stored["observation"][8, 9]) == 3
    assert np.isnan(stored["probability"][8, 9])


def test_pixels_are_counted_by_what_was_seen(tmp_path):
    dataset = make_map()
    stored = open_map(write_zarr(dataset, tmp_path / "map.zarr"))
    counts = np.bincount(dataset["observation"].values.ravel(), minlength=4)
    meanings = ("observed", "no_data", "read_failed", "layover_shadow")
    expected = dict(zip(meanings, counts.tolist(), strict=True))
    assert count_observations(stored) == expected
    assert count_observations(dataset) == expected
    part = stored.isel(y=slice(0, 5))
    assert sum(count_observations(part).values()) == 5 * 70


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    blocks=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    chunk=st.integers(3, 40),
)
def test_values_are_the_same_for_every_shape_block_and_chunk(tmp_path, shape, blocks, chunk):
    dataset = make_map(shape).chunk({"y": blocks[0], "x": blocks[1]})
    stored = open_map(write_zarr(dataset, tmp_path / "map.zarr", chunk=chunk, overwrite=True))
    np.testing.assert_allclose(stored["probability"], dataset["probability"], atol=0.004)
    np.testing.assert_array_equal(stored["observation"], dataset["observation"])


def test_uneven_blocks_lose_nothing(tmp_path):
    dataset = make_map((50, 64)).chunk({"y": (7, 20, 3, 20), "x": (1, 60, 3)})
    stored = open_map(write_zarr(dataset, tmp_path / "map.zarr", chunk=8))
    np.testing.assert_array_equal(stored["observation"], dataset["observation"])


def test_many_threads_one_thread_and_numpy_write_the_same_bytes(tmp_path):
    dataset = make_map((300, 200), chunk=64)
    for name, scheduler in (("a", "threads"), ("b", "sync")):
        with dask.config.set(scheduler=scheduler, num_workers=8):
            write_zarr(dataset, tmp_path / name, chunk=32, shard=64)
    write_zarr(dataset.compute(), tmp_path / "c", chunk=32, shard=64)
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b") == fingerprint(tmp_path / "c")


def test_a_real_cluster_writes_the_same_bytes_and_tells_its_progress(tmp_path, local_workers):
    dataset = make_map((300, 200), chunk=64)
    write_zarr(dataset, tmp_path / "threads", chunk=32, shard=64)
    told = []
    overview = dataset["probability"][::10, ::10]
    with local_workers(2):
        write_zarr(
            dataset,
            tmp_path / "cluster",
            chunk=32,
            shard=64,
            progress=lambda done, of: told.append((done, of)),
            alongside=overview,
        )
    assert fingerprint(tmp_path / "threads") == fingerprint(tmp_path / "cluster")
    assert told == [(done, len(told)) for done in range(1, len(told) + 1)]
    assert len(told) > 1
    np.testing.assert_array_equal(overview.variable._data, dataset["probability"][::10, ::10])


def test_window_probabilities_keep_their_own_grid(tmp_path):
    dataset = make_map((30, 40), chunk=16)
    windows = np.linspace(0, 1, 15 * 20, dtype=np.float32).reshape(15, 20)
    dataset["window_probability"] = (("window_y", "window_x"), da.from_array(windows, chunks=7))
    dataset = dataset.assign_coords(
        window_y=dataset["y"].values[::2], window_x=dataset["x"].values[::2]
    )
    stored = xr.open_zarr(write_zarr(dataset, tmp_path / "map.zarr"))
    np.testing.assert_allclose(stored["window_probability"], windows, atol=0.004)
    np.testing.assert_array_equal(stored["window_y"], dataset["y"][::2])


def test_all_layers_come_from_one_pass(tmp_path):
    reads = []

    def read(block):
        reads.append(1)
        return block

    dataset = make_map((64, 64), chunk=32)
    source = dataset["probability"].data.map_blocks(read, dtype=np.float32, meta=np.empty((0, 0)))
    reads.clear()
    dataset["probability"] = (("y", "x"), source)
    dataset["slope"] = (("y", "x"), source * 30)
    overview = (dataset["probability"][::8, ::8] * 2).copy()
    with dask.config.set(scheduler="threads"):
        write_zarr(dataset, tmp_path / "map.zarr", chunk=32, shard=32, alongside=overview)
    assert len(reads) == 4
    assert isinstance(overview.variable._data, np.ndarray)


def test_a_map_of_one_block_tells_its_progress_too(tmp_path):
    told = []
    small = make_map(shape=(20, 20))
    write_zarr(small, tmp_path / "small.zarr", progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 1)]


def test_progress_counts_every_block_once(tmp_path):
    told = []
    write_zarr(
        make_map((96, 64), chunk=32),
        tmp_path / "map.zarr",
        chunk=32,
        shard=32,
        progress=lambda done, of: told.append((done, of)),
    )
    assert told == [(done, 6) for done in range(1, 7)]


def test_attributes_tell_how_it_was_made(tmp_path):
    out = write_zarr(
        make_map(),
        tmp_path / "map.zarr",
        attrs={
            "scenes": [{"id": "S1B", "datetime": "2018-09-13T08:34:00Z"}],
            "tiling": {"overlap": 0},
            "sarmap:seconds": lambda: 4.1,
        },
    )
    attrs = xr.open_zarr(out).attrs
    assert json.loads(attrs["scenes"])[0]["id"] == "S1B"
    assert json.loads(attrs["tiling"]) == {"overlap": 0}
    assert attrs["sarmap:seconds"] == 4.1
    assert attrs["sarmap:status"] == "complete"
    assert attrs["title"].startswith("SIMULATED")
    assert is_simulated(xr.open_zarr(out))


def test_no_signature_user_or_folder_reaches_the_store(tmp_path):
    secret = "https://me:pw@blob.example/s1/a.tif?sv=1&sig=SECRET"
    out = write_zarr(
        make_map(),
        tmp_path / "map.zarr",
        attrs={"a": secret, "b": {"c": [secret, "/home/me/w.keras"]}, "d": json.dumps([secret])},
    )
    text = "".join(f.read_text() for f in Path(out).rglob("zarr.json"))
    for leak in ("SECRET", "me:pw", "/home/me", str(tmp_path)):
        assert leak not in text
    assert "https://blob.example/s1/a.tif" in text


def test_an_existing_result_is_kept_unless_overwrite_says_so(tmp_path):
    out = tmp_path / "map.zarr"
    write_zarr(make_map(seed=1), out)
    before = fingerprint(out)
    with pytest.raises(RequestError, match=r"overwrite=True \(--overwrite\)"):
        write_zarr(make_map(seed=2), out)
    assert fingerprint(out) == before
    write_zarr(make_map(seed=2), out, overwrite=True)
    np.testing.assert_array_equal(open_map(out)["observation"], make_map(seed=2)["observation"])
    assert [file.name for file in tmp_path.iterdir()] == ["map.zarr"]


def test_a_failed_replacement_leaves_the_old_result(tmp_path):
    out = tmp_path / "map.zarr"
    write_zarr(make_map(seed=1), out)
    before = fingerprint(out)
    broken = make_map(seed=2)
    broken["probability"] = broken["probability"] + 3
    with pytest.raises(RequestError, match="outside 0-1"):
        write_zarr(broken, out, overwrite=True)
    assert fingerprint(out) == before
    assert [file.name for file in tmp_path.iterdir()] == ["map.zarr"]


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_what_is_not_a_zarr_store_is_never_replaced(tmp_path, kind):
    out = tmp_path / "thesis"
    if kind == "folder":
        out.mkdir()
        (out / "chapter.txt").write_text("years of work")
    else:
        out.write_text("years of work")
    with pytest.raises(RequestError, match="not a Zarr store"):
        write_zarr(make_map(), out, overwrite=True)
    assert (out / "chapter.txt" if kind == "folder" else out).read_text() == "years of work"


def test_a_place_that_takes_no_files_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    dataset = make_map()
    dataset["probability"] = (
        ("y", "x"),
        dataset["probability"].data.map_blocks(explode, meta=np.empty((0, 0), np.float32)),
    )
    with pytest.raises(OutputError, match=r"map\.zarr cannot be written"):
        write_zarr(dataset, tmp_path / "file" / "map.zarr")


def test_a_store_killed_half_way_is_refused(tmp_path):
    (tmp_path / "map.pickle").write_bytes(pickle.dumps(make_map((128, 64), chunk=32).compute()))
    code = f"""
import os, pickle
from sarmap.store.result import write_zarr
dataset = pickle.load(open({str(tmp_path / "map.pickle")!r}, "rb"))
write_zarr(dataset, {str(tmp_path / "map.zarr")!r}, chunk=32, shard=32,
           progress=lambda done, of: os._exit(9) if done == 3 else None)
"""
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert killed.returncode == 9, killed.stderr
    assert xr.open_zarr(tmp_path / "map.zarr").attrs["sarmap:status"] == "writing"
    with pytest.raises(RequestError, match="unfinished"):
        open_map(tmp_path / "map.zarr")
    write_zarr(make_map(), tmp_path / "map.zarr", overwrite=True)
    assert open_map(tmp_path / "map.zarr").sizes == {"y": 90, "x": 70}


def test_a_failed_first_write_is_not_taken_for_a_map(tmp_path):
    dataset = make_map()
    dataset["probability"] = (
        ("y", "x"),
        dataset["probability"].data.map_blocks(explode, meta=np.empty((0, 0), np.float32)),
    )
    with pytest.raises(AssertionError, match="computed"):
        write_zarr(dataset, tmp_path / "map.zarr")
    with pytest.raises(RequestError, match="unfinished"):
        open_map(tmp_path / "map.zarr")


def test_what_is_no_map_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(RequestError, match="is not a map"):
        open_map(tmp_path / "absent.zarr")
    xr.Dataset({"a": ("x", [1])}).to_zarr(tmp_path / "other.zarr", consolidated=False)
    with pytest.raises(RequestError, match="not a map that sarmap wrote"):
        open_map(tmp_path / "other.zarr")


def test_a_map_without_reference_system_is_refused(tmp_path):
    with pytest.raises(RequestError, match="reference system"):
        write_zarr(make_map().drop_vars("spatial_ref"), tmp_path / "map.zarr")


def test_it_writes_to_a_url_and_reads_back():
    dataset = make_map()
    url = "memory://sarmap-test/map.zarr"
    with dask.config.set(scheduler="threads"):
        write_zarr(dataset, url)
        with pytest.raises(RequestError, match="overwrite"):
            write_zarr(dataset, url)
        write_zarr(dataset, url, overwrite=True)
    np.testing.assert_array_equal(open_map(url)["observation"], dataset["observation"])


def test_an_unknown_kind_of_url_names_the_ones_that_work():
    with pytest.raises(RequestError, match="s3://"):
        write_zarr(make_map(), "nonsense://user:pw@host/map.zarr?token=SECRET")


def test_a_disk_that_fills_up_is_reported_by_layer_and_place(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    write_zarr(make_map(), tmp_path / "old.zarr")
    monkeypatch.setattr(zarr.Array, "__setitem__", refuse, raising=True)
    dataset = make_map()
    with pytest.raises(OutputError, match=r"\(No space left on device\)"):
        write_zarr(dataset, tmp_path / "map.zarr", patience=0)
    with pytest.raises(OutputError, match=r"'probability'.*row 0, column 0"):
        Sink(
            ("probability", "observation"),
            tuple(
                zarr.open_group(tmp_path / "old.zarr")[n] for n in ("probability", "observation")
            ),
            ("probability", "none"),
            (512, 512),
            patience=0,
        ).write([dataset["probability"].values, dataset["observation"].values], (0, 0))


def test_an_object_store_takes_a_map_and_gives_it_back(s3):
    dataset = make_map()
    url = f"s3://{s3.bucket}/export/map.zarr"
    write_zarr(dataset, url)
    np.testing.assert_array_equal(open_map(url)["observation"], dataset["observation"])
    with pytest.raises(RequestError, match="overwrite=True"):
        write_zarr(dataset, url)
    write_zarr(make_map(seed=7), url, overwrite=True)
    np.testing.assert_array_equal(open_map(url)["observation"], make_map(seed=7)["observation"])
    with pytest.raises(OutputError, match=r"s3://absent/map\.zarr") as caught:
        write_zarr(dataset, "s3://absent/map.zarr")
    assert s3.environment["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)
    with pytest.raises(RequestError, match="is not a map"):
        open_map(f"s3://{s3.bucket}/nothing.zarr")


def test_zarr_arrays_travel_to_workers(tmp_path):
    group = zarr.open_group(write_zarr(make_map(), tmp_path / "map.zarr"), mode="r")
    copy = pickle.loads(pickle.dumps(group["probability"]))
    np.testing.assert_array_equal(copy[...], group["probability"][...])
