"""A real `dask scheduler` and real `dask worker`s: processes and folders of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

LOOPBACK = ("--host", "127.0.0.1")


def _dask(python: str, program: str, *words: str) -> list[str]:
    # `-m dask` would first load the command lines of all of Dask's relatives
    return [python, "-m", f"distributed.cli.dask_{program}", *words, "--no-dashboard"]


def _worker(python: str, scheduler: str, home: Path, threads: int) -> list[str]:
    size = ("--nthreads", str(threads), "--name", home.name)
    scratch = ("--local-directory", str(home / "scratch"))
    return _dask(python, "worker", scheduler, "--no-nanny", *LOOPBACK, *size, *scratch)


def _listed(scheduler: str, workers: int) -> bool:
    from distributed import Client

    with Client(scheduler, timeout=60, set_as_default=False) as client:
        return len(client.scheduler_info(n_workers=-1)["workers"]) >= workers


@contextmanager
def start_cluster(
    processes: ModuleType,
    folder: Path,
    *,
    pythons: Sequence[str] = (sys.executable, sys.executable),
    threads: int = 1,
    env: Mapping[str, str] | None = None,
    models: Path | None = None,
) -> Iterator[str]:
    """Address of a scheduler with one worker for each of `pythons`, until the block ends.

    Each worker starts in an empty folder of its own, with a cache of its own there: it shares no
    file with its neighbours or with the client, but for the converted `models`, where they are
    given.
    """
    port = processes.free_port()
    address = f"tcp://127.0.0.1:{port}"
    with ExitStack() as stack:
        stack.enter_context(
            processes.running(
                _dask(sys.executable, "scheduler", *LOOPBACK, "--port", str(port)),
                lambda: processes.listens(port),
                folder / "scheduler.log",
                cwd=folder,
            )
        )
        for number, python in enumerate(pythons):
            home = folder / f"worker-{number}"
            (home / "cache").mkdir(parents=True)
            if models is not None:
                (home / "cache" / "models").symlink_to(models, target_is_directory=True)
            stack.enter_context(
                processes.running(
                    _worker(python, address, home, threads),
                    lambda wanted=number + 1: _listed(address, wanted),  # type: ignore[misc]
                    folder / f"worker-{number}.log",
                    cwd=home,
                    env={"SARMAP_CACHE": str(home / "cache"), **(env or {})},
                )
            )
        yield address
