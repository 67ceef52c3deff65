"""`sarmap scan` and `sarmap status` as a person types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sarmap.cli.entry import main

PLACE = "138.001,36.999,138.004,37.001"


@pytest.fixture
def words(border_event: Any, border_server: Any, tmp_path: Path) -> list[str]:
    """The flags of a small scan."""
    return [
        *("--area", PLACE, "--event", border_event.event, "--catalog", border_server.url),
        *("--detector", "log-ratio", "--orbit", "ascending", "--unit", "256"),
        *("--epicentre", "138.0,37.0", "--out", str(tmp_path / "scan")),
    ]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        main(list(words))
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out, said.err


def test_a_scan_from_plan_to_status(
    words: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, _ = run(capsys, "scan", *words, "--dry-run")
    assert code == 0
    assert "hours     not known" in out
    assert not (tmp_path / "scan").exists()

    code, out, err = run(capsys, "scan", *words, "--json", "--report")
    assert code == 0
    record = json.loads(out)
    assert record["simulated"]
    assert {unit["status"] for unit in record["units"].values()} == {"done"}
    assert "unit 1/" in err
    assert {unit["place"] for unit in record["units"].values()} == {"37.00 N 138.00 E"}
    assert all(unit["seconds"] > 0 for unit in record["units"].values())
    assert record["files"]["report"] == str(tmp_path / "scan_report" / "index.html")
    for file in record["files"].values():
        assert Path(file).exists()

    code, out, _ = run(capsys, "status", str(tmp_path / "scan"))
    assert code == 0
    assert "SIMULATED" in out
    assert "0 left" in out
    code, out, _ = run(capsys, "status", str(tmp_path / "scan"), "--json", "--watch", "0.1")
    assert json.loads(out)["finished"]

    code, out, _ = run(capsys, "scan", *words, "--dry-run", "--json")
    plan = json.loads(out)
    assert plan["core_hours"] == 0
    assert "finished unit" in plan["rate"]["source"]

    code, _, err = run(capsys, "scan", *words)
    assert code == 2
    assert "--resume" in err
    code, out, _ = run(capsys, "scan", *words, "--resume")
    assert code == 0


def test_a_scan_of_nothing_but_sea_says_so(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words[1] = "-30.001,30.0,-30.0,30.001"
    code, out, _ = run(capsys, "scan", *words)
    assert code == 0
    assert "no_radar" in out
    assert "0 of 1 units mapped" in out


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--epicentre", "here"], "longitude,latitude"),
        (["--order", "raster"], "--priority"),
        (["--calibrate"], "--dry-run"),
        (["--unit", "8"], "smaller than the 64 px"),
        (["--products", "cog"], "does not make cog"),
        (["--area", "nowhere.gpkg"], "does not exist"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    words: list[str], more: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "scan", *words, *more)
    assert code == 2
    assert sentence in err
    assert err.startswith("sarmap: ")
    assert err.count("\n") == 1


def test_a_folder_without_a_scan_has_no_status(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = run(capsys, "status", str(tmp_path / "absent"))
    assert code == 2
    assert "holds no scan" in err
    assert str(tmp_path) not in err
    assert not (tmp_path / "absent").exists()
