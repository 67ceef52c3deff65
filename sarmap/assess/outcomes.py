"""The map of right and wrong: each pixel's outcome as GeoTIFF, Zarr and picture.

Colours are those of Okabe and Ito (Color Universal Design, 2008), which colour-blind readers tell
apart.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sarmap.assess.counting import Sink
from sarmap.assess.scores import Confusion
from sarmap.errors import OutputError, RequestError
from sarmap.export.cog import writing_cog
from sarmap.store.georeference import coordinate_attrs, spatial_ref_attrs
from sarmap.store.provenance import Provenance

COLOURS = {
    Confusion.TRUE_NEGATIVE: "#f7f7f7",
    Confusion.TRUE_POSITIVE: "#009e73",
    Confusion.FALSE_POSITIVE: "#d55e00",
    Confusion.FALSE_NEGATIVE: "#0072b2",
    Confusion.NOT_LABELLED: "#c9b9d6",
    Confusion.UNSEEN: "#9e9e9e",
}
"""Colour of each outcome."""
MEANINGS = {
    Confusion.TRUE_NEGATIVE: "true_negative",
    Confusion.TRUE_POSITIVE: "true_positive",
    Confusion.FALSE_POSITIVE: "false_positive",
    Confusion.FALSE_NEGATIVE: "false_negative",
    Confusion.NOT_LABELLED: "not_labelled",
    Confusion.UNSEEN: "not_seen",
}
"""Meaning of each outcome."""


@contextmanager
def writing_outcomes(file: Path, grid: Any, made: Provenance) -> Iterator[Sink]:
    """A sink of outcome rows, top to bottom, that becomes a cloud-optimised GeoTIFF at the end;
    OutputError where it cannot be written.
    """
    from rasterio.windows import Window

    with writing_cog(file, grid, "uint8", None, "NEAREST", file.name) as image:

        def sink(top: int, outcome: NDArray[np.uint8]) -> None:
            image.write(outcome, 1, window=Window(0, top, grid.shape[1], outcome.shape[0]))

        yield sink
        rgba = {code: (*bytes.fromhex(text[1:]), 255) for code, text in COLOURS.items()}
        image.write_colormap(1, rgba)
        image.set_band_description(1, "outcome")
        image.update_tags(**_tags(made))


def _tags(made: Provenance) -> dict[str, str]:
    tags = {
        "SIMULATED": "YES" if made.simulated else "NO",
        "TIFFTAG_IMAGEDESCRIPTION": f"{'SIMULATED: ' if made.simulated else ''}a landslide map "
        "against an inventory",
        "TIFFTAG_COPYRIGHT": made.attribution,
        "OUTCOMES": ", ".join(f"{code} {text}" for code, text in MEANINGS.items()),
        "DETECTOR": made.detector,
    }
    return {key: text for key, text in tags.items() if text}


def write_outcome_zarr(image: Path, out: Path, grid: Any, made: Provenance) -> None:
    """The outcomes of a GeoTIFF as a Zarr v3 store, block by block; OutputError where it cannot be
    written.
    """
    import dask
    import rioxarray

    opened = rioxarray.open_rasterio(image, chunks={"x": 1024, "y": 1024})
    if not isinstance(opened, xr.DataArray):
        raise OutputError(f"{image.name} did not open as one raster.")
    outcome = opened.isel(band=0, drop=True)
    outcome.attrs = {
        "long_name": "outcome of the map against the inventory",
        "flag_values": list(MEANINGS),
        "flag_meanings": " ".join(MEANINGS.values()),
        "simulated": int(made.simulated),  # an array is drawn without its dataset, too
        "attribution": made.attribution,
    }
    outcome.encoding = {"grid_mapping": "spatial_ref"}
    dataset = xr.Dataset({"outcome": outcome}).assign_coords(
        {axis: (axis, opened[axis].values, coordinate_attrs(grid, axis)) for axis in ("y", "x")}
    )
    dataset["spatial_ref"].attrs = spatial_ref_attrs(grid)
    dataset.attrs = {
        "Conventions": "CF-1.11",
        "title": f"{'SIMULATED: ' if made.simulated else ''}a landslide map against an inventory",
        "detector": made.detector,
        "simulated": int(made.simulated),
        "attribution": made.attribution,
    }
    try:
        with dask.config.set(scheduler="threads"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Consolidated metadata")
            dataset.to_zarr(out, mode="w", zarr_format=3, consolidated=True)
    except OSError as error:
        raise OutputError(
            f"{out.name} cannot be written ({error.strerror or type(error).__name__})."
        ) from error


def outcome_image(image: Path, max_size: int) -> NDArray[np.uint8]:
    """The outcomes at picture size: every n-th pixel, so that shares of colours stay true.
    RequestError where the file is no outcome image.
    """
    import rasterio
    import rasterio.errors
    from rasterio.enums import Resampling

    try:
        with rasterio.open(image) as raster:
            edge = max(-(-max(raster.shape) // max_size), 1)
            shape = (max(raster.height // edge, 1), max(raster.width // edge, 1))
            small: NDArray[np.uint8] = raster.read(
                1, out_shape=shape, resampling=Resampling.nearest
            )
    except rasterio.errors.RasterioError as error:
        raise RequestError(f"{image.name} is no outcome image.") from error
    return small
