"""`sarmap map --cluster`: opened, told of, used and closed; one sentence where it fails."""

from __future__ import annotations

import ast
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sarmap
from sarmap.cluster.opening import open_client
from sarmap.errors import ClusterError, OutputError, RequestError

SECRET = "s3cr3t-k3y-0f-a-test"
TOKEN = "sig=t0k3n-0f-a-t3st"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run `sarmap WORDS...`: exit code, output, errors."""
    from sarmap.cli import main

    def call(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main([str(word) for word in words])
        said = capsys.readouterr()
        return int(caught.value.code or 0), said.out, said.err

    return call


@pytest.fixture
def words(event: Any, server: Any) -> list[str]:
    """The small event as a user would ask for it."""
    area = ",".join(map(str, event.area))
    place = ["--area", area, "--event", event.event, "--catalog", server.url]
    return ["map", *place, "--orbit", "ascending", "--detector", "log-ratio", "--chunk", "128"]


def test_a_map_on_a_local_cluster_tells_of_its_dashboard_and_keeps_a_report_without_secrets(
    run: Callable[..., tuple[int, str, str]],
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("SARMAP_TEST_TOKEN", TOKEN)
    report, out = tmp_path / "report.html", tmp_path / "map.zarr"
    asked = [*words, "--out", out, "--cluster", "local:1", "--performance-report", report]
    code, printed, said = run(*asked)
    assert code == 0
    assert "dashboard http://127.0.0.1:" in said
    assert "dashboard" not in printed
    text = report.read_text(encoding="utf-8")
    assert "Task Stream" in text
    for secret in (SECRET, TOKEN, str(tmp_path)):
        assert secret not in text
        assert secret not in said


def test_nothing_listens_there(
    run: Callable[..., tuple[int, str, str]], processes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sarmap.cluster.kinds.ANSWER", 1.0)
    address = f"tcp://127.0.0.1:{processes.free_port()}"
    place = ["--area", "1,1,1.1,1.1", "--event", "2018-09-05"]
    code, _, said = run("map", *place, "--cluster", address)
    assert code == 1
    assert said.startswith(f"sarmap: The scheduler at {address} does not answer (")
    assert said.count("\n") == 1


def test_a_scheduler_that_is_still_to_come_is_waited_for_as_long_as_the_file_says(
    processes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr("sarmap.cluster.kinds.ANSWER", 1.0)
    port, opened = processes.free_port(), []
    file = tmp_path / "cluster.yaml"
    file.write_text(f"type: address\naddress: tcp://127.0.0.1:{port}\nwait: 60\n")

    def late() -> None:
        time.sleep(3)
        opened.append(
            LocalCluster(
                n_workers=1,
                processes=False,
                host="127.0.0.1",
                scheduler_port=port,
                dashboard_address=None,
            )
        )

    thread = threading.Thread(target=late)
    thread.start()
    try:
        with open_client(file) as client:
            assert client is not None
            assert client.submit(sum, [1, 2]).result() == 3
    finally:
        thread.join()
        for cluster in opened:
            cluster.close()


def test_what_listens_there_is_no_scheduler(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        file.write_text(f"type: address\naddress: tcp://127.0.0.1:{port}\nwait: 1\n")
        with pytest.raises(ClusterError, match="does not answer"), open_client(file):
            pass


def test_a_scheduler_without_workers_is_told_of(scheduler_here: Any, tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    with scheduler_here(0) as address:
        file.write_text(f"type: address\naddress: {address}\nwait: 1\n")
        with (
            pytest.raises(ClusterError, match=r"No worker came to the scheduler at .* within 1 s"),
            open_client(file),
        ):
            pass


def test_a_scheduler_that_was_there_is_left_running(scheduler_here: Any) -> None:
    with scheduler_here(1) as address:
        for _ in range(2):
            with open_client(address) as client:
                assert client is not None
                assert client.submit(sum, [1, 2]).result() == 3


def test_a_wrong_request_is_told_of_before_a_cluster_is_opened(
    run: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a cluster was opened")

    monkeypatch.setattr("sarmap.cluster.opening._opened", never)
    code, _, said = run("map", "--cluster", "local", "--event", "2018-09-05")
    assert code == 2
    assert "lacks area" in said


@pytest.mark.parametrize(
    ("report", "error", "message"),
    [
        (".", OutputError, "performance report .* cannot be written"),
        ("nowhere/report.html", OutputError, r"report\.html cannot be written in its folder"),
    ],
)
def test_a_report_that_cannot_be_written_is_told_of_first(
    report: str,
    error: type[Exception],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message), open_client("local:1", performance_report=report):
        pass


def test_a_report_needs_a_cluster_and_bokeh(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open_client("threads", performance_report="report.html")
    with pytest.raises(RequestError, match="give --cluster"), opened:
        pass
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    opened = open_client("local:1", performance_report="report.html")
    with pytest.raises(RequestError, match=r'pip install "sarmap\[dashboard\]"'), opened:
        pass


def test_only_one_room_makes_clients_and_only_the_command_line_asks_it_to() -> None:
    """The package takes a client; it would otherwise start processes that nobody asked for."""
    root = Path(sarmap.__file__).parent
    makers = {"Client", "LocalCluster", "SSHCluster"}
    made = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if calls_of(path, "distributed", makers) or calls_of(path, "sarmap", {"open_client"})
    }
    assert made == {"cluster/kinds.py", "cli/options.py"}


def calls_of(path: Path, package: str, names: set[str]) -> bool:
    """True where a file calls one of these names, imported from that package."""
    tree = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    imported = {
        alias.asname or alias.name
        for node in tree
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == package
        for alias in node.names
        if alias.name in names
    }
    called = {
        node.func.id
        for node in tree
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return bool(imported & called)
