"""The GeoTIFF is cloud-optimised, in place, and says what it is."""

import numpy as np
import pytest
import rasterio
import xarray as xr
from odc.geo.geobox import GeoBox

from sarmap.errors import OutputError, RequestError
from sarmap.export.cog import write_cog
from sarmap.store.georeference import spatial_ref_attrs
from sarmap.store.result import write_zarr


def make_map(shape=(1100, 700), seed=0):
    rng = np.random.default_rng(seed)
    probability = rng.random(shape, dtype=np.float32)
    observation = rng.choice([0, 0, 0, 1, 2, 3], shape).astype(np.uint8)
    probability[observation != 0] = np.nan
    bounds = (500000, 4700000, 500000 + 10 * shape[1], 4700000 + 10 * shape[0])
    grid = GeoBox.from_bbox(bounds, "epsg:32654", resolution=10)
    return xr.Dataset(
        {
            "probability": (("y", "x"), probability),
            "observation": (("y", "x"), observation),
            "slope": (("y", "x"), rng.uniform(0, 60, shape).astype(np.float32)),
        },
        coords={
            "y": grid.coords["y"].values,
            "x": grid.coords["x"].values,
            "spatial_ref": ((), 0, spatial_ref_attrs(grid)),
        },
        attrs={"simulated": 1, "attribution": "ESA", "scenes": [{"id": "S1B"}]},
    )


def test_rasterio_reads_the_same_probabilities_in_the_same_place(tmp_path):
    dataset = make_map()
    with rasterio.open(write_cog(dataset, tmp_path / "a.tif")) as image:
        assert image.crs.to_epsg() == 32654
        assert image.transform == rasterio.transform.from_origin(500000, 4711000, 10, 10)
        values = image.read(1, masked=True) * image.scales[0] + image.offsets[0]
        sample = next(image.sample([(500015, 4710985)]))[0]
    probability = dataset["probability"].values
    np.testing.assert_array_equal(values.mask, np.isnan(probability))
    np.testing.assert_allclose(values.filled(np.nan), probability, atol=0.004)
    np.testing.assert_array_equal(values.filled(0) >= 0.5, np.nan_to_num(probability) >= 0.5)
    expected = dataset["probability"].sel(x=500015, y=4710985).item()
    assert (sample == 255) if np.isnan(expected) else abs(sample * 0.004 - expected) <= 0.004


def test_it_is_laid_out_as_a_cog_with_overviews(tmp_path):
    with rasterio.open(write_cog(make_map(), tmp_path / "a.tif")) as image:
        assert image.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert image.block_shapes == [(512, 512)]
        assert image.overviews(1) == [2, 4]
        assert image.dtypes == ("uint8",)
        assert image.nodata == 255


def test_tags_say_simulated_source_and_unit(tmp_path):
    with rasterio.open(write_cog(make_map(), tmp_path / "a.tif")) as image:
        tags = image.tags()
        assert image.descriptions == ("landslide probability",)
    assert tags["SIMULATED"] == "YES"
    assert tags["ATTRIBUTION"] == "ESA"
    assert tags["SCENES"] == "S1B"
    assert tags["AREA_OR_POINT"] == "Area"
    assert "SIMULATED" in tags["TIFFTAG_IMAGEDESCRIPTION"]


def test_stored_and_lazy_maps_give_the_same_pixels(tmp_path):
    dataset = make_map((300, 200))
    store = write_zarr(dataset.chunk(64), tmp_path / "map.zarr", chunk=32)
    images = []
    for number, source in enumerate((dataset, dataset.chunk(70), store)):
        with rasterio.open(write_cog(source, tmp_path / f"{number}.tif")) as image:
            images.append(image.read())
    np.testing.assert_array_equal(images[0], images[1])
    np.testing.assert_array_equal(images[0], images[2])


def test_other_layers(tmp_path):
    dataset = make_map((60, 50))
    with rasterio.open(write_cog(dataset, tmp_path / "o.tif", variable="observation")) as image:
        np.testing.assert_array_equal(image.read(1), dataset["observation"])
    with rasterio.open(write_cog(dataset, tmp_path / "s.tif", variable="slope")) as image:
        np.testing.assert_allclose(image.read(1) * image.scales[0], dataset["slope"], atol=0.21)
    with pytest.raises(RequestError, match="not in the map"):
        write_cog(dataset.drop_vars("slope"), tmp_path / "x.tif", variable="slope")


def test_one_pixel_is_a_map_too(tmp_path):
    with rasterio.open(write_cog(make_map((1, 1)), tmp_path / "a.tif")) as image:
        assert image.shape == (1, 1)


def test_existing_misnamed_and_unwritable_files_are_refused(tmp_path):
    dataset = make_map((30, 20))
    file = tmp_path / "a.tif"
    file.write_text("mine")
    with pytest.raises(RequestError, match="overwrite=True"):
        write_cog(dataset, file)
    assert file.read_text() == "mine"
    write_cog(dataset, file, overwrite=True)
    assert [one.name for one in tmp_path.iterdir()] == ["a.tif"]
    with pytest.raises(RequestError, match=r"\.tif"):
        write_cog(dataset, tmp_path / "a.png")
    with pytest.raises(OutputError, match="cannot be written"):
        write_cog(dataset, file / "b.tif")


def test_as_float_the_values_are_probabilities_and_what_was_not_seen_is_none(tmp_path):
    dataset = make_map((40, 30))
    with rasterio.open(write_cog(dataset, tmp_path / "a.tif", dtype="float32")) as image:
        values = image.read(1)
        assert image.dtypes == ("float32",)
        assert image.scales == (1.0,)
        assert np.isnan(image.nodata)
    truth = dataset.probability.values
    np.testing.assert_array_equal(np.isnan(values), np.isnan(truth))
    assert np.nanmax(np.abs(values - truth)) <= 0.004
    with pytest.raises(RequestError, match="float32 for what is no code"):
        write_cog(dataset, tmp_path / "b.tif", variable="observation", dtype="float32")
