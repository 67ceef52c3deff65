"""Hillsides made to fit given landslides.

The gradient under and around each polygon is set to a hillside of 25 to 30 degrees that falls along
the polygon's long side, and the surface nearest to that gradient and to the old relief is found: a
screened Poisson equation (Bhat et al. 2008, ECCV, eq. 5) solved by cosine transform, repeated until
the slopes under the polygons come out right.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["fit_hillsides", "solve_screened_poisson"]

Field = NDArray[np.float32]

ROUNDS = 10
REACH = 45.0
"""Metres over which a landslide's hillside fades into its surroundings."""
HOLD = 350.0
"""Metres: relief longer than this stays as it was."""


def solve_screened_poisson(east: Field, down: Field, anchor: Field, hold: float) -> Field:
    """The surface whose gradient is nearest to (east, down), held to an anchor at long wavelengths.

    Minimises |grad z - (down, east)|^2 + |z - anchor|^2 / hold^2 with closed borders.

    Parameters
    ----------
    east, down
        Wanted differences to the next column and the next row (y, x).
    anchor
        Surface to stay near (y, x).
    hold
        Length, in cells, beyond which the anchor wins.

    Returns
    -------
    float32 (y, x).

    Examples
    --------
    A surface is its own solution.

    >>> z = np.random.default_rng(1).normal(size=(6, 5)).astype(np.float32)
    >>> east, down = np.diff(z, axis=1, append=z[:, -1:]), np.diff(z, axis=0, append=z[-1:])
    >>> bool(np.allclose(solve_screened_poisson(east, down, z, 4.0), z, atol=1e-5))
    True
    """
    from scipy import fft

    east, down = east.copy(), down.copy()
    east[:, -1], down[-1] = 0, 0  # nothing flows over the border
    divergence = east + down
    divergence[:, 1:] -= east[:, :-1]
    divergence[1:] -= down[:-1]
    screen = 1.0 / hold**2
    rows, columns = (np.arange(n) for n in anchor.shape)
    laplace = (
        2 * np.cos(np.pi * rows / anchor.shape[0])[:, None]
        + 2 * np.cos(np.pi * columns / anchor.shape[1])[None, :]
        - 4
    )
    right = fft.dctn((screen * anchor - divergence).astype(np.float64), type=2)
    return np.asarray(fft.idctn(right / (screen - laplace), type=2), dtype=np.float32)


def _downhill(shapes: NDArray[Any], east: NDArray[Any], north: NDArray[Any]) -> NDArray[Any]:
    """Unit vectors (n, 2: east, north) along each polygon's long side, down the given gradients."""
    import shapely

    fall = np.stack([-east, -north], axis=1)
    fall /= np.maximum(np.linalg.norm(fall, axis=1, keepdims=True), 1e-6)
    boxes = shapely.oriented_envelope(shapes)
    found = fall.copy()
    for number, box in enumerate(boxes):
        if box.geom_type != "Polygon":
            continue
        ring = shapely.get_coordinates(box)
        sides = ring[1:3] - ring[0:2]
        lengths = np.linalg.norm(sides, axis=1)
        if lengths.max() > 1.3 * lengths.min():
            axis = sides[lengths.argmax()] / lengths.max()
            along = float(axis @ fall[number])
            found[number] = axis if along >= 0 else -axis
    return found


def _labels(
    shapes: NDArray[Any], shape: tuple[int, ...], corner: tuple[float, float], cell: float
) -> NDArray[np.int32]:
    from affine import Affine
    from rasterio.features import rasterize

    numbered = zip(shapes, range(1, len(shapes) + 1), strict=True)
    transform = Affine(cell, 0, corner[0], 0, -cell, corner[1])
    burnt = rasterize(
        numbered, out_shape=shape, transform=transform, all_touched=True, dtype="int32"
    )
    return np.asarray(burnt)


def fit_hillsides(
    rng: np.random.Generator,
    height: Field,
    corner: tuple[float, float],
    cell: float,
    shapes: NDArray[Any],
) -> tuple[Field, Field]:
    """Reshape a relief so that given landslides lie on hillsides of 25 to 30 degrees.

    Parameters
    ----------
    rng
        Source of randomness: the steepness of each hillside.
    height
        Metres (y, x), 0 in the sea.
    corner, cell
        Easting and northing of the upper left corner, and the cells' edge, metres.
    shapes
        Polygons of the landslides in the same system.

    Returns
    -------
    The new heights (y, x), and how much of each cell is such a hillside, 0 to 1.
    """
    from scipy import ndimage

    label = _labels(shapes, height.shape, corner, cell)
    distance, nearest = ndimage.distance_transform_edt(label == 0, return_indices=True)
    weight = np.exp(-((distance * cell / REACH) ** 2)).astype(np.float32)
    owner = label[nearest[0], nearest[1]] - 1
    inside, count = label.ravel() > 0, len(shapes)
    pixels = np.maximum(np.bincount(label.ravel()[inside] - 1, minlength=count), 1)

    def mean(field: NDArray[Any]) -> NDArray[Any]:
        sums = np.bincount(label.ravel()[inside] - 1, field.ravel()[inside], minlength=count)
        return np.asarray(sums / pixels)

    smooth = ndimage.gaussian_filter(height, 2.0)
    down, east = np.gradient(smooth, cell)
    fall = _downhill(shapes, mean(east), mean(-down))
    wanted = np.tan(np.radians(np.clip(rng.normal(27.5, 1.6, count), 23, 32)))
    gain, dry = np.ones(count), height > 0
    # hillsides reach below their feet: lift where they crowd, so that none ends under the sea
    lift = ndimage.gaussian_filter(weight, 600 / cell) / (1 + height / 60)
    height = height + np.float32(150) * (lift * dry).astype(np.float32)
    z = height
    for _ in range(ROUNDS):
        drop = (gain * wanted * cell).astype(np.float32)
        target_east = (-fall[:, 0] * drop).astype(np.float32)[owner]
        target_down = (fall[:, 1] * drop).astype(np.float32)[owner]
        own_east = np.diff(z, axis=1, append=z[:, -1:])
        own_down = np.diff(z, axis=0, append=z[-1:])
        z = solve_screened_poisson(
            own_east + weight * (target_east - own_east),
            own_down + weight * (target_down - own_down),
            height,
            HOLD / cell,
        )
        z = np.where(dry, np.maximum(z, 0.5), 0).astype(np.float32)
        down, east = np.gradient(z, cell)
        reached = mean(np.hypot(east, down))
        gain *= np.clip(wanted / np.maximum(reached, 0.05), 0.7, 1.4)
        gain = np.clip(gain, 0.4, 3.0)
    return z, weight
