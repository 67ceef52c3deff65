"""Requests come from YAML, TOML or names and values, and say in one sentence what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

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
