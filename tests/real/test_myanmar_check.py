"""`tools/myanmar_check.py` on the real series: the known figures, and the recipe's change score."""

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


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    sys.path.insert(0, str(TOOLS))
    try:
        spec = importlib.util.spec_from_file_location("myanmar_check", TOOLS / "myanmar_check.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["myanmar_check"] = module
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(TOOLS))


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
