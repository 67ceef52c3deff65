"""The judge of maps: scores of known values, noise as drawn, scenes that hold what they promise."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.pages import write_page
from benchmarks.rightness import noise, unfit
from benchmarks.rightness.ground import Land, Plan, hidden
from benchmarks.rightness.mapping import Answer
from benchmarks.rightness.scenes import make_scene, plans, read_scene, write_scenes
from benchmarks.rightness.score import best_f1, calibration, calibration_gap, score
from benchmarks.rightness.slides import Slides, change_of
from benchmarks.tasks import rightness, simulator

SMALL = Plan(
    1, 5, "darken", 0.03, size=128, n_pre=3, n_post=2, shift=0.0, drift=0.0, median_area=1500
)


def answer(values) -> Answer:
    return Answer(np.asarray(values, np.float32), True, ())


@pytest.fixture
def truth():
    """Two landslides, of 2,000 and of 400 m2."""
    number = np.zeros((60, 60), np.int32)
    number[10:14, 10:15] = 1
    number[40:42, 40:42] = 2
    return number


@pytest.fixture(scope="module")
def scene():
    return make_scene(SMALL)


def test_a_map_one_pixel_off_is_right_and_one_three_pixels_off_is_not(truth):
    for off, f1 in ((0, 1.0), (1, 1.0), (3, pytest.approx(0.525, abs=0.06))):
        found = score(answer(np.roll(truth > 0, off, 1)), truth, 10.0)
        assert found.f1 == f1
    assert found.best_f1 == pytest.approx(found.f1)


def test_what_is_called_elsewhere_is_counted_by_area_and_as_polygons(truth):
    called = (truth > 0).astype(float)
    called[50:54, 5:9] = 0.7  # 1,600 m2
    called[20, 50] = 0.7  # 100 m2: too small for a polygon
    found = score(answer(called), truth, 10.0)
    assert found.elsewhere == pytest.approx(17 / (3600 - 9 * 8 - 8 * 7 + 8), rel=0.02)
    assert found.false_polygons == pytest.approx(1 / (3576 * 1e-6))
    assert found.precision == pytest.approx(24 / 41)


def test_landslides_are_touched_by_class_and_what_was_not_seen_does_not_count(truth):
    called = (truth == 1).astype(float)
    assert score(answer(called), truth, 10.0).touched[:2] == ((0, 1), (1, 1))
    called[truth == 2] = np.nan
    assert score(answer(called), truth, 10.0).touched[:2] == ((0, 0), (1, 1))


def test_half_hidden_landslides_count_as_missed_beside_those_that_were_seen(truth):
    hidden = np.zeros_like(truth, bool)
    hidden[10:14, 10:13] = hidden[40, 40] = True  # 12 of 20 pixels, and one of four
    called = (truth > 0).astype(float)
    called[hidden] = np.nan
    found = score(answer(called), truth, 10.0, hidden)
    assert found.touched[:2] == ((1, 1), (1, 1))
    assert found.touched_of_all[:2] == ((1, 1), (0, 1))
    shares = rightness.by_size(np.array(found.touched), np.array(found.touched_of_all))
    assert (shares["touched_1"], shares["of_all_0"], shares["of_all_1"]) == (1.0, 1.0, 0.0)


@pytest.mark.parametrize(("steep", "lost"), [(40, True), (30, False), (-50, False), (-60, True)])
def test_slopes_towards_the_radar_lie_over_and_those_away_are_in_shadow(steep, lost):
    dem = np.tile(np.arange(40) * 10 * np.tan(np.radians(steep)), (40, 1))  # rises to the east
    plan = replace(SMALL, size=40, incidence=35.0, look_east=True)  # the radar stands in the west
    assert hidden(dem, plan).all() == hidden(dem, plan).any() == lost


def test_the_best_threshold_is_found(truth):
    p = np.where(truth > 0, 0.3, 0.1).astype(np.float32)
    assert best_f1(p, truth > 0, np.ones_like(truth, bool)) == 1.0


def test_the_gap_of_calibration_is_of_full_bins_alone():
    bins = np.zeros((2, 10, 2))
    bins[:, 3] = (700, 245), (300, 105)
    bins[0, 5] = 999, 550
    assert calibration_gap(bins, None) == pytest.approx(0.05)
    assert np.isnan(calibration_gap(np.zeros((2, 10, 2)), None))


def test_landslides_weigh_as_much_as_the_probabilities_suppose():
    truth = np.repeat([True, False], [2000, 18_000])
    landslides = np.repeat([0.25, 0.75], [500, 1500])  # three times as often where it says 0.75
    told = np.concatenate([landslides, np.repeat([0.25, 0.75], [13_500, 4_500])]).astype("f4")
    bins = calibration(told, truth)
    assert calibration_gap(bins, 0.5) == pytest.approx(0, abs=1e-6)
    assert calibration_gap(bins, None) == pytest.approx(0.5)


@pytest.mark.parametrize("correlation", [0.0, 0.4, 0.7])
def test_speckle_has_its_looks_and_its_correlation(correlation):
    drawn = noise.speckle(np.random.default_rng(0), (400, 400), 4.4, correlation)
    assert drawn.mean() == pytest.approx(1, abs=0.02)
    assert drawn.var() == pytest.approx(1 / 4.4, rel=0.06)
    neighbours = np.corrcoef(drawn[:, 1:].ravel(), drawn[:, :-1].ravel())[0, 1]
    assert neighbours == pytest.approx(correlation, abs=0.04)


def test_a_scene_darkens_where_landslides_are_and_nowhere_else(scene):
    db = 10 * np.log10(scene.power["vv"])
    change = db[3:].mean(0) - db[:3].mean(0)
    assert scene.share == pytest.approx(SMALL.share, rel=0.4)
    assert np.median(change[scene.truth > 0]) < -1.2
    assert abs(np.median(change[scene.truth == 0])) < 0.3


def test_a_hole_in_the_forest_is_dark_near_the_radar_and_bright_far_from_it(scene):
    plan = replace(SMALL, law="canopy-hole", incidence=45.0, look_east=True)
    number = np.zeros(plan.shape, np.int32)
    number[40:80, 40:80] = 1
    nowhere = np.zeros(plan.shape, int)  # forest, one field
    slides, land = Slides(number, number), Land(nowhere, nowhere, 1, {})
    vv = change_of(np.random.default_rng(1), plan, slides, scene.ground["incidence"], land)["vv"]
    assert vv[45:75, 40].mean() < -1 < 1 < vv[45:75, 79].mean()


def test_a_set_is_the_same_each_time_and_read_as_written(tmp_path):
    plan = replace(plans("choose")[4], size=96)
    assert plans("choose")[4].seed == plans("choose")[4].seed != plans("final")[4].seed
    folder = write_scenes([plan], tmp_path)
    first, again = read_scene(folder / "04.npz"), make_scene(plan)
    assert first.plan == plan
    np.testing.assert_array_equal(first.power["vh"], again.power["vh"])
    np.testing.assert_array_equal(first.truth, again.truth)


def test_every_unfit_input_is_another_than_the_scene(scene):
    changed = {
        name: act(replace(scene, times=scene.times.copy()), {"vv": scene.power["vv"].copy()})
        for name, act in unfit.INPUTS.items()
    }
    np.testing.assert_array_equal(changed.pop("as it is")["vv"], scene.power["vv"])
    for name, power in changed.items():
        assert not np.allclose(power["vv"], scene.power["vv"], equal_nan=True), name


def test_the_judge_knows_nothing_of_the_simulator():
    folder = Path(noise.__file__).parent
    names = {
        name
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None), *(one.name for one in node.names)]
    }
    assert not [name for name in names if name and "simulate" in name]


def test_the_page_sets_each_detector_beside_change_at_its_best(tmp_path):
    def row(detector, f1, best):
        figures = {"f1 00": f1, "best 00": best, "law darken": f1}
        return {
            "label": detector, "group": "Invented scenes", "floor": None, "failed": None,
            "settings": {"detector": detector},
            "metrics": {key: {"median": value} for key, value in figures.items()},
        }  # fmt: skip

    record = {
        "title": "How right", "benchmark": "rightness", "command": "python -m benchmarks x",
        "columns": [], "notes": [],
        "rows": [row("attention-unet", 0.6, 0.7), row("change", 0.4, 0.5)],
        "answers": {"compared": []}, "finished": "2026-01-01", "load": {"disturbed": False},
        "git": {"revision": "0123456789abc", "changed": False},
        "machine": {
            "cores": 2, "processor": "x", "instructions": [], "memory_gb": 8, "system": "L",
        },
    }  # fmt: skip
    page = write_page(record, tmp_path / "page.md").read_text(encoding="utf-8")
    assert "better in 1 of 1 scenes, mean gain in F1 +0.100" in page
    assert "| darken | 0.600 | 0.400 |" in page


def test_statistics_of_passes_are_those_that_were_drawn():
    rng = np.random.default_rng(2)
    moved = 10 ** (np.array([0.0, 1.0, 0.0, 1.0]) / 10)[:, None, None]
    passes = [noise.speckle(rng, (200, 200), 5.0, 0.3) for _ in moved]
    found = simulator._noise("vv", (0.1 * moved * np.stack(passes)).astype(np.float32))
    assert found["vv_shift"] == pytest.approx(0.94, abs=0.1)  # steps of 1, -1 and 1 dB
    assert found["vv_step"] == pytest.approx(np.sqrt(2) * 2.0, rel=0.06)
    assert found["vv_correlation"] == pytest.approx(0.3, abs=0.04)
    assert found["vv_level"] == pytest.approx(-10, abs=0.6)


def test_drawn_worlds_are_scored_seed_by_seed_against_what_an_analyst_draws():
    made = rightness.drawn("change", 26_000, 2, 0.05, 0.1, edge=96)["metrics"]
    seeds = [made["f1 26000"], made["f1 26001"]]
    assert made["f1"] == pytest.approx(np.mean(seeds))
    assert made["f1_worst"] == min(seeds)
    assert made["f1_best_cut"] >= made["f1"]
