"""A scan opened for reading: its maps, a picture of it, and its pages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sarmap.regions.folder import Folder
from sarmap.regions.mosaic import Mosaic, read_mosaic
from sarmap.regions.pages import write_scan_report
from sarmap.regions.picture import overview_of, plot_scan
from sarmap.regions.unit_map import PICTURE

if TYPE_CHECKING:
    import xarray as xr

    from sarmap.report.writing import Report

__all__ = ["Scan", "open_scan"]


class Scan(Mosaic):
    """A scan, finished or under way, opened for reading."""

    def overview(self, size: int = PICTURE) -> xr.Dataset:
        """The whole scan across its zones in longitude and latitude, at low resolution.

        Args:
            size: pixels along its longer edge.

        Returns:
            Dataset (latitude, longitude), float32 of `probability`, the greatest under each pixel,
            NaN where nothing was seen; `landslide`, the share of what was seen that reaches the
            scan's threshold; and `observed`, the share that was seen, NaN where nothing is mapped.
            Longitudes run past 180 where the scan lies across the antimeridian.
        """
        return overview_of(self, size)

    def write_report(self, out: str | Path, **options: Any) -> Report:
        """All that is mapped as a page that opens offline, what is not yet as *no data*.

        A scan in several UTM zones gets a page for each, in a folder of its own, and a first page.

        Args:
            out: folder; of a scan in one zone also a file ending in ``.html``.
            options: as of `sarmap.write_report`.

        Raises:
            RequestError: nothing is mapped yet, an argument is wrong, or `out` is taken.
            OutputError: the pages cannot be written, or the store does not answer.
        """
        return write_scan_report(self, out, **options)

    def plot(self, **options: Any) -> Any:
        """The scan at a glance; see `sarmap.regions.picture.plot_scan`."""
        return plot_scan(self, **options)


def open_scan(path: str | Path) -> Scan:
    """Open a scan, finished or not, from its folder or URL.

    Raises:
        RequestError: no scan is there.
        OutputError: the store does not answer.
    """
    return Scan(**vars(read_mosaic(Folder(path))))
