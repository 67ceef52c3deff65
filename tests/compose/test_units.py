"""Values that cannot be power are refused by name; real power never is."""

import csv
import json
import re
from collections import defaultdict

import numpy as np
import pytest
import rasterio
import xarray as xr

import sarmap
from sarmap.compose.lattice import Lattice
from sarmap.compose.units import check_power
from sarmap.errors import RequestError
from sarmap.mapping import judge


def scene(seed, vv=-8.0, vh=-14.5, looks=4.4, size=96):
    """One pass of uneven ground in power, at these levels in dB."""
    ground = np.random.default_rng(7).normal(0, 1.0, (size // 8, size // 8)).repeat(8, 0)
    rng = np.random.default_rng(seed)
    return xr.Dataset(
        {
            band: (
                ("y", "x"),
                10 ** ((level + ground.repeat(8, 1)) / 10)
                * rng.gamma(looks, 1 / looks, (size, size)),
            )
            for band, level in (("vv", vv), ("vh", vh))
            if level is not None
        },
        {"y": np.arange(size, 0, -1) * 10.0, "x": np.arange(size) * 10.0},
    )


def judged(change=lambda values: values, **how):
    passes = [scene(seed, **how).map(change) for seed in (1, 2, 3)]
    return judge(sarmap.make_cube(passes[:2], passes[2:]), None)


@pytest.mark.parametrize(
    ("vv", "vh"), [(-7.0, -13.0), (-20.0, -27.0), (-3.0, -9.0)], ids=["forest", "desert", "city"]
)
def test_power_of_every_kind_of_land_passes(vv, vh):
    assert "scaling" not in [note.code for note in judged(vv=vv, vh=vh).trust.notes]


def test_amplitude_is_refused_with_the_flag_that_reads_it():
    with pytest.raises(RequestError, match=r"likely amplitude.*--scaling amplitude"):
        judged(np.sqrt)


def test_digital_numbers_are_refused():
    with pytest.raises(RequestError, match=r"above \d+.*likely digital numbers"):
        judged(lambda power: 700 * np.sqrt(power))


@pytest.mark.parametrize("chunk", [None, 32])
def test_decibel_given_as_power_are_refused_when_they_are_read(chunk):
    passes = [scene(seed).map(lambda power: 10 * np.log10(power)) for seed in (1, 2)]
    if chunk:
        passes = [one.chunk({"y": chunk, "x": chunk}) for one in passes]
    cube = sarmap.make_cube(passes[:1], passes[1:])
    with pytest.raises(RequestError, match=r"likely decibel.*--scaling db"):
        judge(cube, None)


def test_what_was_told_is_believed():
    passes = [scene(seed, vv=-4.0, vh=-7.0, looks=40) for seed in (1, 2)]
    cube = sarmap.make_cube(passes[:1], passes[1:], scaling="amplitude")
    judge(cube, None)  # levels of -8 and -14 dB


def test_what_cannot_be_decided_is_mapped_and_said():
    found = judged(np.sqrt, vh=None)
    (note,) = [note for note in found.notes_on("change") if note.code == "scaling"]
    assert "may be amplitude" in note.text
    assert not found.trust.fits
    json.dumps(found.trust.record(), allow_nan=False)


def opera_series(folder):
    """Burst -> day -> band -> power."""
    bursts = defaultdict(lambda: defaultdict(dict))
    for path in sorted(folder.glob("*.tif")):
        burst, day, band = re.search(r"T137-(\d+)-IW2_(\d{8})T.*_(VV|VH)\.tif", path.name).groups()
        with rasterio.open(path) as file:
            bursts[burst][day][band.lower()] = (("y", "x"), file.read(1))
    return bursts


def test_no_real_scene_is_refused_and_its_amplitude_is(real_data):
    for days in opera_series(real_data / "opera_rtc").values():
        coords = {"y": np.arange(100, 0, -1) * 30.0, "x": np.arange(100) * 30.0}
        passes = [xr.Dataset(one, coords) for one in days.values()]
        found = judge(sarmap.make_cube(passes[:4], passes[4:]), None)
        assert "scaling" not in [note.code for note in found.trust.notes]
        amplitude = [np.sqrt(one) for one in passes]
        with pytest.raises(RequestError, match="likely amplitude"):
            judge(sarmap.make_cube(amplitude[:4], amplitude[4:]), None)


def test_levels_of_real_sites_are_power_however_smooth_their_images(real_data):
    """Quiet, burnt, cleared and farmed ground on four continents, as if it were filtered."""
    folder = real_data / "opera_sites" / "rtc_ts_by_site"
    for path in sorted(folder.glob("*.csv")):
        with path.open() as file:
            rows = [(_mean(row["vv"]), _mean(row["vh"])) for row in csv.DictReader(file)]
        rows = np.array([row for row in rows if np.isfinite(row).all()])
        if not len(rows):
            continue
        middle = 10 * np.log10(np.median(rows, axis=0))
        levels = {
            band: np.full((2, 3, 3), level, np.float32)
            for band, level in zip(("vv", "vh"), middle, strict=True)
        }
        check_power(Lattice(levels, (0,), (1,), None, None, (24, 24), 30.0), 100.0)


def _mean(text):
    seen = [value for value in json.loads(text.replace("nan", "NaN")) if np.isfinite(value)]
    return np.mean(seen) if seen else np.nan


def test_the_myanmar_stack_is_power(real_data, load_helper):
    power = load_helper("real", "myanmar_stack").read_stack(real_data / "ddl8s1ts").power
    coords = {"y": np.arange(120, 0, -1) * 30.0, "x": np.arange(120) * 30.0}
    passes = [
        xr.Dataset({band: (("y", "x"), stack[day]) for band, stack in power.items()}, coords)
        for day in range(3)
    ]
    found = judge(sarmap.make_cube(passes[:2], passes[2:]), None)
    assert "scaling" not in [note.code for note in found.trust.notes]
