"""How landslides and probability are drawn in QGIS, and the classes of certainty.

QGIS takes a style from the table ``layer_styles`` of a GeoPackage, and from a ``.qml`` file beside
an image of the same name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Certainty:
    """A class of landslides by their probability."""

    key: str
    """Short name."""
    least: float
    """Probability from which one belongs to it."""
    label: str
    """What a legend says."""
    colour: str
    """Red, green and blue in hexadecimal."""

    @property
    def kml(self) -> str:
        """The colour as KML writes it: alpha, blue, green, red."""
        return f"ff{self.colour[4:6]}{self.colour[2:4]}{self.colour[:2]}"


CERTAINTY = (
    Certainty("high", 0.9, "probability 0.9 or more", "7d0f58"),
    Certainty("middle", 0.7, "probability 0.7 to 0.9", "cb2d3e"),
    Certainty("low", 0.0, "probability below 0.7", "f0783c"),
)
"""Classes of certainty, the most certain first."""


def certainty_of(probability: NDArray[Any]) -> NDArray[np.intp]:
    """Which class of `CERTAINTY` each probability belongs to.

    >>> certainty_of(np.array([0.95, 0.9, 0.5])).tolist()
    [0, 0, 2]
    """
    reached = np.asarray(probability)[:, None] >= np.array([one.least for one in CERTAINTY])
    first: NDArray[np.intp] = reached.argmax(axis=1)
    return first


NOT_SEEN = "not_seen"
"""Layer of ground that was not seen; never an inventory of landslides."""
_LAYERS = {
    "landslides": ("mean_probability", "geom", "fill", "SimpleFill"),
    "landslide_windows": ("probability", "geom", "marker", "SimpleMarker"),
}
"""Layer -> column of its classes, geometry column, kind of symbol and of its layer."""


def layer_styles(layer: str) -> pd.DataFrame | None:
    """The row of QGIS's table ``layer_styles`` for a layer; None for one that has no style."""
    import pandas as pd

    if layer == NOT_SEEN:
        geometry, name, about, style = "geom", "not seen", "Ground that was not seen", _hatched()
    elif layer in _LAYERS:
        column, geometry, symbol, drawn = _LAYERS[layer]
        name, about = "certainty", "Landslides by probability"
        style = _classes(column, symbol, drawn)
    else:
        return None
    row = {
        "f_table_catalog": "",
        "f_table_schema": "",
        "f_table_name": layer,
        "f_geometry_column": geometry,
        "styleName": name,
        "styleQML": style,
        "styleSLD": "",
        "useAsDefault": True,
        "description": about,
        "owner": "",
        "ui": "",
        # a fixed one: the same map gives the same file; GDAL leaves thousandths of 0 out
        "update_time": pd.Timestamp(1, unit="ms", tz="UTC"),
    }
    return pd.DataFrame([row])


def _classes(column: str, symbol: str, drawn: str) -> str:
    ranges, symbols, above = [], [], 1.0
    for number, one in enumerate(CERTAINTY):
        ranges.append(
            f'<range lower="{one.least}" upper="{above}" label="{one.label}" symbol="{number}" '
            'render="true"/>'
        )
        red, green, blue = (int(one.colour[at : at + 2], 16) for at in (0, 2, 4))
        options = {"color": f"{red},{green},{blue},150", "outline_color": f"{red},{green},{blue}"}
        told = "".join(
            f'<Option type="QString" name="{name}" value="{value}"/>'
            for name, value in {**options, "outline_width": "0.3"}.items()
        )
        symbols.append(
            f'<symbol type="{symbol}" name="{number}" alpha="1"><layer class="{drawn}" '
            f'enabled="1" pass="0"><Option type="Map">{told}</Option></layer></symbol>'
        )
        above = one.least
    return _qml(
        f'<renderer-v2 type="graduatedSymbol" attr="{column}" graduatedMethod="GraduatedColor">'
        f"<ranges>{''.join(ranges)}</ranges><symbols>{''.join(symbols)}</symbols></renderer-v2>"
    )


def _hatched() -> str:
    """Grey lines over what is below, for a layer that is one thing."""
    options = {"color": "90,90,90,200", "style": "b_diagonal", "outline_style": "no"}
    told = "".join(
        f'<Option type="QString" name="{name}" value="{value}"/>' for name, value in options.items()
    )
    return _qml(
        '<renderer-v2 type="singleSymbol"><symbols><symbol type="fill" name="0" alpha="1">'
        '<layer class="SimpleFill" enabled="1" pass="0">'
        f'<Option type="Map">{told}</Option></layer></symbol></symbols></renderer-v2>'
    )


def _qml(inner: str) -> str:
    return f'<qgis version="3.28.0" styleCategories="Symbology">{inner}</qgis>\n'


_RAMP = (
    (0.0, "f7f6f2"),
    (0.1, "feedbe"),
    (0.3, "fdbb63"),
    (0.5, "f0783c"),
    (0.7, "cb2d3e"),
    (0.9, "7d0f58"),
    (1.0, "460550"),
)
"""Probability -> colour, as on the report's page."""

IMAGE_STYLE = _qml(
    '<pipe><rasterrenderer type="singlebandpseudocolor" band="1" opacity="0.8" alphaBand="-1" '
    'classificationMin="0" classificationMax="1"><rastershader><colorrampshader '
    'colorRampType="INTERPOLATED" minimumValue="0" maximumValue="1">'
    + "".join(
        f'<item value="{value}" color="#{colour}" alpha="255" label="{value:g}"/>'
        for value, colour in _RAMP
    )
    + "</colorrampshader></rastershader></rasterrenderer></pipe>"
)
"""QML of an image of probability; QGIS applies the image's own scale first."""
