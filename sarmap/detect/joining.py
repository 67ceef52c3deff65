"""A network's answer and that of `change` beside it, joined in log-odds.

What both call stands; what one alone calls has to be called clearly. `change` knows the noise of
the place and not what a landslide looks like: where its threshold is at its most, or snow moves all
around, it says little about a landslide. So its log-odds count for `MOST` at most to either side.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Odds = NDArray[np.float32]

MOST = np.float32(3.0)
"""Log-odds that `change` counts for at most."""


def join(network: Odds, change: Odds, share: float) -> Odds:
    """Log-odds of both, of which those of `change` weigh `share`.

    Parameters
    ----------
    network, change
        Log-odds of each pixel, of any one shape.
    share
        Weight of `change`, 0 to below 1.

    Examples
    --------
    >>> join(np.float32([2.0]), np.float32([-9.0]), 0.3).round(1).tolist()
    [0.5]
    """
    said = np.clip(change, -MOST, MOST)
    return np.asarray(np.float32(1 - share) * network + np.float32(share) * said, np.float32)


def log_odds(probability: NDArray[np.float32]) -> Odds:
    """Logarithm of p / (1 - p), kept within what float32 tells apart.

    >>> log_odds(np.float32([0.5, 1.0])).round().tolist()
    [0.0, 9.0]
    """
    inside = np.clip(probability, np.float32(1e-4), np.float32(1 - 1e-4))
    return np.asarray(np.log(inside / (1 - inside)), np.float32)
