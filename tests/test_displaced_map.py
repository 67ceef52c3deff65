"""A pass that lies 1.5 px off, through the catalogue route: quiet ground stays quiet."""

import json

import numpy as np
import pytest
import rasterio
from affine import Affine
from scipy import ndimage

import sarmap

SIZE, MARGIN = 320, 10
PLACE = Affine(10, 0, 580_000, 0, -10, 4_730_000)
DAYS = ("2018-08-20", "2018-09-01", "2018-09-13", "2018-09-25")
SLIDES = np.zeros((SIZE, SIZE))
SLIDES[40:280:60, 40:280:60] = 1
SLIDES = ndimage.maximum_filter(SLIDES, (14, 8))
EVENT = "2018-09-05T18:08:00Z"


def catalogue(folder, displaced, move):
    """Four quiet passes as files with records; the ground of one is read pixels off its place."""
    rng = np.random.default_rng(3)
    ground = ndimage.gaussian_filter(rng.normal(0, 9, (SIZE + 2 * MARGIN,) * 2), 0.8) - 10
    slid = np.pad(SLIDES, MARGIN)
    features = []
    for number, day in enumerate(DAYS):
        now = ground - 4.0 * slid if day > EVENT else ground
        there = ndimage.shift(now, move if number == displaced else (0, 0), order=3)
        speckle = rng.gamma(4.4, 1 / 4.4, (SIZE, SIZE))
        power = 10 ** (there[MARGIN:-MARGIN, MARGIN:-MARGIN] / 10) * speckle
        profile = {"driver": "GTiff", "height": SIZE, "width": SIZE, "count": 1, "nodata": 0}
        with rasterio.open(
            folder / f"{day}.tif", "w", **profile, dtype="float32", crs=32654, transform=PLACE
        ) as file:
            file.write(power.astype(np.float32), 1)
        told = {"datetime": f"{day}T08:34:00Z", "platform": "SENTINEL-1A", "proj:epsg": 32654}
        told |= {"sat:orbit_state": "ascending", "sat:relative_orbit": 68}
        told |= {"proj:shape": [SIZE, SIZE], "proj:transform": [*PLACE]}
        bbox = [141.96, 42.68, 142.04, 42.73]
        west, south, east, north = bbox
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        features.append(
            {
                "type": "Feature", "stac_version": "1.0.0", "id": f"S1A_IW_{day}", "links": [],
                "collection": "sentinel-1-rtc", "bbox": bbox, "properties": told,
                "geometry": {"type": "Polygon", "coordinates": [ring]},
                "assets": {"vv": {"href": f"{day}.tif"}},
            }
        )  # fmt: skip
    path = folder / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def called(folder, displaced, move):
    """Shares of quiet ground and of slides called landslide, and what is said of the odd pass."""
    from odc.geo.geobox import GeoBox

    result = sarmap.map_landslides(
        sarmap.MapRequest(
            area=GeoBox((SIZE, SIZE), PLACE, "EPSG:32654"),
            event=EVENT,
            catalog=str(catalogue(folder, displaced, move)),
            detector="change",
            out=str(folder / "map.zarr"),
            overwrite=True,
        )
    )
    levels = json.loads(result.dataset.attrs["sarmap:levels"])
    found = result.dataset.probability.values >= 0.5
    quiet = ~ndimage.binary_dilation(SLIDES, iterations=3)
    return float(found[quiet].mean()), float(found[SLIDES > 0].mean()), levels[displaced]


def test_a_jump_of_one_and_a_half_pixels_leaves_quiet_ground_quiet(tmp_path):
    share, found, told = called(tmp_path, 2, (0.0, 1.5))
    assert told["moved"] == pytest.approx((0.0, 1.5), abs=0.15)
    assert share < 0.002
    assert found > 0.95
