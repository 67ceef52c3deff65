"""How many floating-point operations a network takes, counted from its OpenVINO graph.

A multiplication and an addition count as two, as usual; only convolutions, transposed convolutions
and matrix products are counted, which is all but a few per mille.
"""

from __future__ import annotations

import math
from typing import Any

__all__ = ["count_flops", "network_flops"]


def network_flops(detector: Any) -> float:
    """Operations of a `NetworkDetector` for one tile."""
    import openvino

    from sarmap.detect.conversion import openvino_ir

    xml, binary = openvino_ir(detector.manifest, detector._folder)
    model = openvino.Core().read_model(xml, binary)
    model.reshape([1, *detector.manifest.input_shape])
    return count_flops(model)


def count_flops(model: Any) -> float:
    """Operations of an OpenVINO model with static shapes."""
    return float(sum(_operations(node) for node in model.get_ordered_ops()))


def _operations(node: Any) -> int:
    kind = node.get_type_name()
    if kind not in ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul"):
        return 0
    answer = math.prod(node.output(0).shape)
    weights = list(node.input(1).get_shape())
    if kind == "Convolution":  # [out, in, y, x]
        return 2 * answer * math.prod(weights[1:])
    if kind == "GroupConvolution":  # [group, out, in, y, x]
        return 2 * answer * math.prod(weights[2:])
    if kind == "ConvolutionBackpropData":  # [in, out, y, x], each input pixel spread
        return 2 * math.prod(node.input(0).get_shape()) * math.prod(weights[1:])
    shared = node.input(0).get_shape()[-2 if node.get_attributes().get("transpose_a") else -1]
    return 2 * answer * int(shared)
