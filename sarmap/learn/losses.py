"""The loss paper 2 trains with: Dice, summed over the two classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["dice_loss"]


def dice_loss(epsilon: float = 1.0) -> Callable[[Any, Any], Any]:
    """Dice loss over the classes (Nava et al. 2022, section 3.4), with its usual factor 2.

    ``sum over c of 1 - (2 sum(p g) + epsilon) / (sum(p) + sum(g) + epsilon)``, where the sums run
    over all pixels of a batch, p is the probability of class c and g is 1 where c is true. The
    paper prints the formula without the factor 2; a perfect answer then would not score 0.

    Parameters
    ----------
    epsilon
        Keeps a batch without landslides from dividing by zero; in pixels.

    Returns
    -------
    callable
        ``loss(masks [n, y, x], probabilities [n, y, x, 2])``, a scalar from 0 to 2.
    """

    def loss(masks: Any, probabilities: Any) -> Any:
        from keras import ops

        landslide = probabilities[..., 1]
        truth = ops.reshape(ops.cast(masks, landslide.dtype), ops.shape(landslide))
        total = 0.0
        for p, g in ((landslide, truth), (probabilities[..., 0], 1 - truth)):
            overlap = ops.sum(p * g)
            total = total + 1 - (2 * overlap + epsilon) / (ops.sum(p) + ops.sum(g) + epsilon)
        return total

    return loss
