"""The result file of one benchmark: assembled, checked against its schema, written in one step."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.machine import BUSY, describe_machine, describe_versions, now, usable_cores

if TYPE_CHECKING:
    from benchmarks.answers import Judge
    from benchmarks.context import Context
    from benchmarks.model import Benchmark, Configuration

__all__ = ["SCHEMA", "check_record", "make_record", "read_record", "summarise", "write_record"]

SCHEMA = Path(__file__).with_name("result.schema.json")
FORMAT = 1
Row = tuple["Configuration", list[dict[str, Any]], "str | None"]


def make_record(
    benchmark: Benchmark,
    context: Context,
    rows: Sequence[Row],
    judge: Judge,
    revision: Mapping[str, Any],
) -> dict[str, Any]:
    """The record of a benchmark from what its configurations returned."""
    made = [_row(*row) for row in rows]
    _set_floors(made, benchmark.metrics[0].key)
    notes = [
        note for _, results, _ in rows for result in results for note in result.get("notes", ())
    ]
    event = {}
    if benchmark.on_event:
        event["extent"] = {"rows": context.extent[0], "columns": context.extent[1]}
    return {
        "format": FORMAT,
        "benchmark": benchmark.name,
        "title": benchmark.title,
        "quick": context.quick,
        "simulated": benchmark.on_event,
        "finished": now(),
        "command": f"python -m benchmarks {benchmark.name}{' --quick' if context.quick else ''}",
        "git": {"revision": revision["revision"], "changed": revision["changed"]},
        "machine": describe_machine(),
        "versions": describe_versions(),
        "load": revision.get("load", {"cores_used_by_others": 0.0, "disturbed": False}),
        **event,
        "columns": [
            {"key": one.key, "heading": one.heading, "digits": one.digits, "scale": one.scale}
            for one in benchmark.metrics
        ],
        "rows": made,
        "answers": judge.record(),
        "notes": list(dict.fromkeys([*benchmark.notes, *notes])),
    }


def describe_load(cores: float) -> dict[str, Any]:
    """What others took of the machine before the run, and whether that disturbs it."""
    return {"cores_used_by_others": cores, "disturbed": cores > BUSY * usable_cores()}


def _row(one: Configuration, results: list[dict[str, Any]], failed: str | None) -> dict[str, Any]:
    keys = dict.fromkeys(key for result in results for key in result["metrics"])
    metrics = {
        key: summarise(r["metrics"][key] for r in results if r["metrics"].get(key) is not None)
        for key in keys
    }
    for key in ("process_seconds", "peak_memory"):
        if results:
            metrics[key] = summarise(result[key] for result in results)
    return {
        "label": one.label,
        "group": one.group,
        "settings": one.settings,
        "metrics": {key: value for key, value in metrics.items() if value},
        "floor": None if one.floor is None else {"label": one.floor, "ratio": None},
        "failed": failed,
    }


def summarise(values: Iterable[float]) -> dict[str, Any]:
    """Median, least and greatest of repeated measurements, and all of them.

    >>> summarise([3.0, 1.0, 2.0])["median"]
    2.0
    """
    kept = [float(value) for value in values]
    if not kept:
        return {}
    return {
        "median": statistics.median(kept),
        "low": min(kept),
        "high": max(kept),
        "values": kept,
    }


def _set_floors(rows: list[dict[str, Any]], key: str) -> None:
    """How many times its floor each row took (or what share of the rate it reached)."""
    by_label = {row["label"]: row for row in rows}
    for row in rows:
        if row["floor"] is None:
            continue
        below = by_label.get(row["floor"]["label"], {"metrics": {}})["metrics"].get(key)
        own = row["metrics"].get(key)
        if below and own and below["median"]:
            row["floor"]["value"] = below["median"]
            row["floor"]["ratio"] = own["median"] / below["median"]


def check_record(record: Mapping[str, Any]) -> None:
    """Raise `jsonschema.ValidationError` where a record is not what the schema says."""
    import jsonschema

    jsonschema.validate(record, json.loads(SCHEMA.read_text(encoding="utf-8")))


def write_record(record: Mapping[str, Any], folder: Path) -> Path:
    """Check a record and write it as `<benchmark>.json`."""
    check_record(record)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{record['benchmark']}.json"
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)
    return path


def read_record(path: Path) -> dict[str, Any]:
    """A record from its file, checked."""
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    check_record(record)
    return record
