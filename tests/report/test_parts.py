"""Tiles, likely pixels, districts and what was touched, against plain NumPy."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import geometry_mask

from sarmap.errors import RequestError
from sarmap.report.cells import Cells, Histogram, SeenGrid
from sarmap.report.exposure import open_districts, open_exposure
from sarmap.report.pyramid import TILE, Pyramid, halved, levels_of
from sarmap.report.strips import Rows, Source, open_source


def numbers(text: str, kind: str) -> np.ndarray[Any, Any]:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), kind)


def rows_of(probability: np.ndarray[Any, Any], top: int = 0) -> Rows:
    codes = np.where(probability == 255, 1, 0).astype(np.uint8)
    return Rows(top, probability, codes, probability // 2)


@given(
    values=st.lists(st.sampled_from([0, 24, 25, 26, 250, 255]), min_size=1, max_size=120),
    width=st.integers(1, 13),
    strip=st.integers(1, 5),
    districts=st.booleans(),
)
def test_cells_hold_the_likely_pixels_and_no_others(
    values: list[int], width: int, strip: int, districts: bool
) -> None:
    height = -(-len(values) // width)
    packed = np.resize(np.uint8(values), (height, width))
    where = np.add.outer(np.arange(height), np.arange(width)) // 3 % 3 if districts else None
    cells = Cells(width)
    for top in range(0, height, strip):
        part = None if where is None else where[top : top + strip].astype(np.uint16)
        rows = rows_of(packed[top : top + strip], top)
        cells.add(rows, rows.probability % 2 == 1, part)
    record = cells.record()
    gaps, lengths = numbers(record["gaps"], "<u4"), numbers(record["lengths"], "<u2")
    again = np.zeros(height * width, np.uint8)
    areas = np.zeros(height * width, np.uint16)
    at = used = 0
    for gap, length, area in zip(gaps, lengths, numbers(record["districts"], "<u2"), strict=True):
        at += int(gap)
        assert at // width == (at + int(length) - 1) // width, "a run ends with its row"
        again[at : at + length] = numbers(record["values"], "u1")[used : used + length]
        areas[at : at + length] = area
        at, used = at + int(length), used + int(length)
    likely = (packed >= 25) & (packed != 255)
    assert (numbers(record["near"], "u1") == packed[likely] % 2).all()
    assert (again.reshape(packed.shape) == np.where(likely, packed, 0)).all()
    if where is not None:
        assert (areas.reshape(packed.shape) == np.where(likely, where, 0)).all()


def test_of_too_many_likely_pixels_the_least_likely_are_left_out() -> None:
    packed = np.arange(0, 250, dtype=np.uint8).repeat(20).reshape(50, 100)
    cells = Cells(100, most=1000)
    for top in range(0, 50, 5):
        cells.add(rows_of(packed[top : top + 5], top), np.zeros((5, 100), bool))
    cells.settle()
    record = cells.record()
    assert record["level"] == 200
    assert record["pixels"] == 1000


@settings(max_examples=40)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(0, 2**32 - 1),
)
def test_halving_keeps_the_highest_and_the_commonest(rows: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.choice(np.uint8([0, 7, 9, 250, 255]), (rows, columns))
    codes = rng.integers(0, 4, (rows, columns)).astype(np.uint8)
    highest, most = halved(values, "highest"), halved(codes, "least seen")
    assert highest.shape == (-(-rows // 2), -(-columns // 2))
    for y, x in np.ndindex(*highest.shape):
        square = values[2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
        seen = square[square != 255]
        assert highest[y, x] == (seen.max() if seen.size else 255)
        own = codes[2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
        full = np.pad(own, ((0, 2 - own.shape[0]), (0, 2 - own.shape[1])), mode="edge")
        counts = np.bincount(full.ravel(), minlength=4)
        assert most[y, x] == max(np.flatnonzero(counts == counts.max()))


@pytest.mark.parametrize("shape", [(1, 1), (512, 512), (513, 700), (1300, 40), (1100, 1600)])
def test_the_pyramid_holds_every_pixel_at_every_level(shape: tuple[int, int]) -> None:
    packed = np.random.default_rng(1).integers(0, 251, shape).astype(np.uint8)
    tiles: dict[str, bytes] = {}
    with ThreadPoolExecutor(2) as pool:
        pyramid = Pyramid(shape, (0, 250), tiles.__setitem__, tiles.__setitem__, pool)
        for top in range(0, shape[0], TILE):
            pyramid.add(rows_of(packed[top : top + TILE], top))
        pyramid.finish()
    expected = packed
    for level in range(levels_of(*shape) - 1, -1, -1):
        for name in (one for one in tiles if one.startswith(f"value/{level}/")):
            row, column = (int(part) for part in name.split("/")[2:])
            part = expected[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
            raw = np.frombuffer(zlib.decompress(base64.b64decode(tiles[name])), np.uint8)
            assert (raw[: part.size].reshape(part.shape) == part).all()
        down, across = (-(-n // TILE) for n in expected.shape)
        assert sum(one.startswith(f"value/{level}/") for one in tiles) == down * across
        expected = halved(expected, "highest")
    assert "value/0/0/0" in tiles


def test_counts_are_those_of_all_pixels(map_data: xr.Dataset, map_store: Path) -> None:
    source = open_source(map_store)
    found, grid = Histogram(), SeenGrid(source.shape, 100)
    for rows in source.strips(TILE):
        found.add(rows)
        grid.add(rows)
    codes = map_data["observation"].values
    assert found.observation.tolist() == np.bincount(codes.ravel(), minlength=4).tolist()
    assert found.probability.sum() == (codes == 0).sum()
    seen = numbers(grid.record(1.0)["seen"], "<u4").reshape(7, 7)
    assert seen[6, 0] == (codes[600:, :100] == 0).sum()


def survey(source: Source, takers: Sequence[Any]) -> None:
    for rows in source.strips(256):
        for taker in takers:
            taker.add(rows)


def packed_of(source: Source) -> np.ndarray[Any, Any]:
    return source.rows(0, source.shape[0]).probability


def test_a_district_counts_the_pixels_whose_centres_it_holds(
    map_store: Path, vectors: dict[str, Path]
) -> None:
    source = open_source(map_store)
    districts = open_districts(vectors["districts"], source.reader.grid)
    survey(source, [districts])
    packed = packed_of(source)
    frame = geopandas.read_file(vectors["districts"]).to_crs("EPSG:32654")
    for number, shape in enumerate(frame.geometry, start=1):
        inside = geometry_mask([shape], packed.shape, source.reader.grid.transform, invert=True)
        seen = packed[inside & (packed != 255)]
        assert districts.total[number] == inside.sum()
        assert districts.histogram[number].tolist() == np.bincount(seen, minlength=251).tolist()


def test_a_line_is_touched_where_it_crosses(map_store: Path, vectors: dict[str, Path]) -> None:
    source = open_source(map_store)
    roads = open_exposure(vectors["roads"], source.reader.grid)
    survey(source, [roads])
    packed = packed_of(source)
    line = packed[300]
    seen = line[line != 255]
    assert roads.labels == ["Long Road", "track 2"]
    assert roads.highest.tolist() == [seen.max(), -1]
    length = float((seen >= 125).sum() * 10)
    assert roads.lengths[125:251].sum() == pytest.approx(length, abs=25)
    assert roads.lengths.sum() == pytest.approx(6190 + 100, abs=25)
    record = roads.record()
    assert record["unseen"] == 1
    assert sum(metres for _, metres in record["touched"][0]["steps"]) == pytest.approx(
        (seen >= 25).sum() * 10, abs=25
    )


def test_a_small_building_is_touched_by_the_pixel_it_stands_on(
    map_store: Path, vectors: dict[str, Path]
) -> None:
    source = open_source(map_store)
    houses = open_exposure(vectors["buildings"], source.reader.grid)
    survey(source, [houses])
    packed = packed_of(source)
    for number, (x, y) in enumerate([(100, 100), (2500, 4500)]):
        under = packed[y // 10 : (y + 12) // 10 + 1, x // 10 : (x + 12) // 10 + 1]
        assert houses.highest[number] == under[under != 255].max()
    assert houses.highest[2] == -1
    assert houses.labels == ["house 1", "barn 2", "house 3"]


def test_large_areas_are_looked_at_inside_too(map_store: Path, tmp_path: Path) -> None:
    source = open_source(map_store)
    box = source.reader.grid.extent.boundingbox
    field = shapely.box(box.left + 100, box.bottom + 2000, box.right - 100, box.top - 100)
    file = tmp_path / "fields.gpkg"
    geopandas.GeoDataFrame(geometry=[field], crs="EPSG:32654").to_file(file)
    fields = open_exposure(file, source.reader.grid)
    survey(source, [fields])
    packed = packed_of(source)
    assert fields.highest[0] == packed[packed != 255].max()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent.gpkg", "does not exist"),
        ("broken.gpkg", "cannot be read as a vector file"),
        ("far.gpkg", "no feature on the map"),
        ("bare.geojson", "no polygons on the map"),
        ("table.csv", "is a table without geometries"),
    ],
)
def test_a_bad_vector_file_is_refused_in_one_sentence(
    map_store: Path, tmp_path: Path, name: str, words: str
) -> None:
    grid = open_source(map_store).reader.grid
    place = grid.extent.to_crs("EPSG:4326").boundingbox
    (tmp_path / "broken.gpkg").write_bytes(b"no such thing")
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    far = geopandas.GeoDataFrame(geometry=[shapely.box(1, 1, 2, 2)], crs="EPSG:4326")
    far.to_file(tmp_path / "far.gpkg")
    line = shapely.LineString([(place.left, place.bottom), (place.right, place.top)])
    bare = geopandas.GeoDataFrame(geometry=[line], crs="EPSG:4326")
    bare.to_file(tmp_path / "bare.geojson")
    with pytest.raises(RequestError, match=words) as caught:
        open_districts(tmp_path / name, grid)
    assert str(tmp_path) not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_column_is_refused(map_store: Path, vectors: dict[str, Path]) -> None:
    with pytest.raises(RequestError, match="choose from name"):
        open_districts(vectors["districts"], open_source(map_store).reader.grid, "nome")


def test_a_heading_has_the_name_of_the_place_where_somebody_gave_one() -> None:
    from sarmap.report.facts import heading_words
    from sarmap.store.provenance import read_provenance

    event = {"sarmap:event": ["2018-09-05T18:08:00+00:00"] * 2}
    named = {**event, "sarmap:request": {"name": "Atsuma"}}
    headings = [heading_words(read_provenance(attrs)) for attrs in (event, named)]
    assert headings == [
        "Landslides of 05 September 2018, 18:08 UTC",
        "Landslides at Atsuma of 05 September 2018, 18:08 UTC",
    ]
