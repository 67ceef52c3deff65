"""Measure the peak memory of maps beside what `plan` says of them, each in a process of its own.

    python tools/memory.py --event EVENT              # all cases, as a table
    python tools/memory.py --event EVENT --only large # those whose name holds a word

EVENT is a folder of a simulated event (`sarmap simulate`). A finer resolution makes a larger map of
the same place: 2.5 m have sixteen times its pixels. Leaves with 1 where the projected peak is more
than 25 % off the measured one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

LARGE = {"resolution": 5}
CASES: dict[str, dict[str, Any]] = {
    "log-ratio, 512": {"detector": "log-ratio", "chunk": 512},
    "log-ratio, 1024": {"detector": "log-ratio", "chunk": 1024},
    "log-ratio, 2048": {"detector": "log-ratio", "chunk": 2048},
    "log-ratio, 1024, both orbits": {"detector": "log-ratio", "chunk": 1024, "orbit": "both"},
    "log-ratio, 1024, control": {"detector": "log-ratio", "chunk": 1024, "control": True},
    "log-ratio, 1024, large (5 m)": {"detector": "log-ratio", "chunk": 1024, **LARGE},
    "cnn-dense, 1024": {"detector": "cnn-dense", "chunk": 1024},
    "attention-unet, 1024": {"chunk": 1024},
    "attention-unet, 1024, both orbits": {"chunk": 1024, "orbit": "both"},
    "attention-unet, 512, overlap 16": {"chunk": 512, "overlap": 16},
    "attention-unet, 1024, large (5 m)": {"chunk": 1024, **LARGE},
    "log-ratio, 1024, large (5 m), a worker of 2 GB, 4 threads": {
        "detector": "log-ratio",
        "chunk": 1024,
        "worker": "2GB",
        **LARGE,
    },
    "log-ratio, 1024, largest (2.5 m), a worker of 2 GB, 4 threads": {
        "detector": "log-ratio",
        "chunk": 1024,
        "resolution": 2.5,
        "worker": "2GB",
    },
    "attention-unet, 1024, large (5 m), a worker of 2 GB, 2 threads": {
        "chunk": 1024,
        "worker": "2GB",
        "threads": 2,
        **LARGE,
    },
    "attention-unet, 1024, large (5 m), a worker of 4 GB, 8 threads": {
        "chunk": 1024,
        "worker": "4GB",
        "threads": 8,
        **LARGE,
    },
}
"""Name -> what is asked for."""
OFF = 0.25
"""Share by which the projected peak may be off the measured one."""


def _peak() -> int:
    """Greatest resident memory of this process so far, bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    raise SystemExit("this system does not tell a process's peak memory")


def _one(told: dict[str, Any]) -> dict[str, Any]:
    """Map in this process, or on one worker of a given size; what was planned and what it took."""
    import sarmap

    worker, threads = told.pop("worker", None), told.pop("threads", 4)
    started = time.perf_counter()
    request = sarmap.MapRequest(**told)
    if worker is None:
        result = sarmap.map_landslides(request)
        peak = _peak()
    else:
        from sarmap.cluster.opening import open_client
        from sarmap.cluster.specification import Local

        with open_client(
            Local(workers=1, threads=threads, memory=worker, dashboard=None)
        ) as client:
            first = set(client.scheduler_info()["workers"])
            result = sarmap.map_landslides(request, client)
            peak = max(client.run(_peak).values())
            if set(client.scheduler_info()["workers"]) != first:
                raise SystemExit("the worker was killed on the way")
    return {
        "pixels": result.pixels,
        "blocks": result.plan.blocks,
        "projected": result.plan.peak_memory,
        "measured": peak,
        "seconds": time.perf_counter() - started,
    }


def _row(name: str, asked: dict[str, Any], stage: Any, folder: Path) -> float:
    """Measure one case and print it; returns projected over measured."""
    told = {
        "area": stage.event.area,
        "event": stage.event.event,
        "catalog": stage.server.url,
        "orbit": "ascending",
        "out": str(folder / "map.zarr"),
        "overwrite": True,
    }
    ended = subprocess.run(
        [sys.executable, __file__, "--told", json.dumps(told | asked)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        raise SystemExit(f"{name}: the map left with {ended.returncode}")
    found = json.loads(ended.stdout.splitlines()[-1])
    ratio = float(found["projected"] / found["measured"])
    print(
        f"| {name} | {found['pixels'] / 1e6:.1f} | {found['blocks']} | "
        f"{found['projected'] / 1e9:.2f} | {found['measured'] / 1e9:.2f} | {ratio:.2f} | "
        f"{found['seconds']:.0f} |",
        flush=True,
    )
    return ratio


def main() -> int:
    """Measure the cases and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--event", type=Path, help="folder of a simulated event")
    parser.add_argument("--only", default="", help="word in the names of the cases to be measured")
    parser.add_argument("--told", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.told:
        print(json.dumps(_one(json.loads(given.told))))
        return 0
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from survival.stage import staged

    print("| case | Mpx | blocks | projected GB | measured GB | ratio | s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with (
        tempfile.TemporaryDirectory(prefix="sarmap-memory-") as folder,
        staged(Path(folder), given.event, None) as stage,
    ):
        ratios = [
            _row(name, asked, stage, Path(folder))
            for name, asked in CASES.items()
            if given.only in name
        ]
    return 0 if all(abs(ratio - 1) <= OFF for ratio in ratios) else 1


if __name__ == "__main__":
    sys.exit(main())
