"""The route and its parts at small sizes, as asv has them: `time_` and `peakmem_` of the same."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROWS, COLUMNS = 448, 384
EVENT = "2018-09-05T18:08:00Z"


class Block:
    """One block of a composite through the shipped network."""

    params = ((0, 16),)
    param_names = ("overlap",)

    def setup(self, overlap: int) -> None:
        import xarray as xr

        import sarmap

        self.detector: Any = sarmap.load_detector("nava-2022-attention-unet", precision="f32")
        self.detector.prepare()
        values = np.random.default_rng(0).random((4, ROWS, COLUMNS), np.float32)
        self.composite = xr.DataArray(
            values,
            dims=("band", "y", "x"),
            coords={"band": list(self.detector.bands)},
            attrs={"scaling": self.detector.scaling},
        ).chunk(y=256, x=256)
        self.run(overlap)

    def run(self, overlap: int) -> None:
        import sarmap

        found = sarmap.predict(self.composite, self.detector, overlap=overlap)
        found.probability.compute(scheduler="threads")

    def time_predict(self, overlap: int) -> None:
        self.run(overlap)

    def peakmem_predict(self, overlap: int) -> None:
        self.run(overlap)


class Graph:
    """Building the graph of a large prediction; nothing is computed."""

    params = ((4096, 16_384),)
    param_names = ("edge",)

    def setup(self, edge: int) -> None:
        import dask.array as da
        import xarray as xr

        import sarmap

        self.detector: Any = sarmap.load_detector("nava-2022-attention-unet", precision="f32")
        self.composite = xr.DataArray(
            da.zeros((4, edge, edge), chunks=(4, 1024, 1024), dtype="float32"),
            dims=("band", "y", "x"),
            coords={"band": list(self.detector.bands)},
            attrs={"scaling": self.detector.scaling},
        )

    def time_build(self, edge: int) -> None:
        import dask

        import sarmap

        dask.optimize(sarmap.predict(self.composite, self.detector).probability.data)

    def peakmem_build(self, edge: int) -> None:
        self.time_build(edge)


class Normalisation:
    """Stretching tiles to 0-1, with and without gaps."""

    params = ((False, True),)
    param_names = ("gaps",)

    def setup(self, gaps: bool) -> None:
        self.tiles = np.random.default_rng(0).random((256, 64, 64, 4), np.float32)
        if gaps:
            self.tiles[::2, 10:20, 10:20] = np.nan

    def time_minmax(self, gaps: bool) -> None:
        from sarmap.detect.normalise import normalise_tiles

        normalise_tiles(self.tiles.copy(), "tile-minmax")

    def peakmem_minmax(self, gaps: bool) -> None:
        self.time_minmax(gaps)


class Route:
    """A small simulated event from STAC to Zarr."""

    params = ((128, 256),)
    param_names = ("chunk",)
    timeout = 300

    def setup_cache(self) -> str:
        from sarmap.simulate.event import simulate_event

        folder = Path.cwd() / "event"  # asv's own scratch, which it removes
        simulate_event(folder, rows=ROWS, columns=COLUMNS, earlier=0, optical=False, decoy=False)
        return str(folder)

    def setup(self, folder: str, chunk: int) -> None:
        from contextlib import ExitStack

        from sarmap.simulate.event import open_event
        from sarmap.simulate.serve import serve_event

        self.stack = ExitStack()
        self.event = open_event(folder)
        self.server = self.stack.enter_context(serve_event(self.event))
        self.out = Path(self.stack.enter_context(tempfile.TemporaryDirectory())) / "map.zarr"
        self.run(chunk)

    def teardown(self, folder: str, chunk: int) -> None:
        self.stack.close()

    def run(self, chunk: int) -> None:
        import sarmap

        request = sarmap.MapRequest(
            area=self.event.grid,
            event=EVENT,
            catalog=self.server.catalog,
            orbit="ascending",
            chunk=chunk,
            out=str(self.out),
            overwrite=True,
        )
        sarmap.map_landslides(request)

    def time_map(self, folder: str, chunk: int) -> None:
        self.run(chunk)

    def peakmem_map(self, folder: str, chunk: int) -> None:
        self.run(chunk)


class Import:
    """A bare `import sarmap`."""

    def timeraw_import(self) -> str:
        return "import sarmap"
