"""Requests come from YAML, TOML or names and values, and say in one sentence what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from sarmap.acquire.area import parse_area
from sarmap.errors import RequestError
from sarmap.request_file import make_request, read_request_file

AREA = [141.83, 42.58, 142.14, 42.89]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.yaml", f"area: {AREA}\nevent: 2018-09-05T18:08:00Z\nmin-area: 500\n"),
        ("r.toml", f'area = {AREA}\nevent = "2018-09-05T18:08:00Z"\nmin_area = 500\n'),
    ],
)
def test_the_same_request_from_yaml_and_toml(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    request = make_request(read_request_file(tmp_path / name))
    assert list(request.area) == AREA
    assert request.min_area == 500
    assert str(request.event).startswith("2018-09-05")


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("r.yaml", "area: [1, 2\n", "not valid YAML at line"),
        ("r.toml", "area = [1, 2", "not valid TOML"),
        ("r.yaml", "just words", "must hold names and values"),
        ("r.json", "{}", "must end in .yaml"),
    ],
)
def test_a_malformed_file_is_named(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(RequestError, match=sentence) as caught:
        read_request_file(tmp_path / name)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("r.yaml", "event: 2018-13-45", r"not valid YAML \(month must be in 1..12\)"),
        ("r.yaml", "pre: " + "9" * 5000, "not valid YAML"),
        ("r.yaml", 'pre: !!int ""', "not valid YAML"),
        ("r.yaml", "area: " + "[" * 20_000, "nested more than 50 deep"),
        ("r.yaml", "area: &a [1]\nout: *a", "has an alias"),
        ("r.toml", "pre = " + "9" * 5000, "not valid TOML"),
        ("r.toml", "area = " + "[" * 20_000, "not valid TOML"),
        ("r.yaml", "#" * 4_000_001, "no more than 4,000,000"),
    ],
)
def test_what_a_parser_raises_becomes_a_sentence(
    tmp_path: Path, name: str, text: str, sentence: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(RequestError, match=sentence):
        read_request_file(tmp_path / name)


@pytest.mark.parametrize("text", ['{"type": ' + "9" * 5000 + "}", '{"type": ' + "[" * 100_000])
def test_an_area_that_no_parser_takes_becomes_a_sentence(text: str) -> None:
    with pytest.raises(RequestError, match="not valid GeoJSON"):
        parse_area(text)


def test_a_missing_file_is_named_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"nowhere\.yaml cannot be read") as caught:
        read_request_file(tmp_path / "nowhere.yaml")
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"area": AREA}, "lacks event"),
        ({"event": "2018-09-05"}, "lacks area"),
        ({"area": AREA, "event": "2018-09-05", "threshhold": 0.4}, "does not know 'threshhold'"),
        ({"aera": AREA, "event": "2018-09-05"}, "does not know 'aera': did you mean area"),
        ({"area": AREA, "event": "2018-09-05", "threshold": 2}, "threshold is wrong"),
        ({"area": AREA, "event": "2018-09-05", "orbit": "sideways"}, "orbit is wrong"),
        ({"area": AREA, "event": "2018-09-05", "pre": 0}, "pre is wrong"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, object], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        make_request(fields)
