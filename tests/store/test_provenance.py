"""Attributes tell how a map was made, and nothing that must stay private."""

import datetime as dt
import json

import numpy as np
import pytest

from sarmap.acquire.instants import parse_event
from sarmap.store.provenance import public_attributes, read_provenance


@pytest.mark.parametrize(
    ("private", "public"),
    [
        ("https://h.example/a.tif?sig=SECRET#x", "https://h.example/a.tif"),
        ("see https://u:p@h.example:8080/a for more", "see https://h.example:8080/a for more"),
        ("/home/me/weights.keras", "weights.keras"),
        ("~/weights.keras", "weights.keras"),
        ("C:\\Users\\me\\weights.keras", "weights.keras"),
        ("file:///home/me/w.keras", "w.keras"),
        ("../data/x.gpkg", "x.gpkg"),
        ("s3://key@bucket/map.zarr", "s3://bucket/map.zarr"),
        ("vv/vh ratio, 10 m", "vv/vh ratio, 10 m"),
        ("EPSG:32654", "EPSG:32654"),
        ("2018-09-05T18:08:00+00:00", "2018-09-05T18:08:00+00:00"),
    ],
)
def test_secrets_are_cut_at_every_depth(private, public):
    kept = public_attributes(
        {"plain": private, "nested": {"a": [private]}, "text": json.dumps({"a": private})}
    )
    assert kept["plain"] == public
    assert json.loads(kept["nested"]) == {"a": [public]}
    assert json.loads(kept["text"]) == {"a": public}


def test_values_become_json_numbers_and_text():
    kept = public_attributes(
        {
            "number": np.float32(0.5),
            "flag": True,
            "none": None,
            "when": dt.datetime(2018, 9, 5, tzinfo=dt.UTC),
            "many": (1, 2),
            "broken": "{not json",
        }
    )
    assert kept == {
        "number": 0.5,
        "flag": 1,
        "none": "",
        "when": "2018-09-05T00:00:00+00:00",
        "many": "[1, 2]",
        "broken": "{not json",
    }


def test_a_fused_maps_provenance_names_every_orbit_once():
    scenes = [
        {"id": "A", "orbit_state": "ascending", "relative_orbit": 68, "role": "post_1",
         "datetime": "2018-09-13T08:34:00Z"},
        {"id": "D", "orbit_state": "descending", "relative_orbit": 46, "role": "post_1",
         "datetime": "2018-09-16T20:42:00"},
        {"id": "A", "orbit_state": "ascending", "relative_orbit": 68, "role": "post_1",
         "datetime": "2018-09-13T08:34:00Z"},
    ]  # fmt: skip
    made = read_provenance(
        {"scenes": json.dumps(scenes), "composite": '["BAA_S", "BAA_S"]', "detector": "log-ratio"}
    )
    assert made.scene_ids == ("A", "D")
    assert made.orbits == ("ascending", "descending")
    assert made.relative_orbits == (68, 46)
    assert made.composite == "BAA_S"
    assert [moment.isoformat() for moment in made.times("post")] == [
        "2018-09-13T08:34:00+00:00",
        "2018-09-16T20:42:00+00:00",
    ]
    assert made.times("pre") == ()
    assert made.days("post") == "2018-09-13, 2018-09-16"


def test_an_event_given_as_a_date_says_that_its_hour_is_not_known():
    ends = [moment.isoformat() for moment in parse_event("2018-09-05")]
    made = read_provenance({"sarmap:event": json.dumps(ends)})
    assert made.event_text == "2018-09-05 (no hour was given: the whole day, UTC)"


def test_nothing_known_is_empty_not_an_error():
    made = read_provenance({})
    assert (made.scenes, made.detector, made.event, made.simulated) == ((), "", None, False)


@pytest.mark.parametrize("value", [1, True, "true", "YES", np.int64(1)])
def test_every_spelling_of_simulated_counts(value):
    assert read_provenance({"simulated": value}).simulated


def test_limits_are_told_in_words():
    attrs = {
        "sarmap:levels": '[{"orbit_state": "ascending", "datetime": "2018-09-13T08", "vv": -0.7}]',
        "sarmap:trust": '{"measures": {"noise": 0.5, "spacing": 10.0}}',
        "quiet_called_percent": 0.08,
        "quiet_odds_lowered": 0.4,
        "quiet_polygons_per_100_km2": 3.2,
        "quiet_km2": 41.0,
    }
    assert read_provenance(attrs).limits == (
        "The ascending pass of 2018-09-13 was levelled: VV -0.7 dB.",
        "With these passes a change of 3 dB shows from about 3,600 m2 on.",
        "Between passes before the event it calls 0.08 % of 41 km2, with its threshold raised for "
        "this place by 0.4 in log-odds: expect about 3 false candidates per 100 km2.",
    )
    assert read_provenance({}).limits == ()
