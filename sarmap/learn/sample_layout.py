"""How a sample store is laid out: windows to be read, arrays in their size, what they are of."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.learn.index import ClipRule, Index, PatchRule
from sarmap.learn.sample_store import STATE
from sarmap.learn.scene import Scene

Rule = PatchRule | ClipRule
Places = Mapping[str, NDArray[Any]]

FORMAT = 1
"""Version of the layout."""
_CHUNK_BYTES = 2**20


def fingerprint_of(scenes: Sequence[Scene], rule: Rule, minmax: bool) -> str:
    """Hash of all that decides what the samples are."""
    parts = {
        "format": FORMAT,
        "rule": [type(rule).__name__, asdict(rule)],
        "minmax": minmax,
        "scenes": [
            {
                "name": scene.name,
                "bands": [str(band) for band in scene.composite["band"].values],
                "scaling": scene.composite.attrs.get("scaling"),
                "scenes": str(scene.composite.attrs.get("scenes")),
                "grid": [str(scene.labels.grid.crs), list(scene.labels.grid.transform)[:6]],
                "shape": list(scene.composite.shape),
                "labels": scene.labels.digest,
                "covers": scene.covers.digest if scene.covers else None,
                "role": scene.role,
            }
            for scene in scenes
        ],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Window:
    """Samples that are cut from one read."""

    scene: int
    rows: slice
    columns: slice
    first: int
    last: int


def plan_windows(
    indices: Sequence[Index], edge: int, window: int
) -> tuple[list[Window], dict[str, NDArray[Any]]]:
    """Samples in order of the windows they are read in, and those windows."""
    windows: list[Window] = []
    ordered = []
    start = 0
    for scene, index in enumerate(indices):
        block = (index.row // window) * (1 << 24) + index.column // window
        index = index.take(np.lexsort((index.column, index.row, block)))
        block = np.sort(block)
        ordered.append(index)
        if not len(block):  # of a small scene, its empty patches may all be left out
            continue
        cuts = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(block)]
        for first, last in itertools.pairwise(cuts):
            rows, columns = (
                slice(int(at[first:last].min()), int(at[first:last].max()) + edge)
                for at in (index.row, index.column)
            )
            windows.append(Window(scene, rows, columns, start + first, start + last))
        start += len(block)
    places = {
        name: np.concatenate([getattr(index, name) for index in ordered])
        for name in ("row", "column", "positive", "cover")
    }
    places["event"] = np.repeat(np.arange(len(indices)), [len(index.row) for index in indices])
    return windows, places


def create_store(
    out: str | Path,
    scenes: Sequence[Scene],
    rule: Rule,
    minmax: bool,
    edge: int,
    places: Mapping[str, NDArray[Any]],
    windows: int,
    fingerprint: str,
) -> Any:
    """An empty store with every array in its size, and what is known of the samples."""
    import zarr

    group = zarr.open_group(str(Path(out).expanduser()), mode="w")
    group.attrs[STATE] = "creating"
    patches = isinstance(rule, PatchRule)
    bands = [str(band) for band in scenes[0].composite["band"].values]
    known = {name: places[name] for name in ("row", "column", "event", "positive", "cover")}
    known |= dict(zip(("x", "y"), _centres(scenes, places, edge), strict=True))
    covered = patches and any(scene.covers for scene in scenes)
    _make_arrays(group, known, (edge, edge, len(bands)), windows, patches=patches, covered=covered)
    group.attrs.update(
        {
            "kind": "patches" if patches else "clips",
            "bands": bands,
            "scaling": scenes[0].composite.attrs.get("scaling"),
            "normalised": "tile-minmax" if minmax and patches else "no",
            "edge": edge,
            "rule": asdict(rule),
            "mask_values": {"0": "other land", "1": "landslide", "255": "not labelled"},
            "events": [_event_record(scene) for scene in scenes],
            "simulated": any(scene.simulated for scene in scenes),
            "fingerprint": fingerprint,
        }
    )
    group.attrs[STATE] = "writing"
    return group


_KNOWN = {"row": "int32", "column": "int32", "event": "int32", "x": "float64", "y": "float64"}
"""Types of what is known of a sample beforehand; uint8 where not named."""


def _make_arrays(
    group: Any,
    known: Places,
    shape: tuple[int, int, int],
    windows: int,
    *,
    patches: bool,
    covered: bool,
) -> None:
    """Every array in its size, those that are known filled."""
    count = len(known["row"])
    chunk = max(1, _CHUNK_BYTES // (4 * shape[0] * shape[1] * shape[2]))

    def make(name: str, of: tuple[int, ...], dtype: str, dims: Sequence[str], n: int) -> Any:
        return group.create_array(
            name, shape=of, dtype=dtype, chunks=(n, *of[1:]), dimension_names=list(dims)
        )

    square = ("sample", "patch_y", "patch_x")
    make("patches", (count, *shape), "float32", (*square, "band"), chunk)
    for name in (("masks", "covers") if covered else ("masks",)) if patches else ():
        make(name, (count, *shape[:2]), "uint8", square, chunk)
    if not patches:
        make("labels", (count,), "uint8", ("sample",), count)[:] = known["positive"]
    for name, values in known.items():
        make(name, (count,), _KNOWN.get(name, "uint8"), ("sample",), count)[:] = values
    make("part", (count,), "uint8", ("sample",), count)
    make("valid", (count,), "uint8", ("sample",), chunk)
    for name, dtype in (("done", "uint8"), ("unread", "int64")):
        make(name, (windows,), dtype, ("window",), 1)


def _event_record(scene: Scene) -> dict[str, Any]:
    covers = scene.covers
    return {
        "name": scene.name,
        "role": scene.role,
        "simulated": scene.simulated,
        "crs": str(scene.labels.grid.crs),
        "shape": [int(n) for n in scene.labels.grid.shape],
        "pixel_m2": abs(float(scene.labels.grid.transform.determinant)),
        "landslides": len(scene.labels.landslides),
        "repaired": scene.labels.repaired,
        "dropped": scene.labels.dropped,
        "covers": None if covers is None else {str(k): v for k, v in covers.names.items()},
    }


def _centres(
    scenes: Sequence[Scene], places: Mapping[str, NDArray[Any]], edge: int
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Coordinates of the samples' centres, each in its own event's system."""
    x, y = np.empty(len(places["row"])), np.empty(len(places["row"]))
    for number, scene in enumerate(scenes):
        mine = places["event"] == number
        x[mine], y[mine] = scene.labels.grid.transform * (
            places["column"][mine] + edge / 2,
            places["row"][mine] + edge / 2,
        )
    return x, y
