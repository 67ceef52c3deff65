"""The files that keep a watch running: their commands exist, and they are what runs them takes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "watch"


def unit() -> list[str]:
    text = (FOLDER / "sarmap-watch.service").read_text(encoding="utf-8")
    return shlex.split(re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)[0])


def manifest() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / "cronjob.yaml").read_text(encoding="utf-8"))
    return loaded


def cron_job() -> list[str]:
    (container,) = manifest()["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return list(container["args"])


def schedule() -> list[str]:
    steps = yaml.safe_load((FOLDER / "github.yml").read_text(encoding="utf-8"))["jobs"]["look"]
    return shlex.split(steps["steps"][-1]["run"])


@pytest.mark.parametrize("command", [unit, cron_job, schedule])
def test_its_command_exists_with_all_its_flags(command: object) -> None:
    from sarmap.cli.entry import group

    assert callable(command)
    program, name, *words = command()
    assert Path(program).name == "sarmap"
    found = group.get_command(click.Context(group), name)
    assert found is not None
    context = found.make_context(name, list(words))
    assert str(context.params["file"]).endswith("watch.yaml")
    assert context.params["once"] is (command is not unit)


def test_the_schedule_is_a_workflow() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    file = str(FOLDER / "github.yml")
    done = subprocess.run(
        [*check, "vendor.github-workflows", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def sent(job: dict[str, Any]) -> Any:
    """What Kubernetes' own client would send of a CronJob; it refuses wrong types."""
    from kubernetes.client import ApiClient, V1CronJob

    return ApiClient().sanitize_for_serialization(V1CronJob.from_dict(job))


def test_the_cron_job_is_one_of_kubernetes() -> None:
    job, misspelt, lacking = manifest(), manifest(), manifest()
    assert sent(job) == job
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    mounts = {mount["name"] for one in pod["containers"] for mount in one["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}
    misspelt["spec"]["concurrencypolicy"] = "Forbid"
    assert sent(misspelt) != misspelt
    del lacking["spec"]["schedule"]
    with pytest.raises(ValueError, match="schedule"):
        sent(lacking)
