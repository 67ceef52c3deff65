"""Training on samples that are there: network, precision, statistics, scores, and what is told."""

from __future__ import annotations

import logging
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.detect.manifest import as_stored
from sarmap.detect.protocol import FixedStatistics
from sarmap.errors import RequestError
from sarmap.learn.config import TrainingConfig
from sarmap.learn.fitting import Report, fit
from sarmap.learn.grounds import ground_record, kept_grounds
from sarmap.learn.kept_evidence import KeptScene, is_kept, measured_ranges
from sarmap.learn.losses import make_loss
from sarmap.learn.outputs import Arrays, TrainingResult, store_outputs
from sarmap.learn.sample_store import SampleStore
from sarmap.learn.scoring import PartScore, answers_of, score_parts
from sarmap.learn.sen12landslides import kept_patches, patch_record
from sarmap.learn.sources import Stored, band_means
from sarmap.learn.splits import PARTS
from sarmap.learn.worlds import kept_worlds
from sarmap.version import __version__


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
    """Train on samples that are there, with the part of each, store the weights, and score what was
    stored.

    `initial` are arrays to start from, None: fresh ones; `normalisation` fixed statistics to use,
    None: the configuration's, of the training samples. `fine_tuned_from` is name and hash of the
    weights that `initial` are, and whether they learnt from simulated events; `before` their scores
    on the same samples, to be kept beside the new ones. `report` is called after each epoch.
    """
    from sarmap.detect.networks import build_network, get_arrays, set_arrays

    check_backend()
    folder = Path(config.out).expanduser()
    work = folder / "training"
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
    set_arrays(plain, as_stored(arrays))
    scored = score_parts(answers_of(plain), store, codes, config.samples.split, tiles)
    scored = [*before, *scored]
    fields = _fields(config, store, statistics) | {
        "training": _training_record(config, store, len(training), history, precision)
        | ({"fine_tuned_from": dict(fine_tuned_from)} if fine_tuned_from else {}),
    }
    fields["simulated"] |= bool((fine_tuned_from or {}).get("simulated"))
    return store_outputs(config, folder, arrays, fields, store, scored, history)


def check_installed() -> None:
    """Refuse to train where TensorFlow, which feeds every training, is not installed."""
    if find_spec("tensorflow") is None:
        raise RequestError(
            'Training needs TensorFlow, which is not installed here: pip install "sarmap[train]".'
        )


def check_backend() -> None:
    """Choose TensorFlow, quietly, before Keras is first imported; refuse what cannot train."""
    check_installed()
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

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
    found = band_means(store, training)
    constant = [band for band, (mean, spread) in found.items() if spread <= 1e-6 * abs(mean)]
    if constant:
        raise RequestError(
            f"{constant[0]} is the same in all training samples, and a map's would mean nothing to "
            "the network: leave that band out of composite, or add samples that know it."
        )
    return found


def normalisation_of(statistics: Any) -> Any:
    """Statistics as prediction and samples are normalised with."""
    if isinstance(statistics, str):
        return statistics
    return FixedStatistics(*(tuple(pair) for pair in zip(*statistics.values(), strict=True)))


def _seeded(config: TrainingConfig, bands: int) -> Any:
    from sarmap.detect.networks import build_network, draw_weights

    model = build_network(config.network, bands, config.network_arguments)
    draw_weights(model, config.seed)
    return model


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
        "arguments": config.map_arguments,
        "bands": store.bands,
        "composite": named if isinstance(named, str) else None,
        "scaling": store.scaling,
        "normalisation": statistics,
        "kind": config.kind,
        "tile": config.map_tile or config.edge,
        "stride": 2 if window else config.map_tile or config.edge,
        "halo": config.halo,
        "change_share": config.change_share,
        "odds_added": config.odds_added,
        "prevalence": config.prevalence,
        "made_for": measured_ranges(_kept(config, store.bands)),
        "network_size": config.network_arguments.get("size", 32) if window else None,
        "simulated": bool(store.attrs["simulated"]),
        "licence": config.licence,
    }


def _kept(config: TrainingConfig, bands: Sequence[str]) -> Iterator[KeptScene]:
    """The scenes whose ranges weights are trusted in; grounds are few places: where alone."""
    worlds = kept_worlds(config.worlds, bands, config.worlds_folder)
    yield from (world for world, _, _ in worlds)
    yield from kept_patches(config.sen12landslides, bands, config.worlds_folder)
    if not worlds and not config.sen12landslides:
        grounds = kept_grounds(config.grounds, bands, config.worlds_folder)
        yield from (ground for ground, _ in grounds)


def _training_record(
    config: TrainingConfig,
    store: SampleStore,
    samples: int,
    history: Sequence[Mapping[str, float]],
    precision: str,
) -> dict[str, Any]:
    """How the weights were made, for the manifest: no path and no address."""
    names = ("name", "role", "simulated", "landslides", "repaired", "shape", "crs")
    return {
        "events": [
            {name: one[name] for name in names}
            for one in store.events
            if not is_kept(str(one["name"]))
        ],
        "worlds": [source.model_dump(mode="json") for source in config.worlds],
        "grounds": [ground_record(source) for source in config.grounds],
        "sen12landslides": [patch_record(source) for source in config.sen12landslides],
        "samples": samples,
        "unread_pixels": store.attrs["counts"]["unread_pixels"],
        "sample_settings": config.samples.model_dump(),
        "loss": config.loss_name,
        "loss_settings": config.loss_settings,
        "recipe": config.recipe.record(),
        "epochs": len(history),
        "best_validation_loss": round(min(one["val_loss"] for one in history), 5),
        "minutes": round(sum(one["seconds"] for one in history) / 60, 2),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "precision": precision,
        "versions": {
            "sarmap": __version__,
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
