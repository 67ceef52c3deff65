"""Passes in files on disk: each maker's names, dates, polarisations and grids."""

import numpy as np
import pytest
import rasterio
from affine import Affine

import sarmap
from sarmap.acquire.own_passes import own_scenes
from sarmap.acquire.own_request import completed, left_out, passes_in_files
from sarmap.errors import RequestError
from sarmap.mapping import judge

HYP3 = "S1A_IW_{when}_DVP_RTC10_G_gpuned_1A2B"
OPERA = "OPERA_L2_RTC-S1_T137-292319-IW2_{when}Z_20250830T120333Z_S1A_30_v1.0"
PYROSAR = "S1A__IW___A_{when}_{pol}_gamma0-rtc"
SNAP = "S1B_IW_GRDH_1SDV_{when}_20180901T084025_012532_0171FA_1F2D_Orb_Cal_TF_TC"
DAYS = "20180901T084000", "20180913T084000"


def write(path, bands=(0.2,), *, names=(), crs="EPSG:32654", corner=(500_000, 4_700_000), step=10):
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", count=len(bands), height=12, width=16, dtype="float32",
        crs=crs, transform=Affine(step, 0, corner[0], 0, -step, corner[1]),
    ) as file:  # fmt: skip
        file.write(np.stack([np.full((12, 16), value, np.float32) for value in bands]))
        for number, name in enumerate(names, start=1):
            file.set_band_description(number, name)
    return path


def hyp3(folder, when, pols=("VV", "VH")):
    """A product as HyP3 unpacks it: a folder of its name, and what lies beside the radar."""
    name = HYP3.format(when=when)
    for pol in pols:
        write(folder / name / f"{name}_{pol}.tif")
    for beside in ("dem", "inc_map", "ls_map", "rgb"):
        write(folder / name / f"{name}_{beside}.tif")
    return folder


def request(**fields):
    return sarmap.MapRequest(**fields)


def found(pre, post, **how):
    asked = completed(request(pre_files=pre, post_files=post, **how))
    return passes_in_files(asked), asked


def test_hyp3_folders_are_passes_of_two_polarisations(tmp_path):
    before = hyp3(hyp3(tmp_path / "before", DAYS[0]), "20180820T084000")
    passes, asked = found([before], [hyp3(tmp_path / "after", DAYS[1])])
    assert [one.role for one in passes] == ["pre_2", "pre", "post_1"]
    assert [f"{one.datetime:%Y%m%dT%H%M%S}" for one in passes][1:] == list(DAYS)
    assert sorted(passes.pre[0].items[0].assets) == ["vh", "vv"]
    assert passes.pre[0].platform == "SENTINEL-1A"
    assert passes.orbit_state == "ascending"  # 18 h local time
    assert passes.event == (passes.pre[0].datetime, passes.post[0].datetime)
    assert list(asked.catalog.radar_assets) == ["vv", "vh"]


def test_opera_bursts_of_one_overflight_are_one_pass_of_a_known_track(tmp_path):
    files = []
    for day in ("20211119T015858", "20211201T015857"):
        for burst, later in (("292319", 0), ("292320", 3)):
            when = f"{day[:-2]}{int(day[-2:]) + later - 3}"
            name = OPERA.format(when=when).replace("292319", burst)
            corner = (500_000, 4_700_000 + 100 * (later > 0))
            files += [write(tmp_path / f"{name}_{pol}.tif", corner=corner) for pol in ("VV", "VH")]
    passes, asked = found(files[:4], files[4:])
    assert [len(one.items) for one in passes] == [2, 2]
    assert passes.relative_orbit == 137
    assert asked.area.shape == (22, 16)  # both bursts of the first pass


def test_a_format_whose_pixels_are_not_read_is_refused(tmp_path):
    from rasterio.shutil import copy

    image = write(tmp_path / "20180901_VV.tif")
    copy(image, tmp_path / "20180913_VV.vrt", driver="VRT")
    with pytest.raises(RequestError, match=r"20180913_VV\.vrt cannot be opened.*Give GeoTIFF"):
        found([image], [tmp_path / "20180913_VV.vrt"])


def test_pyrosar_names_and_two_bands_of_snap(tmp_path):
    files = [
        write(tmp_path / f"{PYROSAR.format(when=when, pol=pol)}.tif")
        for when in DAYS
        for pol in ("VV", "VH")
    ]
    assert len(found(files[:2], files[2:])[0].pre[0].items[0].assets) == 2
    snap = [
        write(
            tmp_path / f"{SNAP.format(when=when)}.tif",
            (0.05, 0.2),
            names=("Gamma0_VH", "Gamma0_VV"),
        )
        for when in DAYS
    ]
    passes, asked = found(snap[:1], snap[1:])
    cube = sarmap.open_cube(passes, asked.area)
    assert cube.vv.values == pytest.approx(0.2)
    assert cube.vh.values == pytest.approx(0.05)
    assert passes.pre[0].platform == "SENTINEL-1B"


def test_dates_come_from_folders_or_are_told(tmp_path):
    by_folder = [write(tmp_path / day / "vv.tif") for day in ("2018-09-01", "2018-09-13")]
    passes, _ = found(by_folder[:1], by_folder[1:])
    assert f"{passes.post[0].datetime:%Y-%m-%d}" == "2018-09-13"
    assert passes.orbit_state == ""  # a day has no hour
    plain = [write(tmp_path / name) for name in ("a.tif", "b.tif")]
    with pytest.raises(RequestError, match=r"name of a gives no date .*--times"):
        found(plain[:1], plain[1:])
    passes, _ = found(plain[:1], plain[1:], times=["2018-09-01T08:40", "2018-09-13T08:40"])
    assert f"{passes.pre[0].datetime:%m-%d %H:%M}" == "09-01 08:40"


def test_files_on_other_grids_are_warped_to_the_first(tmp_path):
    first = write(tmp_path / f"{HYP3.format(when=DAYS[0])}_VV.tif")
    other = write(
        tmp_path / f"{HYP3.format(when=DAYS[1])}_VV.tif",
        (0.3,), crs="EPSG:4326", corner=(140.99, 42.46), step=0.002,
    )  # fmt: skip
    passes, asked = found([first], [other])
    cube = sarmap.open_cube(passes, asked.area, bands=("vv",))
    assert cube.vv.shape == (2, 12, 16)
    assert cube.vv.values[1] == pytest.approx(0.3)


def test_a_first_file_in_degrees_is_mapped_in_metres(tmp_path):
    files = [
        write(
            tmp_path / f"{HYP3.format(when=when)}_VV.tif",
            crs="EPSG:4326", corner=(141.0, 42.46), step=0.0002,
        )
        for when in DAYS
    ]  # fmt: skip
    _, asked = found(files[:1], files[1:])
    assert (asked.area.crs.epsg, asked.resolution) == (32654, 22)


def test_an_area_cuts_the_first_files_own_lattice(tmp_path):
    files = [write(tmp_path / f"{HYP3.format(when=when)}_VV.tif") for when in DAYS]
    _, asked = found(files[:1], files[1:], area=(141.0005, 42.4522, 141.001, 42.4526))
    assert asked.area.shape.yx < (12, 16)
    assert asked.area.boundingbox.left % 10 == 0


@pytest.mark.parametrize(
    ("pre", "post", "how", "sentence"),
    [
        (["VV"], [], {}, "No file of a pass after the event"),
        (["VV"], ["HH"], {}, "no polarisation in common"),
        (["VV"], ["VV"], {"event": "2018-10-01T00:00"}, "was given as after the event"),
        (["VV"], ["VV"], {"times": ["2018-09-01"]}, "1 instants for 2 passes"),
        (["VV"], ["VV"], {"times": ["2018-09-13", "2018-09-01"]}, "given as after the event"),
        (["VV"], ["VV"], {"orbit": "ascending"}, "orbit= .--orbit. is for the search"),
        (["VV"], ["VV"], {"area": (10.0, 50.0, 10.1, 50.1)}, "does not meet the place"),
        (["VV"], ["VV"], {"dem": "gone.tif"}, r"gone\.tif cannot be opened"),
    ],
)
def test_what_cannot_be_mapped_is_said(tmp_path, pre, post, how, sentence):
    files = [
        [write(tmp_path / f"{HYP3.format(when=when)}_{pol}.tif") for pol in pols]
        for when, pols in zip(DAYS, (pre, post), strict=True)
    ]
    with pytest.raises(RequestError, match=sentence):
        found(*files, **how)


def test_passes_of_two_orbits_are_not_compared(tmp_path):
    files = [
        write(tmp_path / f"{HYP3.format(when=when)}_VV.tif")
        for when in (DAYS[0], "20180913T204200")
    ]
    with pytest.raises(RequestError, match=r"is ascending .* is descending"):
        found(files[:1], files[1:])


def test_two_files_of_one_band_and_an_empty_folder_are_named(tmp_path):
    name = f"{HYP3.format(when=DAYS[0])}_VV.tif"
    twice = [write(tmp_path / folder / name) for folder in ("a", "b")]
    with pytest.raises(RequestError, match="are both VV of S1A_IW_20180901"):
        own_scenes(twice, twice[:1], None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(RequestError, match="Folder empty holds no raster"):
        own_scenes([tmp_path / "empty"], twice[:1], None)


def test_no_path_of_this_machine_is_kept_in_the_items(tmp_path):
    files = [write(tmp_path / f"{HYP3.format(when=when)}_VV.tif") for when in DAYS]
    passes, _ = found(files[:1], files[1:])
    for one in passes:
        for item in one.items:
            assert str(tmp_path) not in f"{item.id} {item.properties}"


def test_the_nearest_passes_may_be_asked_for(tmp_path):
    before = hyp3(hyp3(tmp_path / "before", DAYS[0]), "20180820T084000")
    after = hyp3(tmp_path / "after", DAYS[1])
    asked = completed(request(pre_files=[before], post_files=[after]))
    passes = passes_in_files(asked, pre=1, post=1)
    assert [f"{one.datetime:%m%d}" for one in passes] == ["0901", "0913"]
    assert "20180820" in left_out(asked, [passes], "log-ratio")[0]


def test_passes_of_a_longer_wave_say_so_and_no_network_of_c_band_is_trusted(tmp_path):
    names = [f"ALOS2_{when}_FBDR2.1_GUA" for when in DAYS]
    files = [write(tmp_path / f"{name}.tif", (0.2, 0.04), names=("vv", "vh")) for name in names]
    passes, asked = found(files[:1], files[1:])
    cube = sarmap.open_cube(passes, asked.area)
    assert cube.attrs["frequency_band"] == "L"
    note = next(n for n in judge(cube, None).trust.notes if n.code == "wavelength")
    assert "L-band" in note.text
