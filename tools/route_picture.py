"""The picture of the route in the README, made by the route itself on a simulated event.

    sarmap simulate FOLDER && python tools/route_picture.py FOLDER docs/images/route.png

`--centre EASTING,NORTHING` (metres) and `--pixels N` say which square of the event is shown.
"""

from __future__ import annotations

import argparse
import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import sarmap
from sarmap.draw.colours import false_colour
from sarmap.draw.panels import mark_simulated
from sarmap.simulate.serve import serve_event

CENTRE = (577_900.0, 4_735_000.0)
PIXELS = 224
SHADES = {"cmap": "gray", "vmin": -14, "vmax": -4}
STEPS = (
    ("search_passes, open_cube", "radar before the event"),
    ("", "radar after it"),
    ("open_terrain", "slope"),
    ("make_composite", "composite BAA_S"),
    ("predict", "probability"),
    ("write_zarr, _cog, _polygons", "landslides"),
)


def panels(event: Path, centre: tuple[float, float], pixels: int) -> dict[str, Any]:
    """What each step makes of the square, computed."""
    from odc.geo.geobox import GeoBox

    from sarmap.simulate.event import open_event

    known = open_event(event)
    half = pixels * 5.0
    x, y = (10.0 * round(value / 10) for value in centre)
    box = (x - half, y - half, x + half, y + half)
    grid = GeoBox.from_bbox(box, crs=known.crs, resolution=10)
    with serve_event(known) as server:
        passes = sarmap.search_passes(grid, known.event, catalog=server.catalog, orbit="ascending")
        cube = sarmap.open_cube(passes, grid, bands=("vv",)).compute()
        terrain = sarmap.open_terrain(grid, catalog=server.catalog, passes=passes).compute()
    composite = sarmap.make_composite(cube.chunk(), terrain.chunk(), "BAA_S")
    result = sarmap.predict(composite, sarmap.load_detector("nava-2022-attention-unet"), overlap=16)
    by_role = cube["vv"].swap_dims(time="role")
    return {
        "before": 10 * np.log10(by_role.sel(role="pre").values),
        "after": 10 * np.log10(by_role.sel(role="post_1").values),
        "slope": terrain["slope"].values,
        "colour": false_colour(composite.compute().values[:3]),
        "probability": result["probability"].compute().values,
    }


def draw(made: dict[str, Any], out: Path) -> None:
    """Six squares in a row, the function that makes each above it, arrows between them."""
    import matplotlib.pyplot as plt
    from PIL import Image

    figure, axes = plt.subplots(1, 6, figsize=(15, 3.1), layout="constrained")
    axes[0].imshow(made["before"], **SHADES)
    axes[1].imshow(made["after"], **SHADES)
    axes[2].imshow(made["slope"], cmap="cividis", vmin=0, vmax=45)
    axes[3].imshow(made["colour"])
    axes[4].imshow(made["probability"], cmap="magma_r", vmin=0, vmax=1)
    axes[5].imshow(made["after"], **SHADES)
    axes[5].contour(np.nan_to_num(made["probability"]), [0.5], colors="#ffd319", linewidths=1.2)
    for ax, (function, what) in zip(axes, STEPS, strict=True):
        ax.set(xticks=[], yticks=[], title=what)
        ax.set_xlabel(function, family="monospace", fontsize=9)
    figure.get_layout_engine().set(wspace=0.1)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for left, right in pairwise(axes):
        gap = left.get_position().x1, right.get_position().x0
        middle = left.get_position().y0 + left.get_position().height / 2
        figure.text(sum(gap) / 2, middle, "\N{RIGHTWARDS ARROW}", ha="center", va="center", size=16)
    mark_simulated(axes[5], 22)
    with io.BytesIO() as picture:
        figure.savefig(picture, dpi=100, facecolor="white")
        Image.open(picture).convert("RGB").quantize(128).save(out, optimize=True)


def main() -> None:
    """Read the arguments, make the squares, draw them."""
    import matplotlib

    matplotlib.use("agg")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("event", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--centre", default=f"{CENTRE[0]},{CENTRE[1]}")
    parser.add_argument("--pixels", type=int, default=PIXELS)
    given = parser.parse_args()
    x, y = (float(part) for part in given.centre.split(","))
    draw(panels(given.event, (x, y), given.pixels), given.out)


if __name__ == "__main__":
    main()
