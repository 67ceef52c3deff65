"""Do the workers run what the client runs? If not: which worker, which package, both versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sarmap.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client

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
    """Refuse a cluster of which any part runs other versions than this client.

    Asked through Dask itself, which reads package metadata: nothing of sarmap has to be there for
    the answer.

    Raises
    ------
    ClusterError
        One sentence: which worker, which package, both versions.
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
