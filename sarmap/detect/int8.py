"""A network's convolutions in 8-bit whole numbers, with OpenVINO's own operations.

What each layer gives is held to a range measured once (``int8`` of a manifest, by
``tools/measure_int8.py``) and told in 256 steps of it, the same for all channels; each kernel in
steps of its own. Both are said by `FakeQuantize` operations, which OpenVINO's plug-in for
processors turns into 8-bit convolutions.

Two things make the answer hold (figures in docs/speed.md):

- *Kernels keep their sums.* Neighbouring values of an image are alike, so that what matters of a
  kernel's rounding is the error of its sum. Rounding each weight to the nearest step shifts whole
  layers; here as many weights are rounded up as keep the sum of each 3 x 3 kernel within half a
  step.
- *Kernels use 7 of the 8 bits.* Processors without VNNI add two products in 16 bits, and cut what
  does not fit: 2 x 63 x 255 does, so that they answer as those with VNNI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import WeightsError

STEPS = 63
"""Greatest weight of a kernel, in steps."""
LEVELS = 256
"""Values that a layer's answer may take."""
Range = tuple[float, float]


def joined_layers(model: Any) -> list[tuple[str, ...]]:
    """Names of the layers that a Keras model's convolutions read, those joined before as one.

    Poolings pass on whole numbers as they are, and so does a concatenation whose parts are told in
    the same steps.
    """
    found: dict[tuple[str, ...], None] = {}
    for layer in model.layers:
        if type(layer).__name__ in ("Conv2D", "Conv2DTranspose"):
            found[tuple(_read_by(layer))] = None
    return list(found)


def _read_by(layer: Any) -> list[str]:
    inputs = layer.input if isinstance(layer.input, list) else [layer.input]
    names: list[str] = []
    for one in (tensor._keras_history.operation for tensor in inputs):
        passes_on = type(one).__name__ in ("MaxPooling2D", "Concatenate")
        names += _read_by(one) if passes_on else [one.name]
    return names


def measure_ranges(model: Any, tiles: Sequence[NDArray[np.float32]]) -> dict[str, Range]:
    """Least and greatest value of what each convolution reads, over tiles [n, y, x, band].

    Parameters
    ----------
    model
        As `sarmap.detect.conversion.build_model` gives it, channels first.
    tiles
        Batches, normalised.

    Returns
    -------
    For each layer that a convolution reads, layers that are joined alike: with 0 in it.
    """
    import keras

    groups = joined_layers(model)
    names = [name for group in groups for name in group]
    watch = keras.Model(model.input, [model.get_layer(name).output for name in names])
    low, high = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    for batch in tiles:
        for name, answer in zip(names, watch.predict_on_batch(batch), strict=True):
            low[name] = min(low[name], float(np.min(answer)))
            high[name] = max(high[name], float(np.max(answer)))
    return {
        name: (min(low[one] for one in group), max(high[one] for one in group))
        for group in groups
        for name in group
    }


def hold_to_ranges(model: Any, ranges: Mapping[str, Range]) -> Any:
    """The same Keras model, its layers' answers cut to their ranges.

    Raises
    ------
    WeightsError
        Where the ranges are not those of the layers that its convolutions read.
    """
    import keras

    differing = set(ranges) ^ {name for group in joined_layers(model) for name in group}
    if differing:
        raise WeightsError(
            f"The ranges for int8 are not those of this network's layers ({min(differing)}): "
            "measure them again (tools/measure_int8.py)."
        )

    def call(layer: Any, *given: Any, **more: Any) -> Any:
        answer = layer(*given, **more)
        return keras.ops.clip(answer, *ranges[layer.name]) if layer.name in ranges else answer

    return keras.models.clone_model(model, clone_function=lambda one: one, call_function=call)


def quantise(model: Any) -> None:
    """Turn an OpenVINO model's cuts to a range into steps, and round its kernels; in place.

    Parameters
    ----------
    model
        As exported from `hold_to_ranges`.
    """
    from openvino import opset13
    from openvino._offline_transformations import apply_moc_transformations

    for node in model.get_ordered_ops():
        if node.get_type_name() == "Minimum" and _below(node).get_type_name() == "Maximum":
            low, high = _steps_with_zero(_number(_below(node)), _number(node))
            told = _fake_quantize(opset13, _below(node).input_value(0), low, high, LEVELS)
            _replace(node, told)
    apply_moc_transformations(model, cf=True)  # folds the normalisations into the kernels
    for node in model.get_ordered_ops():
        if node.get_type_name() in ("Convolution", "ConvolutionBackpropData"):
            across = 1 if node.get_type_name() == "ConvolutionBackpropData" else 0
            kernels = node.input_value(1).get_node().get_data().astype(np.float64)
            rounded, step = round_kernels(np.moveaxis(kernels, across, 0))
            weights = np.moveaxis(rounded * step, 0, across).astype(np.float32)
            most = np.moveaxis(127 * step, 0, across).astype(np.float32)
            node.input(1).replace_source_output(
                _fake_quantize(opset13, opset13.constant(weights), -most, most, 255).output(0)
            )
    model.validate_nodes_and_infer_types()


def round_kernels(kernels: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Kernels [out, in, y, x] in whole steps of at most 63, and each out channel's step.

    >>> rounded, step = round_kernels(np.float64([[[[63.0, 1.4, 1.4], [1.4, 0, 0]]]]))
    >>> rounded.ravel(), step.ravel()  # to the nearest: 63 + 3, where the sum is 67.2
    (array([63.,  2.,  1.,  1.,  0.,  0.]), array([1.]))
    """
    step = np.abs(kernels).max(axis=(1, 2, 3), keepdims=True) / STEPS
    step[step == 0] = 1
    exact = (kernels / step).reshape(*kernels.shape[:2], -1)
    down = np.floor(exact)
    left = exact - down
    up = np.round(left.sum(axis=-1, keepdims=True))
    order = np.argsort(np.argsort(-left, axis=-1, kind="stable"), axis=-1, kind="stable")
    return (down + (order < up)).reshape(kernels.shape), step


def _steps_with_zero(low: float, high: float) -> Range:
    """The range moved by less than a step, so that 0 is one of its values."""
    step = max(high - low, 1e-6) / (LEVELS - 1)
    low = -round(-low / step) * step
    return low, low + (LEVELS - 1) * step


def _below(node: Any) -> Any:
    return node.input_value(0).get_node()


def _number(node: Any) -> float:
    """The constant that a node of two inputs compares with."""
    constant = node.input_value(1).get_node()
    while constant.get_type_name() != "Constant":
        constant = _below(constant)
    return float(np.ravel(constant.get_data())[0])


def _fake_quantize(operations: Any, told: Any, low: Any, high: Any, levels: int) -> Any:
    ends = [
        operations.constant(np.float32(end).reshape(np.shape(end) or (1,) * 4))
        for end in (low, high)
    ]
    return operations.fake_quantize(told, *ends, *ends, levels)


def _replace(node: Any, other: Any) -> None:
    for reader in node.output(0).get_target_inputs():
        reader.replace_source_output(other.output(0))
