"""A small COG behind the fault server, and reads with little patience."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.io import MemoryFile
from rasterio.shutil import copy as copy_raster

ROWS, COLUMNS, BLOCK = 300, 260, 128


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Waits are short, and no test remembers another's failures."""
    from sarmap.acquire import reader
    from sarmap.net import patience, remote

    monkeypatch.setattr(reader, "_failures", reader._Failures())
    monkeypatch.setattr(remote, "_blocks", remote._no_blocks())
    monkeypatch.setattr(patience, "_held", {})
    limits = {"backoff": 0.001, "connect": 2, "stall": 0.4, "deadline": 20}
    with dask.config.set({f"sarmap.reads.{name}": value for name, value in limits.items()}):
        yield


@pytest.fixture(scope="session")
def power() -> Any:
    """Speckle of known seed, every pixel different."""
    return np.random.default_rng(7).gamma(4.4, 0.05, (ROWS, COLUMNS)).astype(np.float32)


@pytest.fixture(scope="session")
def cogs(power: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with `a.tif`, a COG of blocks of 128 pixels."""
    folder = tmp_path_factory.mktemp("cogs")
    profile = {
        "driver": "GTiff",
        "count": 1,
        "height": ROWS,
        "width": COLUMNS,
        "dtype": "float32",
        "crs": "EPSG:32654",
        "transform": Affine(10, 0, 600_000, 0, -10, 4_740_000),
    }
    with MemoryFile() as memory:
        with memory.open(**profile) as made:
            made.write(power, 1)
        with memory.open() as made:
            copy_raster(
                made,
                folder / "a.tif",
                driver="COG",
                blocksize=BLOCK,
                compress="DEFLATE",
                overviews="NONE",
            )
    return folder


@pytest.fixture(scope="session")
def block_bytes(cogs: Path) -> dict[tuple[int, int], tuple[int, int]]:
    """(row, column) of a stored block -> its first and last byte."""
    spans = {}
    with rasterio.open(cogs / "a.tif") as made:
        for row in range(-(-ROWS // BLOCK)):
            for column in range(-(-COLUMNS // BLOCK)):
                offset, size = (
                    int(made.get_tag_item(f"BLOCK_{what}_{column}_{row}", "TIFF", bidx=1))
                    for what in ("OFFSET", "SIZE")
                )
                spans[row, column] = (offset, offset + size - 1)
    return spans


@pytest.fixture
def source_of() -> Callable[..., Any]:
    """What is read of a server's `a.tif`."""
    from sarmap.acquire.source import Source
    from sarmap.net.reach import Reach

    def make(url: str, name: str = "a.tif") -> Source:
        return Source(
            item="S1_a",
            asset="vv",
            href=f"{url}{name}",
            band=1,
            crs="EPSG:32654",
            bounds=(600_000.0, 4_737_000.0, 602_600.0, 4_740_000.0),
            reach=Reach(home=("127.0.0.1",)),
        )

    return make


@pytest.fixture
def read(source_of: Callable[..., Any]) -> Callable[..., Any]:
    """Read all of a server's `a.tif`: pixels, or None where it could not be opened."""
    from sarmap.acquire.reader import read_source
    from sarmap.net.signing import Signer

    def whole(url: str, *, signer: Any = None, name: str = "a.tif") -> Any:
        source = source_of(url, name)
        found = read_source(
            source, lambda _handle: (0, ROWS, 0, COLUMNS), signer or Signer(None), positive=True
        )
        return None if found is None else found[0]

    return whole


@pytest.fixture
def counted() -> Callable[[], dict[str, int]]:
    """What reading has taken since the test began."""
    from sarmap.net.tally import Meter

    return Meter().read


class FakeTime:
    """Time that passes when it is slept through."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def fake_time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """The clock by which reads wait."""
    from sarmap.net import patience

    clock = FakeTime()
    monkeypatch.setattr(patience, "time", clock)
    return clock
