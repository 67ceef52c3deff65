"""Kill -9 at random moments, the same again, and the map byte for byte as if undisturbed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil

from sarmap.store.block_progress import read_progress
from survival.stage import Stage, differences, done_blocks, objects


@dataclass
class Tally:
    """What was done to the runs, and what it did to the maps."""

    kills: int = 0
    """Processes that were killed."""
    midway: int = 0
    """Kills of a client after which some blocks of the map were done, and some were not."""
    runs: int = 0
    """Commands started."""
    maps: int = 0
    """Maps that were finished, all of them compared."""
    blocks: int = 0
    """Blocks of these maps."""
    lost: int = 0
    """Blocks that were done before a kill, and not after it."""
    different: list[str] = field(default_factory=list)
    """Stored objects that are not what an undisturbed run makes."""
    undisturbed_seconds: float = 0.0

    def record(self) -> Mapping[str, Any]:
        """All figures."""
        return asdict(self)

    @property
    def good(self) -> bool:
        """True where nothing was lost, and no byte differs."""
        return not self.lost and not self.different and self.maps > 0


def kill_clients(stage: Stage, times: int, seed: int, flags: tuple[str, ...] = ()) -> Tally:
    """Kill the client `times` times, each at a random moment, resuming until maps are finished."""
    draw, tally = random.Random(seed), Tally()
    reference = str(stage.folder / "undisturbed.zarr")
    tally.undisturbed_seconds = round(stage.run(reference, *flags), 1)
    wanted = objects(reference)
    while tally.kills < times:
        out = str(stage.folder / f"killed-{tally.maps}.zarr")
        _one_map(stage, out, flags, draw, times, tally)
        tally.maps += 1
        tally.blocks += read_progress(out).total
        tally.different += differences(objects(out), wanted)
        shutil.rmtree(out)
    return tally


def _one_map(
    stage: Stage,
    out: str,
    flags: tuple[str, ...],
    draw: random.Random,
    times: int,
    tally: Tally,
) -> None:
    """Run, kill and resume until one map is finished."""
    known: set[tuple[int, int]] = set()
    while read_progress(out).status != "finished":
        tally.runs += 1
        with subprocess.Popen(
            stage.command(out, "--resume", *flags),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as client:
            killed = tally.kills < times and _kill(client, out, draw, tally.undisturbed_seconds)
            said = client.stderr.read().decode() if client.stderr else ""
        if killed:
            tally.kills += 1
            after = done_blocks(out)
            tally.lost += len(known - after)
            known = after
            tally.midway += bool(0 < len(after) < read_progress(out).total)
        elif client.returncode != 0:
            raise SystemExit(f"a resumed run left with {client.returncode}: {said[-2000:]}")


def _kill(
    client: subprocess.Popen[bytes], out: str, draw: random.Random, undisturbed: float
) -> bool:
    """Kill a client and all it started; False where it ended before.

    Every other kill falls at a random second, from start-up to the end; the others while blocks are
    being stored, which takes but a part of a run: once a random number of them is done.
    """
    end = time.monotonic() + draw.uniform(0.05, 1.0) * undisturbed
    progress = read_progress(out)
    count = draw.randint(progress.done, progress.total - 1) if progress.total else 0
    by_count = draw.random() < 0.5
    while client.poll() is None:
        if len(done_blocks(out)) > count if by_count else time.monotonic() > end:
            os.killpg(client.pid, signal.SIGKILL)
            client.wait()
            return True
        time.sleep(0.02)
    return False


def kill_workers(
    stage: Stage, times: int, seed: int, every: float, flags: tuple[str, ...] = ()
) -> Tally:
    """Kill workers of a local cluster under running maps, until `times` of them are dead."""
    draw, tally = random.Random(seed), Tally()
    reference = str(stage.folder / "undisturbed.zarr")
    tally.undisturbed_seconds = round(stage.run(reference, *flags), 1)
    wanted = objects(reference)
    while tally.kills < times:
        out = str(stage.folder / f"worker-{tally.maps}.zarr")
        tally.runs += 1
        with subprocess.Popen(
            stage.command(out, "--cluster", "local:2", *flags),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as client:
            while client.poll() is None:
                time.sleep(draw.uniform(0.5, 1.5) * every)
                begun = read_progress(out).status == "unfinished"
                if begun and tally.kills < times and _kill_a_worker(client.pid, draw):
                    tally.kills += 1
            said = client.stderr.read().decode() if client.stderr else ""
        if client.returncode != 0:
            raise SystemExit(
                f"a run that lost workers left with {client.returncode}: {said[-3000:]}"
            )
        tally.maps += 1
        tally.blocks += read_progress(out).total
        tally.different += differences(objects(out), wanted)
        shutil.rmtree(out)
    return tally


def _kill_a_worker(client: int, draw: random.Random) -> bool:
    """Kill -9 one worker process of a client's local cluster; False where there is none now."""
    workers = worker_processes(client)
    if not workers:
        return False
    try:
        draw.choice(workers).kill()
    except psutil.Error:
        return False
    return True


def worker_processes(client: int) -> list[psutil.Process]:
    """Worker processes of a local cluster: what its nannies spawned."""
    try:
        children = psutil.Process(client).children(recursive=True)
    except psutil.Error:
        return []
    found = []
    for child in children:
        try:
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    return sorted(found, key=lambda one: one.pid)
