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
    """Classifier of one clip: [n, clip, clip, band] to (non-landslide, landslide).

    The clip is resampled inside the graph, bilinearly, to `size` x `size`: two products with one
    constant matrix, rows then columns, so that no engine's own idea of resizing enters.

    Parameters
    ----------
    bands
        Number of input bands, or their names.
    clip
        Edge of a clip on the scene's grid, pixels.
    size
        Edge of the network's input.
    filters
        Filters of the 3 x 3 convolutions, one per block; each block halves the size.
    dense
        Units of the dense layer.
    dropout
        Share of activations dropped in training, before the dense layer.

    Returns
    -------
    keras.Model
        float32 [n, clip, clip, band] to float32 [n, 2].

    Raises
    ------
    RequestError
        Where the input is too small to be halved once per block.
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
