"""Sizes that strangers claim are bounded before anything of that size is made."""

from __future__ import annotations

import copy
import struct
import tracemalloc
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine

from sarmap.acquire import handles, reader, tiles
from sarmap.acquire.reader import read_source
from sarmap.acquire.source import Source
from sarmap.errors import CatalogError, RequestError
from sarmap.net.reach import Reach
from sarmap.net.signing import Signer
from sarmap.types import CatalogSettings

HOME = Reach(home=("127.0.0.1",))


def source(href: str) -> Source:
    return Source("a", "vv", href, 1, "EPSG:32654", (6e5, 4.7e6, 6.1e5, 4.71e6), reach=HOME)


def write(path: Path, **profile: Any) -> Path:
    known = {
        "driver": "GTiff",
        "count": 1,
        "height": 256,
        "width": 256,
        "dtype": "float32",
        "crs": "EPSG:32654",
        "transform": rasterio.Affine(10, 0, 600_000, 0, -10, 4_740_000),
    }
    with rasterio.open(path, "w", **known | profile) as made:
        made.write(np.ones((1, 256, 256), np.float32))
    return path


def retagged(path: Path, tag: int, value: int) -> None:
    """Overwrite a tag of a little-endian classic TIFF's first directory in place."""
    content = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", content, 4)
    (count,) = struct.unpack_from("<H", content, start)
    for number in range(count):
        at = start + 2 + 12 * number
        if struct.unpack_from("<H", content, at)[0] == tag:
            struct.pack_into("<HHII", content, at, tag, 4, 1, value)
            path.write_bytes(content)
            return
    raise AssertionError(f"no tag {tag}")


IMAGE_WIDTH, IMAGE_LENGTH, TILE_WIDTH, TILE_LENGTH, TILE_BYTES = 256, 257, 322, 323, 325


class TestHeaders:
    """What a TIFF's header says is a claim."""

    def test_blocks_beyond_the_limit_are_refused(
        self, fault_proxy: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        file = write(tmp_path / "a.tif", tiled=True, blockxsize=256, blockysize=256)
        for tag in (TILE_WIDTH, TILE_LENGTH):
            retagged(file, tag, 2**15)
        tracemalloc.start()
        with fault_proxy.serve_faults(folder=tmp_path) as server:
            found = read_source(
                source(f"{server.url}a.tif"), lambda _: (0, 9, 0, 9), Signer(None), positive=True
            )
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert found is None
        assert "claims blocks of more than 256 MiB" in caplog.text
        assert peak < 50e6

    def test_a_block_longer_than_it_can_be_is_not_fetched(
        self, fault_proxy: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        file = write(tmp_path / "a.tif", tiled=True, blockxsize=256, blockysize=256)
        retagged(file, TILE_BYTES, 30_000_000)
        with file.open("ab") as longer:
            longer.truncate(60_000_000)  # sparse: the bytes are there to be sent
        with fault_proxy.serve_faults(folder=tmp_path) as server:
            read_source(
                source(f"{server.url}a.tif"), lambda _: (0, 9, 0, 9), Signer(None), positive=True
            )
            assert server.counts["bytes"] < 2_000_000
        assert "claims a block of 30000000 bytes" in caplog.text

    def test_a_lattice_that_puts_too_many_pixels_under_a_window_is_refused(
        self, fault_proxy: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        file = write(tmp_path / "a.tif", tiled=True, blockxsize=256, blockysize=256)
        for tag in (IMAGE_WIDTH, IMAGE_LENGTH):
            retagged(file, tag, 20_000)
        with fault_proxy.serve_faults(folder=tmp_path) as server:
            found = read_source(
                source(f"{server.url}a.tif"),
                lambda _: (0, 20_000, 0, 20_000),
                Signer(None),
                positive=True,
            )
        assert found is None or not np.isfinite(found[0]).any()
        assert "400,000,000 of its pixels lie under one window" in caplog.text

    def test_the_limits_let_real_scenes_through(self) -> None:
        assert reader.PIXEL_LIMIT >= 8192**2
        assert handles.BLOCK_LIMIT >= 4 * 4096**2


class TestItems:
    """What an item says of its pixels is a claim too."""

    @pytest.mark.parametrize(
        "transform",
        [
            [1e-9, 0, 141, 0, -1e-9, 43],
            [1e-6, 0, 141, 0, -1, 43],
            [1, 0, 141, 0, -1, 43],
            [0, 0, 141, 0, 0, 43],
            [1 / 3600, 0, 141, 0, 1 / 3600, 43],
            [1 / 3600, 1e-5, 141, 0, -1 / 3600, 43],
            [float("nan"), 0, 141, 0, -1 / 3600, 43],
            [1 / 3600, 0, float("inf"), 0, -1 / 3600, 43],
            [1 / 3600, 0, 141, 0, -1 / 3600, float("nan")],
            [4e-6, 0, 141, 0, -4e-2, 43],
        ],
    )
    @pytest.mark.parametrize("by", ["file", "record"])
    def test_elevation_whose_pixels_would_fill_the_memory_is_refused(
        self,
        transform: list[float],
        by: str,
        fuzz_targets: ModuleType,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        import pystac

        from sarmap.acquire.projection import Place

        claimed = Place("EPSG:4326", (141.0, 42.0, 142.0, 43.0), Affine(*transform))
        found = claimed if by == "file" else None
        monkeypatch.setattr("sarmap.acquire.header._read_place", lambda *_: found)
        monkeypatch.setattr("sarmap.acquire.tiles.pin_files", lambda *_, **_how: None)
        record = copy.deepcopy(fuzz_targets.ITEM)
        record["assets"] = {"data": record["assets"]["vv"]}
        record["properties"] |= {
            "proj:epsg": 4326,
            "proj:shape": [3600, 3600],
            "proj:transform": transform,
        }
        settings = CatalogSettings("fuzz", "https://8.8.8.8/v1")
        with pytest.raises((RequestError, CatalogError), match=r"claims pixels|to learn where it"):
            tiles.tile_sources([pystac.Item.from_dict(record)], settings, Signer(None))


class TestModels:
    """Weights are data; nothing in them is run."""

    def test_no_pickle_is_loaded_anywhere(self) -> None:
        import re

        import sarmap

        root = Path(str(sarmap.__file__)).parent
        pattern = re.compile(
            r"pickle\.loads?\(|joblib|torch\.load|allow_pickle=True|safe_mode=False|dill|"
            r"yaml\.(?:unsafe_|full_)?load\(|(?<![\w.])eval\(|(?<![\w.])exec\("
        )
        found = [
            f"{file.name}: {line.strip()}"
            for file in root.rglob("*.py")
            if file.name != "plugin.py"  # Dask's own protocol, between a client and its workers
            for line in file.read_text(encoding="utf-8").splitlines()
            if pattern.search(line) and not line.lstrip().startswith("#")
        ]
        assert found == []

    def test_a_model_file_that_would_run_code_is_refused(self, tmp_path: Path) -> None:
        """A keras archive whose Lambda layer holds code, named by a manifest that fits it."""
        import hashlib
        import json

        import keras

        import sarmap
        import sarmap.detect as room

        shipped = Path(str(room.__file__)).parent / "data"
        manifest = json.loads(next(shipped.glob("nava-2022-attention-unet.json")).read_text())
        marker = tmp_path / "ran"
        inputs = keras.Input((64, 64, 4))
        body = f"lambda x: (open({str(marker)!r}, 'w').close(), x[..., :1])[1]"
        outputs = keras.layers.Lambda(eval(body), output_shape=(64, 64, 1))(inputs)
        model = keras.Model(inputs, outputs)
        marker.unlink(missing_ok=True)
        file = tmp_path / "evil.keras"
        model.save(file)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        manifest |= {"weights": file.name, "sha256": digest, "network": None}
        (tmp_path / "evil.json").write_text(json.dumps(manifest))
        with pytest.raises(sarmap.errors.SarmapError, match="safe"):
            sarmap.load_detector(str(tmp_path / "evil.json"), engine="tensorflow")(
                np.zeros((1, 64, 64, 4), np.float32)
            )
        assert not marker.exists()
