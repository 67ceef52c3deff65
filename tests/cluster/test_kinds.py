"""Every kind of cluster opened: for real where it can run on one machine, else as its library asks.

SLURM and PBS run real workers behind a queue that is a shell script; SSH runs them behind a real
SSH server of this process; Kubernetes, dask-gateway and Coiled are replaced by recorders of calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from distributed import Client

from sarmap.cluster import kinds
from sarmap.cluster.kinds import SETTINGS, large_arrays_reused
from sarmap.cluster.opening import open_client
from sarmap.cluster.specification import Coiled, Gateway, Jobs, Kubernetes, Local, Ssh
from sarmap.errors import ClusterError, RequestError


def test_local_workers_listen_on_loopback_alone_and_are_gone_afterwards() -> None:
    said: list[str] = []
    with open_client("local:2", say=said.append) as client:
        assert client is not None
        workers = client.scheduler_info(n_workers=-1)["workers"]
        assert len(workers) == 2
        processes = {os.getpid(), *client.run(os.getpid).values()}
        assert listening(processes) == {"127.0.0.1"}
        assert said == [f"dashboard {client.dashboard_link}"]
        assert client.dashboard_link.startswith("http://127.0.0.1:")
    assert client.status == "closed"
    for process in processes - {os.getpid()}:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


@pytest.mark.parametrize("left_behind", [None, "65536"], ids=["first", "after another cluster"])
def test_local_workers_keep_a_blocks_arrays_in_their_heap_also_those_started_later(
    left_behind: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the nanny would start them, glibc maps every array anew, and the kernel clears it."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    if left_behind is not None:
        monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", left_behind)
    before = {name: os.environ.get(name) for name in SETTINGS}

    def settings() -> dict[str, str | None]:
        return {name: os.environ.get(name) for name in SETTINGS}

    with open_client("local:1") as client:
        assert client is not None
        client.cluster.scale(2)
        client.wait_for_workers(2, timeout=60)
        assert list(client.run(settings).values()) == [SETTINGS, SETTINGS]
        assert faults(client) < 2_000
    assert {name: os.environ.get(name) for name in SETTINGS} == before


def test_an_allocator_that_the_user_chose_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    with large_arrays_reused():
        assert os.environ["MALLOC_TRIM_THRESHOLD_"] == "1000000"
        assert os.environ["MALLOC_ARENA_MAX"] == "2"
    assert os.environ["MALLOC_TRIM_THRESHOLD_"] == "1000000"


def faults(client: Client) -> int:
    """Pages that a worker was given while it made an array of 16 MB (4,096 pages) 50 times."""

    def again() -> int:
        import resource

        import numpy as np

        np.ones(2**21).sum()
        start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(50):
            np.ones(2**21).sum()
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start

    return int(client.submit(again, pure=False).result())


def listening(processes: set[int]) -> set[str]:
    """Addresses at which these processes listen (Linux: /proc)."""
    inodes = set()
    for process in processes:
        for link in Path(f"/proc/{process}/fd").iterdir():
            target = str(link.readlink()) if link.is_symlink() else ""
            inodes.add(target.removeprefix("socket:[").removesuffix("]"))
    found = set()
    for table, size in (("tcp", 4), ("tcp6", 16)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in inodes:
                found.add(_address(words[1].split(":")[0], size))
    return found


def _address(digits: str, size: int) -> str:
    packed = b"".join(bytes.fromhex(digits[at : at + 8])[::-1] for at in range(0, 2 * size, 8))
    return socket.inet_ntop(socket.AF_INET if size == 4 else socket.AF_INET6, packed)


def test_local_sizes_leave_reads_many_threads_and_share_memory() -> None:
    workers, threads, memory = kinds.local_sizes(Local(workers=2))
    assert workers == 2
    assert threads >= 4
    one = kinds.local_sizes(Local(workers=1))[2]
    assert memory == one // 2
    assert kinds.local_sizes(Local(workers=3, threads=5, memory="2GiB")) == (3, 5, 2 * 2**30)
    with pytest.raises(RequestError, match="memory: 'lots'"):
        kinds.local_sizes(Local(memory="lots"))


def test_threads_open_nothing() -> None:
    with open_client("threads") as client:
        assert client is None


# --- batch queues: real jobs, run at once by a script --------------------------------------------

SUBMIT = """#!/bin/sh
# A queue of one machine: keep and run the job script, say its number as the real command does.
cp "$1" "{folder}/script.$$"
setsid sh "{folder}/script.$$" > "{folder}/job.log" 2>&1 < /dev/null &
echo $! >> "{folder}/jobs"
echo "{answer}"
"""
CANCEL = """#!/bin/sh
echo "$@" >> "{folder}/cancelled"
"""


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """`sbatch`, `scancel`, `qsub` and `qdel` on the PATH."""
    answers = {"sbatch": "Submitted batch job 17", "qsub": "17.server"}
    for name, answer in answers.items():
        command(tmp_path / name, SUBMIT.format(folder=tmp_path, answer=answer))
    for name in ("scancel", "qdel"):
        command(tmp_path / name, CANCEL.format(folder=tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    yield tmp_path
    for job in (tmp_path / "jobs").read_text().split() if (tmp_path / "jobs").exists() else ():
        subprocess.run(["kill", "--", f"-{job}"], check=False, capture_output=True)


def command(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize("kind", ["slurm", "pbs"])
def test_batch_jobs_become_workers_and_are_cancelled(queue: Path, kind: Any) -> None:
    asked = Jobs(
        type=kind,
        workers=1,
        wait=30,
        options={
            "cores": 1,
            "memory": "1GB",
            "interface": "lo",
            "local_directory": str(queue),
            "job_extra_directives": ["--comment=landslides" if kind == "slurm" else "-N maps"],
        },
    )
    with open_client(asked) as client:
        assert client is not None
        assert client.submit(sum, [1, 2]).result() == 3
        assert client.dashboard_link.startswith("http://127.0.0.1:")
    assert "17" in (queue / "cancelled").read_text()


def test_a_queue_that_starts_nothing_is_told_of(queue: Path) -> None:
    command(queue / "sbatch", "#!/bin/sh\necho 'Submitted batch job 17'\n")
    options = {"cores": 1, "memory": "1GB", "interface": "lo"}
    asked = Jobs(type="slurm", workers=1, wait=1, options=options)
    with (
        pytest.raises(ClusterError, match="No worker came to the slurm cluster within 1 s"),
        open_client(asked),
    ):
        pass


def test_options_that_a_library_does_not_know_are_told_of() -> None:
    asked = Jobs(type="slurm", workers=1, options={"cores": 1, "memory": "1GB", "quue": "cpu"})
    with (
        pytest.raises(RequestError, match="slurm cluster does not know the option 'quue'"),
        open_client(asked),
    ):
        pass


# --- SSH: a real server of this process ----------------------------------------------------------


@pytest.fixture
def ssh_port(tmp_path: Path) -> Iterator[int]:
    """An SSH server on loopback that runs what it is told, for one key."""
    import asyncssh

    host, user = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    user.write_private_key(tmp_path / "key")
    user.write_public_key(tmp_path / "key.pub")

    async def run(process: Any) -> None:
        child = await asyncio.create_subprocess_shell(
            process.command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            await process.redirect(stdout=child.stdout, stderr=child.stderr, send_eof=False)
            await process.stdout.drain()  # an end told before the last word breaks the connection
            await process.stderr.drain()
            if not process.is_closing():
                process.exit(await child.wait())
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, 15)

    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    async def serve() -> Any:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[host],
            authorized_client_keys=str(tmp_path / "key.pub"),
            process_factory=run,
        )

    server = asyncio.run_coroutine_threadsafe(serve(), loop).result(30)
    yield server.get_port()

    async def end() -> None:
        server.close()
        await server.wait_closed()

    asyncio.run_coroutine_threadsafe(end(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)


def test_machines_are_reached_by_ssh(ssh_port: int, tmp_path: Path) -> None:
    asked = Ssh(
        type="ssh",
        hosts=("127.0.0.1", "127.0.0.1"),
        wait=600,
        options={
            "remote_python": sys.executable,
            "connect_options": {
                "port": ssh_port,
                "known_hosts": None,
                "username": "map",
                "client_keys": [str(tmp_path / "key")],
            },
            "worker_options": {"nthreads": 1},
            "scheduler_options": {"host": "127.0.0.1", "port": 0},
        },
    )
    with open_client(asked) as client:
        assert client is not None
        assert client.submit(sum, [1, 2]).result() == 3


def test_a_machine_that_does_not_answer_is_told_of(processes: Any) -> None:
    asked = Ssh(
        type="ssh",
        hosts=("127.0.0.1", "127.0.0.1"),
        options={"connect_options": {"port": processes.free_port(), "known_hosts": None}},
    )
    with pytest.raises(ClusterError, match="ssh cluster could not be started"), open_client(asked):
        pass


# --- services: what their libraries are asked for ------------------------------------------------


class Recorder:
    """Stands for a library's cluster: a local one that remembers what it was asked."""

    calls: ClassVar[list[tuple[str, dict[str, Any]]]]

    def __init__(self, **given: Any) -> None:
        type(self).calls.append(("new", given))

    @classmethod
    def from_name(cls, name: str, **given: Any) -> Recorder:
        cls.calls.append(("from_name", {"name": name, **given}))
        return cls.__new__(cls)

    def connect(self, name: str, **given: Any) -> Recorder:
        self.calls.append(("connect", {"name": name, **given}))
        return self

    def get_client(self) -> Client:
        here = {"host": "127.0.0.1", "protocol": "tcp", "dashboard_address": None}
        return Client(processes=False, n_workers=1, threads_per_worker=1, **here)

    def scale(self, n: int) -> None:
        self.calls.append(("scale", {"n": n}))

    def adapt(self, **given: Any) -> None:
        self.calls.append(("adapt", given))

    def close(self, **given: Any) -> None:
        self.calls.append(("close", given))


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> type[Recorder]:
    """The three libraries, replaced."""

    class Kept(Recorder):
        calls: ClassVar[list[tuple[str, dict[str, Any]]]] = []

    for module, names in {
        "dask_gateway": ("Gateway", "GatewayCluster"),
        "dask_kubernetes": (),
        "dask_kubernetes.operator": ("KubeCluster",),
        "coiled": ("Cluster",),
    }.items():
        stub = types.ModuleType(module)
        for name in names:
            setattr(stub, name, Kept)
        monkeypatch.setitem(sys.modules, module, stub)
    return Kept


@pytest.mark.parametrize(
    ("asked", "calls"),
    [
        (
            Gateway(type="gateway", address="https://g", workers=3, options={"worker_cores": 2}),
            [
                ("new", {"address": "https://g", "shutdown_on_close": True, "worker_cores": 2}),
                ("scale", {"n": 3}),
                ("close", {}),
            ],
        ),
        (
            Gateway(type="gateway", auth="jupyterhub", name="mine"),
            [
                ("new", {"auth": "jupyterhub"}),
                ("connect", {"name": "mine", "shutdown_on_close": False}),
                ("close", {"shutdown": False}),
            ],
        ),
        (
            Kubernetes(
                type="kubernetes", namespace="maps", name="m", adapt={"minimum": 1, "maximum": 9}
            ),
            [
                (
                    "new",
                    {"namespace": "maps", "name": "m", "shutdown_on_close": True, "quiet": True},
                ),
                ("adapt", {"minimum": 1, "maximum": 9}),
                ("close", {}),
            ],
        ),
        (
            Kubernetes(type="kubernetes", name="m", existing=True),
            [("from_name", {"name": "m", "shutdown_on_close": False}), ("close", {})],
        ),
        (
            Coiled(type="coiled", workers=5, options={"region": "eu-central-1"}),
            [("new", {"n_workers": 5, "region": "eu-central-1"}), ("close", {})],
        ),
    ],
)
def test_a_service_is_asked_in_its_library_s_words(
    library: type[Recorder], asked: Any, calls: list[tuple[str, dict[str, Any]]]
) -> None:
    with open_client(asked) as client:
        assert client is not None
        assert client.submit(sum, [1, 2]).result() == 3
    assert library.calls == calls


@pytest.mark.parametrize(
    ("asked", "module", "extra"),
    [
        (Gateway(type="gateway"), "dask_gateway", "gateway"),
        (Kubernetes(type="kubernetes"), "dask_kubernetes.operator", "kubernetes"),
        (Jobs(type="slurm"), "dask_jobqueue", "jobqueue"),
        (Coiled(type="coiled"), "coiled", "coiled"),
        (Ssh(type="ssh", hosts=("a", "b")), "asyncssh", "ssh"),
    ],
)
def test_a_missing_package_says_which_to_install(
    asked: Any, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # what Python does for a failed import
    with (
        pytest.raises(RequestError, match=rf'pip install "sarmap\[{extra}\]"'),
        open_client(asked),
    ):
        pass
