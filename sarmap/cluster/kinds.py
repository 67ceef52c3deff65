"""How each kind of cluster is opened, and one sentence for each way in which that can fail."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from sarmap.cluster.specification import Address, Coiled, Gateway, Jobs, Kubernetes, Local, Ssh, Tls
from sarmap.errors import ClusterError, RequestError

if TYPE_CHECKING:
    from distributed import Client

_SECURED = ("tls://", "wss://")
ANSWER = 15.0
"""Seconds in which a scheduler that runs answers."""


@contextmanager
def local_client(asked: Local, *, quiet: bool = True) -> Iterator[Client]:
    """Worker processes on this machine; everything listens on loopback alone."""
    from distributed import Client, LocalCluster

    workers, threads, memory = local_sizes(asked)
    with large_arrays_reused():
        try:
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=threads,
                memory_limit=memory,
                host="127.0.0.1",
                dashboard_address=asked.dashboard,
                silence_logs=logging.CRITICAL if quiet else logging.INFO,
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise ClusterError(
                f"{workers} worker processes could not be started on this machine "
                f"({type(error).__name__}): ask for fewer, such as --cluster local:1."
            ) from error
        with cluster, Client(cluster) as client:
            yield client


def local_sizes(asked: Local) -> tuple[int, int, int]:
    """Workers, threads of each and bytes of each on this machine.

    Reads wait for the network and want many threads; the network wants the cores and no more, which
    `sarmap.cluster.plugin` sees to. Few processes with many threads serve both.
    """
    from dask.system import CPU_COUNT
    from dask.utils import parse_bytes
    from distributed.system import MEMORY_LIMIT

    cores = int(CPU_COUNT)
    workers = asked.workers or min(cores, max(2, cores // 4))
    threads = asked.threads or max(4, -(-2 * cores // workers))
    if asked.memory is None:
        return workers, threads, int(MEMORY_LIMIT) // workers
    try:
        return workers, threads, int(parse_bytes(asked.memory))
    except ValueError:
        raise RequestError(
            f"memory: {asked.memory!r} of a local cluster is not a size: write it like 4GB."
        ) from None


@contextmanager
def scheduler_client(asked: Address) -> Iterator[Client]:
    """A client of a scheduler that runs already."""
    from distributed import Client

    security = _security(asked)
    try:
        _await_scheduler(asked, security)
        client = Client(asked.address, security=security, timeout=ANSWER)
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterError(_unanswered(asked.address, error)) from error
    with client:
        _await_workers(client, asked.wait, f"the scheduler at {asked.address}")
        yield client


def _await_scheduler(asked: Address, security: Any) -> None:
    """Shake hands: at once with one that runs, or with one that is still to come if `wait` says so.

    Dask's own tries become so rare in minutes that a new scheduler would be seen late: many short
    ones instead.
    """
    from distributed.comm.core import FatalCommClosedError

    seconds = asked.wait if "wait" in asked.model_fields_set else ANSWER
    end = time.monotonic() + seconds
    while True:
        try:
            return _greet(asked.address, security, min(seconds, ANSWER))
        except FatalCommClosedError:  # certificates that do not fit
            raise
        except (OSError, TimeoutError):
            if time.monotonic() >= end:
                raise


def _greet(address: str, security: Any, seconds: float) -> None:
    """Shake hands with a scheduler, within a time.

    Dask's client waits for ever where something else listens, takes the connection and says
    nothing. On a thread of its own, since a notebook's already has an event loop.
    """
    from distributed.comm.core import connect

    arguments = security.get_connection_args("client") if security is not None else {}

    async def greet() -> None:
        comm = await asyncio.wait_for(connect(address, timeout=seconds, **arguments), seconds)
        comm.abort()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, greet()).result()


def _security(asked: Address) -> Any:
    """Certificates for a scheduler that speaks TLS, None for one that does not; RequestError for
    `tls://` without certificates, or with files that are not there.
    """
    from distributed.security import Security

    secured = asked.address.startswith(_SECURED)
    if asked.tls is not None:
        if not secured:
            raise RequestError(
                "Certificates were given for an address without TLS: write it as tls://host:port."
            )
        missing = asked.tls.missing()
        if missing:
            raise RequestError(f"The file of tls.{missing} is not there: check its path.")
        return _usable(_certified(asked.tls))
    if not secured:
        return None
    configured: Any = Security(require_encryption=True)
    if not configured.tls_ca_file or not configured.tls_client_cert:
        raise RequestError(
            "A tls:// scheduler needs certificates: give --cluster a YAML file with `tls:` "
            "(ca_file, cert, key), or set distributed.comm.tls in Dask's configuration."
        )
    return _usable(configured)


def _usable(security: Any) -> Any:
    """Certificates that can be read as such."""
    try:
        security.get_connection_args("client")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise RequestError(
            f"The certificates for TLS cannot be used ({type(error).__name__}): check that "
            "tls.ca_file, tls.cert and tls.key are PEM files that belong together."
        ) from error
    return security


def _certified(tls: Tls) -> Any:
    from pathlib import Path

    from distributed.security import Security

    files = {
        name: str(Path(value).expanduser().resolve())
        for name, value in tls.model_dump().items()
        if value is not None
    }
    return Security(
        require_encryption=True,
        tls_ca_file=files["ca_file"],
        tls_client_cert=files["cert"],
        tls_client_key=files.get("key"),
    )


def _unanswered(address: str, error: BaseException) -> str:
    """The sentence for a scheduler that does not answer, with the likeliest cause."""
    hint = (
        "check the certificates, and that the scheduler speaks TLS"
        if address.startswith(_SECURED)
        else "check that it runs there, and whether it wants tls:// with certificates"
    )
    return f"The scheduler at {address} does not answer ({type(error).__name__}): {hint}."


def _await_workers(client: Client, seconds: float, place: str) -> None:
    try:
        client.wait_for_workers(1, timeout=seconds)
    except TimeoutError as error:
        raise ClusterError(
            f"No worker came to {place} within {seconds:g} s: start some, look at its queue and "
            "logs, or wait longer (`wait` in the cluster's YAML file)."
        ) from error


@contextmanager
def started_client(asked: Any) -> Iterator[Client]:
    """A cluster of a scheduler of jobs, pods or machines, with a client of it."""
    with ExitStack() as stack:
        cluster = _start(asked, stack)
        client = stack.enter_context(_connect(cluster, asked))
        _scale(cluster, asked)
        place = f"the {asked.type} cluster"
        _await_workers(client, asked.wait, place)
        yield client


def _start(asked: Any, stack: ExitStack) -> Any:
    """Call the library's own constructor; its exceptions become sentences."""
    builder = _BUILDERS[type(asked)]
    try:
        cluster = builder(asked)
        stack.callback(_leave, cluster, asked)
    except (RequestError, ClusterError):
        raise
    except Exception as error:
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if unknown is not None:
            raise RequestError(
                f"The {asked.type} cluster does not know the option {unknown[1]!r}: name its "
                "options as its library's documentation does."
            ) from error
        raise ClusterError(
            f"The {asked.type} cluster could not be started ({type(error).__name__}): run "
            "`sarmap --debug ...` to see what its library says."
        ) from error
    return cluster


def _leave(cluster: Any, asked: Any) -> None:
    """Stop what was started here; let go of what was not."""
    if getattr(asked, "existing", False) or (isinstance(asked, Gateway) and asked.name):
        cluster.close(**({"shutdown": False} if isinstance(asked, Gateway) else {}))
        return
    cluster.close()


def _connect(cluster: Any, asked: Any) -> Any:
    try:
        return cluster.get_client()
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterError(
            f"The scheduler of the {asked.type} cluster does not answer "
            f"({type(error).__name__}): look at its logs."
        ) from error


def _scale(cluster: Any, asked: Any) -> None:
    adapt, workers = getattr(asked, "adapt", None), getattr(asked, "workers", None)
    if adapt is not None:
        cluster.adapt(minimum=adapt.minimum, maximum=adapt.maximum)
    elif workers is not None and not isinstance(asked, Coiled):
        cluster.scale(workers)


def _needed(module: str, package: str, extra: str) -> Any:
    """A module of an optional package, or the sentence that says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise RequestError(
            f'This cluster needs {package}, which is not installed: pip install "sarmap[{extra}]".'
        ) from error


def _gateway(asked: Gateway) -> Any:
    library = _needed("dask_gateway", "dask-gateway", "gateway")
    place = {
        name: value
        for name in ("address", "proxy_address", "auth")
        if (value := getattr(asked, name)) is not None
    }
    if asked.name is None:
        return library.GatewayCluster(**place, shutdown_on_close=True, **asked.options)
    return library.Gateway(**place).connect(asked.name, shutdown_on_close=False)


def _kubernetes(asked: Kubernetes) -> Any:
    library = _needed("dask_kubernetes.operator", "dask-kubernetes", "kubernetes")
    place = {"namespace": asked.namespace} if asked.namespace else {}
    if asked.existing:
        return library.KubeCluster.from_name(asked.name, **place, shutdown_on_close=False)
    named = {"name": asked.name} if asked.name else {}
    manifest = {"custom_cluster_spec": asked.manifest} if asked.manifest else {}
    return library.KubeCluster(
        **place, **named, **manifest, **{"shutdown_on_close": True, "quiet": True, **asked.options}
    )


def _jobs(asked: Jobs) -> Any:
    library = _needed("dask_jobqueue", "dask-jobqueue", "jobqueue")
    make = library.SLURMCluster if asked.type == "slurm" else library.PBSCluster
    words = list(asked.options.get("worker_extra_args") or ())
    if not any("dashboard" in word for word in words):
        words.append("--no-dashboard")
    changed = {"scheduler_options": _scheduler_options(asked), "worker_extra_args": words}
    return make(**{**asked.options, **changed})


def _coiled(asked: Coiled) -> Any:
    library = _needed("coiled", "coiled", "coiled")
    named = {"name": asked.name} if asked.name else {}
    sized = {"n_workers": asked.workers} if asked.workers else {}
    return library.Cluster(**named, **sized, **asked.options)


def _ssh(asked: Ssh) -> Any:
    _needed("asyncssh", "asyncssh", "ssh")
    from distributed import SSHCluster

    workers = {"dashboard": False, **(asked.options.get("worker_options") or {})}
    changed = {"scheduler_options": _scheduler_options(asked), "worker_options": workers}
    return SSHCluster(list(asked.hosts), **{**asked.options, **changed})


def _scheduler_options(asked: Any) -> Mapping[str, Any]:
    """As asked, with the dashboard on loopback unless asked otherwise."""
    given = asked.options.get("scheduler_options") or {}
    return {"dashboard_address": "127.0.0.1:8787", **given}


_BUILDERS: Mapping[type, Callable[[Any], Any]] = {
    Gateway: _gateway,
    Kubernetes: _kubernetes,
    Jobs: _jobs,
    Coiled: _coiled,
    Ssh: _ssh,
}


# --- memory given back ----------------------------------------------------------------------------


SETTINGS = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(32 * 2**20),
    "MALLOC_ARENA_MAX": "2",
}
"""Environment of a worker process, read by glibc when it starts: bytes, bytes, heaps."""


@contextmanager
def large_arrays_reused() -> Iterator[None]:
    """Processes that are started meanwhile have `SETTINGS` in their environment.

    What the environment has already counts more, but for Dask's own setting: an earlier nanny of
    this process leaves it behind. Afterwards the environment is as it was.

    >>> import os
    >>> with large_arrays_reused():
    ...     os.environ["MALLOC_MMAP_THRESHOLD_"]
    '33554432'
    """
    import dask
    import distributed  # noqa: F401  (its configuration)

    dasks = dask.config.get("distributed.nanny.pre-spawn-environ")
    before = {name: os.environ.get(name) for name in SETTINGS}
    for name, value in SETTINGS.items():
        if before[name] in (None, str(dasks.get(name))):
            os.environ[name] = value
    try:
        yield
    finally:
        for name, there in before.items():
            if there is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = there
