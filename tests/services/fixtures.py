"""Real parts as fixtures, for every room: `database`, `stac_api`, `nginx`, `s3`, `start_dask`.

`tests/conftest.py` loads this file. Nothing starts before a test asks for it, and what is started
serves the whole session.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Helpers = Callable[[str, str], ModuleType]


@pytest.fixture(scope="session")
def processes(load_helper: Helpers) -> ModuleType:
    """Starting, awaiting and ending of server processes."""
    return load_helper("services", "processes")


@pytest.fixture(scope="session")
def database(processes: ModuleType, load_helper: Helpers) -> Iterator[Any]:
    """PostgreSQL with PostGIS: an empty database on loopback."""
    with load_helper("services", "database").start_database(processes) as running:
        yield running


@pytest.fixture(scope="session")
def stac_api(
    processes: ModuleType,
    database: Any,
    load_helper: Helpers,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Any]:
    """stac-fastapi-pgstac: Filter, Query, Sort, Fields, paging by token. `load` fills it."""
    folder = tmp_path_factory.mktemp("stac-api")
    start = load_helper("services", "stac_api").start_stac_api
    with start(processes, database, folder) as running:
        yield running


@pytest.fixture
def nginx(
    processes: ModuleType, load_helper: Helpers, tmp_path: Path
) -> Iterator[Callable[[Path], Any]]:
    """Serve a folder with nginx: `nginx(folder)` gives its `url` and the `requests()` it got."""
    start = load_helper("services", "storage").start_nginx
    with ExitStack() as stack:

        def serve(files: Path) -> Any:
            own = tmp_path / "nginx"
            own.mkdir()
            return stack.enter_context(start(processes, files, own))

        yield serve


@pytest.fixture(scope="session")
def s3_server(
    processes: ModuleType, load_helper: Helpers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """An S3 endpoint in a process of its own."""
    start = load_helper("services", "storage").start_s3
    with start(processes, tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def s3(s3_server: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The S3 endpoint, with endpoint and keys in this test's environment."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture(scope="session")
def start_dask(
    processes: ModuleType,
    load_helper: Helpers,
    tmp_path_factory: pytest.TempPathFactory,
    converted_models: Path,
) -> Callable[..., AbstractContextManager[str]]:
    """Start a `dask scheduler` and `dask worker`s: `with start_dask(pythons=[...]) as address`."""

    @contextmanager
    def start(**options: Any) -> Iterator[str]:
        launch = partial(load_helper("services", "dask_processes").start_cluster, processes)
        models = {"models": converted_models}
        with launch(tmp_path_factory.mktemp("dask"), **models | options) as address:
            yield address

    return start


@pytest.fixture(scope="session")
def local_workers() -> Callable[..., AbstractContextManager[Any]]:
    """Client of workers in processes of their own: `with local_workers(2, threads=1) as client`.

    They are forks of one process that has the libraries: starting many of them costs little.
    """
    import dask
    from distributed import Client, LocalCluster
    from distributed.utils import get_mp_context

    @contextmanager
    def start(workers: int, threads: int = 1, **options: Any) -> Iterator[Client]:
        with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
            get_mp_context().set_forkserver_preload(["distributed.nanny", "sarmap.pipeline"])
            with (
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=threads,
                    host="127.0.0.1",
                    dashboard_address=None,
                    env=dict(os.environ),  # the test's own, which a fork knows nothing of
                    **options,
                ) as cluster,
                Client(cluster) as client,
            ):
                yield client

    return start


@pytest.fixture(scope="session")
def slim_python(processes: ModuleType, load_helper: Helpers) -> str:
    """Interpreter of an environment with sarmap and without TensorFlow."""
    return str(load_helper("services", "slim_python").find_slim_python(processes))
