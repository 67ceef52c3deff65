# %% [markdown]
# # A region, unit by unit
#
# An earthquake does not stop at the edge of a scene. A *scan* cuts any area, a valley or a country,
# into units of work, maps them one after another, the nearest to the epicentre first, and keeps
# each as soon as it is done: half a scan is half an answer, and not none.
#
# This page scans a small **SIMULATED** region in small units, so that it is done in a minute. The
# same lines scan Hokkaido: leave out `unit=`, and give a bucket as `out=`.

# %%
import os
from pathlib import Path

import geopandas
import matplotlib.pyplot as plt
import xarray as xr
from distributed import Client, LocalCluster

import sarmap
from sarmap.regions.forecast import plan_scan
from sarmap.regions.status import scan_status

xr.set_options(display_expand_attrs=False)
out = Path("regional-scan")
out.mkdir(exist_ok=True)

small = os.environ.get("SARMAP_EXAMPLES") == "small"  # so that the tests take seconds
event = sarmap.demo_event(rows=512 if small else 1536, columns=384 if small else 1024)
area, instant, catalog = event.area, event.event, sarmap.serve_demo(event)

# %% [markdown]
# ## Workers
#
# sarmap never starts a cluster on its own: you bring a Dask client, and it uses that. Here it is a
# `LocalCluster` of one worker with eight threads. Reading waits for the network and wants many
# threads; the neural network wants the cores and no more. sarmap keeps the two apart, so give
# workers more threads than cores. On one machine threads are quicker than processes (see *How to
# cut a scene*).

# %%
cluster = LocalCluster(
    n_workers=1,
    threads_per_worker=8,
    processes=False,
    protocol="tcp://",
    host="127.0.0.1",  # nobody but this machine; the dashboard too
    dashboard_address="127.0.0.1:0",
)
client = Client(cluster)
print("watch it work:", client.dashboard_link)

# %% [markdown]
# Elsewhere only these lines differ; the documentation has a page on each kind of cluster:
#
# ```python
# from dask_gateway import Gateway                     # a hub with Dask Gateway
# client = Gateway().new_cluster().get_client()
#
# from dask_kubernetes.operator import KubeCluster     # Kubernetes, with the Dask operator
# client = Client(KubeCluster(name="sarmap", image="registry.example.org/sarmap", n_workers=8))
#
# client = Client("tcp://scheduler.example.org:8786")  # a scheduler that runs already
# ```

# %% [markdown]
# ## What will it take?
#
# Ask before you run. A plan searches and reads nothing else: units, bytes, memory. It does not
# guess hours; they are known once a unit has been mapped, and `plan_scan(..., calibrate=True)` maps
# a piece for the purpose.

# %%
west, south, east, north = area
request = sarmap.ScanRequest(
    area=area,
    event=instant,
    catalog=catalog,
    orbit="ascending",
    detector="nava-2022-attention-unet",
    overlap=16,  # tiles overlap and are blended: no seams
    epicentre=((west + east) / 2, (south + north) / 2),
    unit=320 if small else 512,  # pixels; 10,240 (102 km) if you leave it out
    out=str(out / "scan"),
    overwrite=True,
)
plan = plan_scan(request)
print(f"{len(plan.order)} units, {plan.blocks} blocks, {plan.pixels / 1e6:.1f} Mpx")
print(f"{plan.read_bytes / 1e6:.0f} MB to read, at most {plan.peak_memory / 1e9:.2f} GB of memory")

# %% [markdown]
# ## Start, and be interrupted
#
# The progress callback is told whenever a block is stored. This one also plays the part of a closed
# laptop: after two units it stops the scan, as Ctrl-C would, or a pulled plug.


# %%
def watch(where, stop_after=None):
    """One line, renewed in place: which unit, and how far it is."""
    print(f"\runit {where.number}/{where.units} {where.unit}: ", end="")
    print(f"{where.blocks_done}/{where.blocks} blocks", end="", flush=True)
    if stop_after is not None and where.number > stop_after:
        raise KeyboardInterrupt


try:
    sarmap.scan(request, client, progress=lambda where: watch(where, stop_after=2))
except KeyboardInterrupt:
    print("\ninterrupted")

# %% [markdown]
# ## What is there by now?
#
# Anyone who can read the folder or bucket can ask, also while the scan runs, from another machine:
# `sarmap status regional-scan/scan --watch`.

# %%
status = scan_status(request.out)
print(f"units: {dict(status.units)}")
print(f"blocks: {dict(status.blocks)}")
if status.rate:
    print(f"{status.rate.pixels_per_second / 1e3:.0f} kpx/s, measured on {status.rate.source}")

# %% [markdown]
# The partial map is a map. What was not mapped yet reads as *no data*, never as *no landslide*.

# %%
partial = sarmap.open_scan(request.out)
ax = partial.plot()
ax.figure.savefig(out / "partial.png")

# %% [markdown]
# ## Resume
#
# The same request with `resume=True` (on a command line, `sarmap scan --resume`) leaves finished
# units alone, continues unfinished ones at their blocks, and tries failed ones again. It keeps to
# the passes that were chosen first, so that tomorrow's units fit yesterday's. A request that
# differs is refused.

# %%
again = request.model_copy(update={"resume": True, "overwrite": False})
result = sarmap.scan(again, client, progress=watch)
print(f"\n{result.count('done')} units done in {result.seconds:.0f} s, after the interruption")
print("written:", ", ".join(sorted(result.files)))

# %% [markdown]
# ## The finished mosaic, at three zooms
#
# **The whole region**, from each unit's own small overview: a country draws as fast as a valley.

# %%
scan = sarmap.open_scan(request.out)
ax = scan.plot()
ax.figure.savefig(out / "region.png")

# %% [markdown]
# **One zone**, as one lazy dataset on one grid. Units leave no seams: neighbours agree on their
# common border to the bit.

# %%
zone = scan["54N"]
zone

# %%
ax = zone.sarmap.plot()
ax.figure.savefig(out / "zone.png")

# %% [markdown]
# **One slope**, pixel by pixel, with the polygons on top. Only the blocks under this window are
# read. A landslide that crosses units is one polygon.

# %%
polygons = geopandas.read_file(result.files["geopackage"], layer="landslides")
largest = polygons.loc[polygons.area_m2.idxmax()].geometry.centroid
reach = 800  # metres
window = zone.sel(
    x=slice(largest.x - reach, largest.x + reach), y=slice(largest.y + reach, largest.y - reach)
)
fig, ax = plt.subplots(figsize=(8, 7), layout="constrained")
window.sarmap.plot(ax=ax)
polygons.boundary.plot(ax=ax, color="#0072b2", linewidth=1.5)
fig.savefig(out / "slope.png")

# %% [markdown]
# The largest landslides of the region, with what a GIS will show of them:

# %%
polygons.nlargest(5, "area_m2")[["id", "area_m2", "max_probability", "mean_slope_deg"]].round(2)

# %%
client.close()
cluster.close()
