"""Outlines of real landslides as templates for drawn ones: their shape, not their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

__all__ = ["POINTS", "outline_templates", "place_templates", "ring_areas"]

POINTS = 32
"""Points of a template's ring."""
SMALLEST = 300.0
"""Square metres below which an outline has no shape worth keeping."""


def outline_templates(frame: GeoDataFrame) -> NDArray[np.float64]:
    """Rings of landslides, centred, turned and scaled alike.

    Parameters
    ----------
    frame
        Polygons in any system (`sarmap.assess.inventory.read_inventory` reads them).

    Returns
    -------
    float64 (n, 32, 2: along, across)
        Area 1, the long side along the first axis; outlines below 300 m2 are left out.

    Raises
    ------
    RequestError
        No outline is left.

    Examples
    --------
    >>> import geopandas, shapely
    >>> long = geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 20, 80)], crs="EPSG:32654")
    >>> ring = outline_templates(long)[0]
    >>> ring.shape, (np.ptp(ring, axis=0) * 40).round(-1).tolist()
    ((32, 2), [80.0, 20.0])
    """
    import shapely

    moved = frame if frame.crs is None else frame.to_crs(frame.estimate_utm_crs())
    parts = shapely.get_parts(moved.geometry.to_numpy())
    shapes = parts[(shapely.get_type_id(parts) == 3) & (shapely.area(parts) >= SMALLEST)]
    if len(shapes) == 0:
        raise RequestError(f"No outline of {SMALLEST:.0f} m2 or more is among the polygons.")
    return np.stack([_template(shape) for shape in shapes])


def _template(shape: Any) -> NDArray[np.float64]:
    """One ring of area 1, its long side along the first axis, its middle at 0."""
    import shapely

    line = shapely.get_exterior_ring(shape)
    at = np.linspace(0, 1, POINTS, endpoint=False)
    ring = shapely.get_coordinates(shapely.line_interpolate_point(line, at, normalized=True))
    ring = ring - ring.mean(axis=0)
    axes = np.linalg.svd(ring, full_matrices=False)[2]
    ring = ring @ axes.T
    return np.asarray(ring / np.sqrt(max(ring_areas(ring[None])[0], 1e-6)))


def ring_areas(rings: NDArray[np.float64]) -> NDArray[np.float64]:
    """Areas (n,) of rings (n, points, 2)."""
    y, x = rings[..., 0], rings[..., 1]
    cross = y * np.roll(x, -1, axis=1) - x * np.roll(y, -1, axis=1)
    return np.asarray(np.abs(cross.sum(axis=1)) / 2)


def place_templates(
    rng: np.random.Generator,
    templates: NDArray[np.float64],
    starts: NDArray[np.float64],
    downhill: NDArray[np.float64],
    areas: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Templates laid downhill at given places.

    Parameters
    ----------
    rng
        Source of randomness: which template, and whether it is mirrored.
    templates
        As `outline_templates` gives them.
    starts
        Middles (n, 2: row, column).
    downhill
        Unit vectors (n, 2: row, column).
    areas
        Square pixels (n,).

    Returns
    -------
    float64 (n, 32, 2: row, column).
    """
    count = len(starts)
    chosen = templates[rng.integers(0, len(templates), count)]
    chosen = chosen * np.sqrt(areas)[:, None, None] * rng.choice([-1.0, 1.0], (count, 1, 2))
    aside = downhill[:, ::-1] * np.array([-1.0, 1.0])
    laid = chosen[..., :1] * downhill[:, None] + chosen[..., 1:] * aside[:, None]
    return np.asarray(starts[:, None] + laid)
