"""Fuzz what strangers may write: request files, STAC items, elevation items, places.

Atheris draws the inputs, guided by which code they reach; the targets, and what they may not do,
stand in `tests/safety/fuzz_targets.py`. An input may be accepted, or refused by one of sarmap's
errors; all else is kept, once per place in the code, and makes the exit code 1::

    pip install -e '.[fuzz]'
    python tools/fuzz.py --inputs 100000
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import subprocess
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
INSTRUMENTED = ["sarmap.acquire", "sarmap.net", "sarmap.request_file", "sarmap.store.provenance"]
INSTRUMENTED += ["sarmap.types"]


def load_targets() -> ModuleType:
    """The module of targets."""
    name = "sarmap_tests_safety_fuzz_targets"
    file = ROOT / "tests" / "safety" / "fuzz_targets.py"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


class Bytes:
    """Draws from atheris's bytes."""

    def __init__(self, provider: Any) -> None:
        self.provider = provider

    def integer(self, low: int, high: int) -> int:
        """A whole number from low to high."""
        return int(self.provider.ConsumeIntInRange(low, high))

    def text(self) -> str:
        """Some text, surrogates included."""
        return str(self.provider.ConsumeUnicode(self.provider.ConsumeIntInRange(0, 40)))


class Harness:
    """Runs inputs of one target and keeps what should not have happened."""

    def __init__(self, targets: ModuleType, name: str, folder: Path, keep: Path) -> None:
        self.targets = targets
        self.name = name
        self.folder = folder
        self.keep = keep
        self.counts: Counter[str] = Counter()
        self.found: dict[str, bytes] = {}
        self.started = time.perf_counter()

    def run(self, data: bytes) -> None:
        """One input."""
        import atheris

        draw = Bytes(atheris.FuzzedDataProvider(data))
        self.counts["inputs"] += 1
        try:
            self.counts[
                self.targets.try_input(self.targets.TARGETS[self.name], draw, self.folder)
            ] += 1
        except (Exception, self.targets.Hung, self.targets.Forbidden) as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            mark = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
            if mark not in self.found:
                self.found[mark] = data
                self.keep.mkdir(parents=True, exist_ok=True)
                stem = self.keep / f"{self.name}-{len(self.found)}"
                stem.with_suffix(".bin").write_bytes(data)
                stem.with_suffix(".txt").write_text(
                    f"{mark}\n{''.join(traceback.format_exception(error))}",
                    encoding="utf-8",
                    errors="backslashreplace",
                )

    def report(self) -> dict[str, Any]:
        """What was tried and what was found."""
        return {
            "target": self.name,
            **{key: self.counts[key] for key in ("inputs", "accepted", "refused")},
            "found": sorted(self.found),
            "seconds": round(time.perf_counter() - self.started, 1),
        }


def run_target(name: str, inputs: int, seed: int, keep: Path) -> None:
    """Fuzz one target in this process; atheris ends it."""
    try:
        import atheris
    except ImportError:
        sys.exit("fuzzing needs atheris: pip install 'sarmap[fuzz]'")
    with atheris.instrument_imports(include=INSTRUMENTED):
        targets = load_targets()
    with targets.watched() as folder:
        harness = Harness(targets, name, folder, keep)

        def one(data: bytes) -> None:
            harness.run(data)
            if harness.counts["inputs"] >= inputs:
                print(json.dumps(harness.report()), flush=True)
                os._exit(1 if harness.found else 0)

        first = folder / "first"
        first.mkdir()
        draws = random.Random(seed)
        for number in range(200):  # an empty corpus would draw nothing but zeros for long
            (first / str(number)).write_bytes(draws.randbytes(draws.randint(20, 600)))
        options = [f"-runs={inputs + 1000}", f"-seed={seed}", "-max_len=600", "-verbosity=0"]
        options += ["-rss_limit_mb=6000", "-timeout=60", "-len_control=0", str(first)]
        atheris.Setup([sys.argv[0], *options], one)
        atheris.Fuzz()


def main() -> int:
    """Fuzz every target, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=100_000, help="inputs in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", help="one target only: request, item, elevation, geometry")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-found"), help="where finds go")
    given = parser.parse_args()
    if given.target:
        run_target(given.target, given.inputs, given.seed, given.keep.resolve())
        return 0
    names = list(load_targets().TARGETS)
    code = 0
    for name in names:
        words = ["--target", name, "--inputs", str(-(-given.inputs // len(names)))]
        words += ["--seed", str(given.seed), "--keep", str(given.keep)]
        code |= subprocess.run([sys.executable, __file__, *words], check=False).returncode
    return 1 if code else 0


if __name__ == "__main__":
    sys.exit(main())
