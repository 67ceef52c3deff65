"""Measure what opens a map of 9 and one of 834 megapixels in a notebook, without freezing it.

    python tools/measure_viewers.py MAP.tif --work FOLDER

MAP.tif is what `sarmap map --products cog` wrote for the papers' extent; the large map repeats its
pixels, with overviews (0.7 GB in FOLDER). Every viewer runs in a process of its own: seconds of
processor until the first picture is there, megabytes that the browser is sent, peak memory of the
process. A viewer that is not installed says so: pip install hvplot datashader lonboard rio-tiler
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

LARGE = 28_880
"""Edge of the large map: 834 megapixels."""
LIMIT = 60
"""Seconds of processor that a viewer may take to its first picture."""
MEMORY = 4_000_000_000
"""Bytes of memory that a viewer may take."""


def enlarge(file: Path, out: Path) -> None:
    """Repeat a map to `LARGE` pixels a side, with overviews."""
    import numpy as np
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.windows import Window

    with rasterio.open(file) as small:
        pixels, profile, tags = small.read(1), small.profile, small.tags()
    rows, columns = pixels.shape
    profile |= {"height": LARGE, "width": LARGE, "compress": "zstd", "zstd_level": 1}
    across = np.arange(LARGE) % columns
    with rasterio.open(out, "w", **profile) as large:
        large.update_tags(**tags)
        for top in range(0, LARGE, 2048):
            high = min(2048, LARGE - top)
            down = np.arange(top, top + high) % rows
            large.write(pixels[down][:, across], 1, window=Window(0, top, LARGE, high))
    with rasterio.open(out, "r+") as large:
        large.build_overviews([2, 4, 8, 16, 32, 64], Resampling.nearest)


def explore(file: str) -> int:
    """`sarmap.plot.explore`."""
    import sarmap

    return _sent(sarmap.plot.explore(file))


def hvplot(file: str) -> int:
    """hvplot with datashader: all pixels are read, the browser gets a picture."""
    import hvplot.xarray  # noqa: F401
    import rioxarray

    data = rioxarray.open_rasterio(file, chunks={"x": 2048, "y": 2048}).isel(band=0, drop=True)
    return _sent(data.rename("p").hvplot.image(x="x", y="y", rasterize=True, frame_width=700))


def hvplot_plain(file: str) -> int:
    """hvplot alone: the browser gets all pixels."""
    import hvplot.xarray  # noqa: F401
    import rioxarray

    data = rioxarray.open_rasterio(file).isel(band=0, drop=True)
    return _sent(data.rename("p").hvplot.image(x="x", y="y", frame_width=700))


def lonboard(file: str) -> int:
    """lonboard with a BitmapLayer: the browser gets one picture of all pixels."""
    import lonboard
    import matplotlib
    import rasterio.warp
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    with rasterio.open(file) as opened:
        colours = matplotlib.colormaps["magma_r"](opened.read(1) / 250.0, bytes=True)
        bounds = rasterio.warp.transform_bounds(opened.crs, 4326, *opened.bounds)
    picture = io.BytesIO()
    Image.fromarray(colours).save(picture, "PNG")
    lonboard.Map(lonboard.BitmapLayer(image="data:image/png;base64,", bounds=list(bounds)))
    return len(picture.getvalue())


def tiles(file: str) -> int:
    """Map tiles from a server (ipyleaflet with localtileserver): those of the first view."""
    import morecantile
    from rio_tiler.io import Reader

    scheme = morecantile.tms.get("WebMercatorQuad")
    with Reader(file) as reader:
        bounds = reader.get_geographic_bounds(scheme.rasterio_geographic_crs)
        wanted = scheme.tiles(*bounds, zooms=[reader.minzoom + 1])
        return sum(len(reader.tile(t.x, t.y, t.z).render(img_format="PNG")) for t in wanted)


VIEWERS: dict[str, Callable[[str], int]] = {
    one.__name__: one for one in (explore, hvplot, hvplot_plain, lonboard, tiles)
}


def _sent(plot: object) -> int:
    """Bytes of a HoloViews plot as its first picture is sent."""
    import holoviews
    from bokeh.embed import json_item

    return len(json.dumps(json_item(holoviews.render(plot, backend="bokeh"))))


def child(viewer: str, file: str) -> None:
    """One measurement, in a process of its own, as JSON on standard output."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    started, wall = time.process_time(), time.perf_counter()
    sent = VIEWERS[viewer](file)
    peak = _peak()
    spent = time.process_time() - started
    print(json.dumps([spent, time.perf_counter() - wall, sent / 1e6, peak]))


def _peak() -> float:
    """Greatest memory of this process, GB (Linux; `ru_maxrss` would be the parent's, too)."""
    status = Path("/proc/self/status").read_text("utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1e6


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("map", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=VIEWERS, default=list(VIEWERS))
    parser.add_argument("--child", choices=VIEWERS)
    given = parser.parse_args()
    if given.child:
        child(given.child, str(given.map))
        return
    given.work.mkdir(parents=True, exist_ok=True)
    large = given.work / "large.tif"
    if not large.exists():
        enlarge(given.map, large)
    print("| viewer | map | first picture, s of processor | s | sent, MB | peak, GB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for viewer in given.only:
        for name, file in (("9 Mpx", given.map), ("834 Mpx", large)):
            words = [sys.executable, __file__, str(file), "--work", ".", "--child", viewer]
            done = subprocess.run(words, capture_output=True, text=True)
            if done.returncode == 0:
                numbers = json.loads(done.stdout.splitlines()[-1])
                cells = [f"{number:.1f}" for number in numbers]
            else:
                said = (done.stderr.strip().splitlines() or [f"more than {LIMIT} s"])[-1]
                cells = [said[:80], "", "", ""]
            print(f"| `{viewer}` | {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
