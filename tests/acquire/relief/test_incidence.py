"""Incidence and look direction against footprints measured by the satellite itself."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest

from sarmap.acquire.incidence import (
    EARTH_RADIUS,
    ORBIT_HEIGHT,
    LookModel,
    ground_angle,
    incidence_at,
    incidence_gradient,
    look_azimuth,
    look_model,
)
from sarmap.types import CatalogSettings, Pass, Passes


def test_incidence_of_a_ray_traced_in_the_plane() -> None:
    # Satellite on the axis; a point at angle g on the circle; angle between its normal and the ray.
    for degrees in (29.1, 36.0, 46.0):
        g = float(ground_angle(degrees))
        point = EARTH_RADIUS * np.array([np.sin(g), np.cos(g)])
        ray = np.array([0, EARTH_RADIUS + ORBIT_HEIGHT]) - point
        cosine = ray @ point / np.linalg.norm(ray) / EARTH_RADIUS
        assert np.degrees(np.arccos(cosine)) == pytest.approx(degrees, abs=1e-9)


def test_gradient_is_the_derivative() -> None:
    step = 10.0
    for degrees in (30.0, 45.0):
        there = incidence_at(ground_angle(degrees) + step / EARTH_RADIUS)
        slope = np.radians(float(there) - degrees) / step
        assert incidence_gradient(degrees) == pytest.approx(slope, rel=1e-4)


def test_ascending_looks_east_and_descending_west() -> None:
    assert 70 < float(look_azimuth(42.7, 36, "ascending")) < 85
    assert 275 < float(look_azimuth(42.7, 36, "descending")) < 290
    # South of the equator the track leans the other way by as much: symmetric passes.
    north, south = (float(look_azimuth(lat, 36, "ascending")) for lat in (40.0, -40.0))
    assert north != pytest.approx(south, abs=0.5)
    for latitude in (-80.0, 80.0, 85.0):
        assert np.isfinite(look_azimuth(latitude, 40, "ascending"))


@pytest.fixture
def recorded(real_data: Path) -> list[pystac.Item]:
    """Four Planetary Computer records of 2024-04-19, descending."""
    records = json.loads((real_data / "stac" / "sentinel-1-rtc-pc.json").read_text())
    return [pystac.Item.from_dict(record) for record in records]


def edges(item: pystac.Item) -> list[tuple[float, float, float]]:
    """Direction (0-180), length in km and middle latitude of each side of a footprint."""
    corners = np.array(item.geometry["coordinates"][0])  # type: ignore[index]
    steps = np.diff(corners, axis=0)
    middle = (corners[1:, 1] + corners[:-1, 1]) / 2
    x, y = steps[:, 0] * np.cos(np.radians(middle)), steps[:, 1]
    return list(
        zip(np.degrees(np.arctan2(x, y)) % 180, np.hypot(x, y) * 111.2, middle, strict=True)
    )


@pytest.mark.real
def test_look_is_along_the_cuts_of_recorded_footprints(recorded: list[pystac.Item]) -> None:
    for item in recorded:
        for direction, length, latitude in edges(item):
            if length > 200:  # a cut across the whole swath runs along the look
                look = float(look_azimuth(latitude, 39.0, "descending")) - 180
                assert look == pytest.approx(direction, abs=0.4)


@pytest.mark.real
def test_track_is_along_the_sides_of_recorded_footprints(recorded: list[pystac.Item]) -> None:
    for item in recorded[1:]:
        sides = [edge for edge in edges(item) if 100 < edge[1] < 200]
        east, west = sides[0], sides[1]
        for (direction, _, latitude), incidence in ((east, 30.9), (west, 46.0)):
            track = float(look_azimuth(latitude, incidence, "descending")) - 270
            assert track == pytest.approx(direction, abs=0.5)


def passes_of(items: list[pystac.Item], state: str) -> Passes:
    import datetime as dt

    when = dt.datetime(2024, 4, 19, tzinfo=dt.UTC)
    one = Pass("post_1", when, state, 51, "SENTINEL-1A", tuple(items), 1.0)
    return Passes((), (one,), CatalogSettings("t", "http://127.0.0.1:9"), (when, when))


def seen_at(model: LookModel, longitude: Any, latitude: Any) -> tuple[Any, Any]:
    """Incidence and azimuth at places, each by the scene that sees it."""
    row = slice(None), None
    scene = model.scene_at(longitude[row], latitude[row], range(len(model.anchors)))[:, 0]
    theta, azimuth = np.empty(len(longitude)), np.empty(len(longitude))
    for number in np.unique(scene):
        mine = scene == number
        theta[mine], azimuth[mine] = model.at(number, longitude[mine], latitude[mine])
    return theta, azimuth


@pytest.mark.real
def test_incidence_of_recorded_scenes_grows_from_near_to_far(recorded: list[pystac.Item]) -> None:
    model = look_model(passes_of(recorded, "descending"))
    assert model.source == "footprint"
    # Along the cut between the second and third scene, from its east (near) to its west (far) end.
    longitude = np.linspace(16.886, 14.257, 50)
    latitude = np.linspace(32.0355, 32.4361, 50)
    theta, azimuth = seen_at(model, longitude, latitude)
    assert theta[0] == pytest.approx(30.9, abs=0.8)
    assert theta[-1] == pytest.approx(46.0, abs=0.8)
    assert (np.diff(theta) > 0).all()
    np.testing.assert_allclose(azimuth, 280.3, atol=1.0)


@pytest.mark.real
def test_geometry_hardly_steps_between_scenes(recorded: list[pystac.Item]) -> None:
    model = look_model(passes_of(recorded, "descending"))
    # Fly along mid-swath over three scene borders, kilometre by kilometre. Each scene speaks for
    # itself; what two of them say of one place differs by what their footprints are rounded to.
    latitude = np.linspace(30.5, 34.5, 450)
    longitude = 15.1 + (latitude - 30.5) * 0.235
    theta, azimuth = seen_at(model, longitude, latitude)
    assert np.abs(np.diff(theta)).max() < 0.03
    assert np.abs(np.diff(azimuth)).max() < 0.05


def test_what_an_item_says_holds_at_its_middle(kit: Any) -> None:
    model = look_model(kit.passes(incidence=36.5, azimuth=78.25))
    assert model.source == "view:incidence_angle"
    theta, azimuth = model.at(0, 142.0, 42.75)
    assert (float(theta), float(azimuth)) == (pytest.approx(36.5), pytest.approx(78.25))
    further, _ = model.at(0, 142.12, 42.75)  # 10 km east: further from an ascending radar
    assert float(further) - 36.5 == pytest.approx(10 * 0.063, rel=0.1)


def test_part_of_a_swath_without_angle_is_assumed_and_said(
    kit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        model = look_model(kit.passes(incidence=None, bounds=(142.0, 42.5, 142.3, 42.9)))
    assert model.source == "assumed mid-swath"
    assert "incidence" in caplog.text
    assert float(model.at(0, 142.15, 42.7)[0]) == pytest.approx(39.1, abs=0.1)


def test_a_footprint_across_the_antimeridian_has_its_middle_there() -> None:
    import shapely

    ring = shapely.geometry.mapping(
        shapely.MultiPolygon(
            [shapely.box(178.5, -18, 180, -16), shapely.box(-180, -18, -179.15, -16)]
        )
    )
    item = pystac.Item(
        "fiji",
        ring,
        [178.5, -18, -179.15, -16],
        None,
        {"start_datetime": "x"},
        start_datetime=__import__("datetime").datetime(2024, 1, 1),
        end_datetime=__import__("datetime").datetime(2024, 1, 1),
    )
    model = look_model(passes_of([item], "descending"))
    assert isinstance(model, LookModel)
    assert abs(model.anchors[0].longitude - 179.675) < 0.01


def test_an_item_without_an_angle_is_left_to_those_that_say_it(kit: Any) -> None:
    said = kit.passes(incidence=36.5)
    silent = kit.passes(incidence=None, bounds=(142.0, 42.5, 142.3, 42.9))
    mixed = Passes(silent.pre, said.post, said.catalog, said.event)
    model = look_model(mixed)
    assert [anchor.incidence for anchor in model.anchors] == [36.5]
    assert model.source == "view:incidence_angle"


_BY_MANY_THREADS = """
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import shapely
from sarmap.acquire.incidence import Anchor, LookModel

turn = np.linspace(0, 2 * np.pi, 400)
ring = np.column_stack([141 + np.cos(turn) / 2, 42 + np.sin(turn) / 2])
place = np.meshgrid(np.linspace(140.6, 141.4, 256), np.linspace(41.6, 42.4, 256))
with ThreadPoolExecutor(16) as pool:
    for _ in range(4):
        footprints = shapely.Polygon(ring), shapely.Polygon(ring + 0.1)
        anchors = (Anchor(141.0, 42.0, 38.0, None),) * 2
        look = LookModel(anchors, footprints, "ascending", "footprint")
        print(*set(pool.map(lambda _: int(look.scene_at(*place, [0, 1]).sum()), range(16))))
"""


def test_many_threads_may_ask_at_once_which_scene_sees_a_place() -> None:
    """In a process of its own: what GEOS prepares, shared by threads, ends it without a word."""
    told = subprocess.run(
        [sys.executable, "-c", _BY_MANY_THREADS], capture_output=True, text=True, check=False
    )
    assert (told.returncode, len(set(told.stdout.split()))) == (0, 1), told.stderr
