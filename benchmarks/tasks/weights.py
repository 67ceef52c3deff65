"""A network of the paper's size with seeded random weights: for pace, never for a map."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

__all__ = ["make"]


def make(*, folder: str, filters: int = 32) -> dict[str, Any]:
    """Write `attention-unet-<filters>-random` into a folder, after the shipped manifest."""
    os.environ["KERAS_BACKEND"] = "openvino"
    import keras

    from sarmap.detect.manifest import read_manifest, save_weights
    from sarmap.detect.networks import build_network, get_arrays
    from sarmap.detect.weight_files import DATA

    shipped = read_manifest(DATA / "nava-2022-attention-unet.json")
    arguments = {**shipped.arguments, "filters": filters}
    keras.utils.set_random_seed(2018)
    model = build_network("attention-unet", len(shipped.bands), arguments)
    fields = shipped.model_dump(exclude={"weights", "sha256"})
    fields |= {
        "name": f"attention-unet-{filters}-random",
        "arguments": arguments,
        "training": {},
        "scores": {},
        "card": "Seeded random weights: they show how fast the network is, and map nothing.",
    }
    path = save_weights(get_arrays(model), Path(folder), **fields)
    return {"metrics": {}, "path": str(path)}
