"""Files made to the layout of Sen12Landslides, odd ones too, as events to learn from."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import sarmap.detect
from sarmap.compose.names import EVIDENCE
from sarmap.detect.manifest import read_manifest
from sarmap.errors import RequestError
from sarmap.learn.card import make_card
from sarmap.learn.config import TrainingConfig, read_config
from sarmap.learn.index import PatchRule
from sarmap.learn.sample_writing import write_samples
from sarmap.learn.sen12landslides import PatchSource, kept_patches, open_patches, patch_record

BANDS = (*EVIDENCE, "slope", "incidence")
EDGE = 64
EVENT = np.datetime64("2020-07-04")
DATES = [EVENT + np.timedelta64(12 * step + 2, "D") for step in range(-7, 8)]
SLIDE = (slice(20, 44), slice(8, 24))


def _patch(seed=0, decibel=False):
    """15 dates of speckle in which a rectangle grows 6 dB brighter on 4 July; axes as published."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((EDGE, EDGE), "u1")
    mask[SLIDE] = 1
    power = 0.1 * rng.gamma(9, 1 / 9, (15, EDGE, EDGE)).astype("f4")
    power[np.array(DATES) > EVENT] *= np.where(mask, 4, 1).astype("f4")
    bands = {"VV": power, "VH": power / 5}
    if decibel:
        bands = {name: 10 * np.log10(values) for name, values in bands.items()}
    height = np.tile(np.arange(EDGE, dtype="i2")[None] * 5, (EDGE, 1))
    repeated = {"DEM": height, "MASK": mask}
    planes = {n: np.broadcast_to(plane, power.shape) for n, plane in repeated.items()}
    return xr.Dataset(
        {n: (("time", "x", "y"), np.swapaxes(v, 1, 2)) for n, v in (bands | planes).items()},
        coords={
            "time": np.array(DATES, "datetime64[ns]"),
            "x": 5e5 + 10.0 * np.arange(EDGE),
            "y": 4e6 - 10.0 * np.arange(EDGE),
        },
        attrs={
            "event_date": str(EVENT),
            "pre_post_dates": "{'pre': 6, 'post': 7}",
            "annotated": "True",
            "satellite": "s1-asc",
            "crs": "EPSG:32654",
        },
    )


def _write(root, name, data, sensor="s1asc"):
    folder = root / sensor
    folder.mkdir(parents=True, exist_ok=True)
    data.to_netcdf(folder / f"{name}.nc", engine="h5netcdf")
    return root


def _open(root, out, **how):
    return open_patches([PatchSource(folder=str(root), sensors=("s1asc",), **how)], BANDS, out)


@pytest.mark.parametrize("decibel", [False, True])
def test_a_patch_is_real_evidence_of_change_where_its_mask_is(tmp_path, decibel):
    root = _write(tmp_path, "italy_s1asc_7", _patch(decibel=decibel))
    (scene,) = _open(root, tmp_path / "kept", scaling="db" if decibel else "power")
    truth = scene.labels.mask(slice(None), slice(None)) == 1
    expected = np.zeros((EDGE, EDGE), bool)
    expected[SLIDE] = True
    assert np.array_equal(truth, expected)
    assert not scene.simulated
    assert scene.composite.attrs["simulated"] == 0
    change = scene.composite.sel(band="vv_levelled_change").values
    assert np.median(change[truth]) == pytest.approx(6.0, abs=1.0)
    assert np.median(change[~truth]) == pytest.approx(0.0, abs=0.5)
    slope = scene.composite.sel(band="slope").values
    assert np.median(slope) == pytest.approx(np.degrees(np.arctan(0.5)), abs=0.1)


def test_places_train_choose_and_test_as_the_samples_and_the_card_say(tmp_path):
    for place in ("italy", "usa_puertorico", "hokkaido"):
        _write(tmp_path, f"{place}_s1asc_1", _patch())
    places = {"hold_out": ("hokkaido",), "validation": ("usa_puertorico",)}
    scenes = _open(tmp_path, tmp_path / "kept", **places)
    assert [scene.role for scene in scenes] == ["test", "training", "validation"]
    rule = PatchRule(tile=32, stride=32, keep="all")
    store = write_samples(scenes, tmp_path / "samples.zarr", rule, normalisation="fixed")
    assert len(store) == 12
    assert store.attrs["simulated"] is False
    manifest = read_manifest(Path(sarmap.detect.__file__).parent / "data" / "attention-unet.json")
    card = make_card(manifest, store.events, {})
    assert "| 1 patches of hokkaido | real | test | 1 | 0 | 64 x 64 | - |" in card
    assert "doi:10.1038/s41597-025-06167-2, CC BY 4.0" in card


def test_a_place_that_is_not_there_or_has_two_roles_is_refused(tmp_path):
    _write(tmp_path, "italy_s1asc_1", _patch())
    with pytest.raises(RequestError, match="nepal is not there; there are italy"):
        _open(tmp_path, tmp_path / "kept", hold_out=("nepal",))
    with pytest.raises(RequestError, match="italy cannot both test and choose"):
        _open(tmp_path, tmp_path / "kept", hold_out=("italy",), validation=("italy",))


def test_a_list_of_the_set_says_which_files_are_taken(tmp_path):
    for number in (1, 2):
        _write(tmp_path, f"italy_s1asc_{number}", _patch())
    listed = tmp_path / "splits.json"
    listed.write_text(json.dumps({"train": [{"s1asc": "s1asc/italy_s1asc_2.nc"}]}))
    scenes = _open(tmp_path, tmp_path / "kept", listed=(str(listed),))
    assert [scene.name for scene in scenes] == ["Sen12Landslides italy_s1asc_2"]


def _passes_used(tmp_path, data, name="italy_s1asc_1"):
    """Passes before and after the event, from what is kept of a file."""
    _open(_write(tmp_path, name, data), tmp_path / "kept")
    (record,) = (tmp_path / "kept").glob("*.json")
    measures = json.loads(record.read_text())["measures"]
    return measures["before"], measures["after"]


def test_vv_alone_is_used(tmp_path):
    assert _passes_used(tmp_path, _patch().drop_vars("VH"))[0] >= 1


def test_empty_and_repeated_dates_and_those_of_the_event_day_are_no_passes(tmp_path):
    data = _patch()
    data.VV[:5] = np.nan  # two remain before the event
    days = data.time.values.copy()
    days[6] = days[5] + np.timedelta64(1, "h")  # of which one repeats the other
    days[8:13], days[13:] = days[7], EVENT  # one after it, its copies, and the day itself
    assert _passes_used(tmp_path, data.assign_coords(time=days)) == (1, 1)


def test_of_several_events_passes_before_the_first_and_after_the_last_are_used(tmp_path):
    data = _patch()
    data.attrs["event_date"] = f"{DATES[13]},{DATES[1]},None"
    assert _passes_used(tmp_path, data) == (1, 1)


def test_a_patch_without_landslides_needs_no_event_date(tmp_path):
    data = _patch()
    data["MASK"] = data.MASK * 0
    data.attrs["event_date"] = "None"
    before, after = _passes_used(tmp_path, data)
    assert before >= 1
    assert after >= 1


def _other_mask(data):
    return data.assign(MASK=(("mask_y", "mask_x"), np.zeros((32, 32), "u1")))


ODD = {
    "2010-01-01 is not within its dates": lambda d: d.assign_attrs(event_date="2010-01-01"),
    "2030-01-01 is not within its dates": lambda d: d.assign_attrs(event_date="2030-01-01"),
    "no event_date": lambda d: d.assign_attrs(event_date="None"),
    "another shape than VV": _other_mask,
    "lacks VV": lambda d: d.drop_vars("VV"),
    "its dates hold no pass": lambda d: d.assign(VV=d.VV * np.nan, VH=d.VH * np.nan),
    "set scaling: db": lambda d: d.assign(VV=10 * np.log10(d.VV)),
    "no metres": lambda d: d.assign_coords(x=d.x / 1e5),
}


def test_what_cannot_be_used_is_left_out_counted_and_named(tmp_path, caplog):
    _write(tmp_path, "italy_s1asc_good", _patch())
    for number, spoil in enumerate(ODD.values()):
        _write(tmp_path, f"italy_s1asc_{number}", spoil(_patch()))
    with caplog.at_level(logging.WARNING):
        scenes = _open(tmp_path, tmp_path / "kept")
    assert [scene.name for scene in scenes] == ["Sen12Landslides italy_s1asc_good"]
    for number, why in enumerate(ODD):
        (said,) = (line for line in caplog.messages if why in line)
        assert f"of {len(ODD) + 1} files left out" in said
        assert f"italy_s1asc_{number}.nc" in said
    source = PatchSource(folder=str(tmp_path), sensors=("s1asc",))
    assert len([*kept_patches([source], BANDS, tmp_path / "kept")]) == 1


def test_no_usable_file_and_no_file_are_refused(tmp_path):
    (tmp_path / "s1asc").mkdir()
    with pytest.raises(RequestError, match=r"holds no file s1asc/\*.nc"):
        _open(tmp_path, tmp_path / "kept")
    (tmp_path / "s1asc" / "italy_s1asc_1.nc").write_bytes(b"damaged")
    with pytest.raises(RequestError, match=r"None of the 1 files .* cannot be read as NetCDF"):
        _open(tmp_path, tmp_path / "kept")


def test_what_is_kept_is_not_made_again_until_the_file_changes(tmp_path, monkeypatch):
    _write(tmp_path, "italy_s1asc_1", _patch())
    (made,) = _open(tmp_path, tmp_path / "kept")
    with monkeypatch.context() as patched:
        patched.setattr("sarmap.learn.sen12landslides._make", lambda *a: pytest.fail("made again"))
        (again,) = _open(tmp_path, tmp_path / "kept")
    assert np.array_equal(again.composite.values, made.composite.values, equal_nan=True)
    _write(tmp_path, "italy_s1asc_1", _patch(seed=1))
    (other,) = _open(tmp_path, tmp_path / "kept")
    assert not np.array_equal(other.composite.values, made.composite.values, equal_nan=True)


def test_the_set_alone_is_something_to_learn_from_and_a_manifest_holds_no_path(tmp_path):
    source = PatchSource(folder=str(_write(tmp_path, "italy_s1asc_1", _patch())))
    config = TrainingConfig(name="mine", scaling="db", sen12landslides=(source,))
    assert config.sen12landslides[0].sensors == ("s1asc", "s1dsc")
    record = patch_record(source)
    assert record["files"] == 1
    assert str(tmp_path) not in json.dumps(record)


def test_the_example_takes_the_shipped_weights_bands_and_holds_places_out():
    root = Path(__file__).parents[2] / "examples"
    config = read_config(root / "sen12landslides.yaml")
    assert config.bands == read_config(root / "attention-unet.yaml").bands
    assert config.sen12landslides[0].hold_out
