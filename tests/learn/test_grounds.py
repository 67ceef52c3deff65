"""Real passes of quiet places, into which landslides are put, as events to learn from."""

import hashlib

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from pydantic import ValidationError

from sarmap.compose.names import EVIDENCE
from sarmap.errors import RequestError
from sarmap.learn.config import TrainingConfig
from sarmap.learn.grounds import GroundSource, ground_record, open_grounds
from sarmap.learn.index import PatchRule
from sarmap.learn.sample_writing import write_samples

BANDS = (*EVIDENCE, "slope", "incidence")
DAYS = [f"2020{month:02d}15" for month in range(1, 7)]


def _speckle(number):
    return np.random.default_rng(number).gamma(6, 0.2 / 6, (64, 72)).astype("f4")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("passes")
    for number, day in enumerate(DAYS):
        for band, gain in (("VV", 1.0), ("VH", 0.2)):
            path = folder / f"S1A_IW_{day}T050000_DVP_RTC30_{band}.tif"
            how = {"driver": "GTiff", "height": 64, "width": 72, "count": 1, "dtype": "float32"}
            where = {"crs": "EPSG:32611", "transform": Affine(30, 0, 4e5, 0, -30, 4e6)}
            with rasterio.open(path, "w", **how, **where) as out:
                out.write(gain * _speckle(number), 1)
    return folder


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    path = tmp_path_factory.mktemp("series") / "place.nc"
    stack = 10 * np.log10(np.stack([_speckle(n) for n in range(6)]))
    data = xr.Dataset(
        {
            "VV": (("y", "x", "time"), stack.transpose(1, 2, 0)),
            "elevation": (("y", "x"), np.arange(72, dtype="f4")[None].repeat(64, 0) * 15),
        },
        coords={
            "time": np.array([f"{d[:4]}-{d[4:6]}-{d[6:]}" for d in DAYS], "datetime64[ns]"),
            "y": np.arange(64) * 30.0,
            "x": np.arange(72) * 30.0,
        },
    )
    data.to_netcdf(path, engine="h5netcdf")
    return path


def _source(**how):
    fixed = {"name": "quiet", "first": 3, "count": 1, "without_vh": 0, "without_terrain": 0}
    return GroundSource(**(fixed | how))


def test_landslides_are_put_into_files_on_disk(files, tmp_path):
    source = _source(files=(str(files),), quiet=0, physics={"land_share": 0.1})
    (scene,) = open_grounds([source], BANDS, tmp_path)
    truth = scene.labels.mask(slice(None), slice(None)) == 1
    moved = np.abs(scene.composite.sel(band="vv_change_in_noise").values)
    assert scene.simulated
    assert scene.composite.shape[1:] == truth.shape
    assert moved[truth].mean() > 1.5 * moved[~truth].mean()


def test_in_a_quiet_share_nothing_is_put(files, tmp_path):
    (scene,) = open_grounds([_source(files=(str(files),), quiet=1)], BANDS, tmp_path)
    assert not scene.labels.mask(slice(None), slice(None)).any()
    assert len(scene.labels.landslides) == 0


def test_a_series_in_db_has_terrain_from_its_elevation_and_ends_where_told(series, tmp_path):
    source = _source(series=str(series), scaling="db", until="2020-04-01", columns=(0, 64))
    (scene,) = open_grounds([source], BANDS, tmp_path)
    level = scene.composite.sel(band="vv_mean_before").values
    assert abs(float(np.median(level)) + 7.0) < 0.5  # 0.2 of power
    slope = scene.composite.sel(band="slope").values
    assert np.allclose(slope, np.degrees(np.arctan(0.5)), atol=0.1)
    with pytest.raises(RequestError, match="1 passes"):
        open_grounds([source.model_copy(update={"until": "2020-02-01"})], BANDS, tmp_path / "b")


def test_other_bytes_than_the_hash_says_are_refused(series, tmp_path):
    told = hashlib.sha256(series.read_bytes()).hexdigest()
    right = _source(series=str(series), scaling="db", sha256=told)
    assert ground_record(right)["sha256"] == told
    assert open_grounds([right], BANDS, tmp_path)
    wrong = right.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(RequestError, match="are not those of sha256 000000000000"):
        open_grounds([wrong], BANDS, tmp_path / "b")


def test_what_is_kept_is_not_made_again(series, tmp_path, monkeypatch):
    source = _source(series=str(series), scaling="db")
    (made,) = open_grounds([source], BANDS, tmp_path)
    monkeypatch.setattr("sarmap.learn.grounds._make", lambda *a: pytest.fail("made again"))
    (again,) = open_grounds([source], BANDS, tmp_path)
    assert np.array_equal(again.composite.values, made.composite.values, equal_nan=True)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({}, "needs files, series or area"),
        ({"series": "a.nc", "area": (1, 2, 3, 4)}, "one of them"),
        ({"area": (1, 2, 3, 4)}, "lacks until"),
    ],
)
def test_a_ground_has_one_source_of_passes(how, sentence):
    with pytest.raises(ValidationError, match=sentence):
        _source(**how)


def test_grounds_alone_are_something_to_learn_from(series):
    config = TrainingConfig(name="mine", scaling="db", grounds=(_source(series=str(series)),))
    assert config.grounds[0].name == "quiet"


def test_a_quiet_scene_keeps_its_patches_whatever_share_of_empty_ones_a_rule_keeps(
    series, tmp_path
):
    source = _source(series=str(series), scaling="db", quiet=1)
    (quiet,) = open_grounds([source], BANDS, tmp_path)
    rule = PatchRule(tile=32, stride=32, keep="all", empty=0.0)
    store = write_samples([quiet], tmp_path / "samples.zarr", rule, normalisation="fixed")
    assert len(store) >= 2
