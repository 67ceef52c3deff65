"""The networks sarmap can build, by name: what a manifest may ask for, and nothing else.

A stored model is a network's name, its arguments and its arrays. The graph is always built here, by
our own code: no serialised Python, layer configuration or graph from a file is ever run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import WeightsError

NETWORKS = ("attention-unet", "plain-unet", "dropout-unet", "cnn", "cnn-dense")
"""Names a manifest may give as its network."""


def build_network(name: str, bands: int, arguments: Mapping[str, Any]) -> Any:
    """Build one of `NETWORKS` with fresh weights and the keyword arguments of its builder: Keras
    model of two classes. WeightsError for an unknown name, or arguments the network does not take.
    """
    from sarmap.detect.attention_unet import build_attention_unet
    from sarmap.detect.cnn import build_cnn, build_dense_cnn

    if name not in NETWORKS:
        raise WeightsError(f"Network {name!r} is none of {', '.join(NETWORKS)}: mend the manifest.")
    try:
        if name == "cnn":
            return build_cnn(bands, **arguments)
        if name == "cnn-dense":
            return build_dense_cnn(bands, **arguments)
        variant: Any = name.removesuffix("-unet")
        return build_attention_unet(bands, variant=variant, **arguments)
    except (TypeError, ValueError) as error:
        raise WeightsError(
            f"Network {name} cannot be built with the manifest's arguments {dict(arguments)}: "
            f"{error}"
        ) from error


def draw_weights(model: Any, seed: int) -> None:
    """Draw a fresh network's weights, and what its dropout begins with, anew from a seed, in place.

    Each layer's draw depends on the seed and the layer's name alone. Keras itself draws from
    Python's one random generator, of which other threads take as well: on a Dask worker the same
    seed gave other weights.
    """
    for layer in model.layers:
        said = hashlib.sha256(f"{seed} {layer.name}".encode()).digest()
        own = int.from_bytes(said[:4]) // 2  # a seed is 31 bits
        initializer = getattr(layer, "kernel_initializer", None)
        if initializer is not None:
            drawn = type(initializer).from_config({**initializer.get_config(), "seed": own})
            layer.kernel.assign(drawn(layer.kernel.shape, "float32"))
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            generator.state.assign([own, 0])


def landslide_answer(model: Any) -> Any:
    """The same model with one answer: the probability of the class landslide.

    [n, y, x, 2] becomes [n, y, x] and [n, 2] becomes [n] (class 1); an answer with one class loses
    that axis; [n, y, x] or [n] stays; WeightsError for any other.
    """
    import keras

    output = model.output
    axis = 1 if keras.config.image_data_format() == "channels_first" else len(output.shape) - 1
    if len(output.shape) in (1, 3):
        return model
    classes = output.shape[axis]
    if len(output.shape) not in (2, 4) or classes not in (1, 2):
        raise WeightsError(
            f"The network answers with shape {output.shape}: it must give [n, y, x] or [n], alone "
            "or with a last axis of one or two classes."
        )
    chosen = (slice(None),) * axis + (classes - 1,)
    return keras.Model(model.input, output[chosen], name=f"{model.name}_landslide")


def get_arrays(model: Any) -> dict[str, NDArray[np.float32]]:
    """Every weight by its path, e.g. ``down0a/kernel``, float32."""
    return {weight.path: np.asarray(weight.value, np.float32) for weight in _weights(model)}


def set_arrays(model: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Put stored arrays into a freshly built network; WeightsError where an array is missing, too
    many, or of another shape.
    """
    weights = {weight.path: weight for weight in _weights(model)}
    missing, extra = sorted(weights.keys() - arrays.keys()), sorted(arrays.keys() - weights.keys())
    if missing or extra:
        what = f"lack {missing[0]}" if missing else f"hold {extra[0]} as well"
        raise WeightsError(f"The weights {what}: they were not made for their manifest's network.")
    for path, weight in weights.items():
        if tuple(weight.shape) != arrays[path].shape:
            raise WeightsError(
                f"Array {path} has shape {arrays[path].shape} where the manifest's network needs "
                f"{tuple(weight.shape)}: bands or arguments differ from the training's."
            )
    for path, weight in weights.items():
        weight.assign(arrays[path].astype(np.float32))


def _weights(model: Any) -> list[Any]:
    weights: list[Any] = model.weights
    return weights
