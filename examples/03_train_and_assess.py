# %% [markdown]
# # From an inventory to a detector you can judge
#
# The weights that come with sarmap have seen simulated landslides only. For a place of your own you
# want a detector trained on landslides that somebody mapped, and you want to know what it is worth
# before anybody acts on it. This page goes the whole way: inventory, samples, training, scores, and
# a map of a place that the network has never seen.
#
# It runs on **SIMULATED** events, and trains a small network for a short time, so that you can
# watch it. What a long training gives stands further down, beside the two papers' figures.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr

import sarmap
from sarmap.assess.inventory import read_inventory
from sarmap.assess.report import assess_into
from sarmap.papers.table import PAPER1, PAPER2

xr.set_options(display_expand_attrs=False)
out = Path("train-and-assess")
out.mkdir(exist_ok=True)

small = os.environ.get("SARMAP_EXAMPLES") == "small"  # so that the tests take seconds
size = {"rows": 512, "columns": 384} if small else {"rows": 1536, "columns": 1024}
learn = sarmap.demo_event(**size)  # the network learns here
judge = sarmap.demo_event(**size, seed=7)  # and is judged here, on other ground

# %% [markdown]
# ## The inventory
#
# Polygons that an interpreter has drawn: a GeoPackage, a shapefile, a zip of several, in any
# reference system. Outlines that cross themselves are repaired, and counted.

# %%
inventory = read_inventory(learn.inventory)
inventory["area_m2"] = inventory.area
print(f"SIMULATED: {len(inventory)} landslides, {inventory.area_m2.sum() / 1e6:.2f} km²")
inventory[["area_m2"]].describe().T.round(0)

# %%
fig, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
ax.hist(inventory.area_m2, np.geomspace(100, 100_000, 40), color="#0072b2")
ax.set_xscale("log")
ax.axvline(64**2 * 100, color="#d55e00", linestyle="--", label="one tile of 64 x 64 px")
ax.axvline(100, color="black", linestyle=":", label="one pixel")
ax.set(xlabel="area of a landslide, m²", ylabel="landslides", title="SIMULATED inventory")
ax.legend(frameon=False, loc="upper left", fontsize=8)
fig.savefig(out / "inventory.png", dpi=120)

# %% [markdown]
# Most landslides are a few dozen pixels. That is why scores of pixels and scores of landslides
# differ so much, and why this page looks at both.
#
# ## What a training is made from
#
# One record (or a YAML file: `sarmap train train.yaml`). What is left out has the papers' value.
# For a real event give `area`, `event`, `catalog` and `inventory` instead of `simulated`.
#
# The choice that matters most is the **split**. The paper shuffles tiles and takes a fifth of them
# for testing; but a tile's neighbour has the same forest, the same weather and often the same
# landslide, so a shuffled test flatters. `blocks` keeps squares of ground together, and an event
# with `role="test"` is held out whole, which is what a new earthquake is.

# %%
config = {
    "name": "my-first",
    "out": str(out / "trained"),
    "network": "attention-unet",
    "composite": "BAA_S",
    "filters": 4 if small else 8,  # 32 in the paper
    "depth": 2 if small else 4,
    "epochs": 2 if small else 8,
    "batch": 16,
    "patience": 8,
    "seed": 1,
    "events": [
        {"name": "learn", "simulated": str(learn.path), "orbit": "ascending"},
        {"name": "judge", "simulated": str(judge.path), "orbit": "ascending", "role": "test"},
    ],
    "samples": {"keep": "slide", "split": "blocks", "block": 128 if small else 256},
}

# %% [markdown]
# ## Train
#
# Samples are cut lazily and kept in a Zarr; a training that was killed goes on at its last epoch,
# and one that is finished is not repeated. Run this cell again and see.


# %%
def tell(losses):
    """One line, renewed after each epoch."""
    print(f"\repoch {losses['epoch']:.0f}: loss {losses['loss']:.3f}, ", end="")
    print(f"validation {losses['val_loss']:.3f}", end="", flush=True)


result = sarmap.train(config, overwrite=True, report=tell)
history = pd.DataFrame(result.history)

# %%
fig, ax = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
ax.plot(history.epoch, history.loss, color="#0072b2", marker="o", label="training")
ax.plot(history.epoch, history.val_loss, color="#d55e00", marker="s", label="validation")
ax.set(xlabel="epoch", ylabel="Dice loss, both classes (0 to 2)", title="SIMULATED samples")
ax.legend(frameon=False)
fig.savefig(out / "curves.png", dpi=120)

# %% [markdown]
# The best epoch's weights are kept. If validation rises while training falls, the network has begun
# to learn its samples by heart: more events help, more epochs do not.
#
# ## What it is worth
#
# Scores of pixels, with 95 % intervals from resampled squares of ground (single pixels are not
# independent). *test* is other ground of the same event; *event judge* is the event it never saw,
# and the figure to believe.

# %%
METRICS = ("precision", "recall", "f1", "iou")


def with_interval(score, name):
    """'61.2 (58.0 to 64.1)', percent."""
    value, (low, high) = score[name], score["intervals"][name]
    if value is None:
        return "undefined"
    if low is None:  # fewer than ten squares of ground
        return f"{100 * value:.1f}"
    return f"{100 * value:.1f} ({100 * low:.1f} to {100 * high:.1f})"


pd.DataFrame(
    {part: {m: with_interval(one, m) for m in METRICS} for part, one in result.scores.items()}
).T

# %% [markdown]
# Weights without a card are a liability. This one is written by the training: what it was made
# from, on which ground it is good, and what it must not be used for.

# %%
print(result.card.read_text()[:1500])

# %% [markdown]
# ## Map the place it has never seen

# %%
request = sarmap.MapRequest(
    area=judge.grid,
    event=judge.event,
    catalog=sarmap.serve_demo(judge),
    orbit="ascending",
    detector=str(result.folder),
    out=str(out / "judge.zarr"),
    overlap=16,
    overwrite=True,
)
landslides = sarmap.map_landslides(request).dataset

# %%
assessment = assess_into(
    request.out, judge.inventory, out / "scores", block=64 if small else 256, overwrite=True
)
print("SIMULATED, threshold 0.5:", assessment.scores)
print(f"best threshold on every other block: {assessment.chosen:.2f}")

# %% [markdown]
# ## The map of right and wrong
#
# Where it fails says more than how often. Orange around green is an outline drawn too wide, which
# costs a few metres; orange alone is a false alarm, which costs a helicopter.

# %%
fig, ax = plt.subplots(figsize=(8, 9), layout="constrained")
xr.open_zarr(out / "scores" / "confusion.zarr").sarmap.plot(ax=ax)
fig.savefig(out / "confusion.png", dpi=120)

# %% [markdown]
# ## How many landslides, not pixels
#
# A responder counts slopes. A landslide counts as found when one of its pixels is mapped.

# %%
pd.DataFrame(
    {
        row.name: {
            "landslides": row.landslides,
            "found": row.hit,
            "found %": round(100 * row.share, 1),
            "95 % interval": f"{100 * row.interval.low:.0f} to {100 * row.interval.high:.0f}",
        }
        for row in assessment.sizes
    }
).T

# %% [markdown]
# ## Is 0.7 right seven times in ten?
#
# A network's probability is a number between 0 and 1 that was never asked to be a probability. A
# calibration makes it one. It is fitted on half of the blocks, in a chequerboard, and tried on the
# other half.

# %%
fig, ax = plt.subplots(figsize=(5.6, 5.6), layout="constrained")
ax.plot([0, 1], [0, 1], color="0.5", linestyle=":", label="as said")
tried = zip(
    assessment.test_reliability or (assessment.reliability,),
    (("as the network says", "#d55e00", "s"), ("calibrated", "#0072b2", "o")),
    strict=False,
)
for one, (words, colour, mark) in tried:
    held = one.pixels > 0
    label = f"{words}: off by {100 * one.expected_error:.1f} points on average"
    ax.plot(one.said[held], one.true[held], color=colour, marker=mark, label=label)
ax.set(xlabel="probability", ylabel="share that is landslide", title="SIMULATED")
ax.legend(frameon=False)
fig.savefig(out / "calibration.png", dpi=120)

# %% [markdown]
# `sarmap.assess.calibration.apply_calibration` puts it on a map. It holds for this
# detector, and for places like the one it was fitted on.
#
# ## Beside the papers
#
# Nava et al. (2021) classify windows with a small CNN; Nava et al. (2022) segment with an Attention
# U-Net. Theirs are figures of the real Iburi earthquake; **ours are of simulated events**, and say
# whether the method is rebuilt, not whether it is better. A dash stands where a paper gives no
# figure, or where ours was not made. `sarmap reproduce` makes ours; how small a training that was
# stands above the table in the documentation (*Results*). In brackets, 95 % intervals.

# %%
results = Path(sarmap.__file__).parents[1] / "docs" / "results"  # of a checkout of sarmap


def ours(row, metric):
    """'53.1 (50.2 to 55.5)', of a row of the table; a dash where it was not made."""
    value, low, high = (row[f"{metric}_{name}"] for name in ("ours", "low", "high"))
    if pd.isna(value):
        return "-"
    return f"{value:.1f}" if pd.isna(low) else f"{value:.1f} ({low:.1f} to {high:.1f})"


def beside(name, labels, metrics, figures):
    """The paper's table with ours, as far as `sarmap reproduce` has made it."""
    file = results / f"{name}.csv"
    if not file.exists():  # the paper's alone
        columns = [f"{metric} % paper" for metric in metrics]
        found = {one: [getattr(fig, m) or "-" for m in metrics] for one, fig in figures.items()}
        return pd.DataFrame.from_dict(found, "index", columns=columns)
    rows = pd.read_csv(file, na_values=["not available"])
    table = rows[[*labels, "split"]].copy()
    for metric in metrics:
        table[f"{metric} % ours"] = [ours(row, metric) for _, row in rows.iterrows()]
        known = rows[f"{metric}_paper"]
        table[f"{metric} % paper"] = ["-" if pd.isna(one) else f"{one:.2f}" for one in known]
    return table.set_index([*labels, "split"])


beside("paper1", ["composite"], ("accuracy", "precision", "recall"), PAPER1)

# %%
plain = {f"{name}, {'augmented' * yes or 'plain'}": one for (name, yes), one in PAPER2.items()}
beside("paper2", ["composite", "augmentation"], ("precision", "recall", "f1", "iou"), plain)

# %% [markdown]
# The small network of this page, on the event it never saw, for comparison:

# %%
held_out = result.scores["event judge"]
print("SIMULATED:", {m: with_interval(held_out, m) for m in METRICS})
