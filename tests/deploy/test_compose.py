"""compose.yaml, held to the Compose specification's own schema and to its promises."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[2] / "deploy"
COMPOSE = FOLDER / "compose.yaml"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    return loaded


def test_it_is_valid() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*check, str(COMPOSE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_this_machine_reaches_what_is_published(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_variable_is_explained_and_secrets_have_no_default(services: dict[str, Any]) -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    used = dict(re.findall(r"\$\{([A-Z_]+)(:[-?])?", text))
    explained = re.findall(r"^([A-Z_]+)=", (FOLDER / "compose.env").read_text(), re.MULTILINE)
    images = {"SARMAP_IMAGE", "SARMAP_NOTEBOOK_IMAGE", "STORE_IMAGE"}
    assert set(used) - images == set(explained) - {"COMPOSE_PROJECT_NAME"}
    for name in ("STORE_ACCESS_KEY", "STORE_SECRET_KEY", "JUPYTER_TOKEN"):
        assert used[name] == ":?"
        assert f"\n{name}=\n" in (FOLDER / "compose.env").read_text(encoding="utf-8")


def test_dask_runs_without_privileges(services: dict[str, Any]) -> None:
    for name in ("scheduler", "worker", "client"):
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["read_only"] is True
        assert "user" not in services[name]


def test_workers_wait_for_a_healthy_scheduler(services: dict[str, Any]) -> None:
    for name in ("worker", "notebook", "client"):
        assert services[name]["depends_on"]["scheduler"]["condition"] == "service_healthy"
