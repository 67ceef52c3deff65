"""Bad input gives one clear sentence and its exit code: never a traceback, never a plausible map.

The rows are those of the route's promise: what was wrong, and what to do about it.
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Items = list[dict[str, Any]]


@pytest.fixture(scope="module")
def records(event: Any) -> tuple[Items, list[dict[str, Any]]]:
    items = json.loads(event.items.read_text())["features"]
    return items, json.loads(event.collections.read_text())


@pytest.fixture
def request_words(event: Any, tmp_path: Path) -> Callable[..., list[str]]:
    """Words of a small, quick map of the small event, with changes."""

    def words(url: str, **changes: str | None) -> list[str]:
        west, south, east, north = event.area
        inner = ((west + east) / 2 - 0.006, (south + north) / 2 - 0.006)
        options: dict[str, str | None] = {
            "area": f"{inner[0]},{inner[1]},{inner[0] + 0.012},{inner[1] + 0.012}",
            "event": event.event,
            "catalog": url,
            "orbit": "ascending",
            "detector": "log-ratio",
            "out": str(tmp_path / "map.zarr"),
        } | changes
        return [
            word
            for name, value in options.items()
            if value is not None
            for word in (f"--{name.replace('_', '-')}", value)
        ]

    return words


def sentence_of(answer: Any) -> str:
    """The one line on standard error; anything more is a failure."""
    assert "Traceback" not in answer.err
    lines = [line for line in answer.err.splitlines() if line.startswith("sarmap: ")]
    assert len(lines) == 1, answer.err
    return lines[0]


@pytest.mark.parametrize(
    ("changes", "code", "sentence"),
    [
        ({"event": "2010-01-01T00:00:00Z"}, 2, "no .*scene"),
        ({"event": "2018-10-20T00:00:00Z"}, 2, "due"),
        ({"event": "2999-01-01T00:00:00Z"}, 2, "future"),
        ({"event": "yesterday"}, 2, "event"),
        ({"area": "10,50,10.1,50.1"}, 2, "outside the coverage"),
        ({"area": "42.6,141.9,42.7,142.0"}, 2, "swapped"),
        ({"area": '{"type": "Polygon", "coordinates": []}'}, 2, "empty"),
        ({"area": "141.9,42.7,141.9,42.7"}, 2, "area"),
        ({"area": "nowhere.geojson"}, 2, r"nowhere\.geojson"),
        ({"detector": "crystal-ball"}, 2, "crystal-ball"),
        ({"detector": "attention-unet", "composite": "BAA"}, 2, "reads vv_levelled_change"),
        ({"composite": "XYZ"}, 2, "XYZ"),
        ({"engine": "steam"}, 2, "steam"),
        ({"catalog": "http://127.0.0.1:9/"}, 1, "reach"),
        ({"catalog": "neverland"}, 2, "neverland"),
        ({"memory": "1MB"}, 2, "would take about"),
        ({"memory": "lots"}, 2, "is not a size"),
        ({"products": "statue"}, 2, "statue"),
        ({"crs": "4326"}, 2, "crs|CRS|projected"),
    ],
)
def test_a_request_that_cannot_be_served(
    sarmap_cli: Callable[..., Any],
    server: Any,
    request_words: Callable[..., list[str]],
    tmp_path: Path,
    changes: dict[str, str],
    code: int,
    sentence: str,
) -> None:
    answer = sarmap_cli("map", *request_words(server.url, **changes))
    import re

    assert re.search(sentence, sentence_of(answer)), answer.err
    assert answer.code == code
    assert not (tmp_path / "map.zarr").exists()


def damaged(items: Items, change: Callable[[dict[str, Any]], None], only: str) -> Items:
    """A copy of the records, with one change made to every item of one collection."""
    changed = copy.deepcopy(items)
    for item in changed:
        if item["collection"] == only:
            change(item)
    return changed


def _without_asset(item: dict[str, Any]) -> None:
    del item["assets"]["vv"]


def _without_projection(item: dict[str, Any]) -> None:
    for name in [n for n in item["properties"] if n.startswith("proj:")]:
        del item["properties"][name]


def _in_metres(item: dict[str, Any]) -> None:
    left, bottom, right, top = 543210.0, 4710000.0, 566670.0, 4748420.0
    item["bbox"] = [left, bottom, right, top]
    ring = [[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]]
    item["geometry"] = {"type": "Polygon", "coordinates": [ring]}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [(_without_asset, "'vv'"), (_without_projection, "proj:"), (_in_metres, "metres|degrees")],
)
def test_an_item_that_lacks_what_a_map_needs_is_named(
    sarmap_cli: Callable[..., Any],
    event: Any,
    records: tuple[Items, list[dict[str, Any]]],
    request_words: Callable[..., list[str]],
    change: Callable[[dict[str, Any]], None],
    sentence: str,
) -> None:
    import re

    from sarmap.simulate.serve import serve_catalog

    items, collections = records
    with serve_catalog(damaged(items, change, "sentinel-1-rtc"), collections, event.path) as broken:
        answer = sarmap_cli("map", *request_words(broken.url))
    assert re.search(sentence, sentence_of(answer)), answer.err
    assert answer.code == 2


def test_missing_elevation_is_refused_where_slope_is_read(
    sarmap_cli: Callable[..., Any],
    event: Any,
    records: tuple[Items, list[dict[str, Any]]],
    request_words: Callable[..., list[str]],
) -> None:
    from sarmap.simulate.serve import serve_catalog

    items, collections = records
    left = [item for item in items if item["collection"] != "cop-dem-glo-30"]
    with serve_catalog(left, collections, event.path) as flat:
        answer = sarmap_cli("map", *request_words(flat.url))
    assert "elevation" in sentence_of(answer).lower()
    assert answer.code == 2


def _post_scenes(event: Any, items: Items) -> list[str]:
    """Files of the VV band of the first ascending pass after the event."""
    after = [
        item
        for item in items
        if item["collection"] == "sentinel-1-rtc"
        and item["properties"]["sat:orbit_state"] == "ascending"
        and item["properties"]["datetime"] > event.event
        and int(item["properties"]["sat:relative_orbit"]) == 68
    ]
    first = min(item["properties"]["datetime"] for item in after)[:10]
    return [i["assets"]["vv"]["href"] for i in after if i["properties"]["datetime"][:10] == first]


def _truncate(file: Path) -> None:
    """Keep the header, lose the pixels, as a broken copy does."""
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size // 3)


@pytest.mark.parametrize("damage", [_truncate, Path.unlink], ids=["truncated", "404"])
@pytest.mark.parametrize("strict", [False, True])
def test_unread_pixels_are_marked_and_change_the_exit_code(
    sarmap_cli: Callable[..., Any],
    event: Any,
    records: tuple[Items, list[dict[str, Any]]],
    request_words: Callable[..., list[str]],
    tmp_path: Path,
    damage: Callable[[Path], None],
    strict: bool,
) -> None:
    import xarray as xr

    from sarmap.simulate.serve import serve_catalog

    items, collections = records
    files = tmp_path / "files"
    shutil.copytree(event.path, files)
    for name in _post_scenes(event, items):
        damage(files / name)
    with serve_catalog(items, collections, files) as broken:
        words = request_words(broken.url) + (["--strict"] if strict else [])
        answer = sarmap_cli("map", *words)
    assert "read" in sentence_of(answer)
    assert answer.code == (1 if strict else 3)
    stored = xr.open_zarr(tmp_path / "map.zarr")
    failed = stored.observation.values == 2
    assert failed.any()
    assert np.isnan(stored.probability.values[failed]).all()


def test_an_existing_result_needs_overwrite(
    sarmap_cli: Callable[..., Any], server: Any, request_words: Callable[..., list[str]]
) -> None:
    words = request_words(server.url)
    assert sarmap_cli("map", *words).code == 0
    answer = sarmap_cli("map", *words)
    assert "overwrite" in sentence_of(answer)
    assert answer.code == 2
    assert sarmap_cli("map", *words, "--overwrite").code == 0


def test_an_output_that_cannot_be_written_is_found_before_any_work(
    sarmap_cli: Callable[..., Any],
    server: Any,
    request_words: Callable[..., list[str]],
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("in the way")
    answer = sarmap_cli("map", *request_words(server.url, out=str(tmp_path / "file" / "map.zarr")))
    assert "cannot be written" in sentence_of(answer)
    assert str(tmp_path) not in answer.err
    assert answer.code == 1


def test_tampered_weights_are_refused(
    sarmap_cli: Callable[..., Any],
    server: Any,
    request_words: Callable[..., list[str]],
    tmp_path: Path,
) -> None:
    import sarmap.detect as room

    shipped = Path(room.__file__).parent / "data"
    copied = tmp_path / "weights"
    shutil.copytree(shipped, copied)
    manifest = next(copied.glob("nava-2022-attention-unet.json"))
    weights = copied / json.loads(manifest.read_text())["weights"]
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 0xFF
    weights.write_bytes(content)
    answer = sarmap_cli("map", *request_words(server.url, detector=str(manifest)))
    assert "changed" in sentence_of(answer)
    assert answer.code == 2


def test_a_place_smaller_than_a_tile_is_mapped(
    sarmap_cli: Callable[..., Any],
    event: Any,
    server: Any,
    request_words: Callable[..., list[str]],
    tmp_path: Path,
) -> None:
    import xarray as xr

    west, south, east, north = event.area
    x, y = (west + east) / 2, (south + north) / 2
    words = request_words(server.url, area=f"{x},{y},{x + 0.0002},{y + 0.0002}")
    assert sarmap_cli("map", *words).code == 0
    stored = xr.open_zarr(tmp_path / "map.zarr")
    assert max(stored.probability.shape) < 10
    assert np.isfinite(stored.probability.values).any()
