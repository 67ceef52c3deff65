"""The three-block CNN of paper 1, as a Keras 3 model.

Nava et al. 2021 (doi:10.1109/LGRS.2021.3127073): TensorFlow's "Image classification" tutorial model
changed to an input of 32 x 32 x 3 and a two-unit softmax. The paper gives no filter counts, so they
are the tutorial's 16, 32, 64 with a dense layer of 128.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError


def build_cnn(
    bands: int | Sequence[str],
    *,
    clip: int = 25,
    size: int = 32,
    filters: Sequence[int] = (16, 32, 64),
    dense: int = 128,
    dropout: float = 0.2,
) -> Any:
    """Classifier of one clip: float32 [n, clip, clip, band] to (non-landslide, landslide).

    The clip is resampled inside the graph, bilinearly, to `size` x `size`: two products with one
    constant matrix, rows then columns, so that no engine's own idea of resizing enters. Then a 3 x
    3 convolution per block, each of which halves the size, and a dense layer after a dropout.
    Raises RequestError where the input is too small to be halved once per block.
    """
    import keras
    from keras import layers

    if size < 2 ** len(filters):
        raise RequestError(
            f"An input of {size} px cannot be halved {len(filters)} times: set size= to at least "
            f"{2 ** len(filters)}."
        )
    count = bands if isinstance(bands, int) else len(bands)
    inputs = keras.Input((clip, clip, count), name="clips")
    x = _resample(inputs, clip, size, count)
    for block, width in enumerate(filters, start=1):
        x = layers.Conv2D(
            width, 3, padding="same", activation="relu", name=f"block{block}_convolution"
        )(x)
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = _flatten(x)
    x = layers.Dense(dense, activation="relu", name="dense")(x)
    classes = layers.Dense(2, activation="softmax", dtype="float32", name="classes")(x)
    return keras.Model(inputs, classes, name="cnn")


def bilinear_weights(source: int, target: int) -> NDArray[np.float32]:
    """Bilinear resampling of `source` samples to `target` as a matrix, float32 [target, source].

    Pixel centres are aligned the usual way (half-pixel centres) and the border is held, as
    ``tf.image.resize`` and ``torch.nn.functional.interpolate(align_corners=False)`` do.

    >>> bilinear_weights(2, 4)
    array([[1.  , 0.  ],
           [0.75, 0.25],
           [0.25, 0.75],
           [0.  , 1.  ]], dtype=float32)
    """
    centre = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    left = np.minimum(np.floor(centre).astype(int), max(source - 2, 0))
    share = centre - left
    weights = np.zeros((target, source), np.float64)
    weights[np.arange(target), left] = 1 - share
    weights[np.arange(target), np.minimum(left + 1, source - 1)] += share
    return weights.astype(np.float32)


def _resample(x: Any, clip: int, size: int, bands: int) -> Any:
    """[n, clip, clip, band] to [n, size, size, band] (or band first): columns, then rows.

    Columns and bands lie together in one axis, so that both products are large ones: 4 times as
    fast on a CPU as a product whose last axis is the three bands.
    """
    import keras
    from keras import ops

    rows = bilinear_weights(clip, size)
    columns = np.kron(rows.T, np.eye(bands, dtype=np.float32))
    x = ops.matmul(ops.reshape(x, (-1, clip, clip * bands)), columns)
    x = ops.reshape(ops.matmul(rows, x), (-1, size, size, bands))
    channels_first = keras.config.image_data_format() == "channels_first"
    return ops.transpose(x, (0, 3, 1, 2)) if channels_first else x


def _flatten(x: Any) -> Any:
    """[n, y, x, channel] (or [n, channel, y, x]) to [n, y * x * channel], channels last.

    Keras's own Flatten exports under OpenVINO with its batch fixed to one.
    """
    import keras
    from keras import ops

    if keras.config.image_data_format() == "channels_first":
        x = ops.transpose(x, (0, 2, 3, 1))
    return ops.reshape(x, (-1, int(np.prod(x.shape[1:]))))


# --- all windows in one pass ----------------------------------------------------------------------


def build_dense_cnn(
    bands: int | Sequence[str],
    *,
    clip: int = 25,
    filters: Sequence[int] = (16, 32, 64),
    dense: int = 64,
    dropout: float = 0.2,
    every: int = 0,
    windows: int = 1,
) -> Any:
    """Classifier of one clip, float32 [n, clip, clip, band] to [n, 2], or of all windows of a
    patch.

    Blocks of a valid 3 x 3 convolution with ReLU and a 2 x 2 max pooling, the last block without
    pooling; then, after a dropout, one convolution of `dense` units over what is left of the clip,
    and a softmax over (non-landslide, landslide).

    With `every`, the step between windows, one pass over a patch [n, edge, edge, band] with ``edge
    = (windows - 1) * every + clip`` answers all: [n, windows, windows, 2] (channels first: the 2
    before them). Raises RequestError where the clip is too small for its blocks.
    """
    import keras
    from keras import layers

    count = bands if isinstance(bands, int) else len(bands)
    edge = clip if every == 0 else (windows - 1) * every + clip
    left = _left(clip, len(filters))
    inputs = keras.Input((edge, edge, count), name="clips")
    x = layers.Permute((3, 1, 2), name="channels_first")(inputs) if _first() else inputs
    hop, dilation = 1, 1
    for block, width in enumerate(filters, start=1):
        convolution = f"block{block}_convolution"
        x = layers.Conv2D(width, 3, dilation_rate=dilation, activation="relu", name=convolution)(x)
        if block == len(filters):
            break
        if every == 0 or (dilation == 1 and (every // hop) % 2 == 0):
            x, hop = layers.MaxPooling2D(2, name=f"block{block}_pool")(x), 2 * hop
        else:
            x, dilation = _pool_everywhere(x, dilation), 2 * dilation
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Conv2D(dense, left, dilation_rate=dilation, activation="relu", name="dense")(x)
    x = layers.Conv2D(2, 1, dtype="float32", name="logits")(x)
    if every:
        step = every // hop  # more may fit than windows do
        picked = slice(None, (windows - 1) * step + 1, step)
        x = x[_along(0, picked)][_along(1, picked)]
    axis = 1 if _first() else -1
    x = layers.Softmax(axis, dtype="float32", name="classes")(x)
    if every == 0:
        # Keras's own Reshape exports under OpenVINO with its batch fixed
        x = x[:, :, 0, 0] if _first() else x[:, 0, 0, :]
    return keras.Model(inputs, x, name="dense_cnn")


def _left(clip: int, blocks: int) -> int:
    """Edge of the last convolution's answer for one clip."""
    left = clip
    for block in range(1, blocks + 1):
        left -= 2
        if block < blocks:
            left //= 2
    if left < 1:
        raise RequestError(
            f"A clip of {clip} px is too small for {blocks} blocks of convolution and pooling: "
            "set clip= higher, or fewer filters=."
        )
    return left


def _first() -> bool:
    """True where the layers keep channels first."""
    import keras

    return bool(keras.config.image_data_format() == "channels_first")


def _along(axis: int, where: slice) -> tuple[slice, ...]:
    """An index of rows (0) or columns (1) of [n, y, x, c], or [n, c, y, x]."""
    index = [slice(None)] * 4
    index[axis + (2 if _first() else 1)] = where
    return tuple(index)


def _pool_everywhere(x: Any, dilation: int) -> Any:
    """2 x 2 max pooling at every position, of pixels `dilation` apart."""
    from keras import ops

    for axis in (0, 1):
        before, after = _along(axis, slice(None, -dilation)), _along(axis, slice(dilation, None))
        x = ops.maximum(x[before], x[after])
    return x
