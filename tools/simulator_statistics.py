"""The simulator's statistics beside those measured on real Sentinel-1 data.

    python tools/simulator_statistics.py --data ../shared/data --event FOLDER

OPERA RTC-S1 over California (3 bursts x 8 dates, 30 m, terrain-flattened) and the Myanmar stack (85
dates, 30 m, descending, not flattened) against a simulated event, at its 10 m and averaged to 30 m.
Every number is computed by the same function on every source. Writes docs/results/simulator.md and
.csv; without --event one of seed 3 is simulated, 1000 x 800 px.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import sarmap
from sarmap.simulate.event import open_event, simulate_event
from sarmap.simulate.fingerprint import simulator_hash
from sarmap.simulate.serve import serve_event

ROOT = Path(__file__).resolve().parent.parent
Field = NDArray[np.float32]
MYANMAR = "ddl8s1ts/myanmar_s1_vvvh_srtm_85dates_30m.nc"
MYANMAR_START = dt.datetime(2014, 10, 12, 23, 32, 1, tzinfo=dt.UTC)
MYANMAR_LOOK, MYANMAR_INCIDENCE = 280.0, 39.0
"""Descending, right-looking; the angle is the middle of the swath, since the file gives none."""
BINS = ((15, 25), (25, 32), (32, 40), (40, 48), (48, 60))
"""Local incidence angles, degrees."""
TWELVE_DAYS = dt.timedelta(days=12)


@dataclass(frozen=True)
class Stack:
    """Passes of one orbit over land on which nothing happened."""

    vv: Field
    """Power (time, y, x); NaN where not measured."""
    vh: Field
    """Power (time, y, x)."""
    times: tuple[dt.datetime, ...]
    """Of each pass."""
    local: Field | None = None
    """Local incidence angle, degrees (y, x)."""
    hills: NDArray[np.bool_] | None = None
    """Where slopes are steeper than 8 degrees (y, x)."""


def decibel(power: Field) -> Field:
    """Power in dB, NaN where it is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(10 * np.log10(np.where(power > 0, power, np.nan)), np.float32)


def local_incidence(height: Field, spacing: float, look: float, incidence: float) -> Field:
    """Angle between the ground's normal and the way to the radar, degrees (y, x)."""
    down, east = np.gradient(height, spacing)
    turn, tilt = np.radians(look), np.radians(incidence)
    towards = east * np.sin(turn) - down * np.cos(turn)
    cosine = (towards * np.sin(tilt) + np.cos(tilt)) / np.sqrt(1 + east**2 + down**2)
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))), np.float32)


# --- sources -------------------------------------------------------------------------------------


def read_opera(folder: Path) -> list[Stack]:
    """One stack per burst."""
    import rasterio

    found: dict[str, dict[dt.datetime, dict[str, Field]]] = {}
    for path in sorted(folder.glob("OPERA_L2_RTC-S1_*.tif")):
        parts = path.stem.split("_")
        when = dt.datetime.strptime(parts[4], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
        with rasterio.open(path) as source:
            found.setdefault(parts[3], {}).setdefault(when, {})[parts[-1].lower()] = source.read(1)
    return [
        Stack(
            np.stack([burst[when]["vv"] for when in sorted(burst)]),
            np.stack([burst[when]["vh"] for when in sorted(burst)]),
            tuple(sorted(burst)),
        )
        for burst in found.values()
    ]


def read_myanmar(folder: Path, *, flattened: bool) -> Stack:
    """The stack in power; flattened: each cell's own area taken out with the plane's angle."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    def band(name: str) -> Field:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            # the driver would turn the rows upside down: it takes them to run from south to north
            with (
                rasterio.Env(GDAL_NETCDF_BOTTOMUP="NO"),
                rasterio.open(f"netcdf:{folder / MYANMAR}:{name}") as source,
            ):
                values = np.where(source.read() == source.nodata, np.nan, source.read())
                return np.asarray(values * source.scales[0], np.float32)

    with rasterio.open(f"netcdf:{folder / MYANMAR}:vv") as source:
        offsets = source.tags()["NETCDF_DIM_time_VALUES"].strip("{}").split(",")
    times = tuple(MYANMAR_START + dt.timedelta(seconds=float(s)) for s in offsets)
    height, slope = band("elevation")[0], band("slope")[0]
    local = local_incidence(height, 30.0, MYANMAR_LOOK, MYANMAR_INCIDENCE)
    area = np.float32(1)
    if flattened:
        angles = np.radians(np.clip(local, 8, 80))
        area = np.asarray(np.tan(angles) / np.sin(np.radians(MYANMAR_INCIDENCE)), np.float32)
    vv, vh = (np.asarray(10 ** (band(name) / 10) * area, np.float32) for name in ("vv", "vh"))
    return Stack(vv, vh, times, local, slope > 8)


def read_simulated(folder: Path) -> Stack:
    """The ascending passes before a simulated event, 10 m, forested hills told apart."""
    from sarmap.learn.training_scenes import _simulated_cover
    from sarmap.simulate.landcover import Cover

    event = open_event(folder)
    with serve_event(event) as server:
        passes = sarmap.search_passes(
            event.area, event.event, catalog=server.catalog, orbit="ascending", pre=5, post=1
        )
        cube = sarmap.open_cube(passes, event.grid).compute()
        terrain = sarmap.open_terrain(event.grid, catalog=server.catalog, passes=passes).compute()
    before = [i for i, role in enumerate(cube["role"].values) if str(role).startswith("pre")]
    times = tuple(one.datetime for one in passes if one.role.startswith("pre"))
    cover = _simulated_cover(str(folder))[0]
    hills = (terrain["slope"].values > 8) & (cover == Cover.FOREST)
    land = cover != Cover.SEA
    vv, vh = (
        np.where(land, cube[name].values[before], np.nan).astype(np.float32)
        for name in ("vv", "vh")
    )
    return Stack(vv, vh, tuple(sorted(times)), terrain["incidence"].values, hills)


def averaged(stack: Stack) -> Stack:
    """The same at three times the spacing: mean power of 3 x 3 pixels."""

    def mean(field: Any) -> Any:
        *lead, rows, columns = field.shape
        cut = field[..., : rows // 3 * 3, : columns // 3 * 3]
        return cut.reshape(*lead, rows // 3, 3, columns // 3, 3).mean(axis=(-3, -1))

    hills = mean(stack.hills.astype(float)) > 0.99 if stack.hills is not None else None
    local = mean(stack.local) if stack.local is not None else None
    return Stack(mean(stack.vv), mean(stack.vh), stack.times, local, hills)


# --- statistics ----------------------------------------------------------------------------------


def statistics(stacks: list[Stack]) -> dict[str, float]:
    """Every statistic by name; means over the stacks, NaN where a source cannot say."""
    each = [_statistics(stack) for stack in stacks]
    return {name: float(np.nanmean([one[name] for one in each])) for name in each[0]}


def _statistics(stack: Stack) -> dict[str, float]:
    found: dict[str, float] = {}
    levels = {}
    for name, power in (("VV", stack.vv), ("VH", stack.vh)):
        where = stack.hills if stack.hills is not None else np.ones(power.shape[1:], bool)
        mean = np.nanmean(power, axis=0)
        level = decibel(mean)
        levels[name] = level[where]
        found[f"{name} level, median, dB"] = float(np.nanmedian(levels[name]))
        found[f"{name} spread of the mean of all dates, dB"] = float(np.nanstd(levels[name]))
        found |= _speckle(name, power, mean, where)
        found |= _twelve_days(name, power, stack.times, where)
        if name == "VV":
            found |= _by_angle(level, stack.local, where)
    found["VH - VV, median, dB"] = float(np.nanmedian(levels["VH"] - levels["VV"]))
    return found


def _speckle(name: str, power: Field, mean: Field, where: NDArray[np.bool_]) -> dict[str, float]:
    """Looks of a pass in its most even 7 x 7 windows, and its correlation from pixel to pixel."""
    from scipy.ndimage import uniform_filter

    looks, lags = [], []
    for one in power[:12]:
        known = np.nan_to_num(one, nan=0.0)
        middle = uniform_filter(known, 7)
        spread = uniform_filter(known**2, 7) - middle**2
        whole = uniform_filter((np.isfinite(one) & where).astype(np.float32), 7) > 0.999
        looks.append(np.percentile((middle**2 / np.maximum(spread, 1e-12))[whole], [50, 90]))
        # what all dates share is texture, what a whole scene does is weather: no speckle
        rest = np.where(where, one / mean, np.nan)
        rest -= np.nanmean(rest)
        lags.append(
            [np.nanmean(rest[:, :-lag] * rest[:, lag:]) / np.nanvar(rest) for lag in (1, 2, 3)]
        )
    middle, best = np.mean(looks, axis=0)
    first, second, third = np.mean(lags, axis=0)
    return {
        f"{name} looks in 7 x 7 windows, median": float(middle),
        f"{name} looks in 7 x 7 windows, best tenth": float(best),
        f"{name} correlation at 1 pixel": float(first),
        f"{name} correlation at 2 pixels": float(second),
        f"{name} correlation at 3 pixels": float(third),
    }


def _twelve_days(
    name: str, power: Field, times: tuple[dt.datetime, ...], where: NDArray[np.bool_]
) -> dict[str, float]:
    """Scatter of the change of 12 days, and by how much whole scenes move."""
    robust, plain, shift = [], [], []
    for i, early in enumerate(times):
        for j, late in enumerate(times):
            if abs(late - early - TWELVE_DAYS) < dt.timedelta(hours=6):
                change = (decibel(power[j]) - decibel(power[i]))[where]
                middle = np.nanmedian(change)
                robust.append(1.4826 * np.nanmedian(np.abs(change - middle)))
                plain.append(np.nanstd(change))
                shift.append(middle)
    return {
        f"{name} 12-day log-ratio, standard deviation, dB": float(np.mean(plain)),
        f"{name} 12-day log-ratio, from the median deviation, dB": float(np.mean(robust)),
        f"{name} 12-day shift of the whole scene, standard deviation, dB": float(np.std(shift)),
    }


def _by_angle(level: Field, local: Field | None, where: NDArray[np.bool_]) -> dict[str, float]:
    """Brightness of steep slopes by local incidence, against their own median."""
    names = [f"VV at {low}-{high} degrees local incidence, dB" for low, high in BINS]
    slope = "VV brightness per 10 degrees of local incidence, dB"
    if local is None:
        return dict.fromkeys((*names, slope), float("nan"))
    angle, relative = local[where], level[where] - np.nanmedian(level[where])
    found = {}
    for name, (low, high) in zip(names, BINS, strict=True):
        inside = (angle >= low) & (angle < high)
        found[name] = float(np.nanmedian(relative[inside])) if inside.sum() > 50 else float("nan")
    good = np.isfinite(relative) & (angle > 15) & (angle < 60)
    found[slope] = 10 * float(np.polyfit(angle[good], relative[good], 1)[0])
    return found


# --- what landslides changed ---------------------------------------------------------------------


def changes_at_points(folder: Path) -> list[dict[str, Any]]:
    """VV and VH before and after at the dated points of the Myanmar stack, by local incidence."""
    stack = read_myanmar(folder, flattened=False)
    assert stack.local is not None
    rows = []
    with (folder / "ddl8s1ts" / "reference_points.csv").open(encoding="utf-8") as file:
        for point in csv.DictReader(file):
            if not point["disturbance_date"]:
                continue
            when = dt.datetime.fromisoformat(point["disturbance_date"]).replace(tzinfo=dt.UTC)
            at = (
                round((2_147_805.0 - float(point["y"])) / 30),
                round((float(point["x"]) - 806_895.0) / 30),
            )
            before = [i for i, t in enumerate(stack.times) if t < when][-8:]
            after = [i for i, t in enumerate(stack.times) if t > when + TWELVE_DAYS][:8]
            near = (slice(max(at[0] - 1, 0), at[0] + 2), slice(max(at[1] - 1, 0), at[1] + 2))
            if len(before) < 4 or len(after) < 4:
                continue
            change = [
                10
                * np.log10(np.nanmean(power[after][:, *near]) / np.nanmean(power[before][:, *near]))
                for power in (stack.vv, stack.vh)
            ]
            rows.append((float(stack.local[at]), *map(float, change)))
    table = np.array(rows)
    found = []
    for low, high in BINS:
        inside = table[(table[:, 0] >= low) & (table[:, 0] < high)]
        if len(inside) > 3:
            found.append(
                {
                    "angles": f"{low}-{high}",
                    "points": len(inside),
                    "VV": f"{inside[:, 1].mean():+.2f} +- {inside[:, 1].std():.2f}",
                    "VH": f"{inside[:, 2].mean():+.2f} +- {inside[:, 2].std():.2f}",
                    "brighter": round(100 * float((inside[:, 1] > 0).mean())),
                }
            )
    return found


# --- output --------------------------------------------------------------------------------------


def main() -> None:
    """Measure, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the real data")
    parser.add_argument("--event", type=Path, help="a simulated event of the ascending orbit")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.event or Path(scratch) / "event"
        if arguments.event is None:
            simulate_event(
                folder, seed=3, rows=1000, columns=800, orbits=("ascending",), optical=False
            )
        fine = read_simulated(folder)
        said = open_event(folder)
    data = arguments.data
    columns = {
        "OPERA, 30 m": statistics(read_opera(data / "opera_rtc")),
        "Myanmar, 30 m": statistics([read_myanmar(data, flattened=False)]),
        "Myanmar, 30 m, flattened": statistics([read_myanmar(data, flattened=True)]),
        "simulated, 30 m": statistics([averaged(fine)]),
        "simulated, 10 m": statistics([fine]),
    }
    write(arguments.out, columns, changes_at_points(data), said)


def write(
    out: Path, columns: dict[str, dict[str, float]], points: list[dict[str, Any]], event: Any
) -> None:
    """The tables as CSV and Markdown."""
    out.mkdir(parents=True, exist_ok=True)
    names = list(next(iter(columns.values())))
    cells = [[_cell(column[name]) for column in columns.values()] for name in names]
    with (out / "simulator.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["statistic", *columns])
        writer.writerows([name, *row] for name, row in zip(names, cells, strict=True))
    table = [_row(["statistic", *columns]), _row(["---"] + ["---:"] * len(columns))]
    table += [_row([name, *row]) for name, row in zip(names, cells, strict=True)]
    changed = [_row(["local incidence", "points", "VV, dB", "VH, dB", "brighter in VV"])]
    changed += [_row(["---"] + ["---:"] * 4)]
    changed += [_row([*map(str, list(p.values())[:4]), f"{p['brighter']} %"]) for p in points]
    size = f"{event.shape[0]} x {event.shape[1]} px"
    (out / "simulator.md").write_text(
        _PAGE.format(
            hash=simulator_hash(),
            angle=MYANMAR_INCIDENCE,
            seed=event.seed,
            size=size,
            table="\n".join(table),
            points="\n".join(changed),
        ),
        encoding="utf-8",
    )


def _cell(value: float) -> str:
    return "not available" if np.isnan(value) else f"{value:.2f}"


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


_PAGE = """# The simulator beside real Sentinel-1 data

Simulator **{hash}**, event of seed {seed}, {size}, ascending: **simulated**. Made by

```sh
python tools/simulator_statistics.py --data ../shared/data
```

OPERA: RTC-S1 over California, 3 bursts x 8 dates, all land (contains modified Copernicus Sentinel
data, processed by NASA OPERA). Myanmar: GRD, 85 dates, slopes above 8 degrees; as it is, and with
each cell's own area taken out (the file gives no incidence angle: {angle:.0f} degrees are assumed).
Simulated: the five passes before the event, forest on slopes above 8 degrees. Every number comes
from the same function on every source. OPERA's tiles have no elevation here: 'not available'.

{table}

## What dated landslides changed

The Myanmar stack's points with a date: mean power of eight passes after against eight before, 3 x 3
pixels of 30 m (mean and standard deviation over the points).

{points}

The simulator darkens a landslide's VV by 3.1 dB at 36 degrees of local incidence, by 0.11 dB less
for each degree nearer to the radar, and VH by 0.42 of that and 0.5 dB more; one landslide differs
from the next by 1.1 dB. These points, averaged over 90 m, change less and lean the same way:
brighter in VV where they face the radar, darker in VH. Slopes that face the radar hardly change in
the simulator (-0.1 dB at 10 degrees); on real images some brighten. What ties it to Iburi is the
difficulty: the log-ratio detector's F1 of 39 % and the paper's recipe's 60 to 64 % on events it did
not see, with descending below ascending and VH below VV.
"""


if __name__ == "__main__":
    main()
