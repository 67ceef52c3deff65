# %% [markdown]
# # Day 7, or day 19?
#
# After the Iburi earthquake of 2018 the first ascending Sentinel-1 pass came on day 7, the second
# on day 19. The papers' best map needs both. A responder who waits for it waits twelve days more,
# and twelve days are long for someone under a slope. What does the wait buy?
#
# Radar pictures are grainy. The grain (*speckle*) of a single look scatters by a few decibels, as
# much as many landslides change it, and two looks scatter less than one. So the second pass does
# not show new landslides: it takes away false ones. Here both maps are made by the same method, and
# scored against the same inventory.
#
# Everything on this page is **SIMULATED**: the event, the scenes and the inventory.

# %%
import os
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import sarmap
from sarmap.acquire.search import pass_rows
from sarmap.assess.comparison import compare_maps
from sarmap.assess.inventory import read_inventory
from sarmap.assess.labels import read_labels
from sarmap.detect.change import LogRatio
from sarmap.export.polygons import polygonise

out = Path("day-7-or-day-19")
out.mkdir(exist_ok=True)

small = os.environ.get("SARMAP_EXAMPLES") == "small"  # so that the tests take seconds
event = sarmap.demo_event(rows=512 if small else 1536, columns=384 if small else 1024)
area, instant, catalog = event.grid, event.event, sarmap.serve_demo(event)

# %% [markdown]
# ## When does the radar come back?
#
# Each orbit comes back every twelve days; the other orbit fills in between, but looks from the
# other side. Pairs never mix the two: only pictures from the same orbit can be compared.

# %%
found = {
    orbit: sarmap.search_passes(area, instant, catalog=catalog, orbit=orbit, post=2)
    for orbit in ("ascending", "descending")
}
rows = pd.DataFrame(row for passes in found.values() for row in pass_rows(passes))
when = pd.to_datetime(rows.datetime)
rows["days after"] = ((when - pd.Timestamp(instant)) / pd.Timedelta(days=1)).round(1)
rows[["orbit_state", "relative_orbit", "role", "datetime", "days after"]].sort_values("datetime")

# %% [markdown]
# ## Two composites, one scene
#
# `BA_S` can be made on day 7 (before, after, slope), `BAA_S` on day 19 (before, after, after again,
# slope). Power, not amplitude: averages of power are what a longer look would have measured.

# %%
passes = found["ascending"]
grid = sarmap.make_grid(area)
cube = sarmap.open_cube(passes, grid, bands=("vv",))
terrain = sarmap.open_terrain(grid, catalog=catalog, passes=passes)
day_7 = sarmap.make_composite(cube, terrain, "BA_S", scaling="power").persist()
day_19 = sarmap.make_composite(cube, terrain, "BAA_S", scaling="power").persist()

# %% [markdown]
# ## How grainy is one look?
#
# The change of ground where nothing happened, in decibels. It should be zero; what it is instead is
# noise, and every landslide has to be told from it.

# %%
inventory = read_inventory(event.inventory)
labels = read_labels(grid, inventory)
slide = labels.mask(slice(0, grid.shape[0]), slice(0, grid.shape[1])) == 1


def change(*after):
    """Change in dB from before to the mean of passes after."""
    power = day_19.sel(band=list(after)).mean("band") / day_19.sel(band="vv_pre")
    return (10 * np.log10(power)).to_numpy()


changes = {"day 7": change("vv_post_1"), "day 19": change("vv_post_1", "vv_post_2")}
fig, axes = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained", sharey=True)
bins = np.linspace(-15, 10, 126)
for ax, (day, values) in zip(axes, changes.items(), strict=True):
    for mask, colour, name in ((~slide, "#0072b2", "nothing"), (slide, "#d55e00", "landslide")):
        kept = values[mask & np.isfinite(values)]
        label = f"{name}: scatters by {kept.std():.1f} dB"
        ax.hist(kept, bins, density=True, histtype="step", color=colour, linewidth=1.8, label=label)
    ax.set_title(f"SIMULATED, {day}")
    ax.set_xlabel("change of VV, dB")
    ax.legend(frameon=False, fontsize=8)
axes[0].set_ylabel("density")
fig.savefig(out / "noise.png", dpi=120)

# %% [markdown]
# ## The same method, with one look or two
#
# The log-ratio is the classic answer: smooth the power, take the ratio of after to before, and
# leave out flat land, where fields change every week. It needs no training, so nothing is learnt
# that might favour one of the two. For two looks, *after* is their mean. A detector of your own is
# any callable that names its bands; this one is ten lines.


# %%
@dataclass(frozen=True)
class TwoLooks:
    """The log-ratio, with the mean of two passes after the event."""

    one: LogRatio = field(default_factory=LogRatio)
    name = "log-ratio of two looks"
    bands = ("vv_pre", "vv_post_1", "vv_post_2", "slope")
    scaling, normalisation, kind = "power", "none", "pixel"

    @property
    def halo(self):
        """How far the smoothing looks, pixels."""
        return self.one.halo

    def __call__(self, tiles):
        """float32 [1, y, x, band] to a score [1, y, x]."""
        before, after, again, slope = np.moveaxis(tiles, -1, 0)
        return self.one(np.stack([before, (after + again) / 2, slope], axis=-1))


maps = {
    "day 7": sarmap.predict(day_7, LogRatio()),
    "day 19": sarmap.predict(day_19, TwoLooks()),
}
for day, made in maps.items():
    sarmap.write_zarr(made, out / f"{day}.zarr".replace(" ", "-"), overwrite=True)
maps = {day: sarmap.open_map(out / f"{day}.zarr".replace(" ", "-")) for day in maps}

# %%
assessed = {day: sarmap.assess_map(one, event.inventory) for day, one in maps.items()}


def summary(one):
    """What a responder asks: how many are found, how much of the map is wrong."""
    best = int(np.nanargmax(one.curve.f1))
    return {
        "best threshold": one.curve.best,
        "F1 %": 100 * one.curve.f1[best],
        "precision %": 100 * one.curve.precision[best],
        "recall %": 100 * one.curve.recall[best],
        "average precision %": 100 * one.curve.average_precision,
    }


table = pd.DataFrame({day: summary(one) for day, one in assessed.items()}).T.round(2)
table

# %% [markdown]
# A single threshold hides half of it. At every threshold:

# %%
fig, ax = plt.subplots(figsize=(6, 5.4), layout="constrained")
for (day, one), colour, mark in zip(assessed.items(), ("#d55e00", "#0072b2"), "os", strict=True):
    curve = one.curve
    label = f"{day}: average precision {100 * curve.average_precision:.0f} %"
    ax.plot(curve.recall, curve.precision, color=colour, label=label)
    best = int(np.nanargmax(curve.f1))
    ax.plot(curve.recall[best], curve.precision[best], mark, color=colour, markersize=9)
ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="recall: share of the landslide area that is mapped")
ax.set_ylabel("precision: share of the mapped area that is landslide")
ax.set_title("SIMULATED: one look after the event against two")
ax.grid(color="#e5e5e5")
ax.legend(frameon=False)
fig.savefig(out / "curves.png", dpi=120)

# %% [markdown]
# ## What it looks like
#
# The same corner on both days, and the inventory as blue outlines. The titles name the threshold
# that is best for each map.

# %%
edge = min(grid.shape[0], grid.shape[1], 400)
rows_at, columns_at = (
    int(np.clip(axis.mean() - edge / 2, 0, size - edge))
    for axis, size in zip(np.nonzero(slide), grid.shape, strict=True)
)
window = {"y": slice(rows_at, rows_at + edge), "x": slice(columns_at, columns_at + edge)}
fig, axes = plt.subplots(1, 2, figsize=(13, 7), layout="constrained", sharey=True)
for ax, (day, one) in zip(axes, maps.items(), strict=True):
    best = assessed[day].curve.best
    one.isel(window).sarmap.plot(ax=ax, colorbar=ax is axes[-1])
    inventory.to_crs(grid.crs).boundary.plot(ax=ax, color="#0072b2", linewidth=1.1)
    ax.set_title(f"{ax.get_title()}, {day} (threshold {best:.2f})", fontsize=10)
fig.savefig(out / "maps.png", dpi=120)

# %% [markdown]
# ## What changes from the first map to the second?
#
# `compare_maps` lays one on the other. What both call landslide is the surer part: go there first.
# What the second withdraws was mostly noise.

# %%
stores = [out / "day-7.zarr", out / "day-19.zarr"]
compared = compare_maps(*stores, inventory=event.inventory)
pd.DataFrame(
    {
        name: {"km²": round(part.km2, 2), "of it landslide %": round(100 * part.precision, 1)}
        for name, part in compared.parts.items()
    }
).T

# %% [markdown]
# ## Which landslides were missed?
#
# Each map at its own best threshold; a landslide is found when one of its pixels is mapped. Large
# ones show at once, small ones hide in the grain on either day. Mind the other side of it: a map
# full of specks touches many landslides by chance. The last row is how many patches of it lie
# on none.


# %%
def by_size(day):
    """Landslides found by size, and patches that are false, at the day's best threshold."""
    best = assessed[day].curve.best
    scored = sarmap.assess_map(maps[day], event.inventory, threshold=best)
    shares = {row.name: f"{100 * row.share:.1f}" for row in scored.sizes}
    patches = polygonise(maps[day], threshold=best)
    true = patches.sjoin(inventory.to_crs(grid.crs)[["geometry"]]).index.nunique()
    return {f"found %, {name}": share for name, share in shares.items()} | {
        "patches on no landslide": f"{len(patches) - true:,}"
    }


pd.DataFrame({day: by_size(day) for day in maps})

# %% [markdown]
# ## And a network?
#
# In practice the detector changes with the passes: the ratio maps on day 7 without any training,
# and a network that was trained on two looks maps on day 19. How much of that is the second look?
# The paper's network, trained on one look (`A_BA_S`) and on two (`A_BAA_S`) of a part of the
# papers' whole extent (SIMULATED) and scored on the rest, all else equal:

# %%
results = Path(sarmap.__file__).parents[1] / "docs" / "results"  # of a checkout of sarmap
rows = pd.read_csv(results / "paper2.csv", na_values=["not available"])
rows = rows[rows.composite.isin(["A_BA_S", "A_BAA_S"]) & rows.f1_ours.notna()]
columns = ["composite", "augmentation", "split", "precision_ours", "recall_ours", "f1_ours"]
rows[columns].set_index("composite")

# %% [markdown]
# ## So: day 7, or day 19?
#
# Both. Map on day 7 and say what it is: a first look, with more false alarms for what it finds.
# Then map again on day 19, with a detector that reads both looks:
#
# ```sh
# sarmap map --area ... --event ... --detector log-ratio --out day-7.zarr
# sarmap map --area ... --event ... --detector nava-2022-attention-unet --out day-19.zarr
# ```
#
# If a pass that the detector needs has not come yet, sarmap says when it is due instead of
# mapping with less. And ask the other orbit: it looks from the other side, and often comes first.

# %%
gain = table.loc["day 19"] - table.loc["day 7"]
print(f"SIMULATED: waiting twelve days changes F1 by {gain['F1 %']:+.1f} points, ")
print(f"precision by {gain['precision %']:+.1f} and recall by {gain['recall %']:+.1f} points.")
