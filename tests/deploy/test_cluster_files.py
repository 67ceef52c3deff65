"""The files for `sarmap --cluster`: sarmap reads them, and their libraries take what they say."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from dask_jobqueue import PBSCluster, SLURMCluster
from dask_jobqueue.core import Job
from distributed import SSHCluster

from sarmap.cluster.kinds import SETTINGS
from sarmap.cluster.specification import read_cluster

FOLDER = Path(__file__).resolve().parents[2] / "deploy"
FILES = {
    "coiled/sarmap.yaml": "coiled",
    "gateway/sarmap.yaml": "gateway",
    "jobqueue/pbs.yaml": "pbs",
    "jobqueue/slurm.yaml": "slurm",
    "kubernetes/job/cluster.yaml": "address",
    "kubernetes/sarmap.yaml": "kubernetes",
    "ssh/sarmap.yaml": "ssh",
}
QUEUES = {"slurm": SLURMCluster, "pbs": PBSCluster}


@pytest.mark.parametrize(("name", "kind"), FILES.items())
def test_sarmap_reads_it(name: str, kind: str) -> None:
    assert read_cluster(FOLDER / name).type == kind


def test_no_file_is_left_out() -> None:
    """Every YAML file that says of which type of cluster it is, is tested here."""
    found = {
        str(path.relative_to(FOLDER))
        for path in FOLDER.rglob("*.yaml")
        if any(line.startswith("type:") for line in path.read_text(encoding="utf-8").splitlines())
    }
    assert found == set(FILES)


def _job(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The script that dask-jobqueue would hand to the queue."""
    monkeypatch.chdir(tmp_path)
    options = read_cluster(FOLDER / "jobqueue" / f"{kind}.yaml").options
    job: Job = QUEUES[kind].job_cls("tcp://10.0.0.1:8786", name="worker", **_of_a_job(options))
    return str(job.job_script())


def _of_a_job(options: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key != "interface"}


def test_a_slurm_job_asks_for_what_the_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = _job("slurm", tmp_path, monkeypatch).splitlines()
    asked = {line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH ")}
    assert {"-p compute", "-n 1", "--cpus-per-task=8", "--mem=15G", "-t 04:00:00"} <= asked
    assert not any(line.startswith("-A") for line in asked)
    _assert_worker(lines)


def test_a_pbs_job_asks_for_what_the_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = _job("pbs", tmp_path, monkeypatch).splitlines()
    asked = {line.removeprefix("#PBS ") for line in lines if line.startswith("#PBS ")}
    assert {"-q workq", "-l select=1:ncpus=8:mem=16GB", "-l walltime=04:00:00"} <= asked
    _assert_worker(lines)


def _assert_worker(lines: list[str]) -> None:
    """One worker a job, in the right environment, that goes before the queue kills it."""
    (command,) = (line for line in lines if "distributed.cli.dask_worker" in line)
    assert "tcp://10.0.0.1:8786" in command
    assert "--nthreads 32" in command
    assert "--lifetime 225m" in command
    assert "--local-directory $TMPDIR" in command
    assert lines.index("source $HOME/sarmap/bin/activate") < lines.index(command)
    assert "export SARMAP_CACHE=$TMPDIR/sarmap-cache" in lines


@pytest.mark.parametrize("kind", QUEUES)
def test_workers_leave_before_their_job_ends(kind: str) -> None:
    options = read_cluster(FOLDER / "jobqueue" / f"{kind}.yaml").options
    hours, minutes, _ = map(int, options["walltime"].split(":"))
    words = dict(zip(*[iter(options["worker_extra_args"])] * 2, strict=True))
    life, spread = (
        int(words[name].removesuffix("m")) for name in ("--lifetime", "--lifetime-stagger")
    )
    assert life + spread < 60 * hours + minutes


def test_the_ssh_file_gives_arguments_of_its_library() -> None:
    known = inspect.signature(SSHCluster).parameters
    assert set(read_cluster(FOLDER / "ssh" / "sarmap.yaml").options) <= set(known)


@pytest.mark.parametrize(
    "name", ["Dockerfile", "jobqueue/slurm.yaml", "jobqueue/pbs.yaml", "coiled/sarmap.yaml"]
)
def test_workers_take_memory_as_those_of_a_local_cluster_do(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    told = re.findall(r'(MALLOC_\w+)(?:=|: )"?(\w+)', text)
    assert dict(told) == SETTINGS
