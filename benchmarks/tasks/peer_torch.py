"""The same Attention U-Net in PyTorch, given its best, through MONAI's sliding window.

Runs in an environment of its own, with torch, monai and numpy: it imports nothing of sarmap. The
network is built from the same arrays; batch normalisations are folded into their convolutions.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["AttentionUNet", "monai_map"]

EPSILON = 1e-3
"""Of Keras's batch normalisation."""


class AttentionUNet(nn.Module):
    """Attention U-Net from Keras arrays by path: tiles [n, band, y, x] to [n, 1, y, x]."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], depth: int) -> None:
        super().__init__()
        self.depth = depth
        layers: dict[str, nn.Module] = {}
        for level in range(depth + 1):
            layers |= _double(arrays, f"down{level}")
        for level in range(depth):
            gate = f"gate{level}"
            layers[f"{gate}_theta"] = _convolution(arrays, f"{gate}_theta", stride=2)
            layers[f"{gate}_phi"] = _convolution(arrays, f"{gate}_phi")
            layers[f"{gate}_psi"] = _convolution(arrays, f"{gate}_psi")
            layers[f"up{level}"] = _transposed(arrays, f"up{level}")
            layers |= _double(arrays, f"merge{level}")
        layers["logits"] = _convolution(arrays, "logits")
        self.layers = nn.ModuleDict(layers)

    def forward(self, tiles: Tensor) -> Tensor:
        """Probability of the second class."""
        layers, skips, x = self.layers, [], tiles
        for level in range(self.depth + 1):
            x = self._double(x, f"down{level}")
            if level < self.depth:
                skips.append(x)
                x = torch.max_pool2d(x, 2)
        for level in reversed(range(self.depth)):
            skip, gate = skips[level], f"gate{level}"
            compared = torch.relu(layers[f"{gate}_theta"](skip) + layers[f"{gate}_phi"](x))
            attention = torch.sigmoid(layers[f"{gate}_psi"](compared))
            skip = skip * nn.functional.interpolate(attention, scale_factor=2, mode="nearest")
            x = self._double(torch.cat([skip, layers[f"up{level}"](x)], 1), f"merge{level}")
        return torch.softmax(layers["logits"](x).float(), 1)[:, 1:2]

    def _double(self, x: Tensor, name: str) -> Tensor:
        for half in ("a", "b"):
            x = torch.relu(self.layers[f"{name}{half}"](x))
        return x


def _double(arrays: Mapping[str, NDArray[Any]], name: str) -> dict[str, nn.Module]:
    return {f"{name}{half}": _normalised(arrays, f"{name}{half}") for half in ("a", "b")}


def _convolution(
    arrays: Mapping[str, NDArray[Any]], name: str, *, stride: int = 1, padding: int = 0
) -> nn.Conv2d:
    """A convolution from Keras's kernel [y, x, in, out]."""
    kernel = torch.from_numpy(arrays[f"{name}/kernel"].astype(np.float32)).permute(3, 2, 0, 1)
    bias = arrays.get(f"{name}/bias")
    made = nn.Conv2d(
        kernel.shape[1], kernel.shape[0], kernel.shape[2:], stride, padding, bias=bias is not None
    )
    made.weight.data = kernel.contiguous()
    if bias is not None:
        made.bias.data = torch.from_numpy(bias.astype(np.float32))
    return made


def _normalised(arrays: Mapping[str, NDArray[Any]], name: str) -> nn.Conv2d:
    """A convolution with the normalisation after it folded in."""
    made = _convolution(arrays, name, padding=1)
    parts = {
        key: torch.from_numpy(arrays[f"{name}_norm/{key}"].astype(np.float32))
        for key in ("gamma", "beta", "moving_mean", "moving_variance")
    }
    factor = parts["gamma"] / torch.sqrt(parts["moving_variance"] + EPSILON)
    made.weight.data *= factor[:, None, None, None]
    made.bias = nn.Parameter(parts["beta"] - parts["moving_mean"] * factor)
    return made


def _transposed(arrays: Mapping[str, NDArray[Any]], name: str) -> nn.ConvTranspose2d:
    """A transposed convolution from Keras's kernel [y, x, out, in]."""
    kernel = torch.from_numpy(arrays[f"{name}/kernel"].astype(np.float32)).permute(3, 2, 0, 1)
    made = nn.ConvTranspose2d(kernel.shape[0], kernel.shape[1], 2, 2)
    made.weight.data = kernel.contiguous()
    made.bias.data = torch.from_numpy(arrays[f"{name}/bias"].astype(np.float32))
    return made


def monai_map(
    *,
    folder: str,
    overlap: int,
    precision: str,
    depth: int = 4,
    edge: int = 64,
    rows: int | None = None,
    keep: str | None = None,
) -> dict[str, Any]:
    """Map the composite of a folder with MONAI; the fastest of layouts and batches is chosen first.

    The scene is padded beforehand by reflection to whole steps, and blended with the same weights
    as sarmap's, so that both cut the same tiles and give the same answer. With `rows` only so many
    rows of tiles are run, untuned, and the seconds scaled to all.
    """
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    values = np.load(Path(folder) / "composite.npy")
    with np.load(Path(folder) / "arrays.npz") as stored:
        network = AttentionUNet(dict(stored), depth).eval()
    step = edge - overlap
    size = [_padded(length, edge, step) for length in values.shape[:2]]
    whole, size[0] = size[0], min(size[0], edge + step * (rows - 1)) if rows else size[0]
    scene = _reflected(values, size)
    if rows:
        run, chosen = _runner(network, precision, "channels_last", 16), "channels_last, batch 16"
    else:
        run, chosen = _fastest(network, precision, scene, edge)
    run(scene[..., :edge, : 2 * edge], edge, overlap)
    started = time.perf_counter()
    answer = run(scene, edge, overlap)
    seconds = (time.perf_counter() - started) * whole / size[0]
    height, width = min(values.shape[0], size[0]), values.shape[1]
    shown = answer[:height, :width]
    if keep is not None:
        np.savez(keep, probability=shown)
    pixels = values.shape[0] * width
    return {
        "metrics": {"seconds": seconds, "megapixels": pixels / seconds / 1e6},
        "notes": [
            f"PyTorch {torch.__version__}, {precision}, overlap {overlap}: best was {chosen}"
            + (f"; {size[0]} of {whole} rows run, scaled to all." if rows else ".")
        ],
    }


def _padded(length: int, edge: int, step: int) -> int:
    """Pixels of the fewest whole steps that cover a length."""
    return edge + step * max(0, -(-(length - edge) // step))


def _reflected(values: NDArray[np.float32], size: list[int]) -> Tensor:
    """The composite as [1, band, y, x], mirrored at its far borders or cut."""
    values = values[: size[0], : size[1]]
    padding = tuple((0, want - have) for want, have in zip(size, values.shape[:2], strict=True))
    padded = np.pad(values, (*padding, (0, 0)), mode="reflect")
    return torch.from_numpy(np.ascontiguousarray(padded.transpose(2, 0, 1)[None]))


def _fastest(
    network: nn.Module, precision: str, scene: Tensor, edge: int
) -> tuple[Callable[[Tensor, int, int], NDArray[np.float32]], str]:
    """The mapping function with the memory layout and batch that are fastest on 64 tiles."""
    sample = scene[..., : 8 * edge, : 8 * edge]
    best: tuple[float, Any, str] | None = None
    for layout in ("channels_last", "contiguous"):
        for batch in (4, 16):
            run = _runner(network, precision, layout, batch)
            run(sample[..., : 4 * edge, : 4 * edge], edge, 0)
            started = time.perf_counter()
            run(sample, edge, 0)
            seconds = time.perf_counter() - started
            if best is None or seconds < best[0]:
                best = seconds, run, f"{layout}, batch {batch}"
    assert best is not None
    return best[1], best[2]


def _runner(
    network: nn.Module, precision: str, layout: str, batch: int
) -> Callable[[Tensor, int, int], NDArray[np.float32]]:
    from monai.inferers import sliding_window_inference

    form = torch.channels_last if layout == "channels_last" else torch.contiguous_format

    def answer(tiles: Tensor) -> Tensor:
        low, high = tiles.amin((2, 3), keepdim=True), tiles.amax((2, 3), keepdim=True)
        span = high - low
        span[span == 0] = 1
        stretched = ((tiles - low) / span).contiguous(memory_format=form)
        return network.to(memory_format=form)(stretched)

    def run(scene: Tensor, edge: int, overlap: int) -> NDArray[np.float32]:
        reduced = (
            torch.autocast("cpu", torch.bfloat16)
            if precision == "bf16"
            else contextlib.nullcontext()
        )
        with torch.inference_mode(), reduced:
            found = sliding_window_inference(
                scene, (edge, edge), batch, answer, overlap=overlap / edge, mode="constant",
                roi_weight_map=_weights(edge) if overlap else None,
            )  # fmt: skip
        probability: NDArray[np.float32] = found[0, 0].float().numpy()
        return probability

    return run


def _weights(edge: int) -> Tensor:
    """The squared-sine window, as sarmap blends; MONAI divides by the sum."""
    window = np.sin(np.pi * (np.arange(edge) + 0.5) / edge) ** 2
    return torch.from_numpy(np.outer(window, window).astype(np.float32))
