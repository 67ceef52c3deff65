"""The image's recipe: linted, pinned, not root, and of the same packages as the project."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
NAME = re.compile(r"^[A-Za-z0-9._-]+")


def _names(lines: list[str]) -> set[str]:
    found = (NAME.match(line) for line in lines if not line.startswith("#"))
    return {one.group().lower().replace("_", "-") for one in found if one}


def _lines(path: str) -> list[str]:
    return (ROOT / path).read_text(encoding="utf-8").splitlines()


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=sysconfig.get_path("scripts"))
    assert hadolint is not None, "install the extra `test`"
    done = subprocess.run([hadolint, str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_maps_need_no_tensorflow_and_tests_have_it() -> None:
    project = _project()
    extras = project["optional-dependencies"]
    assert "tensorflow" not in _names(project["dependencies"])
    assert _names(extras["train"]) == {"h5netcdf", "tensorflow"}
    assert "sarmap[docs,train]" in extras["test"]


def test_every_version_in_an_image_is_pinned_once() -> None:
    tested, image = _lines("constraints.txt"), _lines("deploy/image-constraints.txt")
    gpu = _lines("deploy/gpu-constraints.txt")
    for lines in (image, gpu):
        assert all("==" in line for line in lines if line and not line.startswith("#"))
    both = {line for line in tested if "==" in line} | {line for line in image if "==" in line}
    assert len(_names(list(both))) == len(both), "one package, two versions"
    wanted = _names(_project()["dependencies"])
    wanted |= _names(_lines("deploy/image-requirements.txt")) | {"tensorflow", "jupyterlab"}
    assert wanted <= _names(tested) | _names(image)
    assert "jax" in _names(gpu)


def test_each_stage_that_runs_is_not_root_and_reports_its_health() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    stages = re.findall(r"^FROM (\S+) AS (\S+)", text, re.MULTILINE)
    last = {name: base for base, name in stages}
    for target in ("cpu", "full", "gpu", "notebook"):
        assert last[target] == "runtime"
    runtime = text.split("AS runtime", 1)[1].split("\nFROM ", 1)[0]
    assert "\nUSER 10001\n" in runtime
    assert "\nHEALTHCHECK " in runtime
    assert "USER" not in text.split("AS runtime", 1)[1].split("\nFROM ", 1)[1]


def test_the_build_sees_what_it_copies_and_no_more() -> None:
    allowed = {line[1:] for line in _lines(".dockerignore") if line.startswith("!")}
    text = DOCKERFILE.read_text(encoding="utf-8")
    copies = re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)
    sources = {word for line in copies for word in line.split()[:-1]}
    assert {source.split("/")[0] for source in sources} <= allowed
    assert all((ROOT / source).exists() for source in sources)
    assert _lines(".dockerignore")[0] == "*"


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("path", "code"), [("health", 0), ("sick", 1)])
def test_the_health_check_says_what_the_server_says(path: str, code: int) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/{path}"
    try:
        assert _health(url) == code
    finally:
        server.shutdown()
        server.server_close()
    assert _health(url) == 1


def _health(url: str) -> int:
    script = ROOT / "deploy" / "healthcheck.py"
    command = [shutil.which("python3") or "python3", str(script)]
    return subprocess.run(
        command, env={"SARMAP_HEALTH_URL": url}, capture_output=True, check=False
    ).returncode
