"""A scene that is replaced while it is mapped ends the map; a server with two names for it not."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import rasterio

from sarmap.acquire.reader import read_source
from sarmap.errors import RequestError
from sarmap.net.signing import Signer

NAMED = {
    "strong": lambda _path, tag: {"ETag": tag},
    "weak": lambda _path, tag: {"ETag": f"W/{tag}"},
    "modified": lambda _path, tag: {"Last-Modified": tag.strip('"')},
}
"""How a server may tell the state of a file."""


def pinned(source: Any) -> Any:
    found = read_source(source, lambda _: (0, 0, 0, 0), Signer(None), positive=True)
    assert found is not None
    return replace(source, pin=found[1].pin)


def read_rows(source: Any) -> Any:
    found = read_source(source, lambda _: (0, 300, 0, 260), Signer(None), positive=True)
    return None if found is None else found[0]


def write(path: Path, pixels: Any, **how: Any) -> None:
    """A file whose first page does not hold its pixels' end."""
    shape = {"count": 1, "height": 300, "width": 260, "dtype": "float32", "crs": "EPSG:32654"}
    lattice = rasterio.Affine(10, 0, 600_000, 0, -10, 4_740_000)
    with rasterio.open(path, "w", driver="GTiff", transform=lattice, **shape, **how) as made:
        made.write(pixels, 1)


@pytest.mark.parametrize("kind", NAMED)
def test_a_file_of_the_same_size_in_its_place_is_refused_by_name(
    kind: str, fault_proxy: ModuleType, tmp_path: Path, power: Any, source_of: Any
) -> None:
    write(tmp_path / "a.tif", power)
    changed = power.copy()
    changed[200:] += 1  # behind the first page
    with fault_proxy.serve_faults(folder=tmp_path) as server:
        server.named = NAMED[kind]
        source = pinned(source_of(server.url))
        np.testing.assert_array_equal(read_rows(source), power)
        write(tmp_path / "a.tif", changed)
        from sarmap.net import remote

        remote._blocks = remote._no_blocks()
        with pytest.raises(RequestError, match=r"item 'S1_a', asset 'vv' is another one than when"):
            read_rows(source)


def test_without_a_name_its_size_and_first_page_are_held(
    fault_proxy: ModuleType, tmp_path: Path, power: Any, source_of: Any
) -> None:
    write(tmp_path / "a.tif", power)
    with fault_proxy.serve_faults(folder=tmp_path) as server:
        server.named = lambda _path, _tag: {}
        source = pinned(source_of(server.url))
        write(tmp_path / "a.tif", power * 2)
        from sarmap.acquire.handles import renew

        renew(source.href, source.reach)  # as a file that made no sense is opened again
        with pytest.raises(RequestError, match="another one"):
            read_rows(source)
        write(tmp_path / "a.tif", power, compress="DEFLATE")
        with pytest.raises(RequestError, match="another one"):
            read_rows(source)


def test_a_local_file_is_held_too(tmp_path: Path, power: Any, source_of: Any) -> None:
    write(tmp_path / "a.tif", power)
    source = pinned(source_of(f"{tmp_path}/"))
    np.testing.assert_array_equal(read_rows(source), power)
    write(tmp_path / "a.tif", power * 2)
    with pytest.raises(RequestError, match="another one"):
        read_rows(source)


def test_a_file_in_a_bucket_is_held_by_its_entity_tag(
    s3: Any, tmp_path: Path, power: Any, source_of: Any
) -> None:
    def put() -> None:
        s3.client().upload_file(str(tmp_path / "a.tif"), s3.bucket, "replaced/a.tif")

    write(tmp_path / "a.tif", power)
    put()
    source = pinned(source_of(f"s3://{s3.bucket}/replaced/"))
    np.testing.assert_array_equal(read_rows(source), power)
    changed = power.copy()
    changed[200:] += 1  # behind the first page
    write(tmp_path / "a.tif", changed)
    put()
    from sarmap.net import remote

    remote._blocks = remote._no_blocks()
    with pytest.raises(RequestError, match=r"item 'S1_a', asset 'vv' is another one than when"):
        read_rows(source)
    s3.client().delete_object(Bucket=s3.bucket, Key="replaced/a.tif")
    assert read_rows(source) is None


def test_a_server_with_two_names_for_one_file_is_read(
    fault_proxy: ModuleType, tmp_path: Path, cogs: Path, power: Any, source_of: Any
) -> None:
    shutil.copy(cogs / "a.tif", tmp_path)
    turn = itertools.cycle("ab")
    with fault_proxy.serve_faults(folder=tmp_path) as server:
        server.named = lambda _path, tag: {"ETag": f'"{next(turn)}"'}
        np.testing.assert_array_equal(read_rows(pinned(source_of(server.url))), power)
