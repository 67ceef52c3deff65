"""Drawn worlds hold what they promise: shapes, landslides of their family, outlines beside them."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from sarmap.errors import RequestError
from sarmap.simulate.change import change_field, implant
from sarmap.simulate.fingerprint import simulator_hash
from sarmap.simulate.physics import FAMILIES, Physics
from sarmap.simulate.worlds import World, draw_world

SMALL = (96, 112)
CLEAR = {
    "land_share": 0.12,
    "weak": 0.0,
    "strength": 4.0,
    "remnants": 0.0,
    "canopy": 0.0,
    "wetness": 0.0,
    "delay": 0.0,
    "facing_law": 0.0,
    "mottle": 0.0,
    "area": 8000.0,
    "spacing": 10.0,
    "gentle": 0.0,
}


@pytest.fixture(scope="module")
def world() -> World:
    return draw_world(21, SMALL, Physics.draw(21, land_share=0.1, before=3, after=2, border=0.0))


def decibel(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(power)


def test_a_world_holds_what_a_detector_reads(world: World) -> None:
    assert world.vv.shape == world.vh.shape == (5, *SMALL)
    assert world.pre == 3
    for name in ("dem", "slope", "aspect", "incidence", "truth", "footprint", "cover"):
        assert getattr(world, name).shape == SMALL
    assert world.vv.dtype == np.float32
    assert world.truth.dtype == np.uint8
    assert set(np.unique(world.truth)) <= {0, 1}
    assert (world.vv[np.isfinite(world.vv)] > 0).all()
    assert (np.diff(world.times) > np.timedelta64(0, "s")).all()


def test_the_seed_makes_the_same_world(world: World) -> None:
    again = draw_world(21, SMALL, world.physics)
    for field in fields(World):
        one, other = getattr(world, field.name), getattr(again, field.name)
        assert np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other
    assert not np.array_equal(draw_world(22, SMALL, world.physics).vv, world.vv)


@pytest.mark.parametrize("seed", range(12))
def test_any_law_makes_a_world(seed: int) -> None:
    made = draw_world(seed, (64, 64))
    assert 1 <= made.pre <= 8
    assert 1 <= len(made.times) - made.pre <= 4
    assert np.isfinite(made.slope).all()
    assert made.slope.min() >= 0
    assert made.slope.max() < 75
    assert np.isfinite(made.vv).mean() > 0.2
    if made.physics.land_share == 0:
        assert made.truth.max() == made.footprint.max() == 0


def test_a_quiet_world_has_no_landslide() -> None:
    quiet = draw_world(3, (64, 64), Physics.draw(3, land_share=0.0))
    assert quiet.truth.sum() == quiet.footprint.sum() == 0


@pytest.mark.parametrize(
    ("family", "vv", "vh"),
    [("both_down", -1, -1), ("both_up", 1, 1), ("vv_up_vh_down", 1, -1), ("vh_only", 0, -1)],
)
def test_families_do_what_their_name_says(family: str, vv: int, vh: int) -> None:
    law = Physics.draw(4, family=family, **CLEAR)
    field = change_field(8, law, shape=SMALL)
    inside = field.footprint > 0
    assert set(field.family) == {FAMILIES.index(family)}
    for change, sign in ((field.vv[0][inside], vv), (field.vh[0][inside], vh)):
        if sign:
            assert np.mean(np.sign(change) == sign) > 0.97
            assert abs(np.median(change)) > 0.5
        else:
            assert abs(np.median(change)) < 0.5


def test_nothing_changes_away_from_landslides() -> None:
    from scipy import ndimage

    field = change_field(8, Physics.draw(4, family="mixed", land_share=0.05), shape=SMALL)
    away = ~ndimage.binary_dilation(field.footprint > 0, iterations=8)
    assert abs(field.vv[:, away]).max() < 0.05
    assert field.vv[0][field.footprint > 0].std() > 0.3


def test_a_hole_in_tall_forest_is_dark_near_and_bright_far() -> None:
    from scipy import ndimage

    tall = {"strength": 1.0, "canopy": 25.0, "walls": 8.0, "look": 90.0, "blur": 5.0}
    field = change_field(8, Physics.draw(4, family="both_down", **(CLEAR | tall)), shape=SMALL)
    low = change_field(8, Physics.draw(4, family="both_down", **CLEAR), shape=SMALL)
    inside = low.footprint > 0
    west = inside & ~ndimage.shift(inside, (0, 1), order=0)  # the radar looks east
    beyond_east = ~inside & ndimage.shift(inside, (0, 1), order=0)
    assert field.vv[0][west].mean() < -2.5
    assert field.vv[0][beyond_east].mean() > 1
    assert (field.footprint > 0)[beyond_east].mean() > 0.7  # the radar changes beyond the hole
    assert np.array_equal(field.truth, low.truth)


def test_the_outline_is_near_the_footprint_and_not_upon_it() -> None:
    from scipy import ndimage

    law = Physics.draw(4, **CLEAR, outline_error=15.0, geometry_error=10.0)
    field = change_field(8, law, shape=SMALL)
    truth, radar = field.truth > 0, field.footprint > 0
    both = (truth & radar).sum() / (truth | radar).sum()
    assert 0.35 < both < 0.92
    near = ndimage.binary_dilation(radar, iterations=3)
    assert (truth & near).sum() > 0.9 * truth.sum()


def test_landslides_cover_the_asked_share_and_lie_on_slopes() -> None:
    law = Physics.draw(6, land_share=0.05, area=1000.0, plain=0.3, water=0.0, towns=0.0, snow=1.4)
    made = draw_world(6, (160, 160), law)
    assert (made.footprint > 0).mean() == pytest.approx(0.05, rel=0.5)
    assert made.slope[made.footprint > 0].mean() > made.slope.mean()


def test_some_landslides_lie_on_gentle_ground() -> None:
    def gentle(share: float) -> float:
        law = Physics.draw(6, land_share=0.05, area=1500.0, plain=0.5, clustering=0.0, gentle=share)
        made = draw_world(6, (128, 128), law)
        return float((made.slope[made.footprint > 0] < 8).mean())

    assert gentle(0.5) > gentle(0.0) + 0.1


def test_real_passes_before_the_event_stay_as_they_were() -> None:
    rng = np.random.default_rng(1)
    real = rng.gamma(4.4, 0.05, (5, 64, 64)).astype(np.float32)
    real[3, :5] = np.nan
    law = Physics.draw(4, family="both_down", **CLEAR)
    put = implant(real, real, before=3, physics=law, seed=2)
    assert np.array_equal(put.vv[:3], real[:3])
    assert np.isnan(put.vv[3, :5]).all()
    change = decibel(put.vv[4] / real[4])
    assert np.median(change[put.footprint > 0]) < -1.5
    assert put.truth.any()


def test_what_cannot_be_made_is_refused() -> None:
    with pytest.raises(RequestError, match="too small for a world"):
        draw_world(1, (20, 64))
    with pytest.raises(RequestError, match="dem of shape"):
        draw_world(1, (64, 64), dem=np.zeros((5, 5), np.float32))
    with pytest.raises(RequestError, match="needs slope or shape"):
        change_field(1, Physics.draw(1))
    with pytest.raises(RequestError, match="leaves none of 2 passes"):
        implant(np.ones((2, 9, 9), np.float32), None, before=2, physics=Physics.draw(1), seed=1)


def test_a_given_elevation_is_used() -> None:
    ramp = np.broadcast_to(5.0 * np.arange(64, dtype=np.float32), (64, 64))
    made = draw_world(2, (64, 64), Physics.draw(2, spacing=10.0), dem=ramp)
    assert made.slope[5, 5] == pytest.approx(np.degrees(np.arctan(0.5)), abs=0.01)


def test_drawn_worlds_do_not_change_the_simulated_event() -> None:
    assert simulator_hash() == "99a7443f9028"


def test_real_outlines_lend_their_shape_and_lie_downhill() -> None:
    import geopandas
    import shapely

    from sarmap.simulate.outlines import outline_templates

    long = geopandas.GeoDataFrame(
        geometry=[shapely.box(0, 0, 300, 30), shapely.box(0, 0, 9, 9)], crs="EPSG:32654"
    )
    templates = outline_templates(long)
    assert len(templates) == 1  # 81 m2 have no shape
    slope, west = np.full(SMALL, 25, np.float32), np.full(SMALL, 270, np.float32)
    law = Physics.draw(4, **(CLEAR | {"area": 9000.0, "area_spread": 0.1, "land_share": 0.02}))
    field = change_field(8, law, slope, west, templates=templates)
    (rows, columns) = np.nonzero(field.footprint == field.footprint.max())
    assert np.ptp(columns) > 4 * np.ptp(rows)
    with pytest.raises(RequestError, match="No outline of 300 m2"):
        outline_templates(long[1:])


def test_a_window_of_a_real_model_is_cut_at_the_world_s_spacing() -> None:
    from sarmap.simulate.quick_relief import cut_dem

    ramp = np.broadcast_to(30.0 * np.arange(120, dtype=np.float32), (120, 120))  # 45 degrees
    cut = cut_dem(np.random.default_rng(1), ramp, 30.0, (64, 64), 10.0)
    assert abs(np.diff(cut, axis=1)).mean() == pytest.approx(10.0, rel=0.01)
    with pytest.raises(RequestError, match="too small"):
        cut_dem(np.random.default_rng(1), ramp, 30.0, (64, 64), 60.0)
    with pytest.raises(RequestError, match="has gaps"):
        cut_dem(np.random.default_rng(1), np.full((90, 90), np.nan, np.float32), 30.0, (64, 64), 30)
