"""Probabilities that mean what they say: a monotone table fitted on validation, used elsewhere."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError
from sarmap.store.delivery import replacing
from sarmap.store.encoding import PROBABILITY_STEP

if TYPE_CHECKING:
    import xarray as xr

STEPS = 251


@dataclass(frozen=True)
class Calibration:
    """What each stored step of probability turned out to mean."""

    probability: NDArray[np.float64]
    """Share of landslide at each of the 251 steps, never falling."""
    pixels: int
    """Pixels it was fitted on."""
    fitted_on: str
    """Which pixels those were, in words."""
    detector: str
    """Name of the detector whose probabilities it corrects."""
    simulated: bool
    """True where the map it was fitted on is simulated."""

    def write(self, file: str | Path, *, overwrite: bool = False) -> None:
        """Keep it as JSON; RequestError where the file exists, OutputError where it cannot be
        written.
        """
        record = {
            "kind": "sarmap-calibration",
            "detector": self.detector,
            "simulated": self.simulated,
            "fitted_on": self.fitted_on,
            "pixels": self.pixels,
            "step": PROBABILITY_STEP,
            "probability": [round(float(value), 6) for value in self.probability],
        }
        with replacing(Path(file), overwrite=overwrite) as fresh:
            fresh.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def fit_calibration(
    counts: NDArray[np.int64], *, fitted_on: str, detector: str = "", simulated: bool = False
) -> Calibration:
    """Isotonic regression of truth on the stored step, weighted by pixels, from the counts
    (landslide or not, 251 steps) of the validation part, which `fitted_on` names.

    The steps without a pixel lie on the line between their neighbours (Zadrozny and Elkan 2002,
    KDD, 694-699: isotonic regression as calibration). Raises RequestError where there is no pixel,
    or no landslide, or nothing but landslide to fit on.

    >>> import numpy as np
    >>> counts = np.zeros((2, 251), int)
    >>> counts[:, 50], counts[:, 200] = (90, 10), (60, 40)
    >>> fit_calibration(counts, fitted_on="blocks").probability[[0, 50, 125, 200, 250]]
    array([0.1 , 0.1 , 0.25, 0.4 , 0.4 ])
    """
    from scipy.optimize import isotonic_regression

    pixels = counts.sum(axis=0)
    if counts[0].sum() == 0 or counts[1].sum() == 0:
        raise RequestError(
            "A calibration needs pixels with and without landslide in the validation part: assess "
            "a larger area."
        )
    held = np.flatnonzero(pixels)
    share = counts[1, held] / pixels[held]
    fitted = isotonic_regression(share, weights=pixels[held].astype(np.float64)).x
    table = np.interp(np.arange(STEPS), held, fitted)
    return Calibration(table, int(pixels.sum()), fitted_on, detector, simulated)


def read_calibration(file: str | Path) -> Calibration:
    """A calibration that `Calibration.write` kept; RequestError where there is none."""
    path = Path(file).expanduser()
    try:
        record: Any = json.loads(path.read_text(encoding="utf-8"))
        table = np.asarray(record["probability"], np.float64)
        sound = (
            record["kind"] == "sarmap-calibration"
            and table.shape == (STEPS,)
            and bool((np.diff(table) >= 0).all())
            and 0 <= table[0] <= table[-1] <= 1
        )
        made = Calibration(
            table,
            int(record["pixels"]),
            str(record["fitted_on"]),
            str(record["detector"]),
            bool(record["simulated"]),
        )
    except OSError as error:
        raise RequestError(f"Calibration {path.name!r} cannot be read: does it exist?") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise RequestError(f"{path.name!r} is no calibration that sarmap wrote.") from error
    if not sound:
        raise RequestError(f"{path.name!r} is no calibration that sarmap wrote.")
    return made


def apply_calibration(dataset: xr.Dataset, calibration: Calibration | str | Path) -> xr.Dataset:
    """A map with calibrated probabilities, lazily; what was not seen stays so.

    Parameters
    ----------
    dataset
        A map with ``probability`` (y, x) float32, NaN where nothing was seen.
    calibration
        A calibration, or its file.

    Returns
    -------
    The map with ``probability`` replaced, and the attribute ``sarmap:calibration``.

    Raises
    ------
    RequestError
        The calibration cannot be read, or belongs to another detector than the map's.
    """
    import xarray as xr

    from sarmap.store.provenance import read_provenance

    table = calibration if isinstance(calibration, Calibration) else read_calibration(calibration)
    detector = read_provenance(dataset.attrs).detector
    if table.detector and detector and table.detector != detector:
        raise RequestError(
            f"The calibration is of detector {table.detector!r}, but the map was made by "
            f"{detector!r}: fit one on a map of that detector."
        )
    steps = np.arange(STEPS) * PROBABILITY_STEP

    def means(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.interp(values, steps, table.probability).astype(np.float32)

    calibrated = xr.apply_ufunc(
        means, dataset["probability"], dask="parallelized", output_dtypes=[np.float32]
    )
    made = dataset.assign(probability=calibrated.assign_attrs(dataset["probability"].attrs))
    made.attrs["sarmap:calibration"] = f"isotonic, fitted on {table.fitted_on}"
    return made


# --- curves ---------------------------------------------------------------------------------------


Values = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Scores at each threshold 0.004, 0.008 ... 1 (250 values each); NaN where undefined."""

    threshold: Values
    """Probability from which a pixel is called landslide."""
    precision: Values
    """TP / (TP + FP)."""
    recall: Values
    """TP / (TP + FN)."""
    f1: Values
    """2 TP / (2 TP + FP + FN)."""
    average_precision: float
    """Sum of precision times the gain in recall, from the highest threshold to zero."""

    @property
    def best(self) -> float:
        """The threshold with the highest F1 (the lowest of several); NaN without a landslide."""
        if np.isnan(self.f1).all():
            return math.nan
        return float(self.threshold[int(np.nanargmax(self.f1))])


def precision_recall(counts: NDArray[np.int64]) -> Curve:
    """The precision-recall curve of counts (landslide or not, 251 steps).

    Average precision is Zhu 2004's sum, as in scikit-learn's ``average_precision_score``.

    >>> import numpy as np
    >>> counts = np.zeros((2, 251), int)
    >>> counts[1, 200], counts[0, 200], counts[1, 50], counts[0, 10] = 6, 2, 4, 88
    >>> curve = precision_recall(counts)
    >>> round(curve.best, 3), float(curve.precision[199]), float(curve.recall[199])
    (0.044, 0.75, 0.6)
    """
    above = counts[:, ::-1].cumsum(axis=1)[:, ::-1].astype(np.float64)
    truth = above[1, 0]
    tp, called = above[1], above[0] + above[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(called > 0, tp / called, np.nan)
        recall = np.where(truth > 0, tp / truth, np.nan)
        f1 = np.where(called + truth > 0, 2 * tp / (called + truth), np.nan)
    gain = np.diff(recall[::-1], prepend=0.0)
    average = float(np.nansum(gain * np.nan_to_num(precision[::-1]))) if truth else math.nan
    thresholds: Values = np.arange(1, counts.shape[1], dtype=np.float64) * PROBABILITY_STEP
    return Curve(thresholds, precision[1:], recall[1:], f1[1:], average)


@dataclass(frozen=True)
class Reliability:
    """Said and true share of landslide in bins of probability; NaN where a bin is empty."""

    edges: Values
    """Edges of the bins (bins + 1); a value on an edge belongs to the bin above it."""
    said: Values
    """Mean probability of each bin's pixels."""
    true: Values
    """Share of each bin's pixels that are landslide."""
    pixels: NDArray[np.int64]
    """Pixels of each bin."""
    brier: float
    """Mean squared difference of probability and truth (Brier 1950, MWR 78, 1-3)."""
    expected_error: float
    """Mean over pixels of the bins' differences (expected calibration error)."""


def reliability(
    counts: NDArray[np.int64], probability: Values | None = None, bins: int = 10
) -> Reliability:
    """Whether 0.7 is right seven times in ten, of counts (landslide or not, 251 steps) in equal
    bins of the probability that each step says, its own or a calibrated one.

    >>> import numpy as np
    >>> counts = np.zeros((2, 251), int)
    >>> counts[:, 175] = 30, 70                      # 0.7 said, seven in ten true
    >>> found = reliability(counts)
    >>> float(found.true[7]), round(found.expected_error, 6), round(found.brier, 2)
    (0.7, 0.0, 0.21)
    """
    said = np.arange(counts.shape[1]) * PROBABILITY_STEP if probability is None else probability
    edges = np.linspace(0, 1, bins + 1)
    # A step such as 0.7 is held a little below or above: a hair decides its bin otherwise.
    place = np.minimum(((said + 1e-9) * bins).astype(np.intp), bins - 1)
    pixels, landslide = counts.sum(axis=0).astype(np.float64), counts[1].astype(np.float64)
    number = np.bincount(place, pixels, minlength=bins)
    total = pixels.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(place, pixels * said, minlength=bins) / number
        true = np.bincount(place, landslide, minlength=bins) / number
        squared = landslide * (1 - said) ** 2 + (pixels - landslide) * said**2
        brier = float(squared.sum() / total) if total else math.nan
        error = float(np.nansum(np.abs(mean - true) * number) / total) if total else math.nan
    return Reliability(edges, mean, true, number.astype(np.int64), brier, error)
