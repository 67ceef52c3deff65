"""Which worker differs from the client, in which package, and how."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from sarmap.cluster.plugin import NAMES, Job, check_versions, needed_packages, own_versions
from sarmap.errors import ClusterError
from sarmap.net.signing import Signer


class Told:
    """A client whose parts tell what a test lets them tell."""

    def __init__(self, **changes: dict[str, Any]) -> None:
        self.changes = changes
        self.asked: list[str] = []

    def get_versions(self, packages: list[str]) -> dict[str, Any]:
        self.asked = packages
        ours: dict[str, Any] = dict(own_versions(packages))
        ours["python"] = f"{own_versions(['python'])['python']}.99.final.0"

        def answer(who: str) -> dict[str, Any]:
            return {"host": {}, "packages": ours | self.changes.get(who, {})}

        return {
            "scheduler": answer("scheduler"),
            "workers": {address: answer(address) for address in ("tcp://a:1", "tcp://b:2")},
            "client": answer("client"),
        }


def test_equal_versions_pass_whatever_the_patch_of_python() -> None:
    client = Told()
    check_versions(client, "openvino")  # type: ignore[arg-type]
    assert {"sarmap", "dask", "distributed", "numpy", "xarray", "zarr", "openvino"} <= set(
        client.asked
    )


@pytest.mark.parametrize("package", [*needed_packages("openvino")])
def test_every_package_counts(package: str) -> None:
    client = Told(**{"tcp://b:2": {package: "0.0.1"}})
    told = rf"Worker tcp://b:2 has {package} 0\.0(\.1)?, the client {package} \d"
    with pytest.raises(ClusterError, match=told):
        check_versions(client, "openvino")  # type: ignore[arg-type]


NO_TENSORFLOW = dict.fromkeys(NAMES["tensorflow"])


def test_a_worker_without_the_engine_is_named() -> None:
    with pytest.raises(ClusterError, match="Worker tcp://a:1 has no tensorflow, the client"):
        check_versions(Told(**{"tcp://a:1": NO_TENSORFLOW}), "tensorflow")  # type: ignore[arg-type]


def test_an_engine_installed_under_another_name_is_the_same_engine() -> None:
    client = Told(
        **{"tcp://a:1": NO_TENSORFLOW | {"tensorflow": own_versions(["tensorflow"])["tensorflow"]}}
    )
    check_versions(client, "tensorflow")  # type: ignore[arg-type]


def test_an_engine_that_is_not_used_does_not_count() -> None:
    check_versions(Told(**{"tcp://a:1": NO_TENSORFLOW}), "openvino")  # type: ignore[arg-type]


def test_the_scheduler_unpacks_graphs_and_counts_but_needs_no_engine() -> None:
    check_versions(Told(scheduler={"openvino": None}), "openvino")  # type: ignore[arg-type]
    with pytest.raises(ClusterError, match="The scheduler has no sarmap, the client sarmap"):
        check_versions(Told(scheduler={"sarmap": None}), "openvino")  # type: ignore[arg-type]


def test_a_worker_that_joins_later_compares_itself() -> None:
    """What it is given is the client's versions, since nobody asks it for its own."""

    class Seen:
        def trouble(self) -> None:
            return None

    ours = own_versions(needed_packages("openvino"))
    handle: Any = Seen()
    assert Job(ours, handle, pickle.dumps(None)).trouble() is None
    signed = {"https://a.org/b.tif": "https://a.org/b.tif?sig=CANARY"}
    job = Job(ours, handle, pickle.dumps(None), signed)
    assert job.trouble() is None
    assert Signer(None)("https://a.org/b.tif") == signed["https://a.org/b.tif"]
    assert "CANARY" not in repr(job)
    other = Job(ours | {"zarr": "0.0.1"}, handle, pickle.dumps(None)).trouble()
    assert other == f"has zarr {ours['zarr']}, the client zarr 0.0.1"
