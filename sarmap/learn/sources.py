"""Samples as the training loop takes them: from memory, or streamed from a store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sarmap.detect.normalise import normalise_tiles
from sarmap.detect.protocol import FixedStatistics, Normalisation
from sarmap.learn.fitting import Batch
from sarmap.learn.sample_store import SampleStore
from sarmap.types import Kind

MEMORY_BYTES = 256 * 2**20
"""Samples are kept in memory up to this many bytes; beyond it, so many are shuffled at a time."""


@dataclass(frozen=True, eq=False)
class InMemory:
    """Samples that are in memory already, normalised."""

    images: NDArray[np.float32]
    """[n, edge, edge, band]."""
    labels: NDArray[np.uint8]
    """[n, edge, edge] of patches, [n] of clips: 1 on landslides."""

    def __len__(self) -> int:
        return len(self.labels)

    def order(self, rng: Generator) -> Iterator[NDArray[np.int64]]:
        """All numbers in one shuffled run."""
        yield rng.permutation(len(self))

    def read(self, numbers: NDArray[np.int64]) -> Batch:
        """Images and labels."""
        return self.images[numbers], self.labels[numbers]


class Stored:
    """Chosen samples of a store, normalised as prediction does it.

    What fits into `memory` bytes is kept after its first reading, and shuffled as a whole. Larger
    stores are shuffled by their stored chunks, then within runs of that size.
    """

    def __init__(
        self,
        store: SampleStore,
        chosen: NDArray[np.int64],
        normalisation: Normalisation | FixedStatistics,
        *,
        memory: int = MEMORY_BYTES,
    ) -> None:
        self.store = store
        self.chosen = np.asarray(chosen, np.int64)
        self.normalisation = normalisation
        self.run = max(memory // store.sample_bytes, store.chunk)
        self._kept: Batch | None = None

    def __len__(self) -> int:
        return len(self.chosen)

    def order(self, rng: Generator) -> Iterator[NDArray[np.int64]]:
        """All numbers once, shuffled, in runs of at most `run`."""
        if len(self) <= self.run:
            yield rng.permutation(len(self))
            return
        chunk = self.chosen // self.store.chunk
        rank = np.empty(int(chunk.max()) + 1, np.int64)
        rank[:] = rng.permutation(len(rank))
        by_chunk = np.argsort(rank[chunk], kind="stable")
        for start in range(0, len(by_chunk), self.run):
            run = by_chunk[start : start + self.run]
            yield run[rng.permutation(len(run))]

    def read(self, numbers: NDArray[np.int64]) -> Batch:
        """Images, normalised, and their masks or labels."""
        if len(self) > self.run:
            return self._normalised(self.chosen[numbers])
        if self._kept is None:
            self._kept = self._normalised(self.chosen)
        return self._kept[0][numbers], self._kept[1][numbers]

    def _normalised(self, which: NDArray[np.int64]) -> Batch:
        images, labels = self.store.read(which)
        if not self.store.normalised:
            kind: Kind = "segment" if labels.ndim > 1 else "window"
            normalise_tiles(images, self.normalisation, kind)
        return images, labels


def band_means(store: SampleStore, chosen: NDArray[np.int64]) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of each band over chosen samples, read a run at a time.

    >>> import numpy as np
    >>> class Four:
    ...     bands, sample_bytes, chunk = ("a",), 4, 2
    ...     def read(self, chosen):
    ...         return np.float32([1, 3, 1, 3])[chosen].reshape(-1, 1, 1, 1), None
    >>> band_means(Four(), np.arange(4))
    {'a': (2.0, 1.0)}
    """
    count, mean, spread = 0, np.zeros(len(store.bands)), np.zeros(len(store.bands))
    step = max(64 * 2**20 // store.sample_bytes, 1)
    for start in range(0, len(chosen), step):
        images, _ = store.read(np.asarray(chosen[start : start + step]))
        pixels = images.reshape(-1, len(store.bands)).astype(np.float64)
        pixels = pixels[np.isfinite(pixels).all(axis=1)]
        # Chan's update: sums of squares about the running mean lose no digits
        own, both = pixels.mean(axis=0), count + len(pixels)
        spread += ((pixels - own) ** 2).sum(axis=0) + (own - mean) ** 2 * count * len(pixels) / both
        mean += (own - mean) * len(pixels) / both
        count = both
    deviation = np.sqrt(spread / count)
    return {
        band: (float(m), float(s)) for band, m, s in zip(store.bands, mean, deviation, strict=True)
    }
