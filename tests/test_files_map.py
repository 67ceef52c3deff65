"""Files on disk take the route of a catalogue's scenes: one command, all products, the same map."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import rasterio
import xarray as xr

import sarmap
from sarmap.cli import main
from sarmap.errors import RequestError


@pytest.fixture(scope="module")
def catalogue(server):
    """The small event's catalogue, without elevation: what files alone give."""
    return replace(server.catalog, dem_collection=None)


def request(own_files, out, **changes):
    fields = {
        "pre_files": [own_files / "before"],
        "post_files": [own_files / "after"],
        "detector": "change",
        "out": out and str(out),
    }
    return sarmap.MapRequest(**fields | changes)


def test_the_same_pixels_through_a_catalogue_give_the_same_map(
    event, catalogue, own_files, tmp_path
):
    own = sarmap.map_landslides(request(own_files, tmp_path / "own.zarr", area=event.grid))
    searched = sarmap.MapRequest(
        area=event.grid, event=event.event, catalog=catalogue, orbit="ascending",
        detector="change", pre=2, post=2, out=str(tmp_path / "searched.zarr"),
    )  # fmt: skip
    other = sarmap.map_landslides(searched)
    for name in ("probability", "observation"):
        np.testing.assert_array_equal(own.dataset[name].values, other.dataset[name].values)
    assert (own.dataset.observation.values == 0).mean() > 0.5
    attrs = xr.open_zarr(own.path).attrs
    assert str(own_files) not in json.dumps({key: str(value) for key, value in attrs.items()})


def printed(capsys, words):
    """What a command prints as JSON."""
    with pytest.raises(SystemExit) as caught:
        main([*words, "--json"])
    assert not caught.value.code
    return json.loads(capsys.readouterr().out)


def test_one_command_from_two_folders_to_every_product(own_files, tmp_path, capsys):
    out = tmp_path / "map.zarr"
    command = [
        "map", "--pre", str(own_files / "before"), "--post", str(own_files / "after"),
        "--dem", str(own_files / "dem.tif"), "--detector", "log-ratio", "--out", str(out),
        "--products", "cog,geopackage,item,quicklook",
    ]  # fmt: skip
    said = printed(capsys, command)
    assert set(said["files"]) == {"cog", "geopackage", "item", "quicklook"}
    assert any("from where the radar looked" in one for one in said["warnings"])
    assert any(one.startswith("Not read, since 'log-ratio'") for one in said["warnings"])
    stored = xr.open_zarr(out)
    assert float(stored.slope.max()) > 5
    assert printed(capsys, [*command, "--resume"])["computed"] == 0


def test_a_request_file_names_files_too(own_files, tmp_path, capsys):
    path = tmp_path / "own.yaml"
    path.write_text(
        f"pre: [{own_files / 'before'}]\npost: {own_files / 'after'}\ndetector: change\n"
        f"out: {tmp_path / 'map.zarr'}\n"
    )
    (orbit,) = printed(capsys, ["plan", str(path)])["orbits"]
    assert [one["role"] for one in orbit["passes"]] == ["pre_2", "pre", "post_1", "post_2"]
    assert orbit["orbit_state"] == "ascending"


def as_hdf5(image, path):
    """The pixels of a GeoTIFF as HH of an OPERA RTC-S1 product."""
    with rasterio.open(image) as file, h5py.File(path, "w") as made:
        values, place = file.read(1), file.transform
        made["data/HH"] = np.where(values > 0, values, np.float32(np.nan))
        made["data/xCoordinates"] = place.c + place.a * (np.arange(file.width) + 0.5)
        made["data/yCoordinates"] = place.f + place.e * (np.arange(file.height) + 0.5)
        made["data/projection"] = file.crs.to_epsg()


def test_hh_in_hdf5_is_mapped_by_change_and_by_no_network(own_files, tmp_path):
    for side in ("before", "after"):
        (tmp_path / side).mkdir()
        for path in sorted((own_files / side).glob("*_VV.tif")):
            as_hdf5(path, tmp_path / side / f"{path.stem.replace('_VV', '')}.h5")
    hh = request(tmp_path, tmp_path / "hh.zarr")
    alone = {
        f"{key}_files": sorted((own_files / side).glob("*_VV.tif"))
        for key, side in (("pre", "before"), ("post", "after"))
    }
    vv = request(own_files, tmp_path / "vv.zarr", **alone)
    maps = [sarmap.map_landslides(one).dataset.probability.values for one in (hh, vv)]
    np.testing.assert_array_equal(*maps)
    with pytest.raises(RequestError, match="mapped by 'change' alone"):
        sarmap.plan(hh.model_copy(update={"detector": "log-ratio"}))


@pytest.mark.parametrize(
    ("convert", "scaling"),
    [(np.sqrt, "amplitude"), (lambda power: 10 * np.log10(power), "db")],
)
def test_files_stored_otherwise_are_known_or_read_as_told(own_files, tmp_path, convert, scaling):
    for path in sorted(own_files.glob("*/*.tif")):
        stored = tmp_path / path.parent.name / path.name
        stored.parent.mkdir(exist_ok=True)
        with rasterio.open(path) as file:
            values, profile = file.read(1), file.profile
        values[values <= 0] = np.nan
        profile.update(nodata=None)
        with rasterio.open(stored, "w", **profile) as file:
            file.write(convert(values), 1)
    for detector in ("change", "log-ratio"):
        with pytest.raises(RequestError, match=f"likely .*--scaling {scaling}"):
            sarmap.plan(request(tmp_path, None, detector=detector))
    told = request(tmp_path, tmp_path / "b.zarr", scaling=scaling)
    plain = request(own_files, tmp_path / "c.zarr")
    found, wanted = (sarmap.map_landslides(one).dataset for one in (told, plain))
    np.testing.assert_allclose(found.probability, wanted.probability, atol=0.03)
