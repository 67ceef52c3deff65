"""How well a map agrees with an inventory: counts of pixels, and the papers' scores from them.

Accuracy, precision and recall as in Nava et al. 2021 (doi:10.1109/LGRS.2021.3127073); precision,
recall, F1 and IoU as in Nava et al. 2022 (doi:10.3390/rs14061449), all of the landslide class. A
pixel that was not seen is neither right nor wrong and never counts. A score whose denominator is
zero is NaN, not 0: no landslide mapped says nothing about precision.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.assess.inventory import rasterise_inventory, read_inventory
from sarmap.errors import RequestError
from sarmap.store.encoding import unpack_probability
from sarmap.store.reading import open_reader

if TYPE_CHECKING:
    import xarray as xr
    from geopandas import GeoDataFrame

SCORES = ("accuracy", "precision", "recall", "f1", "iou")
"""Names of the scores that a table shows."""
_ROUNDING = 1e-6
"""Stored probabilities are multiples of 0.004, which binary numbers hold only nearly."""


class Confusion:
    """Values of a confusion map."""

    TRUE_NEGATIVE = 0
    TRUE_POSITIVE = 1
    FALSE_POSITIVE = 2
    FALSE_NEGATIVE = 3
    NOT_LABELLED = 254
    UNSEEN = 255


@dataclass(frozen=True)
class Scores:
    """Pixel counts of a map against an inventory, and the scores they give.

    Examples
    --------
    >>> scores = Scores(true_positive=6, false_positive=2, false_negative=4, true_negative=88)
    >>> scores.precision, scores.recall, scores.iou
    (0.75, 0.6, 0.5)
    >>> print(scores)
    F1 66.67 %, IoU 50.00 %, precision 75.00 %, recall 60.00 %, accuracy 94.00 %
    """

    true_positive: int
    """Landslide pixels that were mapped."""
    false_positive: int
    """Mapped pixels that are no landslide."""
    false_negative: int
    """Landslide pixels that were missed."""
    true_negative: int
    """The rest."""
    unseen: int = 0
    """Pixels that were not seen, and do not count."""
    threshold: float = 0.5
    """Probability from which a pixel was called landslide."""

    @property
    def pixels(self) -> int:
        """Pixels that count."""
        return self.true_positive + self.false_positive + self.false_negative + self.true_negative

    @property
    def accuracy(self) -> float:
        """(TP + TN) / all; NaN where nothing was seen."""
        return _ratio(self.true_positive + self.true_negative, self.pixels)

    @property
    def precision(self) -> float:
        """TP / (TP + FP); NaN where nothing was mapped."""
        return _ratio(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """TP / (TP + FN); NaN where there is no landslide."""
        return _ratio(self.true_positive, self.true_positive + self.false_negative)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN); NaN where there is no landslide and none was mapped."""
        twice = 2 * self.true_positive
        return _ratio(twice, twice + self.false_positive + self.false_negative)

    @property
    def iou(self) -> float:
        """TP / (TP + FP + FN); NaN where there is no landslide and none was mapped."""
        wrong = self.false_positive + self.false_negative
        return _ratio(self.true_positive, self.true_positive + wrong)

    def record(self) -> dict[str, float | int | None]:
        """Counts and scores by name, for JSON; None where a score is undefined."""
        scores = {name: getattr(self, name) for name in SCORES}
        return {
            **asdict(self),
            **{name: None if math.isnan(value) else value for name, value in scores.items()},
        }

    def __add__(self, other: Scores) -> Scores:
        """Counts of two parts of one map together."""
        return Scores(
            self.true_positive + other.true_positive,
            self.false_positive + other.false_positive,
            self.false_negative + other.false_negative,
            self.true_negative + other.true_negative,
            self.unseen + other.unseen,
            self.threshold,
        )

    def __str__(self) -> str:
        named = (
            ("F1", self.f1),
            ("IoU", self.iou),
            ("precision", self.precision),
            ("recall", self.recall),
            ("accuracy", self.accuracy),
        )
        return ", ".join(f"{name} {_percent(value)}" for name, value in named)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _percent(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{100 * value:.2f} %"


def confusion_map(
    probability: NDArray[np.floating[Any]],
    truth: NDArray[np.integer[Any] | np.bool_],
    *,
    observation: NDArray[np.uint8] | None = None,
    threshold: float = 0.5,
) -> NDArray[np.uint8]:
    """Each pixel's outcome: 0 TN, 1 TP, 2 FP, 3 FN, 255 not seen (see `Confusion`), of arrays of
    one shape: probability 0-1, NaN where nothing was seen; truth, 0 and 1; observation codes, of
    which all but 0 mean not seen.

    Raises RequestError where shapes differ, or the threshold is not above 0 and at most 1.

    >>> import numpy as np
    >>> confusion_map(np.array([0.9, 0.9, 0.1, 0.1, np.nan]), np.array([1, 0, 1, 0, 1]))
    array([  1,   2,   3,   0, 255], dtype=uint8)
    """
    if probability.shape != truth.shape:
        raise RequestError(f"Map {probability.shape} and inventory {truth.shape} differ in shape.")
    if not 0 < threshold <= 1:
        raise RequestError(f"threshold={threshold:g} must lie above 0 and at most 1.")
    unseen = np.isnan(probability)
    if observation is not None:
        unseen |= observation != 0
    called = probability >= threshold - _ROUNDING
    real = truth.astype(bool)
    outcomes = np.select(
        [unseen, called & real, called, real],
        [
            Confusion.UNSEEN,
            Confusion.TRUE_POSITIVE,
            Confusion.FALSE_POSITIVE,
            Confusion.FALSE_NEGATIVE,
        ],
        Confusion.TRUE_NEGATIVE,
    )
    return outcomes.astype(np.uint8)


def score_pixels(
    probability: NDArray[np.floating[Any]],
    truth: NDArray[np.integer[Any] | np.bool_],
    *,
    observation: NDArray[np.uint8] | None = None,
    threshold: float = 0.5,
) -> Scores:
    """Scores of probabilities against a mask; arguments as in `confusion_map`.

    >>> import numpy as np
    >>> score_pixels(np.array([0.9, 0.9, 0.1, np.nan]), np.array([1, 0, 0, 1])).precision
    0.5
    """
    outcomes = confusion_map(probability, truth, observation=observation, threshold=threshold)
    counts = np.bincount(outcomes.ravel(), minlength=256)
    return Scores(
        true_positive=int(counts[Confusion.TRUE_POSITIVE]),
        false_positive=int(counts[Confusion.FALSE_POSITIVE]),
        false_negative=int(counts[Confusion.FALSE_NEGATIVE]),
        true_negative=int(counts[Confusion.TRUE_NEGATIVE]),
        unseen=int(counts[Confusion.UNSEEN]),
        threshold=threshold,
    )


def score_map(
    source: xr.Dataset | str | Path, inventory: GeoDataFrame | str | Path, *, threshold: float = 0.5
) -> Scores:
    """Score a map against an inventory, strip by strip; unseen pixels never count.

    Parameters
    ----------
    source
        A map (``probability``, ``observation`` (y, x)), or the path or URL of a stored one.
    inventory
        Landslide polygons in any reference system, or their file (see `read_inventory`).
    threshold
        Probability from which a pixel counts as landslide.

    Raises
    ------
    RequestError
        The map or the inventory cannot be read, or the two do not overlap.

    Examples
    --------
    >>> import geopandas, numpy as np, shapely, xarray as xr
    >>> area = xr.Dataset(
    ...     {
    ...         "probability": (("y", "x"), np.array([[0.1, 0.7, np.nan]], "float32")),
    ...         "observation": (("y", "x"), np.array([[0, 0, 3]], "uint8")),
    ...     },
    ...     coords={"y": [4735005.0], "x": [577905.0, 577915.0, 577925.0]},
    ... )
    >>> area.coords["spatial_ref"] = (
    ...     (), 0, {"crs_wkt": "EPSG:32654", "GeoTransform": "577900 10 0 4735010 0 -10"}
    ... )
    >>> slide = shapely.box(577900, 4735000, 577920, 4735010)  # the first two pixels
    >>> scores = score_map(area, geopandas.GeoDataFrame(geometry=[slide], crs="EPSG:32654"))
    >>> scores.precision, scores.recall, scores.unseen
    (1.0, 0.5, 1)
    """
    reader = open_reader(source)
    truth = read_inventory(inventory) if isinstance(inventory, str | Path) else inventory
    truth = _overlapping(truth, reader.grid)
    total = Scores(0, 0, 0, 0, threshold=threshold)
    for strip in reader.strips():
        bottom = strip.top + strip.probability.shape[0]
        mask = rasterise_inventory(truth, reader.grid[strip.top : bottom, :])
        probability = unpack_probability(strip.probability)
        total += score_pixels(probability, mask, observation=strip.observation, threshold=threshold)
    return total


def _overlapping(inventory: GeoDataFrame, grid: Any) -> GeoDataFrame:
    """The inventory in the map's reference system; refuses one that lies elsewhere."""
    placed = inventory.to_crs(grid.crs.to_wkt())
    box = grid.extent.boundingbox
    west, south, east, north = placed.total_bounds
    if not (west < box.right and east > box.left and south < box.top and north > box.bottom):
        raise RequestError("The inventory does not overlap the map: is it of another place?")
    return placed
