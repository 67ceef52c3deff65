"""A first map, offline: simulate a small event, map it step by step, and score the map.

    python examples/first_map.py [FOLDER]

For a real event, leave out the simulation and the server: give an area and an instant, and
`catalog="planetary-computer"` instead of `server.catalog`.
"""

import sys
import tempfile
from pathlib import Path

import sarmap
from sarmap.assess.scores import score_map
from sarmap.simulate.event import simulate_event
from sarmap.simulate.serve import serve_event


def main(folder: Path) -> None:
    """Simulate, search, read, compose, predict, write, score."""
    event = simulate_event(folder / "event", seed=42, rows=640, columns=512, earlier=0)
    with serve_event(event) as server:
        passes = sarmap.search_passes(
            event.grid, event.event, catalog=server.catalog, orbit="ascending"
        )
        cube = sarmap.open_cube(passes, event.grid, bands=("vv",))
        terrain = sarmap.open_terrain(event.grid, catalog=server.catalog, passes=passes)
        composite = sarmap.make_composite(cube, terrain, "BAA_S")
        print(composite)  # nothing has been read yet

        detector = sarmap.load_detector("attention-unet")
        result = sarmap.predict(composite, detector, overlap=16)
        result["slope"] = terrain["slope"]
        sarmap.write_zarr(result, folder / "map.zarr")

    sarmap.write_cog(folder / "map.zarr", folder / "map.tif")
    sarmap.write_polygons(folder / "map.zarr", folder / "map.gpkg", min_area=500)
    print("SIMULATED:", score_map(folder / "map.zarr", event.inventory))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch))
