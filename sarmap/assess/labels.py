"""What is known of the ground: landslide polygons, and where nobody looked, as masks of windows.

Pixels are 1 (landslide), 0 (other land) or `NOT_LABELLED`: outside the surveyed area, or under the
clouds of the images the inventory was drawn on. Those neither train nor score. Polygons are burnt
window by window, so that no mask of a whole region is ever held.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sarmap.assess.inventory import number_polygons, rasterise_inventory, read_inventory
from sarmap.errors import RequestError

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

NOT_LABELLED = 255
"""Value of a mask's pixel of which nobody knows."""


@dataclass(frozen=True)
class Labels:
    """Polygons of one event in the reference system of its grid."""

    grid: Any
    """odc-geo GeoBox of the composite."""
    landslides: GeoDataFrame
    """Landslide polygons, valid, in the grid's system."""
    surveyed: GeoDataFrame | None = None
    """Where the interpreter looked; None: everywhere."""
    clouds: GeoDataFrame | None = None
    """Where the interpreter's images were clouded; None: nowhere."""
    repaired: int = 0
    """Outlines that were invalid and were made valid."""
    dropped: int = 0
    """Geometries that were empty or no polygons, and were left out."""

    def mask(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Mask of a window of the grid: 0, 1 or `NOT_LABELLED` (nearest: pixel centres)."""
        mask = rasterise_inventory(self.landslides, self.grid[rows, columns])
        mask[~self.labelled(rows, columns)] = NOT_LABELLED
        return mask

    def numbers(self, rows: slice, columns: slice) -> NDArray[np.int32]:
        """Which landslide each pixel of a window belongs to: its row in `landslides` plus 1, or 0.

        Where outlines overlap, the pixel is the later one's.
        """
        return number_polygons(self.landslides, self.grid[rows, columns])

    def labelled(self, rows: slice, columns: slice) -> NDArray[np.bool_]:
        """Where somebody looked, of a window."""
        window = self.grid[rows, columns]
        looked = np.ones(tuple(int(n) for n in window.shape), bool)
        if self.surveyed is not None:
            looked &= rasterise_inventory(self.surveyed, window) == 1
        if self.clouds is not None:
            looked &= rasterise_inventory(self.clouds, window) == 0
        return looked

    @property
    def digest(self) -> str:
        """Hash of all polygons, by which samples made from them are known."""
        import shapely

        found = hashlib.sha256()
        for frame in (self.landslides, self.surveyed, self.clouds):
            shapes = [] if frame is None else shapely.to_wkb(frame.geometry.array)
            found.update(b"|".join([b"#", *shapes]))
        return found.hexdigest()[:16]


def read_labels(
    grid: Any,
    inventory: GeoDataFrame | str | Path,
    *,
    surveyed: GeoDataFrame | str | Path | None = None,
    clouds: GeoDataFrame | str | Path | None = None,
    layer: str | None = None,
    crs: Any = None,
) -> Labels:
    """Labels of a grid from polygons in any format and reference system.

    Parameters
    ----------
    grid
        odc-geo GeoBox of the composite that the labels belong to.
    inventory
        Landslide polygons, or their file (see `sarmap.assess.inventory.read_inventory`).
    surveyed
        Polygons of the area that was looked at; what lies outside is not labelled.
    clouds
        Polygons that were clouded when it was looked at; what lies inside is not labelled.
    layer
        Layer of the inventory's file.
    crs
        Reference system of the inventory's file, whatever it says, and of other files that do not
        say theirs.

    Raises
    ------
    RequestError
        Grid or polygons have no reference system, one cannot be transformed to the other, there
        are no polygons, or none lies on the grid.

    Examples
    --------
    >>> import geopandas, shapely
    >>> from odc.geo.geobox import GeoBox
    >>> grid = GeoBox.from_bbox((0, 0, 40, 20), "epsg:32654", resolution=10)
    >>> frame = lambda *box: geopandas.GeoDataFrame(geometry=[shapely.box(*box)], crs=32654)
    >>> labels = read_labels(grid, frame(0, 10, 10, 20), surveyed=frame(0, 0, 30, 20))
    >>> labels.mask(slice(0, 2), slice(0, 4))
    array([[  1,   0,   0, 255],
           [  0,   0,   0, 255]], dtype=uint8)
    """
    if grid.crs is None:
        raise RequestError(
            "The composite has no reference system, so no inventory can be laid on it: give it "
            "the coordinate `spatial_ref`."
        )
    landslides = _placed(_read(inventory, "inventory", layer=layer, crs=crs), grid, "inventory")
    if not _touch(landslides, grid):
        raise RequestError(
            "None of the inventory's polygons lies on the composite: is it of another place, or "
            "is its reference system another than it says (give it as crs)?"
        )
    others = {
        what: None if given is None else _placed(_read(given, what, otherwise=crs), grid, what)
        for what, given in (("surveyed", surveyed), ("clouds", clouds))
    }
    if others["surveyed"] is not None and not _touch(others["surveyed"], grid):
        raise RequestError(
            "The surveyed area does not lie on the composite, so nothing there is labelled: "
            "mend or leave out `surveyed`."
        )
    frames = [frame for frame in (landslides, *others.values()) if frame is not None]
    return Labels(
        grid,
        landslides,
        others["surveyed"],
        others["clouds"],
        repaired=sum(int(frame.attrs.get("repaired", 0)) for frame in frames),
        dropped=sum(int(frame.attrs.get("dropped", 0)) for frame in frames),
    )


def _read(given: GeoDataFrame | str | Path, what: str, **how: Any) -> GeoDataFrame:
    if isinstance(given, str | Path):
        return read_inventory(given, **how)
    crs = how.get("crs", how.get("otherwise"))
    if given.crs is None and crs is None:
        raise RequestError(f"The {what} polygons do not say their reference system; give `crs`.")
    frame = given if given.crs is not None else given.set_crs(crs)
    polygons = frame.geom_type.isin(["Polygon", "MultiPolygon"]) & ~frame.is_empty
    if not polygons.any():
        raise RequestError(f"The {what} holds no polygons.")
    kept = frame[polygons].copy()
    broken = ~kept.is_valid
    kept.loc[broken, kept.geometry.name] = kept.geometry[broken].make_valid()
    kept.attrs = {"repaired": int(broken.sum()), "dropped": int((~polygons).sum())}
    return kept


def _placed(frame: GeoDataFrame, grid: Any, what: str) -> GeoDataFrame:
    """The polygons in the grid's reference system; refuses what no transformation takes there."""
    attrs = dict(frame.attrs)
    try:
        placed = frame.to_crs(grid.crs.to_wkt())
        finite = bool(np.isfinite(placed.total_bounds).all())
    except Exception as error:
        raise RequestError(_untransformable(what)) from error
    if not finite:
        raise RequestError(_untransformable(what))
    placed.attrs = attrs
    return placed


def _untransformable(what: str) -> str:
    return (
        f"The reference system of the {what} cannot be transformed to the composite's: save the "
        "file in a system with an EPSG code, or give the right one as crs."
    )


def _touch(frame: GeoDataFrame, grid: Any) -> bool:
    import shapely

    box = grid.extent.boundingbox
    area = shapely.box(box.left, box.bottom, box.right, box.top)
    return len(frame.sindex.query(area, predicate="intersects")) > 0
