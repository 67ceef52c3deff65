"""`tools/myanmar_check.py` and `myanmar_implants.py` on the real series.

The known figures, the recipe's change score, and changes that are put into real passes.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

pytestmark = pytest.mark.real
TOOLS = Path(__file__).resolve().parents[2] / "tools"


def load(name: str) -> ModuleType:
    sys.path.insert(0, str(TOOLS))
    try:
        spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(TOOLS))


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return load("myanmar_check")


@pytest.fixture(scope="module")
def implants(tool: ModuleType) -> ModuleType:
    """`tools/myanmar_implants.py`, which takes the series from the other."""
    return load("myanmar_implants")


@pytest.fixture(scope="module")
def series(tool: ModuleType, real_data: Path) -> Any:
    return tool.read_stack(real_data)


def test_rows_run_from_north_to_south_as_in_the_file(
    series: Any, real_data: Path, tool: Any
) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(real_data / tool.FILE) as file:
        raw = file["vh"][10]
    stored = np.where(raw == -32768, np.nan, 10 ** (raw * 0.01 / 10))
    np.testing.assert_allclose(series.power["vh"][10], stored, rtol=1e-6)


def test_the_points_are_150_and_150(series: Any) -> None:
    assert (series.lost.sum(), (~series.lost).sum(), len(series.events)) == (150, 150, 31)


def test_the_known_figures_come_out_and_the_change_score_beats_them(
    tool: ModuleType, series: Any
) -> None:
    monkey = tool.REPLICATES
    tool.REPLICATES = 100
    try:
        rows = [
            tool.measure(series, name, scores, why)
            for name, (scores, why) in tool.change_scores(series).items()
        ]
    finally:
        tool.REPLICATES = monkey
    single, three, _, recipe, *_ = (row.auc for row in rows)
    assert single == pytest.approx(0.64, abs=0.03)
    assert three == pytest.approx(0.79, abs=0.03)
    assert recipe >= 0.80
    assert all(row.low < row.auc < row.high for row in rows)


def test_the_area_under_the_curve_is_scikit_learns(tool: ModuleType) -> None:
    rng = np.random.default_rng(0)
    lost, score = rng.random(200) < 0.4, rng.integers(0, 9, 200).astype(float)
    assert tool.auc(lost, score) == pytest.approx(roc_auc_score(lost, score))


def test_squares_are_the_same_ground_on_both_grids(implants: ModuleType) -> None:
    coarse, fine = implants.squares((120, 120), 30), implants.squares((120, 120), 10)
    assert coarse.sum() == 25 * 8 * 8
    np.testing.assert_array_equal(np.kron(coarse, np.ones((3, 3), bool)), fine)
    edge = np.flatnonzero(coarse.any(axis=0))
    assert (edge[0], edge[7], edge[8]) == (8, 15, 32)


def test_only_the_passes_after_the_date_are_changed(implants: ModuleType, series: Any) -> None:
    bands = ("vv_pre", "vv_post_1", "vh_pre", "vh_post_1")
    day, where = implants.dates(series)[2], implants.squares((120, 120), 30)
    before = implants.cube_around(series, bands, day, 30).fillna(1)
    after = before.copy(deep=True)
    implants.changed(after, where, (-6.0, 2.0))
    for band, factor in (("vv", 10**-0.6), ("vh", 10**0.2)):
        ratio = after[band].values / before[band].values
        np.testing.assert_array_equal(ratio[0], 1)
        np.testing.assert_array_equal(ratio[1, ~where], 1)
        np.testing.assert_allclose(ratio[1, where], factor, rtol=1e-5)


@pytest.mark.parametrize("detector", ["attention-unet", "attention-unet-first-pass"])
def test_what_is_made_darker_in_real_radar_is_found_and_little_else(
    implants: ModuleType, series: Any, detector: str, record_property: Any
) -> None:
    """A detector that finds nothing has no false alarms either: so it is given something."""
    days = implants.dates(series)[1::4]
    untouched, darker = implants.measure(
        series, detector, 10, days, ["nothing", "darker: VV 6 dB, VH 2 dB"]
    )
    record_property("found_steep", darker.steep)
    record_property("elsewhere", darker.elsewhere)
    assert max(untouched.found, untouched.elsewhere) < 0.02
    assert darker.elsewhere < 0.02
    assert darker.steep > 0.6
