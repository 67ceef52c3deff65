"""Training samples in a Zarr: written lazily, window by window, and taken up again after a kill.

What it holds, by sample: ``patches`` (sample, y, x, band) float32; ``masks`` (sample, y, x) uint8
with 0, 1 and 255 (not labelled), or for clips ``labels`` (sample); the first pixel's ``row`` and
``column``, and ``x``, ``y`` of the centre; ``event`` (a number into the attribute ``events``);
``cover`` at the centre and, for patches, ``covers`` (sample, y, x); ``valid``; ``part`` (training,
validation, test, held_out, left_out). It opens with `xarray.open_zarr`.

Where samples lie is known from polygons alone, so all arrays have their size before a pixel is
read. Windows of the composite are then read a few at a time, cut, stored, and ticked off in
``done``: memory is that of a few windows whatever the scene's size, and a killed run goes on where
it stopped.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.assess.labels import Labels
from sarmap.errors import RequestError
from sarmap.learn.covers import LandCover
from sarmap.learn.cutting import cut_clips, cut_tiles
from sarmap.learn.index import ClipRule, Index, PatchRule, find_clips, find_patches
from sarmap.learn.splits import PARTS, Split, assign_parts
from sarmap.types import Observation

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["SampleStore", "Scene", "open_samples", "samples_for", "write_samples"]

Progress = Callable[[int, int], None]
Rule = PatchRule | ClipRule
log = logging.getLogger(__name__)

FORMAT = 1
_STATE = "sarmap:samples"
_AT_ONCE = 4
"""Windows read at once: their pixels are all that is held."""
_READ_THREADS = 16
_CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class Scene:
    """One event to take samples from; nothing of it is read yet."""

    name: str
    """Name of the event in tables and cards."""
    composite: xr.DataArray
    """Lazy, from `sarmap.make_composite`: (band, y, x), coordinate ``observation``."""
    labels: Labels
    """What is known of its ground."""
    covers: LandCover | None = None
    """Its land cover, where known."""
    role: str = "training"
    """'training', 'validation' or 'test'; a test event is held out whole."""
    simulated: bool = False
    """Whether it was simulated."""


class SampleStore:
    """Finished samples: small arrays in memory, pixels read as they are asked for."""

    def __init__(self, group: Any) -> None:
        self._group = group
        attrs = dict(group.attrs)
        self.attrs: Mapping[str, Any] = attrs
        self.kind: str = attrs["kind"]
        self.bands = tuple(attrs["bands"])
        self.scaling: str = attrs["scaling"]
        self.normalised: bool = attrs["normalised"] == "tile-minmax"
        self.edge = int(attrs["edge"])
        self.events: list[dict[str, Any]] = list(attrs["events"])
        for name in ("row", "column", "event"):
            setattr(self, name, group[name][:].astype(np.int64))
        self.cover: NDArray[np.uint8] = group["cover"][:]
        self.valid: NDArray[np.bool_] = group["valid"][:].astype(bool)
        self.positive: NDArray[np.bool_] = group["positive"][:].astype(bool)
        self.chunk: int = group["patches"].chunks[0]
        self.row: NDArray[np.int64]
        self.column: NDArray[np.int64]
        self.event: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.valid)

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample in memory."""
        return 4 * self.edge * self.edge * len(self.bands)

    def parts(self, split: Split, **how: Any) -> NDArray[np.uint8]:
        """Part of each sample under a split (see `sarmap.learn.splits.assign_parts`).

        Samples that were not observed are left out. Stored as ``part``, with how it was made.

        Raises
        ------
        RequestError
            The split is not possible, or training or validation are empty or of one class.
        """
        codes = assign_parts(
            split,
            event=self.event,
            row=self.row,
            column=self.column,
            edge=self.edge,
            roles=[one["role"] for one in self.events],
            **how,
        )
        # dealt out before: samples of two orbits at one place fall into one part
        codes[~self.valid] = PARTS.index("left_out")
        self._check_classes(codes, test=split != "events" and how.get("test", 0.2) > 0)
        self._group["part"][:] = codes
        self._group["part"].attrs.update(
            split=split, **how, flag_values=list(range(len(PARTS))), flag_meanings=" ".join(PARTS)
        )
        _consolidate(self._group)
        return codes

    def stored_parts(self) -> NDArray[np.uint8]:
        """Part of each sample as last dealt out by `parts`."""
        codes: NDArray[np.uint8] = self._group["part"][:]
        return codes

    def _check_classes(self, codes: NDArray[np.uint8], *, test: bool) -> None:
        for code, part in enumerate(PARTS[: 3 if test else 2]):
            inside = codes == code
            if not inside.any():
                raise RequestError(
                    f"The split leaves no sample for {part}: give more samples, smaller blocks "
                    "(block=) or other shares."
                )
            positives = self.positive[inside]
            if not positives.any() or (self.kind == "clips" and positives.all()):
                lacking = "other land" if positives.all() else "a landslide"
                raise RequestError(
                    f"The split leaves {part} without a sample of {lacking}: use smaller blocks "
                    "(block=), another seed, or more events."
                )

    def read(self, chosen: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Images [n, y, x, band] as stored, and masks [n, y, x] or labels [n], in that order."""
        labels = "masks" if self.kind == "patches" else "labels"
        return self._take("patches", chosen), self._take(labels, chosen)

    def read_covers(self, chosen: NDArray[np.int64]) -> NDArray[np.uint8] | None:
        """Land cover [n, y, x] of patches or [n] of clips; None where no event gives it."""
        if not any(one["covers"] for one in self.events):
            return None
        return self._take("covers", chosen) if self.kind == "patches" else self.cover[chosen]

    def _take(self, name: str, chosen: NDArray[np.int64]) -> Any:
        """Samples of an array in any order; each stored chunk is read once."""
        unique, back = np.unique(chosen, return_inverse=True)
        return self._group[name].oindex[unique][back] if len(unique) else self._group[name][:0]

    def remember(self, asked: str) -> None:
        """Keep, with the samples, what was asked for (see `samples_for`)."""
        self._group.attrs["asked"] = asked

    def cover_names(self) -> dict[int, str]:
        """Names of land-cover codes, of all events together."""
        return {int(k): v for one in self.events for k, v in (one["covers"] or {}).items()}


def samples_for(path: str | Path, asked: str) -> SampleStore | None:
    """Finished samples that remember to have been asked for in these words; else None."""
    if not Path(path).expanduser().is_dir():
        return None
    try:
        store = open_samples(Path(path).expanduser())
    except RequestError:
        return None
    return store if store.attrs.get("asked") == asked else None


def open_samples(path: str | Path) -> SampleStore:
    """Finished samples that `write_samples` wrote.

    Raises
    ------
    RequestError
        There are none, or they are not finished.
    """
    import zarr

    try:
        group = zarr.open_group(str(path), mode="r+", use_consolidated=False)
    except (FileNotFoundError, OSError, ValueError, KeyError) as error:
        raise RequestError(f"{Path(path).name} holds no samples: no Zarr opens there.") from error
    state = group.attrs.get(_STATE)
    if state != "complete":
        said = "are not finished: write them again, they go on where they stopped"
        raise RequestError(f"The samples in {Path(path).name} {said if state else 'are none'}.")
    return SampleStore(group)


def write_samples(
    scenes: Sequence[Scene],
    out: str | Path,
    rule: Rule,
    *,
    normalisation: str = "tile-minmax",
    overwrite: bool = False,
    window: int = 1024,
    client: Any = None,
    progress: Progress | None = None,
) -> SampleStore:
    """Cut samples from lazy composites into a Zarr, in bounded memory.

    Parameters
    ----------
    scenes
        Events, all with the same bands and scaling.
    out
        Local folder. Samples of the same scenes and rules are reused, or finished where a run was
        killed.
    rule
        `PatchRule` (paper 2) or `ClipRule` (paper 1).
    normalisation
        'tile-minmax': patches are stored per patch and band from 0 to 1, as prediction does it;
        else pixels keep the composite's units.
    overwrite
        Replace samples of other scenes or rules.
    window
        About the edge of a window read at once, pixels.
    client
        Dask client to read on; None: threads of this process.
    progress
        Called with windows done and in all.

    Raises
    ------
    RequestError
        Bands or scalings differ, no sample is left, or `out` holds something else.
    """
    _check_scenes(scenes)
    minmax = normalisation == "tile-minmax"
    fingerprint = _fingerprint(scenes, rule, minmax)
    group = _reusable(out, fingerprint, overwrite)
    if group is not None and group.attrs[_STATE] == "complete":
        return SampleStore(group)
    find = find_patches if isinstance(rule, PatchRule) else find_clips
    edge = rule.tile if isinstance(rule, PatchRule) else rule.clip
    indices = [find(scene.labels, rule, scene.covers) for scene in scenes]  # type: ignore[arg-type]
    windows, places = _planned(indices, edge, window)
    if group is None:
        group = _created(out, scenes, rule, minmax, edge, places, len(windows), fingerprint)
    with _scheduler(client):
        _fill(group, scenes, rule, minmax, windows, places, progress)
    return _finish(group, out)


# --- what is reused ------------------------------------------------------------------------------


def _check_scenes(scenes: Sequence[Scene]) -> None:
    if not scenes:
        raise RequestError("There is no event to take samples from: name at least one.")
    if len({scene.name for scene in scenes}) < len(scenes):
        raise RequestError("Two events have one name: give each its own.")
    first = scenes[0]
    for scene in scenes:
        for what, of in (
            ("bands", lambda s: [str(b) for b in s.composite["band"].values]),
            ("scaling", lambda s: s.composite.attrs.get("scaling")),
        ):
            if of(scene) != of(first):
                raise RequestError(
                    f"Events {first.name} and {scene.name} differ in {what}: make their composites "
                    "alike."
                )
        if tuple(scene.composite.shape[1:]) != tuple(scene.labels.grid.shape):
            raise RequestError(f"Labels and composite of event {scene.name} differ in shape.")


def _fingerprint(scenes: Sequence[Scene], rule: Rule, minmax: bool) -> str:
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


def _reusable(out: str | Path, fingerprint: str, overwrite: bool) -> Any:
    """The store to finish or reuse; None where a new one is to be made."""
    import zarr

    path = Path(out).expanduser()
    if not path.exists() or not any(path.iterdir()):
        return None
    try:
        group = zarr.open_group(str(path), mode="r+", use_consolidated=False)
        state = group.attrs.get(_STATE)
    except (FileNotFoundError, OSError, ValueError, KeyError):
        state = None
    if state in ("writing", "complete") and group.attrs.get("fingerprint") == fingerprint:
        return group
    if state is None or (state != "creating" and not overwrite):
        what = (
            "something that is no samples" if state is None else "samples of other events or rules"
        )
        raise RequestError(
            f"{path.name} holds {what}: choose another place, or remove it"
            f"{', or give overwrite=True (--overwrite)' if state else ''}."
        )
    return None


# --- how it is laid out --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Window:
    """Samples that are cut from one read."""

    scene: int
    rows: slice
    columns: slice
    first: int
    last: int


def _planned(
    indices: Sequence[Index], edge: int, window: int
) -> tuple[list[_Window], dict[str, NDArray[Any]]]:
    """Samples in order of the windows they are read in, and those windows."""
    windows: list[_Window] = []
    ordered = []
    start = 0
    for scene, index in enumerate(indices):
        block = (index.row // window) * (1 << 24) + index.column // window
        index = index.take(np.lexsort((index.column, index.row, block)))
        block = np.sort(block)
        ordered.append(index)
        cuts = [0, *(np.flatnonzero(np.diff(block)) + 1).tolist(), len(block)]
        for first, last in itertools.pairwise(cuts):
            rows, columns = (
                slice(int(at[first:last].min()), int(at[first:last].max()) + edge)
                for at in (index.row, index.column)
            )
            windows.append(_Window(scene, rows, columns, start + first, start + last))
        start += len(block)
    places = {
        name: np.concatenate([getattr(index, name) for index in ordered])
        for name in ("row", "column", "positive", "cover")
    }
    places["event"] = np.repeat(np.arange(len(indices)), [len(index.row) for index in indices])
    return windows, places


def _created(
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
    group.attrs[_STATE] = "creating"
    patches = isinstance(rule, PatchRule)
    bands = [str(band) for band in scenes[0].composite["band"].values]
    count = len(places["row"])
    chunk = max(1, _CHUNK_BYTES // (4 * edge * edge * len(bands)))

    def make(name: str, shape: tuple[int, ...], dtype: str, dims: Sequence[str], n: int) -> Any:
        return group.create_array(
            name, shape=shape, dtype=dtype, chunks=(n, *shape[1:]), dimension_names=list(dims)
        )

    square = ("sample", "patch_y", "patch_x")
    make("patches", (count, edge, edge, len(bands)), "float32", (*square, "band"), chunk)
    if patches:
        make("masks", (count, edge, edge), "uint8", square, chunk)
        if any(scene.covers for scene in scenes):
            make("covers", (count, edge, edge), "uint8", square, chunk)
    else:
        make("labels", (count,), "uint8", ("sample",), count)[:] = places["positive"]
    for name, dtype in (("row", "int32"), ("column", "int32"), ("event", "int16")):
        make(name, (count,), dtype, ("sample",), count)[:] = places[name]
    for name in ("positive", "cover"):
        make(name, (count,), "uint8", ("sample",), count)[:] = places[name]
    for name, values in zip(("x", "y"), _centres(scenes, places, edge), strict=True):
        make(name, (count,), "float64", ("sample",), count)[:] = values
    make("part", (count,), "uint8", ("sample",), count)
    make("valid", (count,), "uint8", ("sample",), chunk)
    make("done", (windows,), "uint8", ("window",), 1)
    make("unread", (windows,), "int64", ("window",), 1)
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
    group.attrs[_STATE] = "writing"
    return group


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


# --- how it is filled ----------------------------------------------------------------------------


@contextlib.contextmanager
def _scheduler(client: Any) -> Iterator[None]:
    import dask

    if client is not None:
        with client.as_current():
            yield
    else:  # more threads than cores, since reads wait
        with dask.config.set(scheduler="threads", num_workers=_READ_THREADS):
            yield


def _fill(
    group: Any,
    scenes: Sequence[Scene],
    rule: Rule,
    minmax: bool,
    windows: Sequence[_Window],
    places: Mapping[str, NDArray[Any]],
    progress: Progress | None,
) -> None:
    """Read, cut, store and tick off the windows that are not done yet, a few at a time."""
    from dask.base import compute

    done = group["done"][:].astype(bool)
    if len(done) != len(windows):
        raise RequestError("The unfinished samples are of another version: remove them.")
    waiting = [number for number in range(len(windows)) if not done[number]]
    for start in range(0, len(waiting), _AT_ONCE):
        numbers = waiting[start : start + _AT_ONCE]
        lazy = [_read(scenes[windows[n].scene].composite, windows[n]) for n in numbers]
        for number, (values, codes) in zip(numbers, compute(*lazy), strict=True):
            one = windows[number]
            _store(group, scenes[one.scene], one, rule, minmax, places, values, codes)
            group["unread"][number] = int((np.asarray(codes) == Observation.READ_FAILED).sum())
            group["done"][number] = 1
        if progress:
            progress(len(windows) - len(waiting) + start + len(numbers), len(windows))


def _read(composite: xr.DataArray, window: _Window) -> tuple[Any, Any]:
    """Values [band, y, x] and observation codes [y, x] of a window, lazily."""
    part = composite.isel(y=window.rows, x=window.columns).transpose("band", "y", "x")
    if "observation" not in part.coords:
        return part.data, np.zeros(part.shape[1:], np.uint8)
    return part.data, part["observation"].transpose("y", "x").data


def _store(
    group: Any,
    scene: Scene,
    window: _Window,
    rule: Rule,
    minmax: bool,
    places: Mapping[str, NDArray[Any]],
    values: NDArray[np.float32],
    codes: NDArray[np.uint8],
) -> None:
    """Cut one window's samples and write them to their places."""
    mine = slice(window.first, window.last)
    at = np.stack(
        [
            places["row"][mine] - window.rows.start,
            places["column"][mine] - window.columns.start,
        ],
        axis=1,
    )
    if isinstance(rule, ClipRule):
        images, valid = cut_clips(values, codes, at, rule.clip)
        group["patches"][mine] = images
        group["valid"][mine] = valid
        return
    covers = scene.covers.window(window.rows, window.columns) if scene.covers else None
    cut = cut_tiles(
        values,
        codes,
        scene.labels.mask(window.rows, window.columns),
        at,
        rule.tile,
        minmax=minmax,
        positive=places["positive"][mine] & (rule.keep == "slide"),
        covers=covers,
    )
    group["patches"][mine] = cut.images
    group["masks"][mine] = cut.masks
    if "covers" in group:
        group["covers"][mine] = 255 if cut.covers is None else cut.covers
    group["valid"][mine] = cut.valid


def _finish(group: Any, out: str | Path) -> SampleStore:
    """Mark the store complete, unless nothing in it can be used."""
    valid = int(group["valid"][:].sum())
    unread = int(group["unread"][:].sum())
    group.attrs["counts"] = {
        "samples": int(group["valid"].shape[0]),
        "observed": valid,
        "unread_pixels": unread,
    }
    if unread:
        log.warning("%d pixels could not be read; they neither train nor score", unread)
    if not valid:
        raise RequestError(
            "Not one sample was observed: the composite is empty (NaN) wherever something is "
            "labelled. Check that the passes cover the inventory."
        )
    group.attrs[_STATE] = "complete"
    _consolidate(group)
    log.info("%d samples, %d of them observed", group["valid"].shape[0], valid)
    return open_samples(Path(out).expanduser())


def _consolidate(group: Any) -> None:
    """Gather the metadata in one place, so that xarray opens the store without a warning."""
    import zarr

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr warns that format 3 does not specify it yet
        zarr.consolidate_metadata(group.store)
