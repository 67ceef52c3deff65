"""Training on samples that are in memory: what the shipped weights' tool and trials use."""

from __future__ import annotations

from typing import Any

from sarmap.learn.fitting import Recipe, fit
from sarmap.learn.losses import cross_entropy, dice_loss
from sarmap.learn.samples import Clips, Patches
from sarmap.learn.sources import InMemory

__all__ = ["train_classifier", "train_segmenter"]


def train_segmenter(
    model: Any, training: Patches, validation: Patches, recipe: Recipe
) -> dict[str, list[float]]:
    """Train a U-Net on patches with Dice loss and Adam (paper 2); the best epoch's weights stay.

    Parameters
    ----------
    model
        As built by `sarmap.detect.networks.build_network`; trained in place.
    training, validation
        Patches; validation ones are never augmented.
    recipe
        How.

    Returns
    -------
    dict
        Per epoch: 'loss' and 'val_loss'.
    """
    return _curves(fit(model, InMemory(training), InMemory(validation), recipe, dice_loss()))


def train_classifier(
    model: Any, training: Clips, validation: Clips, recipe: Recipe
) -> dict[str, list[float]]:
    """Train a CNN on clips with sparse categorical cross-entropy and Adam (paper 1).

    Parameters
    ----------
    model
        As built by `sarmap.detect.networks.build_network`; trained in place.
    training, validation
        Clips, already normalised.
    recipe
        How.

    Returns
    -------
    dict
        Per epoch: 'loss' and 'val_loss'.
    """
    return _curves(fit(model, InMemory(training), InMemory(validation), recipe, cross_entropy()))


def _curves(history: list[dict[str, float]]) -> dict[str, list[float]]:
    return {name: [epoch[name] for epoch in history] for name in ("loss", "val_loss")}
