# %% [markdown]
# # A first map
#
# From a place and an instant to a landslide map, one step at a time. Everything between the search
# and the last step is *lazy*: it describes work that nobody has done yet, so that it takes a moment
# for a valley and for a country.
#
# This page runs offline on a **SIMULATED** event: terrain, landslides and radar are made up, and
# every picture says so. The steps are those of a real event, and one line changes from one to the
# other.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr

import sarmap
from sarmap.acquire.search import pass_rows
from sarmap.assess.scores import score_map
from sarmap.export.polygons import polygonise

xr.set_options(display_expand_attrs=False)
out = Path("first-map")  # what this page makes goes here
out.mkdir(exist_ok=True)

# %% [markdown]
# ## A place, an instant, a catalogue
#
# The first time, the event is simulated and kept, which takes half a minute; then a STAC catalogue
# of it is served on this machine. The papers' whole extent is `rows=3842, columns=2346`.

# %%
small = os.environ.get("SARMAP_EXAMPLES") == "small"  # so that the tests take seconds
event = sarmap.demo_event(rows=512 if small else 1536, columns=384 if small else 1024)

area, instant, catalog = event.grid, event.event, sarmap.serve_demo(event)

# %% [markdown]
# For a real event on the Planetary Computer, **this is the line to change**; all that follows stays
# as it is (only the last step, the comparison with an inventory, needs an inventory of yours):
#
# ```python
# area, instant, catalog = (141.8, 42.6, 142.1, 42.9), "2018-09-05T18:08:00Z", "planetary-computer"
# ```

# %% [markdown]
# ## Which passes are there?
#
# Landslides show in radar as *change*, so a map needs one pass before the event and one or two
# after it, seen from the same orbit: a slope looks different from the west than from the east, and
# that difference would drown any landslide. `search_passes` finds the orbit that covers the place
# best, and the passes nearest to the event. A satellite comes back every 12 days; the first look
# after an earthquake may come the same evening, or a week later.

# %%
passes = sarmap.search_passes(area, instant, catalog=catalog, orbit="ascending", post=2)
pd.DataFrame(pass_rows(passes)).drop(columns="scenes")

# %%
grid = sarmap.make_grid(area)
ax = sarmap.plot.plot_footprints(passes, grid)
ax.figure.savefig(out / "footprints.png")

# %% [markdown]
# ## A lazy cube
#
# `open_cube` puts the passes on one 10 m grid: `time`, `y`, `x`. It reads no pixel. What it returns
# is a plain xarray Dataset, so everything that you know from xarray works on it. `vv` is
# gamma-nought *power*, corrected for terrain; `observation` says of each pixel whether it was seen,
# and if not, why not.

# %%
cube = sarmap.open_cube(passes, grid, bands=("vv",))
cube

# %% [markdown]
# Slope tells a landslide from a ploughed field, and the satellite's geometry tells where the radar
# could not look: into *shadow*, or onto slopes that fold over one another (*layover*).

# %%
terrain = sarmap.open_terrain(grid, catalog=catalog, passes=passes)
terrain

# %% [markdown]
# A *composite* is the stack of bands that a network reads. `BAA_S` is the best one of Nava et al.
# (2022): VV **b**efore, VV **a**fter, VV **a**fter again, and **s**lope. The second look after the
# event is worth having because a single one is grainy (speckle), and grain differs from day to day
# where landslides do not.

# %%
composite = sarmap.make_composite(cube, terrain, "BAA_S")
composite

# %% [markdown]
# Still nothing was read. This is what Dask holds instead of pixels: layers of small tasks, each of
# which will read, scale or stack one block.

# %%
graph = composite.data.dask
print(f"{len(graph)} tasks in {len(graph.layers)} layers for {composite.data.npartitions} blocks")
graph

# %% [markdown]
# ## What the radar saw
#
# Drawing is the first thing that reads. In the false colour, red was brighter before the event and
# cyan is brighter after it; what has not changed is grey. Where a slope lost its forest, the radar
# mostly gets less back, and the scar is red; rough, bare ground that faces the radar may send more,
# and is cyan. Greys are stretched between the 2nd and the 98th percentile of what is shown.

# %%
composite = composite.persist()  # keep it: the pictures and the map read it more than once
ax = composite.sarmap.plot()
ax.figure.savefig(out / "false-colour.png")

# %%
before, after = composite.sarmap.pair()
before.figure.savefig(out / "pair.png")

# %% [markdown]
# The same as a difference in decibels, over squares of 3 x 3 px to calm the grain; and beside it
# where the radar could not see at all. *Not seen* is never *no landslide*: such pixels get no
# probability.

# %%
fig, axes = plt.subplots(1, 2, figsize=(12, 7), layout="constrained")
composite.sarmap.change(ax=axes[0], window=3)
composite.sarmap.observation(ax=axes[1])
fig.savefig(out / "change.png")

# %% [markdown]
# ## Predict
#
# The detector is an Attention U-Net. It looks at tiles of 64 x 64 px, the paper's size.
# `overlap=16` has tiles overlap and blends them, so that no seam shows; 0 is the paper's plain cut,
# and quicker. The answer is lazy again; `write_zarr` computes it, block by block, and stores it.
#
# The weights that come with sarmap were trained on simulated events only. They show that the route
# works. For real landslides train your own: that is notebook 03.

# %%
detector = sarmap.load_detector("nava-2022-attention-unet")
prediction = sarmap.predict(composite, detector, overlap=16)
prediction["slope"] = terrain["slope"]
sarmap.write_zarr(prediction, out / "map.zarr", overwrite=True)

# %%
landslides = sarmap.open_map(out / "map.zarr")
landslides

# %%
ax = landslides.sarmap.plot()
ax.figure.savefig(out / "probability.png")

# %% [markdown]
# To pan and zoom, with only the part in view read, as fine as the screen shows it (this needs a
# running notebook and `pip install 'sarmap[notebook]'`):

# %% tags=["active-ipynb"]
# sarmap.plot.explore(landslides, width=450, height=550)

# %% [markdown]
# ## Where to draw the line
#
# A probability is not yet a map of landslides: someone has to say from which value on. A rescue
# team would rather look at one slope too many; a statistic wants neither too many nor too few. Move
# the slider (it needs a running notebook) and watch area and outlines change.

# %% tags=["active-ipynb"]
# from IPython.display import display
# from ipywidgets import FloatSlider
#
# slider = FloatSlider(0.5, min=0.05, max=0.95, step=0.05, continuous_update=False)
# slider.description = "threshold"
# fig, ax = plt.subplots(figsize=(6.5, 8), layout="constrained")
# plt.close(fig)  # it is shown below, and again whenever the slider moves
#
#
# def draw(threshold):
#     """The outlines at a threshold, on the probability."""
#     ax.clear()
#     found = polygonise(landslides, threshold=threshold, min_area=500)
#     landslides.sarmap.plot(ax=ax, colorbar=False)
#     found.boundary.plot(ax=ax, color="#0072b2", linewidth=0.7)
#     km2 = found.area_m2.sum() / 1e6
#     ax.set_title(f"{ax.get_title()}\n{len(found)} landslides, {km2:.2f} km² at {threshold:.2f}")
#     return fig
#
#
# display(slider)
# picture = display(draw(slider.value), display_id=True)
# slider.observe(lambda change: picture.update(draw(change.new)), names="value")

# %% [markdown]
# The same for all thresholds at once:

# %%
thresholds = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
found = {t: polygonise(landslides, threshold=t, min_area=500) for t in thresholds}
pd.DataFrame(
    {
        "landslides": {t: len(frame) for t, frame in found.items()},
        "km2": {t: round(frame.area_m2.sum() / 1e6, 2) for t, frame in found.items()},
    }
).rename_axis("threshold")

# %% [markdown]
# ## Polygons, and what to hand on
#
# Each polygon knows its area, probability, slope and scenes. The GeoTIFF opens in QGIS, the
# GeoPackage in any GIS; the Zarr keeps everything, with a record of how it was made.

# %%
polygons = found[0.5]
polygons.nlargest(5, "area_m2")[["id", "area_m2", "mean_probability", "mean_slope_deg"]].round(2)

# %%
sarmap.write_cog(out / "map.zarr", out / "map.tif", overwrite=True)
sarmap.write_polygons(
    out / "map.zarr", [out / "map.gpkg", out / "map.parquet"], min_area=500, overwrite=True
)
print(sorted(file.name for file in out.iterdir()))

# %% [markdown]
# ## Was it right?
#
# A simulated event knows its landslides. For a real one, give an inventory: any vector file.

# %%
print("SIMULATED:", score_map(out / "map.zarr", event.inventory))

# %% [markdown]
# All of this in one call, in one pass over the data and without holding it in memory, is
# `sarmap.map_landslides(sarmap.MapRequest(area=area, event=instant, catalog=catalog,
# out="map.zarr"))`, or `sarmap map` on a command line.
