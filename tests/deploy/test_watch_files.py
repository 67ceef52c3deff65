"""The files that keep a watch running: their commands exist, and no secret stands in them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "watch"


def unit() -> list[str]:
    text = (FOLDER / "sarmap-watch.service").read_text(encoding="utf-8")
    return shlex.split(re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)[0])


def cron_job() -> list[str]:
    job = yaml.safe_load((FOLDER / "cronjob.yaml").read_text(encoding="utf-8"))
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
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
