"""A world's law: drawn from its seed, within its ranges, any field fixed by name."""

from __future__ import annotations

from dataclasses import asdict, fields

import numpy as np
import pytest

from sarmap.errors import RequestError
from sarmap.simulate.grain import speckle_of
from sarmap.simulate.physics import FAMILIES, Physics
from sarmap.simulate.radar import CHANGE_SHARE, LOOKS

RANGES = {
    "looks": (2.5, 12),
    "speckle_correlation": (0, 0.7),
    "incidence": (20, 46),
    "before": (1, 8),
    "after": (1, 4),
    "slope_brightness": (-1.2, 0.6),
    "canopy": (0, 35),
    "vh_share": (0.2, 1.2),
    "land_share": (0, 0.2),
    "geometry_error": (-18, 12),
}


@pytest.fixture(scope="module")
def laws() -> list[Physics]:
    return [Physics.draw(seed) for seed in range(200)]


def test_the_seed_decides() -> None:
    assert Physics.draw(5) == Physics.draw(5)
    assert Physics.draw(5) != Physics.draw(6)


@pytest.mark.parametrize("name", RANGES)
def test_fields_fill_their_range(laws: list[Physics], name: str) -> None:
    low, high = RANGES[name]
    drawn = [getattr(law, name) for law in laws]
    assert low <= min(drawn) < low + 0.1 * (high - low) + 1e-9
    assert high - 0.1 * (high - low) - 1e-9 < max(drawn) <= high


def test_worlds_without_landslides_and_sparse_ones_are_common(laws: list[Physics]) -> None:
    shares = np.array([law.land_share for law in laws])
    assert 0.09 < np.mean(shares == 0) < 0.2
    assert 0.25 < np.mean((shares > 0) & (shares < 0.003)) < 0.45


def test_forest_levels_are_those_of_real_places(laws: list[Physics]) -> None:
    # Sen12Landslides: Hokkaido -7.3 / -13.2 dB, Kaikoura -9.9 / -16.0 dB
    vv, vh = np.array([law.levels[1] for law in laws]).T
    assert np.median(vv) == pytest.approx(-7.3, abs=0.6)
    assert -16 <= vv.min() < -11
    assert -5.5 < vv.max() <= -4
    assert (vv - vh).min() >= 5
    assert (vv - vh).max() <= 8


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_that_is_asked_for_is_the_only_one(family: str) -> None:
    assert dict(zip(FAMILIES, Physics.draw(3, family=family).mix, strict=True))[family] == 1.0


def test_mixed_worlds_are_two_thirds_down_and_one_third_up() -> None:
    mixes = np.mean([Physics.draw(seed, family="mixed").mix for seed in range(80)], axis=0)
    assert mixes[0] == pytest.approx(0.6, abs=0.06)
    assert mixes[1] == pytest.approx(0.29, abs=0.06)


def test_a_fixed_field_changes_no_other() -> None:
    free, fixed = asdict(Physics.draw(9)), asdict(Physics.draw(9, spacing=30.0, looks=5.0))
    assert {name for name in free if free[name] != fixed[name]} <= {"spacing", "looks"}
    assert fixed["spacing"] == 30.0


def test_an_unknown_field_or_family_is_refused() -> None:
    with pytest.raises(RequestError, match="'look_angle' is no field of Physics"):
        Physics.draw(1, look_angle=30)
    with pytest.raises(RequestError, match="family='sideways' must be one of"):
        Physics.draw(1, family="sideways")


@pytest.mark.parametrize("wrong", [{"before": 0}, {"land_share": 0.7}, {"spacing": 0.0}])
def test_a_world_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    (name,) = wrong
    with pytest.raises(RequestError, match=f"{name}=.* of the physics must be from"):
        Physics.draw(1, **wrong)


def test_iburi_is_the_simulated_event() -> None:
    law = Physics.iburi()
    assert (law.looks, law.spacing, law.vh_share) == (LOOKS, 10.0, CHANGE_SHARE["vh"])
    assert law.levels[1] == (-7.3, -13.2)
    assert {field.name for field in fields(law)} == set(asdict(Physics.draw(1)))


@pytest.mark.parametrize(("looks", "correlation"), [(2.5, 0.0), (4.4, 0.3), (7.0, 0.6), (12, 0.7)])
def test_speckle_has_the_looks_and_the_correlation_asked_for(
    looks: float, correlation: float
) -> None:
    field = speckle_of(np.random.default_rng(1), (500, 500), looks, correlation)
    assert field.mean() == pytest.approx(1, abs=0.02)
    assert field.mean() ** 2 / field.var() == pytest.approx(looks, rel=0.06)
    for one, other in ((field[1:], field[:-1]), (field[:, 1:], field[:, :-1])):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] == pytest.approx(correlation, abs=0.04)
