"""Samples cut from lazy composites into a Zarr, window by window, and taken up again after a kill.

Where samples lie is known from polygons alone, so all arrays have their size before a pixel is
read. Windows of the composite are then read a few at a time, cut, stored, and ticked off in
``done``: memory is that of a few windows whatever the scene's size, and a killed run goes on where
it stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.assess.labels import NOT_LABELLED
from sarmap.detect.normalise import normalise_tiles
from sarmap.errors import RequestError
from sarmap.learn.index import ClipRule, Index, PatchRule, find_clips, find_patches
from sarmap.learn.sample_layout import Rule, Window, create_store, fingerprint_of, plan_windows
from sarmap.learn.sample_store import STATE, SampleStore, consolidate, open_samples
from sarmap.learn.scene import Scene
from sarmap.store.workers import compute_on
from sarmap.types import Observation

if TYPE_CHECKING:
    import xarray as xr

Progress = Callable[[int, int], None]
"""Told the windows done and in all."""
log = logging.getLogger(__name__)

_AT_ONCE = 4
"""Windows read at once: their pixels are all that is held."""
_READ_THREADS = 16


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
    """Cut samples from lazy composites of the same bands and scaling into a Zarr in a local folder,
    in bounded memory; those of the same scenes and rules are reused, or finished where a run was
    killed.

    The rule is `PatchRule` (paper 2) or `ClipRule` (paper 1). With 'tile-minmax' patches are stored
    per patch and band from 0 to 1, as prediction does it; else pixels keep the composite's units.
    `window` is about the edge of a window read at once, pixels; `client` reads, None: threads of
    this process; `progress` is called with windows done and in all.

    Raises RequestError where bands or scalings differ, no sample is left, or `out` holds something
    else; ClusterError where the cluster is gone, has no worker any more, or windows ended its
    workers.
    """
    _check_scenes(scenes)
    minmax = normalisation == "tile-minmax"
    fingerprint = fingerprint_of(scenes, rule, minmax)
    group = _reusable(out, fingerprint, overwrite)
    if group is not None and group.attrs[STATE] == "complete":
        return SampleStore(group)
    edge = rule.tile if isinstance(rule, PatchRule) else rule.clip
    indices = [_find(scene, rule) for scene in scenes]
    windows, places = plan_windows(indices, edge, window)
    if group is None:
        group = create_store(out, scenes, rule, minmax, edge, places, len(windows), fingerprint)
    _fill(group, scenes, rule, minmax, windows, places, client, progress)
    return _finish(group, out)


def _find(scene: Scene, rule: PatchRule | ClipRule) -> Index:
    """The samples of a scene that a rule keeps."""
    if isinstance(rule, ClipRule):
        return find_clips(scene.labels, rule, scene.covers)
    own = replace(rule, keep="all", empty=1.0) if scene.every_patch else rule
    return find_patches(scene.labels, own, scene.covers)


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


def _reusable(out: str | Path, fingerprint: str, overwrite: bool) -> Any:
    """The store to finish or reuse; None where a new one is to be made."""
    import zarr

    path = Path(out).expanduser()
    if not path.exists() or not any(path.iterdir()):
        return None
    try:
        group = zarr.open_group(str(path), mode="r+", use_consolidated=False)
        state = group.attrs.get(STATE)
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


def _fill(
    group: Any,
    scenes: Sequence[Scene],
    rule: Rule,
    minmax: bool,
    windows: Sequence[Window],
    places: Mapping[str, NDArray[Any]],
    client: Any,
    progress: Progress | None,
) -> None:
    """Read, cut, store and tick off the windows that are not done yet, a few at a time."""
    done = group["done"][:].astype(bool)
    if len(done) != len(windows):
        raise RequestError("The unfinished samples are of another version: remove them.")
    waiting = [number for number in range(len(windows)) if not done[number]]
    for start in range(0, len(waiting), _AT_ONCE):
        numbers = waiting[start : start + _AT_ONCE]
        lazy = [_read(scenes[windows[n].scene].composite, windows[n]) for n in numbers]
        for number, (values, codes) in zip(numbers, _values(lazy, client), strict=True):
            one = windows[number]
            _store(group, scenes[one.scene], one, rule, minmax, places, values, codes)
            group["unread"][number] = int((np.asarray(codes) == Observation.READ_FAILED).sum())
            group["done"][number] = 1
        if progress:
            progress(len(windows) - len(waiting) + start + len(numbers), len(windows))


def _read(composite: xr.DataArray, window: Window) -> tuple[Any, Any]:
    """Values [band, y, x] and observation codes [y, x] of a window, lazily."""
    part = composite.isel(y=window.rows, x=window.columns).transpose("band", "y", "x")
    if "observation" not in part.coords:
        return part.data, np.zeros(part.shape[1:], np.uint8)
    return part.data, part["observation"].transpose("y", "x").data


def _values(lazy: Sequence[tuple[Any, Any]], client: Any) -> Sequence[tuple[Any, Any]]:
    """The windows' pixels and codes, read together."""
    if client is None:
        from dask.base import compute

        # more threads than cores, since reads wait
        read: Sequence[tuple[Any, Any]] = compute(
            *lazy, scheduler="threads", num_workers=_READ_THREADS
        )
        return read
    values = compute_on(
        client,
        [part for pair in lazy for part in pair],
        "Windows of the composite",
        "What was cut is kept, and the same command goes on from there.",
    )
    return list(zip(values[::2], values[1::2], strict=True))


def _store(
    group: Any,
    scene: Scene,
    window: Window,
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
    group.attrs[STATE] = "complete"
    consolidate(group)
    log.info("%d samples, %d of them observed", group["valid"].shape[0], valid)
    return open_samples(Path(out).expanduser())


# --- cutting --------------------------------------------------------------------------------------


Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class Cut:
    """Samples of one window, in the order of their places."""

    images: Pixels
    """float32 [n, y, x, band]."""
    masks: NDArray[np.uint8]
    """uint8 [n, y, x]: 0, 1 or `NOT_LABELLED`."""
    valid: NDArray[np.bool_]
    """[n], False for samples that were not observed, or are not labelled."""
    covers: NDArray[np.uint8] | None = None
    """uint8 [n, y, x] land-cover codes, where known."""


def cut_tiles(
    values: Pixels,
    observation: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    places: NDArray[np.int64],
    tile: int,
    *,
    minmax: bool,
    positive: NDArray[np.bool_],
    covers: NDArray[np.uint8] | None = None,
) -> Cut:
    """Patches of one window, of `tile` pixels from their first row and column in it (n, 2); pixels
    that were not observed become not labelled.

    Values are float32 [band, y, x], NaN where not observed; codes, labels and land cover [y, x].
    With `minmax` each patch and band goes from 0 to 1, as prediction does it; `positive` patches
    were chosen for their landslides: without one they are not valid.
    """
    seen = (observation == 0) & np.isfinite(values).all(axis=0)
    labels = np.where(seen, mask, NOT_LABELLED).astype(np.uint8)
    images = np.empty((len(places), tile, tile, len(values)), np.float32)
    masks = np.empty((len(places), tile, tile), np.uint8)
    around = None if covers is None else np.empty((len(places), tile, tile), np.uint8)
    for number, (y, x) in enumerate(places.tolist()):
        part = (slice(y, y + tile), slice(x, x + tile))
        images[number] = np.moveaxis(values[:, *part], 0, -1)
        masks[number] = labels[part]
        if around is not None and covers is not None:
            around[number] = covers[part]
    valid: NDArray[np.bool_] = (masks != NOT_LABELLED).any(axis=(1, 2))
    valid &= ~positive | (masks == 1).any(axis=(1, 2))
    images[~valid] = 0
    if minmax:
        normalise_tiles(images, "tile-minmax")
    return Cut(images, masks, valid, around)


def cut_clips(
    values: Pixels, observation: NDArray[np.uint8], places: NDArray[np.int64], clip: int
) -> tuple[Pixels, NDArray[Any]]:
    """Clips [n, y, x, band] of one window, and which of them hold no missing pixel at all."""
    images = np.empty((len(places), clip, clip, len(values)), np.float32)
    seen = np.empty(len(places), bool)
    half = clip // 2
    for number, (y, x) in enumerate(places.tolist()):
        images[number] = np.moveaxis(values[:, y : y + clip, x : x + clip], 0, -1)
        seen[number] = observation[y + half, x + half] == 0
    valid = np.isfinite(images).all(axis=(1, 2, 3)) & seen
    images[~valid] = 0
    return images, valid
