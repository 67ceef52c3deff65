"""Training samples in a Zarr, as a training reads them.

What it holds, by sample: ``patches`` (sample, y, x, band) float32; ``masks`` (sample, y, x) uint8
with 0, 1 and 255 (not labelled), or for clips ``labels`` (sample); the first pixel's ``row`` and
``column``, and ``x``, ``y`` of the centre; ``event`` (a number into the attribute ``events``);
``cover`` at the centre and, for patches, ``covers`` (sample, y, x); ``valid``; ``part`` (training,
validation, test, held_out, left_out). It opens with `xarray.open_zarr`;
`sarmap.learn.sample_writing` writes it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.learn.splits import PARTS, Split, assign_parts

STATE = "sarmap:samples"
"""Attribute that says how far a store is: 'creating', 'writing' or 'complete'."""


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
        """Part of each sample under a split (see `sarmap.learn.splits.assign_parts`); RequestError
        where the split is not possible, or training or validation are empty or of one class.

        Samples that were not observed are left out. Stored as ``part``, with how it was made.
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
        consolidate(self._group)
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
    """Finished samples that `write_samples` wrote; RequestError where there are none, or they are
    not finished.
    """
    import zarr

    try:
        group = zarr.open_group(str(path), mode="r+", use_consolidated=False)
    except (FileNotFoundError, OSError, ValueError, KeyError) as error:
        raise RequestError(f"{Path(path).name} holds no samples: no Zarr opens there.") from error
    state = group.attrs.get(STATE)
    if state != "complete":
        said = "are not finished: write them again, they go on where they stopped"
        raise RequestError(f"The samples in {Path(path).name} {said if state else 'are none'}.")
    return SampleStore(group)


def consolidate(group: Any) -> None:
    """Gather the metadata in one place, so that xarray opens the store without a warning."""
    import zarr

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr warns that format 3 does not specify it yet
        zarr.consolidate_metadata(group.store)
