"""From a configuration to trained weights with their card: samples, training, scores, files."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import sarmap
from sarmap.detect.manifest import read_manifest, save_weights
from sarmap.detect.protocol import FixedStatistics
from sarmap.errors import OutputError, RequestError
from sarmap.learn.card import make_card
from sarmap.learn.config import TrainingConfig, read_config
from sarmap.learn.curves import plot_curves
from sarmap.learn.fitting import Report, fit, write_curves
from sarmap.learn.losses import make_loss
from sarmap.learn.scenes import open_scenes
from sarmap.learn.scoring import PartScore, answers_of, score_parts
from sarmap.learn.sources import Stored, band_means
from sarmap.learn.splits import PARTS
from sarmap.learn.store import SampleStore, Scene, samples_for, write_samples

__all__ = [
    "TrainingResult",
    "normalisation_of",
    "prepare_folder",
    "prepare_samples",
    "settle",
    "train",
]

Progress = Callable[[int, int], None]
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


def train(
    config: TrainingConfig | Mapping[str, Any] | str | Path,
    *,
    scenes: Sequence[Scene] | None = None,
    samples: str | Path | None = None,
    client: Any = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    report: Report | None = None,
) -> TrainingResult:
    """Train a network and store its weights, manifest, card and curves.

    A run that was killed goes on where it stopped, at the last finished window of the samples or
    epoch; one that was finished is not repeated.

    Parameters
    ----------
    config
        What to make; names and values, or a YAML or TOML file, as well.
    scenes
        Lazy composites and labels to use instead of opening the configuration's events.
    samples
        Zarr of the samples; None: ``samples.zarr`` in the output folder.
    client
        Dask client to read composites on; None: threads.
    overwrite
        Replace another training in the output folder.
    progress
        Called with windows of samples done and in all.
    report
        Called after each epoch with its losses.

    Returns
    -------
    TrainingResult

    Raises
    ------
    RequestError
        The configuration, an event or its labels cannot be used.
    OutputError
        The output folder cannot be written.
    """
    config = read_config(config)
    finished = prepare_folder(config, overwrite=overwrite)
    if finished is not None:
        return finished
    store = prepare_samples(
        config,
        samples or Path(config.out).expanduser() / "samples.zarr",
        scenes=scenes,
        client=client,
        overwrite=overwrite,
        progress=progress,
    )
    return settle(config, store, store.stored_parts(), report=report)


def prepare_samples(
    config: TrainingConfig,
    out: str | Path,
    *,
    scenes: Sequence[Scene] | None = None,
    client: Any = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> SampleStore:
    """The samples of a configuration, written, finished or reused, and dealt out to parts."""
    store = _samples(config, scenes, out, client, overwrite, progress)
    how = config.samples
    store.parts(
        how.split, seed=config.seed, test=how.test, validation=how.validation, block=how.block
    )
    return store


def _samples(
    config: TrainingConfig,
    scenes: Sequence[Scene] | None,
    out: str | Path,
    client: Any,
    overwrite: bool,
    progress: Progress | None,
) -> SampleStore:
    def written(of: Sequence[Scene]) -> SampleStore:
        return write_samples(
            of,
            out,
            config.rule,
            normalisation=config.normalised,
            overwrite=overwrite,
            client=client,
            progress=progress,
        )

    if scenes is not None:
        return written(scenes)
    asked = _asked(config)
    known = samples_for(out, asked)
    if known is not None:  # no catalogue need be asked again
        return known
    with open_scenes(config.events, config.bands, config.scaling) as opened:
        store = written(opened)
    store.remember(asked)
    return store


def _asked(config: TrainingConfig) -> str:
    """Hash of all in the configuration, and of the files it names, that decides the samples."""
    files = ("inventory", "surveyed", "clouds", "land_cover")
    stamps = []
    for event in config.events:
        named = [getattr(event, name) for name in files]
        named += [f"{event.simulated}/event.json"] if event.simulated else []
        paths = [Path(one).expanduser() for one in named if one]
        stamps += [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in paths if p.exists()]
    told = [
        [event.model_dump(mode="json", exclude={"area", "catalog"}) for event in config.events],
        [[str(event.area), str(event.catalog)] for event in config.events],
        [*config.bands, config.scaling, config.normalised, str(config.rule)],
        stamps,
    ]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def settle(
    config: TrainingConfig,
    store: SampleStore,
    codes: NDArray[np.uint8],
    *,
    initial: Arrays | None = None,
    normalisation: Any = None,
    fine_tuned_from: Mapping[str, Any] | None = None,
    before: Sequence[PartScore] = (),
    report: Report | None = None,
) -> TrainingResult:
    """Train on samples that are there, store the weights, and score what was stored.

    Parameters
    ----------
    config
        What to make.
    store, codes
        The samples, and the part of each.
    initial
        Arrays to start from; None: fresh ones.
    normalisation
        Fixed statistics to use; None: the configuration's, of the training samples.
    fine_tuned_from
        Name and hash of the weights that `initial` are, and whether they learnt from simulated
        events.
    before
        Their scores on the same samples, to be kept beside the new ones.
    report
        Called after each epoch.
    """
    from sarmap.detect.networks import build_network, get_arrays, set_arrays

    _check_backend()
    folder = Path(config.out).expanduser()
    work = folder / "training"
    started = time.time()
    training, validation = (np.flatnonzero(codes == PARTS.index(p)) for p in PARTS[:2])
    statistics = normalisation or _statistics(config, store, training)
    tiles = normalisation_of(statistics)
    precision = _precision(config)
    with _policy(precision):
        model = _seeded(config, len(store.bands))
    if initial is not None:
        set_arrays(model, initial)
    history = fit(
        model,
        Stored(store, training, tiles),
        Stored(store, validation, tiles),
        config.recipe,
        make_loss(config.loss_name, **config.loss_settings),
        keep_in=work,
        report=report,
    )
    arrays = get_arrays(model)
    plain = build_network(config.network, len(store.bands), config.network_arguments)
    set_arrays(plain, {name: array.astype(np.float16) for name, array in arrays.items()})
    scored = score_parts(answers_of(plain), store, codes, config.samples.split, tiles)
    scored = [*before, *scored]
    fields = _fields(config, store, statistics) | {
        "training": _training_record(config, store, len(training), history, precision, started)
        | ({"fine_tuned_from": dict(fine_tuned_from)} if fine_tuned_from else {}),
    }
    fields["simulated"] |= bool((fine_tuned_from or {}).get("simulated"))
    return _store(config, folder, arrays, fields, store, scored, history)


# --- the pieces ----------------------------------------------------------------------------------


def _check_backend() -> None:
    """Choose TensorFlow, quietly, before Keras is first imported; refuse what cannot train."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        import keras
        import tensorflow  # noqa: F401  (feeds the training, whatever computes)
    except ImportError as error:
        raise RequestError(
            "Training needs TensorFlow, which is not installed here: pip install tensorflow."
        ) from error
    # one network after another is no mistake, which TensorFlow would warn of
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    backend = keras.config.backend()
    if backend not in ("tensorflow", "jax"):
        raise RequestError(
            f"Keras runs on {backend} in this process, which cannot train: set "
            "KERAS_BACKEND=tensorflow."
        )


def _statistics(config: TrainingConfig, store: SampleStore, training: NDArray[np.int64]) -> Any:
    if config.normalised != "fixed":
        return config.normalised
    return band_means(store, training)


def normalisation_of(statistics: Any) -> Any:
    """Statistics as prediction and samples are normalised with."""
    if isinstance(statistics, str):
        return statistics
    return FixedStatistics(*(tuple(pair) for pair in zip(*statistics.values(), strict=True)))


def _seeded(config: TrainingConfig, bands: int) -> Any:
    import keras

    from sarmap.detect.networks import build_network

    keras.utils.set_random_seed(config.seed)
    return build_network(config.network, bands, config.network_arguments)


def _precision(config: TrainingConfig) -> str:
    """'f32', or 'bf16' where the processor (or a graphics card) multiplies it natively."""
    from sarmap.detect.hardware import find_gpu, native_bf16

    gpu = find_gpu()
    has = gpu.bf16 if gpu is not None else native_bf16()
    if config.precision == "bf16" and not has:
        raise RequestError("This machine has no native bf16: use precision 'f32', or 'auto'.")
    return "bf16" if has and config.precision != "f32" else "f32"


@contextmanager
def _policy(precision: str) -> Iterator[None]:
    """Layers made inside compute in bf16 and keep their weights in float32, where asked for."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bf16" else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _fields(config: TrainingConfig, store: SampleStore, statistics: Any) -> dict[str, Any]:
    """What the manifest says, without training and scores."""
    named = config.composite_name
    window = config.kind == "window"
    return {
        "name": config.name,
        "network": config.network,
        "arguments": config.network_arguments,
        "bands": store.bands,
        "composite": named if isinstance(named, str) else None,
        "scaling": store.scaling,
        "normalisation": statistics,
        "kind": config.kind,
        "tile": config.edge,
        "stride": 2 if window else config.edge,
        "network_size": config.network_arguments.get("size", 32) if window else None,
        "simulated": bool(store.attrs["simulated"]),
        "licence": config.licence,
    }


def _training_record(
    config: TrainingConfig,
    store: SampleStore,
    samples: int,
    history: Sequence[Mapping[str, float]],
    precision: str,
    started: float,
) -> dict[str, Any]:
    """How the weights were made, for the manifest: no path and no address."""
    names = ("name", "role", "simulated", "landslides", "repaired", "shape", "crs")
    return {
        "events": [{name: one[name] for name in names} for one in store.events],
        "samples": samples,
        "unread_pixels": store.attrs["counts"]["unread_pixels"],
        "sample_settings": config.samples.model_dump(),
        "loss": config.loss_name,
        "loss_settings": config.loss_settings,
        "recipe": config.recipe.record(),
        "epochs": len(history),
        "best_validation_loss": round(min(one["val_loss"] for one in history), 5),
        "minutes": round(sum(one["seconds"] for one in history) / 60, 2),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(max(started, time.time()))),
        "precision": precision,
        "versions": {
            "sarmap": sarmap.__version__,
            "python": platform.python_version(),
            **_library_versions(),
        },
    }


def _library_versions() -> dict[str, str]:
    import keras
    import tensorflow  # its distribution has several names

    return {
        "keras": str(keras.__version__),
        "tensorflow": str(tensorflow.__version__),
        "numpy": str(np.__version__),
    }


def _store(
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
    path = save_weights(
        arrays,
        folder,
        **fields,
        scores=scores,
        card=f"Trained on {kind if _unmixed(store) else 'real and simulated events'}; "
        f"read {config.name}.md before you use it.",
    )
    card = folder / f"{config.name}.md"
    card.write_text(make_card(read_manifest(path), store.events, scores), encoding="utf-8")
    rows = [dict(one) for one in history]
    write_curves(rows, folder / "curves.csv")
    plot_curves(rows, folder / "curves.png", config.name)
    result = {"history": rows, "scores": scores}
    (folder / "training" / "result.txt").write_text(json.dumps(result), encoding="utf-8")
    unread = int(store.attrs["counts"]["unread_pixels"])
    return TrainingResult(path, card, rows, scores, unread_pixels=unread)


def _unmixed(store: SampleStore) -> bool:
    return len({bool(one["simulated"]) for one in store.events}) == 1


# --- the output folder ---------------------------------------------------------------------------


def prepare_folder(config: TrainingConfig, *, overwrite: bool = False) -> TrainingResult | None:
    """Make or check the output folder; gives the result where this training is finished.

    Raises
    ------
    RequestError
        The folder holds another training.
    OutputError
        It cannot be written.
    """
    folder = Path(config.out).expanduser()
    work = folder / "training"
    record = json.dumps(config.model_dump(mode="json", exclude={"grid"}), sort_keys=True)
    known = work / "config.txt"
    try:
        if known.is_file() and known.read_text(encoding="utf-8") == record and not overwrite:
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
    result = json.loads(said.read_text(encoding="utf-8"))
    unread = int(read_manifest(manifest).training["unread_pixels"])
    return TrainingResult(
        manifest, card, result["history"], result["scores"], reused=True, unread_pixels=unread
    )
