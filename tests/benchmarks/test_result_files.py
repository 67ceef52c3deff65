"""Result files are what the schema says, hold no address or path, and become tables."""

from __future__ import annotations

import copy
import json

import jsonschema
import pytest

from benchmarks.figures import draw
from benchmarks.records import check_record, read_record, write_record
from benchmarks.report import between, figures_table, replace_between, write_report
from benchmarks.tables import render

ANSWER = [1.0, 2.0]


@pytest.fixture
def record(benchmark_of, run, play):
    return run(benchmark_of(), play({100: ANSWER, 200: ANSWER}))


def test_a_record_is_valid_and_comes_back_from_its_file(record, tmp_path):
    assert read_record(write_record(record, tmp_path)) == record


@pytest.mark.parametrize(
    "damage",
    [
        lambda r: r.pop("machine"),
        lambda r: r["machine"].update(hostname="somewhere"),
        lambda r: r["rows"][0]["metrics"].update(seconds=1.0),
        lambda r: r.update(simulated=False),
        lambda r: r["answers"].update(identical="yes"),
    ],
    ids=["no machine", "a hostname", "a bare figure", "not simulated", "no verdict"],
)
def test_a_damaged_record_is_refused(record, damage):
    damaged = copy.deepcopy(record)
    damage(damaged)
    with pytest.raises(jsonschema.ValidationError):
        check_record(damaged)


def test_no_address_and_no_path_reaches_the_file(record, tmp_path):
    text = write_record(record, tmp_path).read_text()
    for private in ("127.0.0.1", "/home/", str(tmp_path), "/tmp/"):
        assert private not in text
    assert json.loads(text)["rows"][0]["settings"] == {"chunk": 100}


def test_a_table_has_every_row_with_its_floor(record):
    lines = render(record).splitlines()
    assert "|  | s | tasks | times its floor |" in lines
    assert "| 200 px | 2.00 | 200 | 2.00 (100 px) |" in lines


def test_a_disturbed_run_says_so(record):
    assert "Disturbed" not in render(record)
    record["load"] = {"cores_used_by_others": 1.5, "disturbed": True}
    assert "others used 1.5 cores" in render(record)


def test_a_picture_is_drawn(record, tmp_path):
    assert draw(record, tmp_path / "played.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_report_replaces_what_stands_between_the_markers_and_nothing_else(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("before <!-- x: begin -->old<!-- x: end --> after")
    replace_between(path, "x", "new")
    assert path.read_text() == "before <!-- x: begin -->\nnew\n<!-- x: end --> after"
    with pytest.raises(ValueError, match="no place marked 'y'"):
        between(path.read_text(), "y")


def _latency(record, slow):
    changed = copy.deepcopy(record)
    changed |= {"benchmark": "latency", "command": "python -m benchmarks latency"}
    for row, label, seconds in zip(
        changed["rows"],
        ("local files", "HTTP, 80 ms added per request"),
        (10.0, slow),
        strict=True,
    ):
        row["label"] = label
        row["metrics"]["seconds"]["median"] = seconds
    return changed


def test_the_figures_table_judges_by_the_results(record):
    for slow, verdict in ((12.0, "yes"), (20.0, "no")):
        row = next(
            line
            for line in figures_table({"latency": _latency(record, slow)}).splitlines()
            if line.startswith("| 80 ms")
        )
        assert f"{slow:.1f} s, {slow / 10:.2f} x" in row
        assert f"| {verdict} |" in row


def test_what_was_not_measured_is_never_called_reached():
    rows = figures_table({}).splitlines()[2:]
    assert rows
    assert all("| not measured |" in row for row in rows)


def test_the_report_fills_both_documents(record, tmp_path):
    results = tmp_path / "results"
    write_record(_latency(record, 12.0), results)
    chunking = copy.deepcopy(record) | {"benchmark": "chunking", "title": "How the scene is cut"}
    write_record(chunking, results)
    readme, document = tmp_path / "README.md", tmp_path / "chunking.md"
    readme.write_text(
        "<!-- figures: begin --><!-- figures: end --><!-- results: begin --><!-- results: end -->"
    )
    document.write_text("# Chunking\n<!-- chunking: begin --><!-- chunking: end -->")
    assert write_report(results, readme, document) == [readme, document]
    assert "1.20 x" in readme.read_text()
    assert "| 200 px | 2.00 |" in document.read_text()
