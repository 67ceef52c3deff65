"""One context manager for every kind of cluster: open a client, and close what was opened.

Nothing but the command line opens clients; the package takes one (`map_landslides(client=...)`).
"""

from __future__ import annotations

import importlib.util
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask

from sarmap.cluster.specification import Address, Local, Threads, read_cluster
from sarmap.errors import OutputError, RequestError

if TYPE_CHECKING:
    from distributed import Client

Say = Callable[[str], None]


@contextmanager
def open_client(
    spec: Any = None,
    *,
    performance_report: str | Path | None = None,
    say: Say | None = None,
    quiet: bool = True,
) -> Iterator[Client | None]:
    """A Dask client for what `--cluster` says (as `sarmap.cluster.specification.read_cluster` takes
    it, or what it gave), or None for threads of this process.

    What was opened here is closed on the way out, whatever happens: a cluster that was started is
    stopped, one that ran already is left running. Dask's account of the run goes into
    `performance_report`, HTML; `say` is called with one line per thing a user should know, such as
    the dashboard's address; `quiet` keeps Dask's own log lines out of the terminal.

    Raises RequestError where the specification is wrong, or a package that it needs is not
    installed; ClusterError where the scheduler does not answer, or no worker came in time.
    """
    cluster = read_cluster(spec) if spec is None or isinstance(spec, str | Path) else spec
    if isinstance(cluster, Threads):
        if performance_report is not None:
            raise RequestError(
                "A performance report needs a cluster: give --cluster too, such as local."
            )
        # asked to choose a way between workers, Dask imports its cluster, half a map's libraries
        with dask.config.set({"array.rechunk.method": "tasks"}):
            yield None
        return

    if performance_report is not None:
        check_report(performance_report)
    with ExitStack() as stack:
        if quiet:
            stack.enter_context(_quiet())
        client = stack.enter_context(_opened(cluster, quiet))
        _tell(client, say)
        if performance_report is not None:
            stack.enter_context(reporting(performance_report))
        yield client


def _opened(cluster: Any, quiet: bool) -> Any:
    """The context manager that opens one kind of cluster."""
    from sarmap.cluster import kinds

    if isinstance(cluster, Local):
        return kinds.local_client(cluster, quiet=quiet)
    if isinstance(cluster, Address):
        return kinds.scheduler_client(cluster)
    return kinds.started_client(cluster)


def _tell(client: Client, say: Say | None) -> None:
    """The dashboard's address, where there is one."""
    link = client.dashboard_link
    if say is not None and link:
        say(f"dashboard {link}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask's own notes and tracebacks stay out of the terminal: what matters is said in a sentence.

    Levels and filters are put back.
    """
    import distributed  # noqa: F401  sets levels when first imported

    names = ["asyncio", "distributed", "tornado.application"]
    names += [name for name in logging.root.manager.loggerDict if name.startswith("distributed.")]
    levels = {logger: logger.level for logger in map(logging.getLogger, names)}
    for logger in levels:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"distributed(\.|$)")
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


# --- a performance report -------------------------------------------------------------------------


def check_report(file: str | Path) -> None:
    """Refuse, before any work, a report that could not be written: RequestError where the package
    that draws it is not installed, OutputError where its folder does not take files.
    """
    if importlib.util.find_spec("bokeh") is None:
        raise RequestError(
            "A performance report is drawn with bokeh, which is not installed: "
            'pip install "sarmap[dashboard]".'
        )
    path = Path(file).expanduser()
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise OutputError(f"The performance report {path.name} cannot be written in its folder.")


@contextmanager
def reporting(file: str | Path) -> Iterator[None]:
    """Keep a performance report of what the current client computes inside the `with` block."""
    from distributed import performance_report

    # One frame is the smallest extract of the calling code that Dask writes: that is this function.
    with performance_report(filename=str(Path(file).expanduser()), stacklevel=1):
        yield
