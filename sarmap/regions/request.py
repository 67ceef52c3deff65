"""What a scan is asked for: a map request over a region, in units, in an order."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sarmap.errors import RequestError
from sarmap.regions.lattice import EDGE
from sarmap.types import MapRequest

__all__ = ["PRODUCTS", "ScanRequest", "check_request"]

PRODUCTS = ("geopackage", "geoparquet", "quicklook")
"""What a scan writes beside its units when it ends."""

Order = Literal["epicentre", "raster", "none"]


class ScanRequest(MapRequest):
    """Everything one scan is made from: a `MapRequest` over a region, and how it is worked off.

    >>> request = ScanRequest(area=(141.0, 42.0, 143.0, 44.0), event="2018-09-05T18:08:00Z",
    ...                       epicentre=(142.0, 42.7))
    >>> request.order, request.unit
    ('epicentre', 10240)
    """

    out: str | None = Field(default="scan", description="folder or URL for all that is made")
    unit: int = Field(default=EDGE, ge=1, description="edge of a unit of work, pixels")
    epicentre: tuple[float, float] | None = Field(
        default=None, description="longitude and latitude of what happened, degrees"
    )
    priority: str | None = Field(
        default=None, description="raster or vector file: units where it is greatest go first"
    )
    order: Order = Field(
        default_factory=lambda given: (
            "raster" if given.get("priority") else "epicentre" if given.get("epicentre") else "none"
        ),
        description="which units go first: nearest the epicentre, by priority, or north to south",
    )
    products: tuple[str, ...] = Field(
        default=PRODUCTS, description="made of all units: geopackage, geoparquet, quicklook"
    )


def check_request(request: ScanRequest) -> None:
    """Refuse what no scan can be made from.

    Raises:
        RequestError: the order lacks what it goes by, a product is unknown, or there is no `out`.
    """
    if not request.out:
        raise RequestError("A scan needs a place to be written: give out=, for example scan.")
    if request.order == "epicentre" and request.epicentre is None:
        raise RequestError(
            "order='epicentre' needs the epicentre: give epicentre=(longitude, latitude) "
            "(--epicentre LON,LAT)."
        )
    if request.order == "raster" and request.priority is None:
        raise RequestError(
            "order='raster' needs a raster or vector file: give priority= (--priority FILE)."
        )
    if request.epicentre is not None:
        longitude, latitude = request.epicentre
        if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
            raise RequestError(
                f"epicentre={request.epicentre} is no place: give longitude and latitude, degrees."
            )
    if request.cog_dtype != "uint8":
        raise RequestError("A scan makes no COG of its own: leave out cog_dtype (--cog-dtype).")
    unknown = sorted(set(request.products) - set(PRODUCTS))
    if unknown:
        raise RequestError(
            f"A scan does not make {', '.join(unknown)}: choose from {', '.join(PRODUCTS)}."
        )
