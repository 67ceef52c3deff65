"""Where a simulated event lies, and the landslides it was given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.acquire.grid import utm_epsg
from sarmap.assess.inventory import read_inventory
from sarmap.errors import RequestError

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

__all__ = ["IBURI", "Outlines", "make_place", "read_outlines"]

IBURI = (142.0, 42.73)
"""Longitude and latitude of the middle of the 2018 landslides."""
PIXEL = 10.0
"""Pixel edge of the scene, metres."""


@dataclass(frozen=True)
class Outlines:
    """Landslides from a file."""

    frame: GeoDataFrame
    """Polygons in degrees (EPSG:4326)."""

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of the middle of their bounds."""
        west, south, east, north = self.frame.total_bounds
        return float(west + east) / 2, float(south + north) / 2

    def on(self, grid: Any) -> NDArray[Any]:
        """The polygons on a scene, cut at its border, in its system; multipart ones taken apart.

        Raises RequestError where none lies there.
        """
        import shapely

        moved = self.frame.to_crs(grid.crs.to_wkt()).geometry.to_numpy()
        cut = shapely.intersection(shapely.make_valid(moved), shapely.box(*grid.boundingbox))
        parts = shapely.get_parts(shapely.get_parts(cut))
        kept = parts[(shapely.get_type_id(parts) == 3) & (shapely.area(parts) > 1.0)]
        if len(kept) == 0:
            raise RequestError(
                "No landslide of the inventory lies in the scene; give its place as center, or "
                "leave center out."
            )
        return np.asarray(kept)

    def points(self, grid: Any) -> NDArray[np.float64]:
        """A point inside each polygon on the scene (n, 2), in its system."""
        import shapely

        inside = shapely.point_on_surface(self.on(grid))
        return np.stack([shapely.get_x(inside), shapely.get_y(inside)], axis=1)


def read_outlines(path: str | Path) -> Outlines:
    """Landslide polygons from any vector file that `read_inventory` takes."""
    return Outlines(read_inventory(path).to_crs("EPSG:4326"))


def make_place(
    rows: int,
    columns: int,
    center: tuple[float, float] | None,
    crs: str | int | None,
    outlines: Outlines | None,
) -> Any:
    """GeoBox of a scene: 10 m pixels, edges on whole tens of metres.

    Raises RequestError where the centre is no place or the system is not projected in metres.

    Examples
    --------
    >>> grid = make_place(100, 80, (141.0, 42.73), None, None)  # zone 54's own meridian: 500 km
    >>> grid.crs.epsg, grid.boundingbox.left, grid.boundingbox.right
    (32654, 499600.0, 500400.0)
    """
    from affine import Affine
    from odc.geo.geobox import GeoBox
    from pyproj import CRS, Transformer
    from pyproj.exceptions import CRSError

    if center is None:
        center = IBURI if outlines is None else outlines.centre
    longitude, latitude = center
    if not (-180 <= longitude <= 180 and -80 <= latitude <= 80):
        raise RequestError(f"center={center!r} must be longitude and latitude, degrees, within 80.")
    try:
        system = CRS.from_user_input(crs or utm_epsg(longitude, latitude))
    except CRSError:
        raise RequestError(f"crs={crs!r} is not a reference system; give one like 32654.") from None
    if not system.is_projected or system.axis_info[0].unit_name != "metre" or not system.to_epsg():
        raise RequestError(f"crs={crs!r} must be projected in metres and have an EPSG code.")
    x, y = Transformer.from_crs("EPSG:4326", system, always_xy=True).transform(longitude, latitude)
    if not (np.isfinite(x) and np.isfinite(y)):
        raise RequestError(f"center={center!r} lies outside crs={crs!r}; leave crs out.")
    left = round((x - columns * PIXEL / 2) / PIXEL) * PIXEL
    top = round((y + rows * PIXEL / 2) / PIXEL) * PIXEL
    return GeoBox(
        (rows, columns), Affine(PIXEL, 0, left, 0, -PIXEL, top), f"EPSG:{system.to_epsg()}"
    )
