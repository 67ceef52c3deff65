"""Drawn change beside the real change of Sao Sebastiao, February 2023."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from benchmarks.real_change import ChangeStatistics, change_statistics, drawn_statistics
from sarmap.errors import RequestError


@pytest.fixture(scope="module")
def drawn() -> list[ChangeStatistics]:
    return [drawn_statistics(seed, (128, 128)) for seed in range(4)]


def middle(found: list[ChangeStatistics], name: str) -> np.ndarray:
    return np.median([getattr(one, name) for one in found], axis=0)


def test_the_real_change_has_the_published_statistics(real_data: Path) -> None:
    with rasterio.open(next((real_data / "sao_sebastiao").glob("*.tif"))) as source:
        vv, vh, label = source.read()
    found = change_statistics(vv, vh, label > 0)
    assert found.vh_over_vv == pytest.approx(0.92, abs=0.03)
    assert found.along == pytest.approx((0.30, -0.10, -0.11), abs=0.02)
    assert found.across == pytest.approx((0.52, 0.19, 0.08), abs=0.02)
    assert found.both_down == pytest.approx(0.67, abs=0.03)


def test_two_thirds_darken_and_a_third_brightens_in_both_polarisations(
    drawn: list[ChangeStatistics],
) -> None:
    assert 0.5 < middle(drawn, "both_down") < 0.78
    assert 0.2 < middle(drawn, "both_up") < 0.45
    assert middle(drawn, "disagree") < 0.05
    assert 0.8 < middle(drawn, "vh_over_vv") < 1.1
    assert middle(drawn, "correlation") > 0.6


def test_the_change_comes_in_pairs_along_the_look(drawn: list[ChangeStatistics]) -> None:
    along, across = middle(drawn, "along"), middle(drawn, "across")
    assert along == pytest.approx((0.30, -0.10, -0.11), abs=0.17)
    assert across == pytest.approx((0.52, 0.19, 0.08), abs=0.17)
    assert (along < across).all()


def test_too_little_change_is_refused() -> None:
    quiet = np.zeros((20, 20), np.float32)
    with pytest.raises(RequestError, match="Only 0 pixels changed"):
        change_statistics(quiet, quiet, np.ones((20, 20), bool))
