"""Kill, starve and soak sarmap, and see that no block is lost. All on this machine.

    python tools/survive.py kills --times 20               # kill -9 the client, resume, compare
    python tools/survive.py workers --times 20 --every 4   # kill -9 workers under running maps
    python tools/survive.py soak --blocks 2000 --every 3   # workers, reads and storage, in turn

By default over a simulated event of the papers' size (3842 x 2346 px), which takes some minutes to
make; `--event FOLDER` takes one that is there (`sarmap simulate`), `--size 700x600` a smaller one.
Leaves with 1 where anything was lost or differs from an undisturbed run.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from survival.kills import kill_clients, kill_workers
from survival.soak import soak
from survival.stage import report, staged


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trial", choices=["kills", "workers", "soak"])
    parser.add_argument("--times", type=int, default=20, help="kills in all")
    parser.add_argument("--every", type=float, default=3.0, help="seconds between faults")
    parser.add_argument("--blocks", type=int, default=2000, help="blocks of a soak")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="end a soak after the map at hand then"
    )
    parser.add_argument(
        "--strip", type=int, default=0, help="rows of a strip, at 1 m, that a soak maps; 0: all"
    )
    parser.add_argument("--kinds", default="worker,read,store", help="faults of a soak")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--event", type=Path, help="folder of a simulated event")
    parser.add_argument("--size", help="rows x columns of an event made for it, such as 700x600")
    parser.add_argument("--delay-ms", type=float, default=50.0, help="added to every read")
    parser.add_argument("--detector", default="log-ratio")
    parser.add_argument("--chunk", default="512")
    parser.add_argument("flags", nargs="*", help="further flags of `sarmap map`, after --")
    return parser.parse_args()


def main() -> int:
    """Run one trial and print its figures."""
    given = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # end what was started, too
    size = None
    if given.size:
        rows, columns = map(int, given.size.split("x"))
        size = (rows, columns)
    with (
        tempfile.TemporaryDirectory(prefix="sarmap-survive-") as folder,
        staged(Path(folder), given.event, size, given.delay_ms / 1000) as stage,
    ):
        stage.flags = ("--detector", given.detector, "--chunk", given.chunk, *given.flags)
        if given.trial == "kills":
            tally = kill_clients(stage, given.times, given.seed)
        elif given.trial == "workers":
            tally = kill_workers(stage, given.times, given.seed, given.every)
        else:
            kinds = given.kinds.split(",")
            tally = soak(
                stage, given.blocks, given.every, kinds, given.seed, given.strip, given.minutes
            )
        report(tally.record())
    return 0 if tally.good else 1


if __name__ == "__main__":
    sys.exit(main())
