"""Map a whole simulated event on threads and on workers that share nothing, and compare the bytes.

    python tools/shared_nothing.py EVENT_FOLDER [--workers 2] [--threads 4]

Everything is a process of its own on this machine: the STAC API and file server of the event, a web
server with the weights, an S3 endpoint (moto), a `dask scheduler` and each `dask worker`, which has
a home, a cache and a working folder of its own. As root on Linux each worker also has a mount
namespace of its own, in which the folders of the event, of the client's result and of the weights
are empty. Prints what was found as JSON; exits with 1 where a byte differs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import sarmap

WEIGHTS = Path(sarmap.__file__).parent / "detect" / "data"
BUCKET = "maps"


@contextmanager
def process(command: Sequence[object], **how: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A child process, ended on the way out."""
    child = subprocess.Popen([str(word) for word in command], **how)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, seconds: float = 120) -> None:
    """Return when something listens on a loopback port."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit(f"nothing listens on port {port}")


@contextmanager
def services(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The weights' URL, and the environment that reaches the S3 endpoint."""
    shop, web, s3 = folder / "shop", free_port(), free_port()
    shop.mkdir()
    for file in WEIGHTS.glob("attention-unet.*"):
        shutil.copy(file, shop)
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3}",
        "AWS_ENDPOINT": f"http://127.0.0.1:{s3}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "shared",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_REGION": "us-east-1",
    }
    python, quiet = sys.executable, {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    serve = [python, "-m", "http.server", web, "--bind", "127.0.0.1", "--directory", shop]
    moto = [python, "-m", "moto.server", "-H", "127.0.0.1", "-p", s3]
    with process(serve, **quiet), process(moto, **quiet):
        wait_for(web)
        wait_for(s3)
        make_bucket(environment)
        yield f"http://127.0.0.1:{web}/attention-unet.json", environment


def make_bucket(environment: Mapping[str, str]) -> None:
    """An empty bucket at the S3 endpoint."""
    import boto3

    boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    ).create_bucket(Bucket=BUCKET)


@contextmanager
def cluster(
    folder: Path, hidden: Sequence[Path], workers: int, threads: int, environment: Mapping[str, str]
) -> Iterator[str]:
    """Address of a scheduler with workers that see none of the `hidden` folders."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    dask = [sys.executable, "-m", "dask"]
    common = ["--host", "127.0.0.1", "--no-dashboard"]
    with ExitStack() as stack:
        for name in ("scheduler", *(f"worker-{number}" for number in range(workers))):
            home = folder / name
            home.mkdir()
            env = {**os.environ, **environment, "HOME": str(home), "SARMAP_CACHE": f"{home}/cache"}
            role = (
                ["scheduler", "--port", port]
                if name == "scheduler"
                else ["worker", address, "--nthreads", threads, "--name", name]
            )
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            command = blind([*dask, *role, *common], hidden)
            stack.enter_context(process(command, env=env, cwd=home, stdout=log, stderr=log))
            if name == "scheduler":
                wait_for(port)
        yield address


def blind(command: Sequence[object], hidden: Sequence[Path]) -> list[object]:
    """The command in a mount namespace in which these folders are empty; itself where not root."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None:
        return list(command)
    mounts = " && ".join(f"mount -t tmpfs none '{place}'" for place in hidden)
    return ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh", *command]


def stored(out: str) -> dict[str, bytes]:
    """Objects of a store but its root record, which tells when it was made."""
    from zarr.core.buffer import default_buffer_prototype
    from zarr.core.sync import sync

    from sarmap.store.location import store_at

    store = store_at(out, read_only=True)

    async def read() -> dict[str, bytes]:
        names = [name async for name in store.list() if name != "zarr.json"]
        kept = [await store.get(name, default_buffer_prototype()) for name in names]
        return {name: one.to_bytes() for name, one in zip(names, kept, strict=True)}

    return dict(sync(read()))


def compare(event: Path, folder: Path, workers: int, threads: int) -> dict[str, Any]:
    """Both maps, timed, and how many stored objects differ."""
    from distributed import Client

    from sarmap.simulate.record import open_event
    from sarmap.simulate.serve import serve_event

    result = folder / "client"
    result.mkdir()
    with services(folder) as (weights, environment), serve_event(event) as server:
        os.environ |= environment
        hidden = [event.resolve(), result, folder / "shop"]
        known = open_event(event)
        fields: dict[str, Any] = {
            "area": known.grid,
            "event": known.event,
            "catalog": server.catalog,
            "orbit": "ascending",
            "detector": weights,
        }
        alone = str(result / "alone.zarr")
        started = time.perf_counter()
        sarmap.map_landslides(sarmap.MapRequest(**fields, out=alone))
        on_threads = time.perf_counter() - started
        together = f"s3://{BUCKET}/together.zarr"
        with (
            cluster(folder, hidden, workers, threads, environment) as address,
            Client(address, timeout=120) as client,
        ):
            client.wait_for_workers(workers, timeout=120)
            on_cluster = []
            for _ in ("fresh workers", "the same workers again"):
                started = time.perf_counter()
                request = sarmap.MapRequest(**fields, out=together, overwrite=True)
                made = sarmap.map_landslides(request, client)
                on_cluster.append(round(time.perf_counter() - started, 1))
            saw = [sum(seen) for seen in client.run(_entries, list(map(str, hidden))).values()]
        one, other = stored(alone), stored(together)
    return {
        "pixels": made.pixels,
        "workers": workers,
        "threads_of_each": threads,
        "seconds_on_threads": round(on_threads, 1),
        "seconds_on_fresh_cluster": on_cluster[0],
        "seconds_on_cluster_again": on_cluster[1],
        "ratios": [round(seconds / on_threads, 2) for seconds in on_cluster],
        "files_workers_saw_in_hidden_folders": sum(saw),
        "objects": len(one),
        "objects_that_differ": sum(one.get(name) != other.get(name) for name in one | other),
    }


def _entries(folders: list[str]) -> list[int]:
    """On a worker: how many files each folder seems to hold."""
    return [len(list(Path(folder).iterdir())) for folder in folders]


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("event", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=4)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shared-nothing-") as scratch:
        found = compare(asked.event, Path(scratch), asked.workers, asked.threads)
    print(json.dumps(found, indent=2))
    sys.exit(1 if found["objects_that_differ"] else 0)


if __name__ == "__main__":
    main()
