"""What every worker of a map does first: prove that it fits, and keep its engine to its cores.

Registered with the scheduler, so that workers which join later, or are started again, do the same
before they take work.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from distributed.core import Status
from distributed.diagnostics.plugin import WorkerPlugin
from distributed.protocol import pickle

from sarmap.errors import ClusterError, RequestError, SarmapError
from sarmap.net.signing import adopt, signed_records
from sarmap.store.location import is_url, store_at
from sarmap.store.objects import delete, get, put

if TYPE_CHECKING:
    from distributed import Client


def engine_threads(threads: int, cores: int, neighbours: int) -> int:
    """Threads that one worker's engine may use, of its Dask threads, the cores that its process may
    use (affinity and cgroup limits are in it), and the workers on its machine, itself included.

    Reads wait, so workers may have far more Dask threads than there are cores; the engines of all
    workers of a machine together must not.

    >>> engine_threads(threads=16, cores=8, neighbours=2)
    4
    >>> engine_threads(threads=1, cores=8, neighbours=2)
    1
    """
    return max(1, min(threads, cores // max(neighbours, 1)))


class MapPlugin(WorkerPlugin):
    """Checks one worker for one map, makes its weights ready and sets its engine's threads.

    Where a worker does not fit, one that was there when the map started is told to the client; one
    that came later is closed, and the map goes on without it.
    """

    name = "sarmap-map"

    def __init__(self, job: Job, workers: Collection[str]) -> None:
        self.job = job
        self.workers = frozenset(workers)
        hosts = Counter(_host(address) for address in workers)
        self.neighbours = dict(hosts)

    async def setup(self, worker: Any) -> None:
        """Called on the worker, now or when it joins.

        Raises
        ------
        ClusterError
            It does not fit, and why.
        """
        from dask.system import CPU_COUNT

        from sarmap.detect.hardware import allow_cores

        neighbours = self.neighbours.get(_host(worker.address), 1)
        allow_cores(engine_threads(worker.state.nthreads, CPU_COUNT, neighbours))
        trouble = await asyncio.to_thread(self.job.trouble)
        if trouble is None:
            return
        if worker.address not in self.workers:
            worker.status = Status.paused
            worker.loop.add_callback(worker.close, nanny=True, reason=trouble)
        raise ClusterError(f"Worker {worker.address} {trouble}.")

    def teardown(self, worker: Any) -> None:
        """Called on the worker when the map is made: a worker may be a thread of this process."""
        from sarmap.detect.hardware import allow_cores

        allow_cores(None)


@dataclass(frozen=True)
class Job:
    """What a worker of one map must have."""

    versions: Mapping[str, str]
    """Package -> version, as the client has them."""
    place: MeetingPlace
    """Where the result goes."""
    detector: bytes
    """The detector, pickled: a handle, never its weights."""
    signed: Mapping[str, str] = field(default_factory=signed_records, repr=False)
    """Addresses that records of the client's catalogue gave signed: kept in memory alone."""

    def trouble(self) -> str | None:
        """Why this process cannot take part, as the end of a sentence; None: it can."""
        adopt(self.signed)
        other = difference(self.versions, own_versions(self.versions))
        if other is not None:
            return f"has {other}"
        return self.place.trouble() or self._detector_trouble()

    def _detector_trouble(self) -> str | None:
        try:
            detector = pickle.loads(self.detector)
            find = getattr(detector, "find_weights", None)
            if find is not None:
                find()
        except SarmapError as error:
            return f"cannot use the detector: {str(error).removesuffix('.')}"
        except Exception as error:  # whatever a user's own class raises
            return (
                f"cannot unpack the detector ({type(error).__name__}): install its module on every "
                "worker, or define it in the script that makes the map"
            )
        return None


def _host(address: str) -> str:
    """The machine in a worker's address.

    >>> _host("tls://10.0.0.7:40123")
    '10.0.0.7'
    """
    return address.rsplit("://", 1)[-1].rsplit(":", 1)[0]


# --- where workers meet ---------------------------------------------------------------------------


_PAUSES = (0.0, 0.5, 1.0)
"""Seconds before each look: shared file systems may show a new file a moment later."""


@dataclass(frozen=True)
class MeetingPlace:
    """Where the token lies and what it says; travels to workers."""

    folder: str
    """Folder or URL that the result lies in."""
    name: str
    """Of the token, in that folder."""
    token: str
    """What it says."""
    shown: str
    """The result, as an error may name it."""

    def trouble(self) -> str | None:
        """Why this process cannot write the result, as the end of a sentence; None: it can."""
        reason = "does not see"
        for pause in _PAUSES:
            time.sleep(pause)
            try:
                if get(store_at(self.folder), self.name) == self.token.encode():
                    return None
            except Exception as error:  # any store's own, which has tried again itself
                reason = f"cannot reach ({type(error).__name__})"
                break
        return (
            f"{reason} the place of {self.shown}: give an `out` that all workers see, such as "
            "s3://bucket/map.zarr with its endpoint and credentials in every worker's environment, "
            "or a folder that they share"
        )


@contextmanager
def meeting_place(out: str) -> Iterator[MeetingPlace]:
    """A token beside a result for as long as the `with` block lasts; ClusterError where it cannot
    be written, RequestError where the result would lie in the memory of one process.
    """
    if out.startswith("memory://"):
        raise RequestError(
            "out=memory:// is the memory of one process, which a cluster's workers do not share: "
            "give a folder or an s3:// address."
        )
    place = _place(out)
    try:
        put(store_at(place.folder), place.name, place.token.encode())
    except Exception as error:
        raise ClusterError(
            f"A token for the workers cannot be written beside {place.shown} "
            f"({type(error).__name__}): choose another `out`."
        ) from error
    try:
        yield place
    finally:
        with suppress(Exception):  # a token left behind does no harm
            delete(store_at(place.folder), [place.name])


def _place(out: str) -> MeetingPlace:
    """Beside the result, so that nothing of it is touched; inside where it is a bucket's root."""
    from urllib.parse import urlsplit

    token = uuid.uuid4().hex
    if not is_url(out):
        path = store_at(out).root
        return MeetingPlace(str(path.parent), f".{path.name}.workers", token, path.name)
    parts = urlsplit(out.rstrip("/"))
    root = f"{parts.scheme}://{parts.netloc}"
    folder, _, name = parts.path.rpartition("/")
    shown = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
    return MeetingPlace(root + folder, f"{name}.workers", token, shown)


# --- versions -------------------------------------------------------------------------------------


SHARED = ("python", "sarmap", "dask", "distributed", "numpy", "xarray", "zarr")
"""What decides a map's bytes, or must agree for tasks to travel at all."""
ENGINES = {
    "openvino": ("openvino",),
    "tensorflow": ("tensorflow", "keras"),
    "keras": ("keras", "tensorflow", "jax", "torch"),
}
NAMES = {"tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-macos")}
"""What one package may be installed as."""


def needed_packages(engine: str | None) -> tuple[str, ...]:
    """Packages whose versions must agree, with those of the detector's engine.

    >>> needed_packages("openvino")[-1]
    'openvino'
    """
    return (*SHARED, *ENGINES.get(str(engine), ()))


def own_versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions in this process; Python's without its patch, 'none' for what is not installed."""
    from importlib.metadata import PackageNotFoundError, version
    from sys import version_info

    told: dict[str, str] = {"python": f"{version_info.major}.{version_info.minor}"}
    for name in _installed_as(packages):
        with suppress(PackageNotFoundError):
            told[name] = version(name)
    return {package: _version(package, told) for package in packages}


def _installed_as(packages: Iterable[str]) -> list[str]:
    """Names of distributions to ask for."""
    return [name for one in packages if one != "python" for name in NAMES.get(one, (one,))]


def _version(package: str, told: Mapping[str, Any]) -> str:
    """A package's version among what a process told, Python's without its patch, or 'none'."""
    names = NAMES.get(package, (package,))
    found = next((str(told[name]) for name in names if told.get(name)), "none")
    return ".".join(found.split(".")[:2]) if package == "python" else found


def difference(ours: Mapping[str, str], theirs: Mapping[str, Any]) -> str | None:
    """The first package in which they differ from us, in words; None: they do not.

    >>> difference({"zarr": "3.1.6", "python": "3.11"}, {"zarr": "3.1.5", "python": "3.11.7.final"})
    'zarr 3.1.5, the client zarr 3.1.6'
    >>> difference({"openvino": "2026.4"}, {"openvino": None})
    'no openvino, the client openvino 2026.4'
    """
    for package, version in ours.items():
        other = _version(package, theirs)
        if other != version:
            has = f"{package} {other}" if other != "none" else f"no {package}"
            return f"{has}, the client {package} {version}"
    return None


def check_versions(client: Client, engine: str | None) -> None:
    """Refuse a cluster of which any part runs other versions than this client: a ClusterError says
    which worker, which package, both versions.

    Asked through Dask itself, which reads package metadata: nothing of sarmap has to be there for
    the answer.
    """
    packages = needed_packages(engine)
    ours = own_versions(packages)
    told: Any = client.get_versions(packages=_installed_as(packages))
    shared = {name: ours[name] for name in SHARED}
    _refuse("The scheduler", difference(shared, _packages(told["scheduler"])))
    for address, answer in sorted(told["workers"].items()):
        _refuse(f"Worker {address}", difference(ours, _packages(answer)))


def _packages(answer: Any) -> Mapping[str, Any]:
    """What one process told; nothing where it did not answer."""
    return answer.get("packages", {}) if isinstance(answer, Mapping) else {}


def _refuse(who: str, what: str | None) -> None:
    if what is not None:
        raise ClusterError(
            f"{who} has {what}: install the same versions everywhere, so that every worker makes "
            "the same map."
        )
