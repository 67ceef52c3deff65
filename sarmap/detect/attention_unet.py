"""Attention U-Net of paper 2 and the two nets it was compared with, as Keras 3 models.

Nava et al. 2022 (doi:10.3390/rs14061449) take the network from Abraham & Khan 2019 (A novel focal
Tversky loss function with improved attention U-Net, doi:10.1109/ISBI.2019.8759329): a U-Net
(Ronneberger et al. 2015) whose skip connections pass through additive soft attention gates.
Layers are Keras's own, so the same model trains under TensorFlow or JAX and exports under OpenVINO.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from sarmap.errors import RequestError

Variant = Literal["attention", "plain", "dropout"]
VARIANTS = ("attention", "plain", "dropout")
DROPOUT_RATE = 0.3
DROPOUT_LAYERS = 3
MOMENTUM = 0.9
"""Of the normalisation's running statistics: Keras's own 0.99 lags in a training of minutes."""


def build_attention_unet(
    bands: int | Sequence[str],
    *,
    filters: int = 32,
    depth: int = 4,
    tile: int = 64,
    variant: Variant = "attention",
) -> Any:
    """Attention U-Net: float32 tiles [n, tile, tile, band] to two class probabilities per pixel.

    Each level has two 3 x 3 convolutions with batch normalisation and ReLU; filters double at each
    of `depth` poolings. The answer is a softmax over (non-landslide, landslide), as in paper 2.
    With 4 bands, 32 filters (the paper tried 2 to 32 and found 32 best) and depth 4 the network has
    8.3 million parameters. 'attention' gates the skips; 'plain' passes them on; 'dropout' is the
    plain net with a dropout after each of its three deepest contracting levels.

    Raises RequestError where the tile cannot be halved `depth` times, or the variant is unknown.
    """
    import keras

    _check(filters, depth, tile, variant)
    count = bands if isinstance(bands, int) else len(bands)
    inputs = keras.Input((tile, tile, count), name="tiles")
    x, skips = _channels(inputs), []
    for level in range(depth + 1):
        x = _double_convolution(x, filters * 2**level, f"down{level}")
        if variant == "dropout" and level > depth - DROPOUT_LAYERS:
            x = keras.layers.Dropout(DROPOUT_RATE, name=f"dropout{level}")(x)
        if level < depth:
            skips.append(x)
            x = keras.layers.MaxPooling2D(2, name=f"pool{level}")(x)
    for level in reversed(range(depth)):
        width = filters * 2**level
        skip = skips[level]
        if variant == "attention":
            skip = attention_gate(skip, x, width, f"gate{level}")
        x = keras.layers.Conv2DTranspose(width, 2, strides=2, name=f"up{level}")(x)
        x = keras.layers.Concatenate(_channel_axis(), name=f"join{level}")([skip, x])
        x = _double_convolution(x, width, f"merge{level}")
    # float32 under any policy: probabilities in bf16 are steps of up to 0.004, and so is their loss
    logits = keras.layers.Conv2D(2, 1, dtype="float32", name="logits")(x)
    classes = keras.layers.Softmax(_channel_axis(), dtype="float32", name="classes")(logits)
    return keras.Model(inputs, classes, name=f"{variant}_unet")


def attention_gate(skip: Any, coarse: Any, width: int, name: str) -> Any:
    """Weigh a skip connection [n, y, x, c] by where the coarser level [n, y / 2, x / 2, g] looks
    (Abraham & Khan 2019, figure 2).

    ``skip * upsample(sigmoid(psi(relu(theta(skip) + phi(coarse)))))`` with theta a 2 x 2
    convolution of stride 2, phi and psi 1 x 1 convolutions, `width` channels in which the two are
    compared, and psi one channel wide: one attention value per 2 x 2 pixels of the skip, shared by
    all its channels.
    """
    from keras import layers

    theta = layers.Conv2D(width, 2, strides=2, use_bias=False, name=f"{name}_theta")(skip)
    phi = layers.Conv2D(width, 1, name=f"{name}_phi")(coarse)
    added = layers.Activation("relu", name=f"{name}_relu")(
        layers.Add(name=f"{name}_add")([theta, phi])
    )
    psi = layers.Conv2D(1, 1, activation="sigmoid", name=f"{name}_psi")(added)
    attention = layers.UpSampling2D(2, name=f"{name}_attention")(psi)
    return layers.Multiply(name=f"{name}_weighted")([skip, attention])


def _double_convolution(x: Any, width: int, name: str) -> Any:
    from keras import layers

    for half in ("a", "b"):
        x = layers.Conv2D(
            width,
            3,
            padding="same",
            use_bias=False,  # the normalisation that follows has its own
            kernel_initializer="he_normal",
            name=f"{name}{half}",
        )(x)
        x = layers.BatchNormalization(
            _channel_axis(), momentum=MOMENTUM, name=f"{name}{half}_norm"
        )(x)
        x = layers.Activation("relu", name=f"{name}{half}_relu")(x)
    return x


def _channel_axis() -> int:
    """Where the layers keep channels: Keras's own setting, read when the network is built."""
    import keras

    return -1 if keras.config.image_data_format() == "channels_last" else 1


def _channels(tiles: Any) -> Any:
    """Tiles [n, y, x, band] in the layers' own order."""
    from keras import layers

    return (
        tiles if _channel_axis() == -1 else layers.Permute((3, 1, 2), name="channels_first")(tiles)
    )


def _check(filters: int, depth: int, tile: int, variant: str) -> None:
    if variant not in VARIANTS:
        raise RequestError(f"Variant {variant!r} is none of {', '.join(VARIANTS)}: set variant=.")
    if filters < 1 or depth < 1:
        raise RequestError(
            f"A U-Net needs at least one filter and one level, not filters={filters}, "
            f"depth={depth}."
        )
    if tile < 1 or tile % 2**depth:
        raise RequestError(
            f"A tile of {tile} px cannot be halved {depth} times: set tile= to a multiple of "
            f"{2**depth}, or depth= lower."
        )
