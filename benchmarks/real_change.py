"""Change at real landslides beside change in drawn worlds, in the same few numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.simulate.physics import Physics
from sarmap.simulate.worlds import World, draw_world

__all__ = ["ChangeStatistics", "change_of", "change_statistics", "drawn_statistics"]

Field = NDArray[np.float32]

STRONG = 2.0
"""dB of either polarisation from which a pixel counts as strongly changed."""
FEWEST = 100
"""Strong pixels from which the shares mean something."""


@dataclass(frozen=True)
class ChangeStatistics:
    """How backscatter changed within an area of landslides."""

    strong: float
    """Share of the area that changed strongly."""
    both_down: float
    """Share of the strong pixels that darkened in VV and VH."""
    both_up: float
    """Share of the strong pixels that brightened in VV and VH."""
    disagree: float
    """Share of the strong pixels whose VV and VH changed by more than 0.5 dB to opposite sides."""
    vh_over_vv: float
    """Direction of the principal axis of VV and VH."""
    correlation: float
    """Correlation of VV's and VH's change."""
    along: tuple[float, float, float]
    """Autocorrelation of VV's change along the look, at one, two and three pixels."""
    across: tuple[float, float, float]
    """The same across the look."""


def change_statistics(vv: Field, vh: Field, area: NDArray[np.bool_]) -> ChangeStatistics:
    """Statistics of a change where the look is nearly east-west, as Sentinel-1's is below 60
    degrees of latitude.

    Parameters
    ----------
    vv, vh
        Change, dB (y, x), NaN where unknown.
    area
        Where landslides crowd (y, x).

    Returns
    -------
    ChangeStatistics

    Raises
    ------
    RequestError
        Fewer than 100 pixels of the area changed strongly.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> vv = rng.normal(0, 3, (80, 80)).astype(np.float32)
    >>> found = change_statistics(vv, 0.5 * vv, np.ones((80, 80), bool))
    >>> round(found.vh_over_vv, 2), found.disagree
    (0.5, 0.0)
    """
    area = area & np.isfinite(vv) & np.isfinite(vh)
    one, other = vv[area], vh[area]
    strong = np.maximum(np.abs(one), np.abs(other)) > STRONG
    if strong.sum() < FEWEST:
        raise RequestError(f"Only {int(strong.sum())} pixels changed by more than {STRONG} dB.")
    first, second = one[strong], other[strong]
    values, axes = np.linalg.eigh(np.cov(one, other))
    axis = axes[:, int(np.argmax(values))]
    apart = (first * second < 0) & (np.minimum(np.abs(first), np.abs(second)) > 0.5)
    return ChangeStatistics(
        strong=float(strong.mean()),
        both_down=float(((first < 0) & (second < 0)).mean()),
        both_up=float(((first > 0) & (second > 0)).mean()),
        disagree=float(apart.mean()),
        vh_over_vv=float(axis[1] / axis[0]),
        correlation=float(np.corrcoef(one, other)[0, 1]),
        along=_autocorrelation(vv, area, 1),
        across=_autocorrelation(vv, area, 0),
    )


def _autocorrelation(
    field: Field, area: NDArray[np.bool_], axis: int
) -> tuple[float, float, float]:
    """Correlation with the neighbour one, two and three pixels further along an axis."""
    found = []
    for lag in (1, 2, 3):
        near = [slice(None), slice(None)]
        far = [slice(None), slice(None)]
        near[axis], far[axis] = slice(None, -lag), slice(lag, None)
        both = area[tuple(near)] & area[tuple(far)]
        found.append(np.corrcoef(field[tuple(near)][both], field[tuple(far)][both])[0, 1])
    return float(found[0]), float(found[1]), float(found[2])


def change_of(world: World) -> tuple[Field, Field]:
    """Mean of the passes after over the mean of those before, levelled by its median, dB (y, x)."""
    found = []
    for power in (world.vv, world.vh):
        before, after = power[: world.pre].mean(axis=0), power[world.pre :].mean(axis=0)
        db = 10 * np.log10(after / before)
        found.append(np.asarray(db - np.nanmedian(db), np.float32))
    return found[0], found[1]


def drawn_statistics(seed: int, shape: tuple[int, int] = (256, 256)) -> ChangeStatistics:
    """Statistics of a drawn world like the coast of Sao Sebastiao: steep tall forest at 30 m, many
    small landslides, many passes.

    Parameters
    ----------
    seed
        Whole number that everything else of the world grows from.
    shape
        Rows and columns of the world.

    Returns
    -------
    ChangeStatistics
        Within three pixels of the landslides' outlines.
    """
    from scipy import ndimage

    world = draw_world(seed, shape, rain_forest(seed))
    near = ndimage.binary_dilation(world.truth > 0, iterations=3)
    return change_statistics(*change_of(world), near & ~world.layover_shadow)


def rain_forest(seed: int) -> Physics:
    """A drawn law with the ground of Sao Sebastiao: Serra do Mar, Atlantic forest of 20-30 m."""
    return Physics.draw(
        seed,
        family="mixed",
        spacing=30.0,
        before=15,
        after=14,
        forest=1.0,
        grass=0.0,
        dry=0.0,
        fields=0.0,
        towns=0.0,
        plain=0.0,
        water=0.0,
        tree_line=1.5,
        snow=1.4,
        frozen=0.0,
        flood=0.0,
        fire=0.0,
        felling=0.0,
        despeckled=0.0,
        border=0.0,
        looks=7.5,
        speckle_correlation=0.11,
        incidence=38.0,
        look=282.0,
        steepness=36.0,
        land_share=0.08,
        area=6000.0,
        area_spread=0.7,
        elongation=6.0,
        clustering=2.0,
        canopy=30.0,
        walls=8.5,
        strength=2.0,
        vh_share=0.95,
        blur=14.0,
        weak=0.1,
        remnants=0.1,
        jitter=0.0,
    )
