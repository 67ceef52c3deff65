"""From a task's plain arguments to a map request; shared by the tasks that map."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.detectors import MeanDetector

__all__ = ["Place", "answer_layers", "make_request", "stored_bytes", "temporary_store"]

Place = Mapping[str, Any]
"""catalog, transform, shape, crs and event of `benchmarks.scenes.Scene.arguments`."""


def make_request(
    catalog: str,
    transform: Sequence[float],
    shape: Sequence[int],
    crs: str,
    event: str,
    trusted: bool = False,
    orbit: str = "ascending",
    **more: Any,
) -> Any:
    """A map request of one orbit for an extent given to the pixel.

    A detector named 'mean:H' is the cheap one of `benchmarks.detectors`, with a halo of H pixels.
    A `trusted` catalogue may name files of this machine.
    """
    from affine import Affine
    from odc.geo.geobox import GeoBox

    from sarmap.types import MapRequest

    if str(more.get("detector", "")).startswith("mean:"):
        more["detector"] = MeanDetector(int(more["detector"].partition(":")[2]))
    grid = GeoBox((shape[0], shape[1]), Affine(*transform), crs)
    settings = {"url": catalog, "trusted": True} if trusted else catalog
    return MapRequest(area=grid, event=event, catalog=settings, orbit=orbit, overwrite=True, **more)


@contextmanager
def temporary_store() -> Iterator[str]:
    """A path for a result store that is removed again."""
    with tempfile.TemporaryDirectory(prefix="sarmap-bench-") as folder:
        yield str(Path(folder) / "map.zarr")


def stored_bytes(store: str) -> tuple[int, int]:
    """Bytes and objects of a local store."""
    sizes = [path.stat().st_size for path in Path(store).rglob("*") if path.is_file()]
    return sum(sizes), len(sizes)


def answer_layers(store: str, crop: Sequence[int] | None = None) -> dict[str, Any]:
    """Probability and observation as stored, or the part `crop` (rows, then columns) of them."""
    import zarr

    group = zarr.open_group(store, mode="r")
    rows, columns = (
        (slice(None), slice(None))
        if crop is None
        else (slice(crop[0], crop[1]), slice(crop[2], crop[3]))
    )
    return {name: np.asarray(group[name][rows, columns]) for name in ("probability", "observation")}
