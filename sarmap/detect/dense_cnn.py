"""A window classifier that can answer every window of a block in one convolutional pass.

It has neither resampling nor padding inside the window, so what it computes for one window is, at
the same place, what it computes for the windows beside it: the features of a whole block are made
once instead of once per window, as in OverFeat (Sermanet et al. 2014, arXiv:1312.6229). Poolings
keep their answer at every position ("a trous": Giusti et al. 2013, arXiv:1302.1700; later layers
are dilated), except where all windows begin on the same side of a pair of pixels: the first pooling
of windows at stride 2. Both forms have the same weights, by the same names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sarmap.errors import RequestError


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
    """Classifier of one clip, or of all windows of a patch.

    Blocks of a valid 3 x 3 convolution with ReLU and a 2 x 2 max pooling, the last block without
    pooling; then one convolution over what is left of the clip, and a softmax over
    (non-landslide, landslide).

    Parameters
    ----------
    bands
        Number of input bands, or their names.
    clip
        Edge of a window on the scene's grid, pixels.
    filters
        Filters of the convolutions, one per block.
    dense
        Units of the layer that sees the whole window.
    dropout
        Share of activations dropped in training, before that layer.
    every
        0: one clip. Else the step between windows, pixels: one pass over a patch answers all.
    windows
        With `every`: windows of a patch along each axis.

    Returns
    -------
    keras.Model
        float32 [n, clip, clip, band] to float32 [n, 2]; with `every`, of patches
        [n, edge, edge, band] with ``edge = (windows - 1) * every + clip``, to
        [n, windows, windows, 2] (channels first: the 2 before them).

    Raises
    ------
    RequestError
        Where the clip is too small for its blocks.
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
        x = _pick(x, every // hop, windows)
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


def _pick(x: Any, step: int, count: int) -> Any:
    """Every `step`-th position along both axes, `count` of them: more may fit than windows do."""
    picked = slice(None, (count - 1) * step + 1, step)
    return x[_along(0, picked)][_along(1, picked)]
