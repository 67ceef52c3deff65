"""What a right-looking radar sees of slopes, against angles worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sarmap.simulate.geometry import TRACKS, Track, hidden, incidence_of, see


def ramp(slope: float, aspect: float, size: int = 81) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A plane that falls towards `aspect`: height, eastward and northward gradient."""
    fall = np.tan(np.radians(slope))
    east = -fall * np.sin(np.radians(aspect))
    north = -fall * np.cos(np.radians(aspect))
    y, x = np.indices((size, size)) * 10.0
    height = (east * x - north * y).astype(np.float32)
    return height, np.full_like(height, east), np.full_like(height, north)


@pytest.mark.parametrize("name", ["ascending", "descending"])
def test_a_slope_that_faces_the_radar_is_seen_more_steeply(name: str) -> None:
    track = TRACKS[name]
    towards = see(track, *ramp(20, (track.look + 180) % 360), 10.0)
    away = see(track, *ramp(20, track.look), 10.0)
    middle = 40, 40
    assert towards.local_incidence[middle] == pytest.approx(track.incidence - 20, abs=0.05)
    assert away.local_incidence[middle] == pytest.approx(track.incidence + 20, abs=0.05)


def test_ascending_looks_east_and_descending_west() -> None:
    assert 70 < TRACKS["ascending"].look < 85
    assert 275 < TRACKS["descending"].look < 290


def test_flat_ground_is_seen_at_the_incidence_angle_of_the_orbit() -> None:
    flat = np.zeros((300, 250), np.float32)
    view = see(TRACKS["ascending"], flat, flat, flat, 10.0)
    np.testing.assert_allclose(
        view.local_incidence, incidence_of(TRACKS["ascending"], flat.shape, 10.0), atol=1e-3
    )
    assert not view.layover.any()
    assert not view.shadow.any()


def test_incidence_stays_between_34_and_38_degrees_over_the_scene() -> None:
    for name in ("ascending", "descending"):
        angle = incidence_of(TRACKS[name], (3842, 2346), 10.0)
        assert 34 < angle.min() < angle.max() < 38


def test_incidence_grows_with_ground_range_as_on_a_sphere() -> None:
    # by hand: R = 6371 km, orbit at 693 km; ground angle g between nadir and target gives
    # tan(look) = R sin g / (R + h - R cos g), incidence = look + g
    track = Track("ascending", 1, 0.0, 36.0, "SENTINEL-1B")  # flies north, looks east
    ground = np.radians(np.linspace(3, 6, 30_001))
    look = np.arctan2(6371 * np.sin(ground), 7064 - 6371 * np.cos(ground))
    incidence = np.degrees(look + ground)
    at_36 = np.interp(36.0, incidence, ground)
    expected = np.interp(at_36 + 10 / 6371, ground, incidence)
    found = incidence_of(track, (1, 2001), 10.0)[0, -1]
    assert found == pytest.approx(expected, abs=0.01)


def test_layover_begins_where_the_slope_is_steeper_than_the_incidence() -> None:
    ground = np.arange(200) * 10.0
    for slope, folds in ((34.0, False), (38.0, True)):
        height = np.clip((ground - 500) * np.tan(np.radians(slope)), 0, 300).astype(np.float32)
        layover, _ = hidden(height[None, :], 10.0, 36.0)
        assert layover.any() == folds


def test_shadow_falls_behind_slopes_steeper_than_the_grazing_angle() -> None:
    ground = np.arange(200) * 10.0
    for slope, dark in ((52.0, False), (56.0, True)):
        fall = (ground - 500) * np.tan(np.radians(slope))
        height = np.clip(600 - fall, 0, 600).astype(np.float32)
        _, shadow = hidden(height[None, :], 10.0, 36.0)
        assert shadow.any() == dark


def test_shadow_lies_on_the_far_side_seen_from_the_radar() -> None:
    wall = np.zeros((120, 120), np.float32)
    wall[:, 60] = 150.0
    zero = np.zeros_like(wall)
    eastwards = see(TRACKS["ascending"], wall, zero, zero, 10.0).shadow
    westwards = see(TRACKS["descending"], wall, zero, zero, 10.0).shadow
    assert eastwards[60, 62:68].all()
    assert not eastwards[60, 50:59].any()
    assert westwards[60, 53:59].all()
    assert not westwards[60, 62:70].any()
