"""The thirteen composites of the two papers, copied from their tables."""

from __future__ import annotations

import pytest

from sarmap.compose.names import (
    COMPOSITES,
    composite_bands,
    needs_optical,
    needs_terrain,
    required_passes,
    required_radar_bands,
)
from sarmap.errors import RequestError

# name, bands, orbit, (pre, post), radar bands, terrain, optical
PAPERS = [
    ("RGB", "red green blue", None, (0, 0), (), False, True),
    ("SSD", "vv_post_1 vh_post_1 dem", None, (0, 1), ("vv", "vh"), True, False),
    ("SSS", "vv_post_1 vh_post_1 slope", None, (0, 1), ("vv", "vh"), True, False),
    ("BAD", "vv_pre vv_post_1 dem", None, (1, 1), ("vv",), True, False),
    ("BAS", "vv_pre vv_post_1 slope", None, (1, 1), ("vv",), True, False),
    ("HHH", "vh_pre vh_post_1 vh_post_2", None, (1, 2), ("vh",), False, False),
    ("BAA", "vv_pre vv_post_1 vv_post_2", None, (1, 2), ("vv",), False, False),
    ("BAC", "vv_pre vv_post_1 vv_change", None, (1, 1), ("vv",), False, False),
    ("BAH", "vv_pre vv_post_1 vh_post_1", None, (1, 1), ("vv", "vh"), False, False),
    ("D_BA_S", "vv_pre vv_post_1 slope", "descending", (1, 1), ("vv",), True, False),
    ("A_BA_S", "vv_pre vv_post_1 slope", "ascending", (1, 1), ("vv",), True, False),
    ("D_BAA_S", "vv_pre vv_post_1 vv_post_2 slope", "descending", (1, 2), ("vv",), True, False),
    ("A_BAA_S", "vv_pre vv_post_1 vv_post_2 slope", "ascending", (1, 2), ("vv",), True, False),
]


@pytest.mark.parametrize(
    ("name", "bands", "orbit", "passes", "radar", "terrain", "optical"), PAPERS
)
def test_a_composite_of_the_papers(
    name: str,
    bands: str,
    orbit: str | None,
    passes: tuple[int, int],
    radar: tuple[str, ...],
    terrain: bool,
    optical: bool,
) -> None:
    found = composite_bands(name)
    assert found == tuple(bands.split())
    assert COMPOSITES[name].orbit == orbit
    assert required_passes(found) == passes
    assert required_radar_bands(found) == radar
    assert needs_terrain(found) is terrain
    assert needs_optical(found) is optical


def test_names_without_orbit_are_known_too() -> None:
    assert set(COMPOSITES) == {row[0] for row in PAPERS} | {"BA_S", "BAA_S"}
    assert COMPOSITES["BAA_S"].bands == COMPOSITES["A_BAA_S"].bands
    assert COMPOSITES["BAA_S"].orbit is None


def test_bands_may_be_given_instead() -> None:
    assert composite_bands(["vh_pre_3", "incidence"]) == ("vh_pre_3", "incidence")
    assert required_passes(["vh_pre_3", "vv_post_4"]) == (3, 4)


@pytest.mark.parametrize("name", ["vv", "vv_post", "vv_pre_1", "vv_post_0", "VV_pre", "slopes", ""])
def test_unknown_bands_are_refused(name: str) -> None:
    with pytest.raises(RequestError, match="vv_pre"):
        composite_bands([name])


def test_an_unknown_composite_suggests_its_neighbour() -> None:
    with pytest.raises(RequestError, match="did you mean 'BAA_S'"):
        composite_bands("baa_s")


def test_no_bands_and_twice_named_bands_are_refused() -> None:
    with pytest.raises(RequestError, match="at least one band"):
        composite_bands([])
    with pytest.raises(RequestError, match="'slope' is named twice"):
        composite_bands(["slope", "vv_pre", "slope"])
