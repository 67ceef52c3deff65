"""Radar images kept beside a map, so that they can be shown when the scenes are out of reach.

They are for looking: the pass before the event and the first one after it, as gamma-nought in
decibels, in bytes. A detector is never run on them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.draw.colours import display_bands
from sarmap.errors import RequestError

if TYPE_CHECKING:
    import xarray as xr

KEPT_ENDING = "_db"
"""Ends the name of a kept image: ``vv_pre_db``."""
_FACTORS = {"power": 10.0, "amplitude": 20.0}


def kept_radar(composite: xr.DataArray) -> dict[str, xr.DataArray]:
    """The composite's radar (y, x) before and after the event in float32 decibels, lazily, by the
    layer's name (``vv_pre_db``, ``vv_post_1_db``); NaN where there is no value, empty without
    radar.

    The composite (band, y, x) says its ``scaling``, 'power', 'amplitude' or 'db', or RequestError
    is raised.

    >>> import xarray as xr
    >>> power = np.array([[[1.0]], [[0.01]]], "float32")
    >>> composite = xr.DataArray(
    ...     power, dims=("band", "y", "x"), coords={"band": ["vv_pre", "vv_post_1"]},
    ...     attrs={"scaling": "power"},
    ... )
    >>> {name: round(layer.item(), 3) for name, layer in kept_radar(composite).items()}
    {'vv_pre_db': 0.0, 'vv_post_1_db': -20.0}
    """
    import xarray as xr

    scaling = composite.attrs.get("scaling")
    if scaling not in (*_FACTORS, "db"):
        raise RequestError(f"The composite's scaling {scaling!r} is not power, amplitude or db.")
    names = [str(name) for name in composite["band"].values]
    shown = [
        name for name in dict.fromkeys(display_bands(names)) if name.startswith(("vv_", "vh_"))
    ]
    layers = {}
    for name in shown:
        band = composite.isel(band=names.index(name))
        layer = xr.apply_ufunc(
            to_decibels, band, kwargs={"scaling": scaling}, dask="parallelized",
            output_dtypes=[np.float32],
        )  # fmt: skip
        kept = layer.drop_vars([key for key in layer.coords if key not in ("y", "x")])
        kept.encoding = {
            key: band.encoding[key] for key in ("grid_mapping",) if key in band.encoding
        }
        layers[f"{name}{KEPT_ENDING}"] = kept
    return layers


def to_decibels(values: NDArray[np.floating[Any]], *, scaling: str) -> NDArray[np.float32]:
    """Backscatter of a scaling in dB of power; NaN where it is not above zero.

    >>> to_decibels(np.array([0.1, 0.0]), scaling="amplitude")
    array([-20.,  nan], dtype=float32)
    """
    given = np.asarray(values, np.float32)
    if scaling == "db":
        return given
    positive = np.where(given > 0, given, np.float32(np.nan))
    return np.asarray(np.float32(_FACTORS[scaling]) * np.log10(positive), np.float32)
