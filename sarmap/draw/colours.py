"""What colours mean: radar bands in false colour, codes, probability, and what was not seen.

Colours keep apart for colour-blind readers: probability runs from cream to black (matplotlib's
reversed magma), outlines are yellow on black, and what was not seen is grey and hatched, never a
colour of the scale.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.types import Observation

WARNING = "#b00020"
YELLOW = "#ffe14d"
BLUE = "#006ba4"
GREY = "#d9d9d9"
"""What was not seen, where the reason is not shown."""
AT_EDGE = "#9aa5b1"
UNSEEN = {
    Observation.NO_DATA: ("#d9d9d9", "#8c8c8c", "//", "no data"),
    Observation.READ_FAILED: ("#f4d6c6", "#a63603", "xx", "could not be read"),
    Observation.LAYOVER_SHADOW: ("#bdbdbd", "#525252", "\\\\", "layover or shadow"),
}
"""Ground colour, line colour, hatch and name of what was not seen."""
_RGB = ("red", "green", "blue")


def display_bands(bands: Sequence[str]) -> tuple[str, ...]:
    """Bands of a composite to be shown as red, green and blue (one name: shown as grey).

    The nearest pass before the event is red, the first after it green and blue: grey has not
    changed, red was brighter before, cyan is brighter after.

    >>> display_bands(["vv_pre", "vv_post_1", "vv_post_2", "slope"])
    ('vv_pre', 'vv_post_1', 'vv_post_1')
    >>> display_bands(["vv_post_1", "vh_post_1", "dem"]), display_bands(["red", "green", "blue"])
    (('vv_post_1',), ('red', 'green', 'blue'))
    """
    if set(_RGB) <= set(bands):
        return _RGB
    for polarisation in ("vv", "vh"):
        pre, post = f"{polarisation}_pre", f"{polarisation}_post_1"
        if pre in bands and post in bands:
            return (pre, post, post)
    radar = [band for band in bands if band.startswith(("vv", "vh"))]
    return (radar[0] if radar else bands[0],)


def radar_as_amplitude(
    values: NDArray[np.float32], bands: Sequence[str], scaling: str | None
) -> NDArray[np.float32]:
    """Values (band, y, x) as they are shown: radar power as its root, amplitude."""
    if scaling == "power" and bands[0].startswith(("vv", "vh")):
        return np.asarray(np.sqrt(np.maximum(values, 0)), np.float32)
    return values


def limits(
    values: NDArray[np.float32], percentiles: tuple[float, float] = (2, 98)
) -> tuple[float, float]:
    """Values that are drawn as black and as white: percentiles of what was seen."""
    seen = values[np.isfinite(values)]
    if not seen.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(seen, percentiles))
    return low, max(high, low + 1e-9)


def false_colour(
    values: NDArray[np.float32], percentiles: tuple[float, float] = (2, 98)
) -> NDArray[np.float32]:
    """One or three bands (band, y, x) to RGB (y, x, 3) 0-1 in one stretch, unseen in white."""
    low, high = limits(values, percentiles)
    stretched = np.clip((values - low) / (high - low), 0, 1)
    coloured = np.broadcast_to(np.nan_to_num(stretched, nan=1.0), (3, *values.shape[1:]))
    return np.asarray(np.moveaxis(coloured, 0, -1), np.float32)


def painted(codes: NDArray[np.uint8], colours: Mapping[Any, str]) -> NDArray[np.uint8]:
    """Codes (y, x) in their colours (y, x, 3); a code without one in white."""
    from matplotlib.colors import to_rgb

    table = np.full((256, 3), 255, np.uint8)
    for code, colour in colours.items():
        table[code] = np.round(np.multiply(to_rgb(colour), 255))
    return np.asarray(table[codes])


def legend_of_shares(panel: Any, entries: Iterable[tuple[Any, str, NDArray[np.bool_]]]) -> None:
    """Colour, name and pixels of each thing that is drawn: a legend with the share of each."""
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=colour, edgecolor="black", label=f"{name}: {100 * pixels.mean():.1f} %")
        for colour, name, pixels in entries
        if pixels.any()
    ]
    panel.legend(handles=handles, loc="upper left", fontsize=8, framealpha=0.9)


def draw_probability(panel: Any, values: NDArray[np.float32], **imshow: Any) -> Any:
    """Probability (y, x) in its colours; returns the image for the colour bar."""
    options = {"cmap": "magma_r", "vmin": 0, "vmax": 1, "interpolation": "nearest"}
    return panel.imshow(values, **options | imshow)


def hatched(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGBA of grey, hatched squares where nothing was seen, a pattern per reason; else clear."""
    from matplotlib.colors import to_rgba

    rows, columns = (np.arange(size) for size in codes.shape)
    rising = (rows[:, None] + columns) % 12 < 3
    falling = (rows[:, None] - columns) % 12 < 3
    lines = {
        Observation.NO_DATA: rising,
        Observation.READ_FAILED: rising | falling,
        Observation.LAYOVER_SHADOW: falling,
    }
    overlay = np.zeros((*codes.shape, 4), np.uint8)
    for code, (ground, line, _, _) in UNSEEN.items():
        mask = codes == code
        overlay[mask] = np.multiply(to_rgba(ground), 255)
        overlay[mask & lines[code]] = np.multiply(to_rgba(line), 255)
    return overlay
