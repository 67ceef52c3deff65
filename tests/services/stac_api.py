"""stac-fastapi-pgstac: the STAC API that many agencies run, over a real PostgreSQL and PostGIS."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

REMEDY = (
    "python3 -m venv .venv-stac && "
    ".venv-stac/bin/pip install -r tests/services/stac-api.txt, or name another environment's "
    "programs in SARMAP_STAC_PROGRAMS"
)
APP = "stac_fastapi.pgstac.app:create_app"
Record = Mapping[str, Any]


@dataclass(frozen=True)
class StacApi:
    """A STAC API with Filter, Query, Sort, Fields and paging by token."""

    url: str
    loader: str
    environment: Mapping[str, str]

    def load(self, collections: Iterable[Record], items: Iterable[Record]) -> None:
        """Insert records, or replace those of the same id."""
        for kind, records in (("collections", collections), ("items", items)):
            with tempfile.NamedTemporaryFile("w", suffix=".ndjson", encoding="utf-8") as file:
                file.writelines(json.dumps(record) + "\n" for record in records)
                file.flush()
                _run([self.loader, "load", kind, file.name, "--method", "upsert"], self.environment)

    def ask(self, body: Record) -> dict[str, Any]:
        """What the server answers to a POST to /search, as it is."""
        request = urllib.request.Request(
            f"{self.url}/search",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            told: dict[str, Any] = json.load(answer)
        return told


@contextmanager
def start_stac_api(processes: ModuleType, database: Any, folder: Path) -> Iterator[StacApi]:
    """A STAC API over `database`, empty, until the block ends."""
    beside = [Path(os.environ.get("SARMAP_STAC_PROGRAMS", processes.ROOT / ".venv-stac" / "bin"))]
    loader = processes.find_program("pypgstac", REMEDY, beside=beside)
    server = Path(loader).with_name("uvicorn")
    environment = {
        **database.environment,
        "STAC_FASTAPI_TITLE": "sarmap's tests",
        "STAC_FASTAPI_DESCRIPTION": "A STAC API on loopback.",
        "STAC_FASTAPI_LANDING_ID": "sarmap-tests",
        "STAC_FASTAPI_VERSION": "1",
    }
    _run([loader, "migrate"], environment)
    port = processes.free_port()
    with processes.running(
        [
            str(server),
            "--factory",
            APP,
            "--host=127.0.0.1",
            f"--port={port}",
            "--log-level=warning",
        ],
        lambda: processes.listens(port),
        folder / "stac-api.log",
        env=environment,
    ):
        yield StacApi(f"http://127.0.0.1:{port}", loader, environment)


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
