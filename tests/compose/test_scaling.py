"""Power in the three scalings, checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sarmap.compose.composites import check_scaling, from_power
from sarmap.errors import RequestError

POWER = np.array([[1.0, 0.01], [0.25, 100.0]], np.float32)


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [
        ("power", [[1.0, 0.01], [0.25, 100.0]]),
        ("amplitude", [[1.0, 0.1], [0.5, 10.0]]),
        ("db", [[0.0, -20.0], [-6.0206, 20.0]]),
    ],
)
def test_known_values(scaling: str, expected: list[list[float]]) -> None:
    scaled = from_power(POWER, check_scaling(scaling))
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scaling", ["power", "amplitude", "db"])
def test_power_that_is_none_is_nan_without_a_warning(
    scaling: str, recwarn: pytest.WarningsRecorder
) -> None:
    bad = np.array([0.0, -3.0, np.nan], np.float32)
    assert np.isnan(from_power(bad, check_scaling(scaling))).all()
    assert not recwarn.list


def test_unknown_scaling_names_the_known() -> None:
    with pytest.raises(RequestError, match="amplitude, power, db"):
        check_scaling("decibel")
