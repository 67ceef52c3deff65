"""The tables in the documents, made from result files: never typed.

`benchmarks/README.md` gets the figures that were asked for, each beside what was asked, with its
floor and command; `docs/chunking.md` gets the tables of `chunking`. Both stand between markers.
The pages of `benchmarks.pages` are written whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cases.passes import RECIPE
from benchmarks.pages import PAGES, write_page
from benchmarks.records import read_record
from benchmarks.tables import machine_line, markdown, render

__all__ = ["between", "figures_table", "write_report"]

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "benchmarks" / "README.md"
CHUNKING = ROOT / "docs" / "chunking.md"
RESULTS = ROOT / "docs" / "results"
SHIPPED, LARGE = "16 filters (shipped)", "32 filters (random weights)"

Records = Mapping[str, Mapping[str, Any]]
Told = tuple[str, str, bool | None]
"""What was measured, its floor, and whether the figure is reached (None: cannot be said here)."""


@dataclass(frozen=True)
class Target:
    """One figure that was asked for."""

    what: str
    """What is measured."""
    figure: str
    """What it asks for, on two cores with AMX."""
    benchmark: str
    """Whose results it is read from."""
    tell: Callable[[Records], Told]
    """From the results to what is shown."""


def value(records: Records, benchmark: str, label: str, key: str = "seconds") -> float | None:
    """Median of one figure; None where it was not measured."""
    for row in records.get(benchmark, {}).get("rows", ()):
        if row["label"] == label and key in row["metrics"]:
            return float(row["metrics"][key]["median"])
    return None


def ratio_of(above: float | None, below: float | None) -> float | None:
    """above / below; None where either is missing."""
    return above / below if above is not None and below else None


def _shown(number: float | None, unit: str = "", digits: int = 1) -> str:
    return "not measured" if number is None else f"{number:,.{digits}f}{unit}"


def _has_bf16(records: Records) -> bool:
    sets = {name for record in records.values() for name in record["machine"]["instructions"]}
    return bool(sets & {"amx_bf16", "avx512_bf16"})


def _whole_extent(overlap: int, most: float) -> Callable[[Records], Told]:
    def tell(records: Records) -> Told:
        parts, floors, sound = [], [], []
        for network in (SHIPPED, LARGE):
            name = f"{network}, overlap {overlap}"
            warm = value(records, "paper", f"{name}: warm")
            bare = value(records, "paper", f"{name}: bare engine")
            times = ratio_of(warm, bare)
            parts.append(f"{network}: {_shown(warm, ' s')}, {_shown(times, ' x', 2)} the engine")
            floors.append(f"{network}: engine {_shown(bare, ' s')}")
            if times is not None:
                sound.append(times <= 1.3)
            if warm is not None and network == LARGE and _has_bf16(records):
                sound.append(warm <= most)
        paper = ratio_of(420.0, value(records, "paper", f"{LARGE}, overlap {overlap}: warm"))
        if overlap == 0 and paper is not None:
            parts.append(f"{paper:.0f} times the paper's pace with a network of its size")
        return "; ".join(parts), "; ".join(floors), all(sound) if sound else None

    return tell


def _cold(records: Records) -> Told:
    name = f"{SHIPPED}, overlap 0"
    cold = value(records, "paper", f"{name}: cold process", "process_seconds")
    warm = value(records, "paper", f"{name}: warm")
    more = None if cold is None or warm is None else cold - warm
    told = f"{_shown(cold, ' s')}, {_shown(more, ' s')} more than warm"
    return told, f"warm {_shown(warm, ' s')}", None if more is None else more <= 2.5


def _rate(records: Records) -> Told:
    parts, floors, sound = [], [], []
    for precision, share in (("f32", 0.95), ("bf16", 0.75)):
        rows = [
            row
            for row in records.get("engines", {}).get("rows", ())
            if f" {precision}, tile 64" in row["label"] and row["floor"] and row["floor"]["ratio"]
        ]
        if not rows:
            run = "engines" in records
            parts.append(f"{precision}: {'not on this machine' if run else 'not measured'}")
            continue
        best = max(rows, key=lambda row: row["floor"]["ratio"])
        reached = best["floor"]["ratio"]
        parts.append(f"{precision}: {100 * reached:.0f} % ({best['label']})")
        floors.append(f"{best['floor']['label']}: {best['floor']['value']:.0f} GFLOP/s")
        sound.append(reached >= share)
    return "; ".join(parts), "; ".join(floors), all(sound) if sound else None


def _monai(records: Records) -> Told:
    parts, floors, sound = [], [], []
    for name in (f"{SHIPPED}, overlap 0", f"{SHIPPED}, overlap 16", f"{LARGE}, overlap 0"):
        for precision, theirs_at, least in (("f32", "f32", 1.3), ("bf16", "bf16 autocast", 2.5)):
            ours = value(records, "peers", f"{name}: sarmap {precision}")
            theirs = value(records, "peers", f"{name}: MONAI, PyTorch {theirs_at}")
            times = ratio_of(theirs, ours)
            if times is None:
                continue
            parts.append(f"{name}, {precision}: {times:.2f} x")
            floors.append(f"{_shown(ours, ' s')} against {_shown(theirs, ' s')}")
            sound.append(times >= least)
    if not parts:
        return "not measured", "", None
    return "; ".join(parts), "; ".join(floors), all(sound)


def _windows(records: Records) -> Told:
    parts, floors, sound = [], [], []
    for precision, most in (("f32", 65), ("bf16", 25)):
        windowed = value(records, "windows", f"cnn-baa {precision}: window by window, stride 2")
        bare = value(records, "windows", f"cnn-baa {precision}: bare engine")
        if windowed is not None:
            parts.append(f"{precision} {_shown(windowed, ' s')}")
            floors.append(f"engine {precision} {_shown(bare, ' s')}")
            sound.append(windowed <= most)
    rows = records.get("windows", {}).get("rows", ())
    dense = [
        row["metrics"]["seconds"]["median"] for row in rows if row["label"].endswith(": dense")
    ]
    if dense:
        parts.append(f"dense {_shown(min(dense), ' s')}")
        sound.append(min(dense) <= 2)
    if not parts:
        return "not measured", "", None
    return "; ".join(parts), "; ".join(floors), all(sound)


def _latency(records: Records) -> Told:
    slow = value(records, "latency", "HTTP, 80 ms added per request")
    local = value(records, "latency", "local files")
    times = ratio_of(slow, local)
    told = f"{_shown(slow, ' s')}, {_shown(times, ' x', 2)}"
    return told, f"local files {_shown(local, ' s')}", None if times is None else times <= 1.5


def _region(records: Records) -> Told:
    large = value(records, "hokkaido", "92 x the extent")
    peak = value(records, "hokkaido", "92 x the extent", "peak_memory")
    each = value(records, "hokkaido", "92 x the extent", "ns_per_pixel")
    small = value(records, "hokkaido", "1 x the extent", "ns_per_pixel")
    times = ratio_of(each, small)
    told = (
        f"{_shown(large, ' s', 0)}, peak {_shown(peak and peak / 1e9, ' GB')}, "
        f"{_shown(times, ' x', 2)} the small scene's time per pixel"
    )
    sound = None
    if large is not None and peak is not None and times is not None:
        sound = large <= 420 and peak <= 4e9 and times <= 1.1
    return told, f"one extent: {_shown(small, ' ns per px', 0)}", sound


def _five_passes(records: Records) -> Told:
    ours = value(records, "passes", "attention-unet, 5 passes")
    peak = value(records, "passes", "attention-unet, 5 passes", "peak_memory")
    recipe = value(records, "passes", RECIPE)
    times = ratio_of(ours, recipe)
    told = (
        f"{_shown(ours, ' s')}, {_shown(times, ' x', 2)}; peak {_shown(peak and peak / 1e9, ' GB')}"
    )
    sound = None if times is None or peak is None else times <= 1 and peak <= 2.5e9
    return told, f"the recipe {_shown(recipe, ' s')}", sound


def _change(records: Records) -> Told:
    whole = value(records, "passes", "change, 5 passes: cold process", "process_seconds")
    engine = value(records, "passes", f"{RECIPE}: bare engine")
    times = ratio_of(whole, engine)
    told = f"{_shown(whole, ' s')}, {_shown(times, ' x', 2)} the engine"
    return told, f"engine {_shown(engine, ' s')}", None if times is None else times <= 3 / 2.1


def _gpu(records: Records) -> Told:
    rows = records.get("gpu", {}).get("rows", ())
    rated = [row for row in rows if "megapixels" in row["metrics"]]
    if not rated:
        return "no GPU at hand", "", None
    best = max(rated, key=lambda row: row["metrics"]["megapixels"]["median"])
    rate = best["metrics"]["megapixels"]["median"]
    floor = best["floor"] and best["floor"].get("value")
    return (
        f"{rate:.0f} Mpx/s ({best['label']})",
        f"GEMM {_shown(floor, ' GFLOP/s', 0)}",
        rate >= 100,
    )


TARGETS = (
    Target(
        "whole extent, warm, STAC to Zarr, overlap 0",
        "<= 2.8 s in bf16 (150 times the paper) and <= 1.3 x the bare engine on the same tiles",
        "paper",
        _whole_extent(0, 2.8),
    ),
    Target(
        "the same, seamless (overlap 16)",
        "<= 1.3 x its own bare engine; <= 6 s",
        "paper",
        _whole_extent(16, 6.0),
    ),
    Target("cold process to finished map", "<= 2.5 s more than warm", "paper", _cold),
    Target(
        "bare engine",
        "f32 >= 95 %, bf16 >= 75 % of the machine's GEMM rate, n = 4096, same run",
        "engines",
        _rate,
    ),
    Target(
        "against MONAI at its best, same net, tile, overlap",
        "f32 >= 1.3 x; bf16 >= 2.5 x against its bf16",
        "peers",
        _monai,
    ),
    Target(
        "sliding window, exact, whole extent",
        "<= 25 s bf16, <= 65 s f32; dense <= 2 s",
        "windows",
        _windows,
    ),
    Target(
        "the default network from five passes of VV and VH, warm",
        "no longer than the paper's recipe in the same run; peak <= 2.5 GB",
        "passes",
        _five_passes,
    ),
    Target(
        "`change` from five passes, whole process",
        "<= 3 s where the recipe's engine takes 2.1 s",
        "passes",
        _change,
    ),
    Target("80 ms per request", "<= 1.5 x the local-file run", "latency", _latency),
    Target(
        "834 Mpx, simulated, on one machine",
        "<= 420 s, peak <= 4 GB, time per pixel within 10 % of the small scene",
        "hokkaido",
        _region,
    ),
    Target("GPU: Attention U-Net alone", ">= 100 Mpx/s", "gpu", _gpu),
)


def figures_table(records: Records) -> str:
    """What was asked, with what was measured."""
    rows = []
    for target in TARGETS:
        told, floor, reached = target.tell(records)
        record = records.get(target.benchmark)
        unknown = "not on this machine" if record else "not measured"
        verdict = {True: "yes", False: "no", None: unknown}[reached]
        command = (
            f"`{record['command']}`" if record else f"`python -m benchmarks {target.benchmark}`"
        )
        rows.append([target.what, target.figure, told, floor, verdict, command])
    headings = ["what", "asked (2 cores with AMX)", "measured", "floor", "reached", "command"]
    return markdown(headings, rows, left=len(headings))


def write_report(
    folder: Path, readme: Path = README, chunking: Path = CHUNKING, pages: Path = RESULTS
) -> list[Path]:
    """Fill the tables of the documents from the results in a folder; the files written."""
    records = {path.stem: read_record(path) for path in sorted(folder.glob("*.json"))}
    if not records:
        raise FileNotFoundError(f"{folder.name} holds no results: run `python -m benchmarks` first")
    written = [
        write_page(records.pop(name), pages / f"{name}.md") for name in PAGES if name in records
    ]
    if not records:
        return written
    newest = max(records.values(), key=lambda record: record["finished"])
    line = (
        f"Measured {newest['finished'][:10]} on {machine_line(newest)}, revision "
        f"{newest['git']['revision'][:10]}; sources in `benchmarks/results/`."
    )
    details = "\n\n".join(render(record) for record in records.values())
    replace_between(readme, "figures", f"{line}\n\n{figures_table(records)}")
    replace_between(readme, "results", details)
    written.append(readme)
    if "chunking" in records and chunking.is_file():
        replace_between(chunking, "chunking", chunking_tables(records["chunking"]))
        written.append(chunking)
    return written


def chunking_tables(record: Mapping[str, Any]) -> str:
    """The groups of `chunking`, one table each."""
    return render(record).replace("### ", "## ", 1)


def between(text: str, name: str) -> tuple[int, int]:
    """Where the text between the markers of a name begins and ends.

    >>> text = "a <!-- x: begin --> b <!-- x: end -->"
    >>> text[slice(*between(text, "x"))]
    ' b '
    """
    first, last = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    start, stop = text.find(first), text.find(last)
    if start < 0 or stop < start:
        raise ValueError(f"there is no place marked {name!r}")
    return start + len(first), stop


def replace_between(path: Path, name: str, content: str) -> None:
    """Put content between the markers of a file."""
    text = path.read_text(encoding="utf-8")
    start, stop = between(text, name)
    path.write_text(f"{text[:start]}\n{content}\n{text[stop:]}", encoding="utf-8")
