"""Curves of a training as a picture."""

from __future__ import annotations

from pathlib import Path


def plot_curves(history: list[dict[str, float]], path: Path, title: str) -> None:
    """Training and validation loss over the epochs, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), dpi=120, layout="constrained")
    axes = figure.subplots()
    epochs = [one["epoch"] for one in history]
    for name, label in (("loss", "training"), ("val_loss", "validation")):
        axes.plot(epochs, [one[name] for one in history], marker="o", markersize=3, label=label)
    best = min(history, key=lambda one: one["val_loss"])
    axes.axvline(best["epoch"], color="0.6", linestyle=":", label=f"kept: epoch {best['epoch']}")
    axes.set(xlabel="epoch", ylabel="loss", title=title)
    axes.legend()
    figure.savefig(path)
