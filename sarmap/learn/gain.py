"""By how much weights that were fine-tuned do better than those they were made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FEWEST_BLOCKS = 10
"""With fewer blocks held out an interval means nothing."""


@dataclass(frozen=True)
class Gain:
    """By how much fine-tuning helped on held-out corrections."""

    before: float
    """F1 of the weights it started from; NaN where undefined."""
    after: float
    """F1 of the fine-tuned weights."""
    low: float
    """Lower end of the 95 % interval of the difference; NaN with fewer than ten blocks."""
    high: float
    """Upper end."""
    patches: int
    """Tiles (or clips) held out."""
    blocks: int
    """Spatial blocks they lie in."""

    def __str__(self) -> str:
        interval = (
            f"too few blocks ({self.blocks}) for an interval"
            if np.isnan(self.low)
            else f"95 % interval {100 * self.low:+.1f} to {100 * self.high:+.1f}"
        )
        verdict = "" if self.low > 0 else " It is not certain that it helped."
        if not self.after > self.before:
            verdict = " It did not help here: keep the weights you had."
        return (
            f"On {self.patches} held-out samples in {self.blocks} spatial blocks: F1 "
            f"{100 * self.before:.1f} % before, {100 * self.after:.1f} % after, "
            f"{100 * (self.after - self.before):+.1f} points ({interval}).{verdict}"
        )


def paired_gain(
    before: NDArray[np.int64], after: NDArray[np.int64], block: NDArray[np.int64], seed: int = 0
) -> Gain:
    """F1 before and after on the same samples, with a paired block-bootstrap interval.

    Parameters
    ----------
    before, after
        TP, FP, FN, TN of each sample (n, 4).
    block
        Spatial block of each sample; whole blocks are redrawn, for both alike.
    seed
        Of the drawing.

    Examples
    --------
    >>> worse, better = np.array([[1, 1, 1, 0]] * 12), np.array([[2, 0, 1, 0]] * 12)
    >>> print(paired_gain(worse, better, np.arange(12)))
    On 12 held-out samples in 12 spatial blocks: F1 50.0 % before, 80.0 % after, +30.0 points \
(95 % interval +30.0 to +30.0).
    """
    _, number = np.unique(block, return_inverse=True)
    blocks = int(number.max()) + 1
    sums = np.zeros((2, blocks, 4), np.float64)
    for which, counts in enumerate((before, after)):
        np.add.at(sums[which], number, counts)
    f1 = _f1(sums.sum(axis=1))
    low = high = float("nan")
    if blocks >= FEWEST_BLOCKS:
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=1000)
        redrawn = _f1(drawn @ sums[1]) - _f1(drawn @ sums[0])
        redrawn = redrawn[np.isfinite(redrawn)]
        if len(redrawn):
            low, high = (float(end) for end in np.quantile(redrawn, [0.025, 0.975]))
    return Gain(float(f1[0]), float(f1[1]), low, high, len(before), blocks)


def _f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    twice = 2 * counts[:, 0]
    whole = twice + counts[:, 1] + counts[:, 2]
    scores: NDArray[np.float64] = np.full(len(counts), np.nan)
    return np.divide(twice, whole, out=scores, where=whole > 0)
