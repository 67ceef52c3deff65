"""HDF5 products of OPERA and NISAR: read as their GeoTIFFs are, and never out of themselves."""

import h5py
import numpy as np
import pytest
import rasterio
from affine import Affine

import sarmap
from sarmap.acquire.own_passes import radar_files
from sarmap.acquire.own_request import completed, passes_in_files
from sarmap.errors import RequestError
from sarmap.mapping import judge
from sarmap.types import Observation

OPERA = "OPERA_L2_RTC-S1_T137-292319-IW2_{}Z_20250830T120333Z_S1A_30_v1.0"
NISAR = "NISAR_L2_PR_GCOV_024_033_A_017_4005_DHDH_A_{0}_{0}_P05023_N_F_J_001"
DAYS = "20211119T015858", "20211201T015857"
GCOV = "science/LSAR/GCOV/grids/frequencyA"
SHAPE = (70, 90)
PLACE = Affine(30, 0, 500_010, 0, -30, 4_700_040)


def pixels(seed):
    made = np.random.default_rng(seed).uniform(0.05, 0.5, SHAPE).astype(np.float32)
    made[:, :4] = np.nan
    return made


def product(path, bands, group="data", *, taken=None, epsg=32654):
    """A product laid out as its specification says; centres of pixels as coordinates."""
    with h5py.File(path, "w") as file:
        grid = file.create_group(group)
        for name, values in bands.items():
            plane = grid.create_dataset(name, data=values, chunks=(32, 32), compression="gzip")
            plane.attrs["_FillValue"] = np.float32(np.nan)
            plane.attrs["grid_mapping"] = np.bytes_("projection")
        grid["xCoordinates"] = PLACE.c + 30 * (np.arange(SHAPE[1]) + 0.5)
        grid["yCoordinates"] = PLACE.f - 30 * (np.arange(SHAPE[0]) + 0.5)
        grid["projection"] = np.int32(epsg)
        grid["projection"].attrs["epsg_code"] = np.int32(epsg)
        if taken:
            where = "/".join([*group.split("/")[:-3], "identification/zeroDopplerStartTime"])
            file[where] = np.bytes_(taken)
    return path


def opera(folder, when, seed=1):
    return product(
        folder / f"{OPERA.format(when)}.h5", {"VV": pixels(seed), "VH": pixels(seed) / 5}
    )


def cube_of(pre, post, **how):
    asked = completed(sarmap.MapRequest(pre_files=[pre], post_files=[post]))
    passes = passes_in_files(asked)
    bands = tuple(asked.catalog.radar_assets)
    return sarmap.open_cube(passes, asked.area, bands=bands, **how), passes


def test_an_opera_product_gives_the_pixels_of_its_geotiffs(tmp_path):
    inside = [opera(tmp_path, when, seed) for seed, when in enumerate(DAYS)]
    (tmp_path / "tif").mkdir()
    for seed, when in enumerate(DAYS):
        for pol, share in (("VV", 1), ("VH", 5)):
            path = tmp_path / "tif" / when / f"{OPERA.format(when)}_{pol}.tif"
            path.parent.mkdir(exist_ok=True)
            with rasterio.open(
                path, "w", driver="GTiff", count=1, height=70, width=90, dtype="float32",
                crs=32654, transform=PLACE,
            ) as file:  # fmt: skip
                file.write(pixels(seed) / share, 1)
    cube, passes = cube_of(*inside, chunk=31)
    same, _ = cube_of(*(tmp_path / "tif" / when for when in DAYS))
    for name in ("vv", "vh", "observation"):
        np.testing.assert_array_equal(cube[name].values, same[name].values)
    assert cube.x.values[0] == 500_025
    assert passes.relative_orbit == 137
    assert f"{passes.post[0].datetime:%Y%m%dT%H%M%S}" == DAYS[1]
    made = sarmap.make_cube(inside[:1], inside[1:])
    named = sarmap.make_cube([{"vh": inside[0]}], [{"vh": inside[1]}])
    np.testing.assert_array_equal(made.vv.values, cube.vv.values)
    np.testing.assert_array_equal(named.vh.values, cube.vh.values)


def test_nisar_is_l_band_whose_date_stands_in_the_name_or_in_the_file(tmp_path):
    bands = {"HHHH": pixels(1), "HVHV": pixels(1) / 5, "HHHV": pixels(2)}
    named = product(tmp_path / f"{NISAR.format('20260628T112725')}.h5", bands, GCOV)
    plain = product(tmp_path / "later.h5", bands, GCOV, taken="2026-07-10T11:27:24.000000000")
    cube, passes = cube_of(named, plain)
    assert [f"{one.datetime:%Y%m%dT%H%M%S}" for one in passes] == [
        "20260628T112725",
        "20260710T112724",
    ]
    assert {"hh", "hv"} <= set(cube)
    assert "vv" not in cube
    assert passes.pre[0].relative_orbit == 33
    assert any(note.code == "wavelength" for note in judge(cube, None).trust.notes)


def outward(path, other, how):
    """A product that names another file."""
    product(path, {"VH": pixels(1)})
    with h5py.File(path, "a") as file:
        if how == "external link":
            file["data/VV"] = h5py.ExternalLink(str(other), "data/VV")
        elif how == "external group":
            del file["data"]
            file["data"] = h5py.ExternalLink(str(other), "data")
        elif how == "soft link":
            file["away"] = h5py.ExternalLink(str(other), "/")
            file["data/VV"] = h5py.SoftLink("/away/data/VV")
        elif how == "external storage":
            raw = [(str(other), 0, 4 * SHAPE[0] * SHAPE[1])]
            file.create_dataset("data/VV", SHAPE, np.float32, external=raw)
        else:
            layout = h5py.VirtualLayout(SHAPE, np.float32)
            layout[:] = h5py.VirtualSource(str(other), "data/VV", SHAPE)
            file.create_virtual_dataset("data/VV", layout)
    return path


@pytest.mark.parametrize(
    "how",
    ["external link", "external group", "soft link", "external storage", "virtual dataset"],
)
def test_no_other_file_is_opened_for_one(tmp_path, how):
    other = opera(tmp_path, DAYS[0])
    path = outward(tmp_path / "20211201.h5", other, how)
    with pytest.raises(RequestError, match=r"20211201\.h5 leads out of itself .*no other file"):
        cube_of(other, path)


def uneven(file):
    file["data/xCoordinates"][1] += 7


def unplaced(file):
    file["data/projection"].attrs["epsg_code"] = 0


def without_bands(file):
    del file["data/VV"]
    del file["data/VH"]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (uneven, r"pixels of 20211201\.h5 are not evenly spaced .data/xCoordinates."),
        (unplaced, r"20211201\.h5 has no map projection"),
        (without_bands, r"20211201\.h5 holds no backscatter where OPERA .*_VV\.tif"),
    ],
)
def test_what_is_laid_out_otherwise_is_refused(tmp_path, spoil, sentence):
    path = opera(tmp_path, DAYS[1]).rename(tmp_path / "20211201.h5")
    with h5py.File(path, "a") as file:
        spoil(file)
    with pytest.raises(RequestError, match=sentence):
        cube_of(opera(tmp_path, DAYS[0]), path)


def test_what_is_no_hdf5_is_said_without_its_folder(tmp_path):
    (tmp_path / "20211201.h5").write_bytes(b"no such thing")
    with pytest.raises(RequestError, match=r"20211201\.h5 cannot be opened: it is no read") as said:
        cube_of(opera(tmp_path, DAYS[0]), tmp_path / "20211201.h5")
    assert str(tmp_path) not in str(said.value)


def test_a_damaged_chunk_costs_that_chunk(tmp_path):
    before, after = (opera(tmp_path, when) for when in DAYS)
    with h5py.File(after) as file:
        at = file["data/VV"].id.get_chunk_info_by_coord((32, 64))
    with after.open("r+b") as raw:
        raw.seek(at.byte_offset)
        raw.write(b"\xff" * at.size)
    codes = cube_of(before, after)[0].observation.values[1]
    lost = np.zeros(SHAPE, bool)
    lost[32:64, 64:] = True
    np.testing.assert_array_equal(codes == Observation.READ_FAILED, lost)


def test_in_a_folder_images_go_before_the_hdf5_beside_them(tmp_path):
    name = OPERA.format(DAYS[0])
    images = [tmp_path / f"{name}_{pol}.tif" for pol in ("VH", "VV")]
    for path in (*images, tmp_path / f"{name}.h5", tmp_path / "OPERA_L2_RTC-S1-STATIC_T137.h5"):
        path.touch()
    assert radar_files([tmp_path]) == images


def test_elevation_is_not_taken_from_hdf5(tmp_path):
    files = {"pre_files": [opera(tmp_path, DAYS[0])], "post_files": [opera(tmp_path, DAYS[1])]}
    with pytest.raises(RequestError, match=r"\.h5 is HDF5: give the elevation as GeoTIFF"):
        completed(sarmap.MapRequest(dem=files["pre_files"][0], **files))
