"""The folder of a training: weights, manifest, card, curves, and what was finished before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from sarmap.detect.manifest import read_manifest, save_weights
from sarmap.errors import OutputError, RequestError
from sarmap.learn.card import make_card
from sarmap.learn.config import TrainingConfig, events_of
from sarmap.learn.fitting import write_csv
from sarmap.learn.sample_store import SampleStore
from sarmap.learn.scoring import PartScore
from sarmap.learn.usual_signature import measure_signature

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class TrainingResult:
    """Trained weights: where they are and what they score."""

    manifest: Path
    """Manifest beside the weights; `sarmap.load_detector` takes it, or its folder."""
    card: Path
    """Model card, Markdown."""
    history: Sequence[Mapping[str, float]]
    """Per epoch: epoch, loss, val_loss, learning_rate, seconds."""
    scores: Mapping[str, Mapping[str, Any]]
    """Part -> scores with intervals and its split."""
    reused: bool = False
    """Whether the same training had been finished before."""
    unread_pixels: int = 0
    """Pixels around samples that could not be read; they neither train nor score."""

    @property
    def folder(self) -> Path:
        """Folder of the weights."""
        return self.manifest.parent


def prepare_folder(config: TrainingConfig, *, overwrite: bool = False) -> TrainingResult | None:
    """Make or check the output folder; gives the result where this training is finished.
    RequestError where it holds another training, OutputError where it cannot be written.
    """
    folder = Path(config.out).expanduser()
    work = folder / "training"
    record = json.dumps(
        [config.model_dump(mode="json", exclude={"grid", "out", "events"}), events_of(config)],
        sort_keys=True,
    )
    known = work / "config.txt"
    try:
        if known.is_file() and known.read_text(encoding="utf-8") == record:
            return _finished(folder, config)
        stands = [name for name in (known, folder / f"{config.name}.json") if name.exists()]
        if stands and not overwrite:
            raise RequestError(
                f"Folder {folder.name} holds another training: choose another out=, or give "
                "overwrite=True (--overwrite)."
            )
        shutil.rmtree(work, ignore_errors=True)
        for suffix in (".json", ".npz", ".md"):
            (folder / f"{config.name}{suffix}").unlink(missing_ok=True)
        work.mkdir(parents=True, exist_ok=True)
        known.write_text(record, encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"Folder {folder.name} cannot be written ({error.strerror}): choose another out=."
        ) from error
    return None


def _finished(folder: Path, config: TrainingConfig) -> TrainingResult | None:
    """The result of a training that was finished here before."""
    said = folder / "training" / "result.txt"
    manifest, card = (folder / f"{config.name}{suffix}" for suffix in (".json", ".md"))
    if not (said.is_file() and manifest.is_file() and card.is_file()):
        return None
    try:
        result = json.loads(said.read_text(encoding="utf-8"))
    except ValueError:
        return None  # cut short as it was written: finished once more, from the checkpoint
    unread = int(read_manifest(manifest).training["unread_pixels"])
    return TrainingResult(
        manifest, card, result["history"], result["scores"], reused=True, unread_pixels=unread
    )


def store_outputs(
    config: TrainingConfig,
    folder: Path,
    arrays: Arrays,
    fields: Mapping[str, Any],
    store: SampleStore,
    scored: Sequence[PartScore],
    history: Sequence[Mapping[str, float]],
) -> TrainingResult:
    """Weights, manifest, card and curves; the manifest's last word is the result record."""
    scores = {one.part: one.record() for one in scored}
    kind = "simulated events only" if fields["simulated"] else "real events"
    if len({bool(one["simulated"]) for one in store.events}) > 1:
        kind = "real and simulated events"
    path = save_weights(
        arrays,
        folder,
        **fields,
        scores=scores,
        card=f"Trained on {kind}; read {config.name}.md before you use it.",
    )
    measure_signature(path, config.worlds)
    card = folder / f"{config.name}.md"
    card.write_text(make_card(read_manifest(path), store.events, scores), encoding="utf-8")
    rows = [dict(one) for one in history]
    write_csv(rows, folder / "curves.csv")
    plot_curves(rows, folder / "curves.png", config.name)
    result = {"history": rows, "scores": scores}
    (folder / "training" / "result.txt").write_text(json.dumps(result), encoding="utf-8")
    unread = int(store.attrs["counts"]["unread_pixels"])
    return TrainingResult(path, card, rows, scores, unread_pixels=unread)


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
