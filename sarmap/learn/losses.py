"""Losses of the networks: paper 2's Dice, and two that the field trains small objects with.

Masks may hold `sarmap.assess.labels.NOT_LABELLED`: those pixels enter no sum. All sums are taken in
float32, whatever the network computes in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sarmap.assess.labels import NOT_LABELLED
from sarmap.errors import RequestError

Loss = Callable[[Any, Any], Any]


def dice_loss(epsilon: float = 1.0) -> Loss:
    """Dice loss over the classes (Nava et al. 2022, section 3.4), with its usual factor 2:
    ``loss(masks [n, y, x], probabilities [n, y, x, 2])``, a scalar from 0 to 2.

    ``sum over c of 1 - (2 sum(p g) + epsilon) / (sum(p) + sum(g) + epsilon)``, where the sums run
    over all labelled pixels of a batch, p is the probability of class c and g is 1 where c is true.
    The paper prints the formula without the factor 2; a perfect answer then would not score 0.
    `epsilon`, pixels, keeps a batch without landslides from dividing by zero.
    """

    def loss(masks: Any, probabilities: Any) -> Any:
        from keras import ops

        classes, labelled = _pairs(masks, probabilities)
        total = 0.0
        for p, g in classes:
            overlap = ops.sum(p * g * labelled)
            whole = ops.sum((p + g) * labelled)
            total = total + 1 - (2 * overlap + epsilon) / (whole + epsilon)
        return total

    return loss


def bce_dice_loss(epsilon: float = 1.0) -> Loss:
    """Mean binary cross-entropy of the labelled pixels plus `dice_loss`.

    The cross-entropy keeps a gradient where Dice is flat: in batches without landslides.
    """
    dice = dice_loss(epsilon)

    def loss(masks: Any, probabilities: Any) -> Any:
        from keras import ops

        classes, labelled = _pairs(masks, probabilities)
        (p, g), _ = classes
        p = ops.clip(p, 1e-6, 1 - 1e-6)
        entropy = -(g * ops.log(p) + (1 - g) * ops.log(1 - p)) * labelled
        return ops.sum(entropy) / (ops.sum(labelled) + epsilon) + dice(masks, probabilities)

    return loss


def focal_tversky_loss(alpha: float = 0.7, gamma: float = 4 / 3, epsilon: float = 1.0) -> Loss:
    """Focal Tversky loss of the landslide class (Abraham & Khan 2019, equations 3 and 4).

    ``(1 - TI) ** (1 / gamma)`` with ``TI = (TP + epsilon) / (TP + alpha FN + (1 - alpha) FP +
    epsilon)``: alpha above a half makes a missed pixel dearer than a false one.
    """

    def loss(masks: Any, probabilities: Any) -> Any:
        from keras import ops

        classes, labelled = _pairs(masks, probabilities)
        (p, g), _ = classes
        hit = ops.sum(p * g * labelled)
        missed = ops.sum((1 - p) * g * labelled)
        false = ops.sum(p * (1 - g) * labelled)
        index = (hit + epsilon) / (hit + alpha * missed + (1 - alpha) * false + epsilon)
        # the root has no finite slope at 0, which a batch without landslides may reach
        return ops.power(ops.maximum(1 - index, 1e-7), 1 / gamma)

    return loss


def cross_entropy() -> Loss:
    """Sparse categorical cross-entropy (paper 1): mean over labels [n] or labelled pixels."""

    def loss(labels: Any, probabilities: Any) -> Any:
        from keras import ops

        classes, labelled = _pairs(labels, probabilities)
        true = sum(g * ops.log(ops.clip(p, 1e-7, 1.0)) for p, g in classes)
        return -ops.sum(true * labelled) / ops.maximum(ops.sum(labelled), 1.0)

    return loss


LOSSES: dict[str, Callable[..., Loss]] = {
    "dice": dice_loss,
    "bce-dice": bce_dice_loss,
    "focal-tversky": focal_tversky_loss,
    "cross-entropy": cross_entropy,
}
"""Losses by the names a configuration gives."""


def make_loss(name: str, **settings: float) -> Loss:
    """A loss by its name; RequestError where none has it, or it does not take such a setting.

    >>> make_loss("dice", epsilon=0.5).__name__
    'loss'
    """
    if name not in LOSSES:
        raise RequestError(f"Loss {name!r} is none of {', '.join(LOSSES)}: set loss=.")
    try:
        return LOSSES[name](**settings)
    except TypeError as error:
        raise RequestError(
            f"Loss {name!r} does not take {', '.join(settings)}: see sarmap.learn.losses."
        ) from error


def _pairs(labels: Any, probabilities: Any) -> tuple[tuple[tuple[Any, Any], ...], Any]:
    """(probability, truth) of landslide and of other land, and 1 where labelled; all float32."""
    from keras import ops

    probabilities = ops.cast(probabilities, "float32")
    slide = probabilities[..., 1]
    codes = ops.reshape(ops.cast(labels, "float32"), ops.shape(slide))
    labelled = ops.cast(ops.not_equal(codes, float(NOT_LABELLED)), "float32")
    truth = ops.cast(ops.equal(codes, 1.0), "float32")
    return ((slide, truth), (probabilities[..., 0], 1 - truth)), labelled
