"""Weights stored, scored on whole events as stored, and told: manifest and model card."""

from __future__ import annotations

import json
import logging
import platform
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import network_trials as nets
import numpy as np
from simulated_events import Event

import sarmap
from sarmap.detect.manifest import read_manifest, save_weights
from sarmap.learn.card import make_card
from sarmap.learn.fitting import Recipe
from sarmap.simulate.fingerprint import simulator_hash
from sarmap.simulate.landcover import Cover

__all__ = ["store", "training_record"]

log = logging.getLogger("shipping")


def training_record(
    roles: Mapping[str, Sequence[Event]],
    recipe: Recipe,
    history: Sequence[Mapping[str, float]],
    samples: int,
    **more: Any,
) -> dict[str, Any]:
    """How weights were made: no path, no address."""
    import tensorflow

    return {
        "simulator": simulator_hash(),
        "events": [_event(event, role) for role, events in roles.items() for event in events],
        "samples": samples,
        "recipe": recipe.record(),
        "epochs": len(history),
        "best_validation_loss": round(min(one["val_loss"] for one in history), 5),
        "minutes": round(sum(one["seconds"] for one in history) / 60, 1),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "precision": "f32",
        "versions": {
            "sarmap": sarmap.__version__,
            "python": platform.python_version(),
            "tensorflow": tensorflow.__version__,
            **{one: metadata.version(one) for one in ("keras", "numpy")},
        },
        **more,
    }


def _event(event: Event, role: str) -> dict[str, Any]:
    return {
        "name": f"seed {event.seed}, {event.orbit}",
        "role": role,
        "simulated": True,
        "landslides": event.landslides,
        "repaired": 0,
        "shape": list(event.mask.shape),
        "crs": "EPSG:32654",
    }


def store(
    arrays: Any,
    out: Path,
    fields: Mapping[str, Any],
    held_out: Sequence[Event],
    *,
    clip_scores: Mapping[str, Any] | None = None,
) -> None:
    """Store, then score what was stored on whole held-out maps, then store with scores and card."""
    fields = {**fields, "simulated": True, "licence": "Apache-2.0"}
    manifest = save_weights(arrays, out, **fields)
    detector: Any = sarmap.load_detector(manifest, precision="f32")
    scores = {f"event seed {e.seed}, {e.orbit}": _whole_map(detector, e) for e in held_out}
    log.info("%s: %s", fields["name"], json.dumps({k: v["f1"] for k, v in scores.items()}))
    both = {**(clip_scores or {}), **scores}
    manifest = save_weights(arrays, out, **fields, scores=both)
    events = fields["training"]["events"]
    card = make_card(read_manifest(manifest), events, scores, whole_maps=True)
    manifest.with_suffix(".md").write_text(card, encoding="utf-8")


def _whole_map(detector: Any, event: Event) -> dict[str, Any]:
    """Scores of a whole map with intervals, and where its false alarms lie."""
    probability = nets.map_of(detector, event)
    seen = np.isfinite(probability)
    called, truth = seen & (probability > 0.5), event.mask == 1
    land = {}
    for cover in Cover:
        here = seen & ~truth & (event.cover == cover)
        if (of := int(here.sum())) > 0:
            wrong = int((here & called).sum())
            land[cover.name.lower()] = {"called": wrong, "of": of, "share": round(wrong / of, 5)}
    return {
        "split": "events",
        "samples": int(np.ceil(seen.sum() / detector.tile**2)),
        **nets.scores_of(nets.outcomes(event.mask, probability)),
        "false_alarms": land,
    }
