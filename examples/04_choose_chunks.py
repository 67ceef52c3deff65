# %% [markdown]
# # How to cut a scene
#
# A map is made in blocks: each is read, computed and stored by itself. Small blocks need little
# memory and keep many workers busy, but each of them costs a task, and what lies on its edge is
# read twice. Large blocks read little twice and need much memory, and at the end of a map most
# workers wait for the last one. In between lies the size that you want.
#
# The map itself never depends on it: the benchmark below compares every answer with every other,
# bit for bit.
#
# This page reads what `python -m benchmarks chunking` has measured (45 configurations, each in a
# process of its own). Run it on your machine, and this page shows your machine.

# %%
import json
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

import sarmap

out = Path("choose-chunks")
out.mkdir(exist_ok=True)

results = Path(sarmap.__file__).parents[1] / "benchmarks" / "results"  # of a checkout of sarmap
files = sorted(results.glob("chunking*.json"))
measured = json.loads(files[0].read_text())
others = [file.name for file in files[1:]]  # of other machines, where there are any
files[0].name, others

# %% [markdown]
# ## What was measured, and where
#
# Seconds belong to one machine; ratios travel better. The scene is SIMULATED: what it shows did not
# happen, but its files are as large and as long to read as real ones.

# %%
machine, extent = measured["machine"], measured["extent"]
pixels = extent["rows"] * extent["columns"]
print(f"{measured['command']}, finished {measured['finished'][:16]} UTC")
print(f"{machine['cores']} cores of {machine['processor']} ({', '.join(machine['instructions'])})")
print(f"{extent['rows']} x {extent['columns']} px = {pixels / 1e6:.1f} Mpx, SIMULATED")
print(f"cores used by others meanwhile: {measured['load']['cores_used_by_others']:.2f}")
answers = measured["answers"]
print(f"{len(answers['compared'])} answers compared, identical: {answers['identical']}")


# %%
def table(rows):
    """One line per configuration: its settings, and the median of what was measured."""
    lines = []
    for row in rows:
        found = {name: one["median"] for name, one in row["metrics"].items() if one}
        lines.append({"group": row["group"], "label": row["label"], **row["settings"], **found})
    frame = pd.DataFrame(lines).astype({"chunk": "Int64"})
    return frame.assign(
        memory_gb=lambda frame: frame.peak_memory / 1e9,
        read_mb=lambda frame: frame.bytes_read / 1e6,
    )


runs = table([row for row in measured["rows"] if not row["failed"]])
shown = ["chunk", "seconds", "memory_gb", "tasks", "read_mb"]
network = runs[runs.group.str.contains("tiles of 512 px|off the", regex=True)]
network.set_index("label")[shown].round(2)

# %% [markdown]
# ## Time and memory by block size
#
# Three ways to cut the same scene: blocks that lie on the stored tiles of the COGs (512 px here),
# blocks that lie across them, and blocks whose edge is no multiple of the network's 64 px, which
# sarmap reads as asked and recuts before it computes.

# %%
LOOK = {  # Okabe and Ito's colours, and a mark of its own for each: no line needs its colour
    "on the stored tiles": ("blocks on the COG's tiles", "#0072b2", "o"),
    "across them": ("blocks 192 px off", "#d55e00", "s"),
    "off the 64 px grid": ("blocks off the grid", "#009e73", "D"),
}
PANELS = {"seconds": "seconds", "memory_gb": "peak memory, GB", "read_mb": "read, MB"}

fig, axes = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
for ax, (name, words) in zip(axes, PANELS.items(), strict=True):
    for label, (start, colour, mark) in LOOK.items():
        group = network[network.group.str.startswith(start)].sort_values("chunk")
        ax.plot(group.chunk, group[name], color=colour, marker=mark, label=label)
    ax.set_xscale("log", base=2)
    ax.set_xticks([256, 512, 1024, 2048, 4096], ["256", "512", "1024", "2048", "4096"])
    ax.set_xlabel("edge of a block, px")
    ax.set_ylabel(words)
    ax.set_ylim(bottom=0)
    ax.grid(color="#e5e5e5")
axes[0].legend(frameon=False, loc="lower right")
fig.suptitle(
    f"Attention U-Net over {pixels / 1e6:.1f} Mpx, SIMULATED scene, {machine['cores']} cores"
)
fig.savefig(out / "blocks.png", dpi=120)

# %% [markdown]
# How to read it:
#
# - The time hardly changes between 512 and 4096 px, because the network takes most of it, and the
#   network does not care. At 256 px the overhead of tasks and of reading tile edges again shows.
# - On few cores, blocks so large that there are fewer of them than cores waste the end of the run.
# - What lies across the stored tiles is read twice. Next to the server that costs bytes but hardly
#   time; across an ocean, bytes are time.

# %% [markdown]
# ## Time against memory
#
# The choice at one glance: left is fast, low is lean, and what has another dot to its lower left
# is never the better choice.

# %%
fig, ax = plt.subplots(figsize=(7, 4.8), layout="constrained")
for label, (start, colour, mark) in LOOK.items():
    group = network[network.group.str.startswith(start)]
    ax.scatter(group.seconds, group.memory_gb, color=colour, marker=mark, s=50, label=label)
    for line in group.itertuples():
        ax.annotate(
            f"{line.chunk}", (line.seconds, line.memory_gb), (5, 4), textcoords="offset points"
        )
ax.set_xlabel("seconds")
ax.set_ylabel("peak memory, GB")
ax.set_title("SIMULATED scene: edge of a block in px beside each mark")
ax.grid(color="#e5e5e5")
ax.legend(frameon=False)
fig.savefig(out / "time-memory.png", dpi=120)

# %% [markdown]
# ## Halos
#
# A detector that looks around needs a margin of its neighbours' pixels, the *halo*: tiles that
# overlap, windows, smoothing filters. A block of edge n with a halo of h reads (n + 2h)² pixels for
# n² answers: a halo of 256 px around blocks of 512 px is four times the work.

# %%
halos = runs[runs.group.str.startswith("halo (cheap")].copy()
halos["halo"] = halos.label.str.extract(r"halo (\d+)").astype(int)
halos["needless work"] = ((halos.chunk + 2 * halos.halo) / halos.chunk) ** 2
by_halo = halos.pivot(
    index="halo", columns="chunk", values=["seconds", "memory_gb", "needless work"]
)
by_halo.astype(float).round(2)

# %% [markdown]
# ## Who computes
#
# One process with many threads shares one network and one cache of open files. Processes copy
# both; they are for more than one machine, not for more speed on one.

# %%
who = runs[runs.group.str.startswith("scheduler")]
fig, axes = plt.subplots(1, 2, figsize=(11, 3), layout="constrained", sharey=True)
for ax, name in zip(axes, ("seconds", "memory_gb"), strict=True):
    bars = ax.barh(who.label, who[name], color="#0072b2")
    ax.bar_label(bars, fmt="%.1f", padding=3)
    ax.set_xlabel(PANELS[name] + (" of all processes" if name == "memory_gb" else ""))
    ax.margins(x=0.15)
axes[0].invert_yaxis()
fig.suptitle("SIMULATED scene, blocks of 1024 px")
fig.savefig(out / "schedulers.png", dpi=120)

# %% [markdown]
# ## How the result is stored
#
# A *chunk* is what is compressed alone, a *shard* is one object in the store. Small chunks make a
# small window quick to read; many small objects make a whole map, and every listing of a bucket,
# slow. Shards as large as a block let every task write objects that no other task touches.

# %%
stored = runs[runs.group.str.startswith("Zarr")].set_index("label")
stored[["seconds", "objects", "window_ms", "whole_seconds"]].rename(
    columns={"window_ms": "read 256 px, ms", "whole_seconds": "read all, s"}
).round(2)

# %% [markdown]
# ## So, how to pick
#
# 1. Start with the default, 1024 px. It is within a few percent of the best everywhere above.
# 2. Ask before you run: `sarmap plan` (or `sarmap.plan(request)`) says memory, tasks and bytes for
#    any `chunk=`, and sarmap refuses a map that does not fit in `memory=`.
# 3. Little memory: 512 px. Many cores and few pixels: smaller blocks, so that there are several
#    for each core. A slow network, or a large halo: larger ones.
# 4. Take a multiple of 64 (the network's tile), best one of the COG's stored tile.
#
# The lines below apply this to the measurement: of all cuts that need no more than a tenth over the
# least memory, the fastest; and of all cuts at all, the fastest.

# %%
plain = network[network.group.str.startswith("blocks on")]
lean = plain[plain.memory_gb <= 1.1 * plain.memory_gb.min()].sort_values("seconds").iloc[0]
fast = plain.sort_values("seconds").iloc[0]
for words, line in (("lean", lean), ("fast", fast)):
    print(f"{words}: chunk={line.chunk}, {line.seconds:.1f} s, {line.memory_gb:.2f} GB")
