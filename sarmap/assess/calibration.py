"""Probabilities that mean what they say: a monotone table fitted on validation, used elsewhere."""

from __future__ import annotations

import json
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
        """Keep it as JSON.

        Raises
        ------
        RequestError, OutputError
            The file exists, or cannot be written.
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
    """Isotonic regression of truth on the stored step, weighted by pixels.

    The steps without a pixel lie on the line between their neighbours (Zadrozny and Elkan 2002,
    KDD, 694-699: isotonic regression as calibration).

    Parameters
    ----------
    counts
        Pixels (landslide or not, 251 steps) of the validation part.
    fitted_on
        Which part that is, in words.
    detector, simulated
        Whose probabilities these are, and whether the map is simulated.

    Raises
    ------
    RequestError
        There is no pixel, or no landslide, or nothing but landslide to fit on.

    Examples
    --------
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
    """A calibration that `Calibration.write` kept.

    Raises
    ------
    RequestError
        There is no such file, or it is no calibration.
    """
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
