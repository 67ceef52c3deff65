"""Workers that share no disk with the client: COGs by HTTP, weights by URL, results to S3."""

from __future__ import annotations

import functools
import http.server
import io
import json
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
from distributed import Client
from distributed.diagnostics.plugin import SchedulerPlugin
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

import sarmap
from sarmap.errors import ClusterError
from sarmap.store.location import store_at

Starter = Callable[..., AbstractContextManager[str]]
Maker = Callable[..., sarmap.MapRequest]
WEIGHTS = Path(sarmap.__file__).parent / "detect" / "data"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def weights_url(tmp_path: Path) -> Iterator[str]:
    """The shipped U-Net's and CNN's manifests and weights, behind a web server."""
    folder = tmp_path / "shop"
    folder.mkdir()
    for name in ("nava-2022-attention-unet", "cnn-baa"):
        for file in WEIGHTS.glob(f"{name}.*"):
            shutil.copy(file, folder)
    serve = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/nava-2022-attention-unet.json"
        server.shutdown()


@pytest.fixture(scope="module")
def scheduler(start_dask: Starter, s3_server: Any) -> Iterator[str]:
    """A scheduler and two workers: processes with folders and caches of their own."""
    with start_dask(env=s3_server.environment) as address:
        yield address


def objects(out: str) -> dict[str, bytes]:
    """All objects of a store but its root record, which tells when it was made."""
    store = store_at(out)

    async def read() -> dict[str, bytes]:
        found = {}
        async for name in store.list():
            if name != "zarr.json":
                found[name] = (await store.get(name, default_buffer_prototype())).to_bytes()
        return found

    return dict(sync(read()))


def test_processes_with_folders_of_their_own_write_the_same_bytes_to_s3(
    request_of: Maker, scheduler: str, s3: Any, weights_url: str
) -> None:
    """Array for array, byte for byte, what threads of one process write into a folder."""
    alone = request_of(detector="nava-2022-attention-unet")
    sarmap.map_landslides(alone)
    out = f"s3://{s3.bucket}/shared-nothing.zarr"
    together = request_of(detector=weights_url, out=out)
    with Client(scheduler) as client:
        result = sarmap.map_landslides(together, client)
        caches = client.run(_cached_weights)
    assert objects(out) == objects(str(alone.out))
    assert set(caches.values()) == {1}, "each worker fetched the weights once"
    assert not any(name.endswith(".workers") for name in s3.names())
    text = json.dumps(dict(result.dataset.attrs), default=str)
    for secret in s3.environment["AWS_SECRET_ACCESS_KEY"], weights_url, "X-Amz":
        assert secret not in text


def _cached_weights() -> int:
    """On a worker: weights files in its own cache."""
    import os

    return len(list(Path(os.environ["SARMAP_CACHE"]).rglob("nava-2022-attention-unet.npz")))


def test_a_folder_that_workers_do_not_see_is_refused_before_anything_is_computed(
    request_of: Maker, scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One path that means another folder in each process, as local disks do on each machine."""
    monkeypatch.chdir(tmp_path)
    with Client(scheduler) as client:
        folders = [Path(folder) for folder in client.run(_folder).values()]
        with pytest.raises(ClusterError, match=r"Worker tcp://\S+ does not see the place of map"):
            sarmap.map_landslides(request_of(out="/proc/self/cwd/map.zarr"), client)
    assert len(set(folders)) == 2
    assert not any((folder / "map.zarr").exists() for folder in [*folders, tmp_path])
    assert not list(tmp_path.glob(".map.zarr*"))


def _folder() -> str:
    return str(Path.cwd())


def test_a_relative_place_is_the_client_s_and_not_each_worker_s(
    request_of: Maker, scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Client(scheduler) as client:
        result = sarmap.map_landslides(request_of(out="relative.zarr"), client)
    assert np.isfinite(result.dataset.probability.values).any()
    assert (tmp_path / "relative.zarr" / "zarr.json").is_file()


def test_a_worker_that_reads_another_endpoint_is_refused(
    request_of: Maker, start_dask: Starter, s3: Any, processes: Any
) -> None:
    nowhere = f"http://127.0.0.1:{processes.free_port()}"
    elsewhere = {**s3.environment, "AWS_ENDPOINT_URL": nowhere, "AWS_ENDPOINT": nowhere}
    out = f"s3://{s3.bucket}/elsewhere.zarr"
    told = r"Worker \S+ cannot reach \(\w+\) the place of s3://maps/elsewhere\.zarr"
    with (
        start_dask(env=elsewhere, pythons=[sys.executable]) as address,
        Client(address) as client,
        pytest.raises(ClusterError, match=told),
    ):
        sarmap.map_landslides(request_of(out=out), client)
    assert not s3.names("elsewhere")


def test_weights_that_were_changed_after_the_client_read_them_are_refused_by_name(
    request_of: Maker, scheduler: str, s3: Any, weights_url: str, tmp_path: Path
) -> None:
    detector = sarmap.load_detector(weights_url.replace("nava-2022-attention-unet", "cnn-baa"))
    with (tmp_path / "shop" / "cnn-baa.npz").open("ab") as file:
        file.write(b"one more byte")
    request = request_of(detector=detector, out=f"s3://{s3.bucket}/tampered.zarr")
    told = r"Worker \S+ cannot use the detector: Weights cnn-baa, as fetched, .* promised"
    with Client(scheduler) as client, pytest.raises(ClusterError, match=told):
        sarmap.map_landslides(request, client)


class _Scales(SchedulerPlugin):
    """Weighs every task as the scheduler got it."""

    def __init__(self) -> None:
        self.sent: dict[str, bytes] = {}
        self.largest_array = 0

    def update_graph(self, scheduler: Any, *, tasks: list[Any], **_: Any) -> None:
        for key in tasks:
            self.sent[str(key)] = self._weighed(scheduler.tasks[key].run_spec)

    def _weighed(self, task: Any) -> bytes:
        scales = self

        class Pickler(cloudpickle.Pickler):
            def persistent_id(self, value: Any) -> None:
                if isinstance(value, np.ndarray):
                    scales.largest_array = max(scales.largest_array, value.nbytes)

        with io.BytesIO() as file:
            Pickler(file).dump(task)
            return file.getvalue()


def test_no_task_holds_a_model_a_credential_or_many_numbers(
    request_of: Maker, s3: Any, weights_url: str, local_workers: Any
) -> None:
    """What travels: names, hashes and small records. Weighed as the scheduler gets it."""
    request = request_of(detector=weights_url, out=f"s3://{s3.bucket}/keys.zarr")
    scales = _Scales()
    with local_workers(1, threads=2) as client:
        client.cluster.scheduler.add_plugin(scales, name="scales")
        sarmap.map_landslides(request, client)
    assert len(scales.sent) > 50
    assert max(map(len, scales.sent.values())) < 32_000
    assert scales.largest_array < 8_000
    everything = b"".join(scales.sent.values())
    assert weights_url.encode() in everything, "the detector travels as its address"
    for secret in (s3.environment["AWS_SECRET_ACCESS_KEY"], "AWS_", "aws_"):
        assert secret.encode() not in everything
        assert not any(secret in key for key in scales.sent)
    assert not any(weights_url in key for key in scales.sent)
