"""Backscatter inside HDF5 products, shown as rasterio shows the bands of a raster.

OPERA RTC-S1 (Product Specification, JPL D-108758) holds `VV`, `VH`, `HH` and `HV` in the group
`/data`; NISAR L2 GCOV (Product Specification, JPL D-102274) the diagonal of the covariance, `HHHH`
and so on, in `/science/LSAR/GCOV/grids/frequencyA`. Beside them lie `xCoordinates` and
`yCoordinates`, the centres of the pixels, and `projection`, an EPSG code.

HDF5 lets a file name others: by external links, external storage and virtual datasets. None is
followed: a link is asked what it is before it is used, and only what lies in the file is read.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import MaskFlags
from rasterio.errors import CRSError, RasterioIOError
from rasterio.windows import Window

from sarmap.errors import RequestError

if TYPE_CHECKING:
    import h5py

HDF5_ENDINGS = (".h5", ".he5", ".hdf5")
TAKEN = "ZERO_DOPPLER_START_TIME"
"""Tag of the instant of a pass, as OPERA's GeoTIFFs call it, too."""

_NISAR = [
    f"science/{band}/GCOV/grids/frequency{part}" for band in ("LSAR", "SSAR") for part in "AB"
]
_GROUPS = ("data", "science/SENTINEL1/RTC/grids/frequencyA", *_NISAR)
"""Where products keep their grids; of a NISAR product's two frequencies, the main one."""
_TIMES = ("", *(f"science/{radar}/" for radar in ("SENTINEL1", "LSAR", "SSAR")))
_BLOCK = 512
"""Edge of the parts that a dataset without chunks of its own is read in, pixels."""


def is_hdf5(path: str | Path) -> bool:
    """True where a file's name is that of HDF5."""
    return str(path).lower().endswith(HDF5_ENDINGS)


class Hdf5Raster:
    """The backscatter of an HDF5 product; what `acquire` asks of a rasterio dataset, and no more.

    Raises RequestError where it holds no grid of backscatter that can be placed, or names another
    file; RasterioIOError where it is no readable HDF5.
    """

    interleaving = "band"
    gcps: tuple[list[Any], None] = ([], None)

    def __init__(self, path: str | Path) -> None:
        import h5py

        self.name = str(path)
        try:
            self._file = h5py.File(path, "r", locking=False)
        except OSError:
            there = Path(path).is_file()
            why = "it is no readable HDF5" if there else "there is no such file"
            raise RasterioIOError(why) from None
        try:
            self._describe()
        except BaseException:
            self.close()
            raise

    def _describe(self) -> None:
        where, planes = self._grids()
        self._planes = list(planes.values())
        self.descriptions = tuple(planes)
        self.shape: tuple[int, int] = self._planes[0].shape
        self.height, self.width = self.shape
        if any(plane.shape != self.shape for plane in self._planes):
            raise RequestError(f"The bands of {self._called} differ in size: write it anew.")
        self.transform = self._lattice(where)
        self.crs = self._projection(where)
        self.count = len(planes)
        self.indexes = tuple(range(1, self.count + 1))
        self.dtypes = tuple(str(plane.dtype) for plane in self._planes)
        self.block_shapes = [
            plane.chunks or tuple(min(_BLOCK, length) for length in self.shape)
            for plane in self._planes
        ]
        self.mask_flag_enums = [[MaskFlags.all_valid]] * self.count
        self.nodata = _number(self._planes[0], "_FillValue", math.nan)
        self.scales = tuple(_number(plane, "scale_factor", 1.0) for plane in self._planes)
        self.offsets = tuple(_number(plane, "add_offset", 0.0) for plane in self._planes)
        self.units = tuple(_text(plane.attrs.get("units")) for plane in self._planes)
        self._radar = "C" if "SAR/GCOV" not in where else where.split("/")[1][0]

    @property
    def _called(self) -> str:
        return Path(self.name).name

    def _grids(self) -> tuple[str, dict[str, h5py.Dataset]]:
        """The group that holds backscatter, and polarisation -> grid."""
        for group in _GROUPS:
            found = {}
            for name in ("VV", "VH", "HH", "HV"):
                plane = self._inside(f"{group}/{name * 2 if 'GCOV' in group else name}")
                if plane is not None:
                    found[name] = self._checked(plane, 2)
            if found:
                return group, found
        raise RequestError(
            f"{self._called} holds no backscatter where OPERA RTC-S1 (/data/VV) and NISAR GCOV "
            "(/science/LSAR/GCOV/grids/frequencyA/HHHH) keep it: give the GeoTIFFs of its bands, "
            "which lie beside OPERA's (..._VV.tif, ..._VH.tif), or a product of either kind."
        )

    def _inside(self, path: str) -> Any:
        """What lies at a path, each link to it a plain one inside the file (RequestError where one
        leads elsewhere); None: nothing does.
        """
        import h5py

        here: Any = self._file
        for part in path.split("/"):
            name = part.encode()
            if not isinstance(here, h5py.Group) or not here.id.links.exists(name):
                return None
            if here.id.links.get_info(name).type != h5py.h5l.TYPE_HARD:
                self._refuse(f"{path} is a link")
            here = here[part]
        return here

    def _checked(self, found: Any, dims: int, kinds: str = "fiu") -> h5py.Dataset:
        """A dataset of numbers, of so many dimensions, that lies wholly in the file."""
        import h5py

        fits = isinstance(found, h5py.Dataset) and found.ndim == dims and found.dtype.kind in kinds
        if not fits:
            raise RequestError(
                f"{self._called} is not laid out as OPERA RTC-S1 or NISAR GCOV: "
                f"{getattr(found, 'name', 'a part')} is no grid of numbers; give GeoTIFFs."
            )
        if found.is_virtual or found.external:
            self._refuse(f"{found.name} lies in another file")
        return found

    def _refuse(self, why: str) -> None:
        raise RequestError(
            f"{self._called} leads out of itself ({why}), and no other file is opened for it: give "
            "the product as its maker wrote it."
        )

    def _axis(self, path: str, length: int) -> tuple[float, float]:
        """The first centre along an axis, and the step."""
        centres = self._checked(self._inside(path), 1)
        if length < 2 or centres.shape != (length,):
            raise RequestError(f"{self._called} has {centres.size} of {length} {path}.")
        first, second, last = (float(centres[index]) for index in (0, 1, length - 1))
        step = (last - first) / (length - 1)
        if not math.isfinite(step) or step == 0 or abs(second - first - step) > 1e-3 * abs(step):
            raise RequestError(f"The pixels of {self._called} are not evenly spaced ({path}).")
        return first, step

    def _lattice(self, where: str) -> Affine:
        """Pixel to CRS."""
        left, right = self._axis(f"{where}/xCoordinates", self.width)
        top, down = self._axis(f"{where}/yCoordinates", self.height)
        return Affine(right, 0, left - right / 2, 0, down, top - down / 2)

    def _projection(self, where: str) -> CRS | None:
        code = self._checked(self._inside(f"{where}/projection"), 0)
        try:
            return CRS.from_epsg(int(code.attrs.get("epsg_code", code[()])))
        except (CRSError, TypeError, ValueError):
            return None

    def tags(self) -> dict[str, str]:
        """Attributes of the file, the instant of the pass (`TAKEN`) and the radar's band."""
        tags = {name: _text(value) for name, value in self._file.attrs.items()}
        for where in _TIMES:
            taken = self._inside(f"{where}identification/zeroDopplerStartTime")
            if taken is not None:
                tags[TAKEN] = _text(self._checked(taken, 0, "OSU")[()])
        return tags | {"RADAR_BAND": self._radar}

    def read(self, band: int, *, window: Window, out_dtype: str) -> NDArray[Any]:
        """A window of a band (y, x) that lies inside the grid."""
        rows, columns = window.toslices()
        pixels: NDArray[Any] = self._planes[band - 1][rows, columns].astype(out_dtype)
        return pixels

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Hdf5Raster:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _text(value: Any) -> str:
    """An attribute or scalar as text; empty where there is none.

    >>> _text(np.bytes_(b"2021-11-19")), _text(None)
    ('2021-11-19', '')
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def _number(plane: h5py.Dataset, name: str, otherwise: float) -> float:
    """An attribute that is a number, or what holds without it."""
    try:
        return float(np.ravel(plane.attrs.get(name, otherwise))[0])
    except (IndexError, TypeError, ValueError):
        return otherwise
