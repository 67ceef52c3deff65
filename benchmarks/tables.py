"""Results as Markdown: one table per benchmark, made from its result file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["machine_line", "markdown", "render"]


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """A Markdown table; the first `left` columns are text, all others figures.

    >>> print(markdown(["what", "s"], [["a|b", "1.0"]]))
    | what | s |
    | --- | ---: |
    | a\\|b | 1.0 |
    """
    marks = [*["---"] * left, *["---:"] * (len(headings) - left)]
    lines = [_line(headings), _line(marks), *(_line(row) for row in rows)]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def render(record: Mapping[str, Any]) -> str:
    """A whole result as Markdown: title, machine, tables by group, answers, notes."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in record["rows"]:
        groups.setdefault(row["group"], []).append(row)
    parts = [f"### {record['title']}", _provenance(record)]
    for name, rows in groups.items():
        parts.append((f"**{name}**\n\n" if name else "") + table(record, rows))
    parts.append(_answers(record["answers"]))
    parts += [f"- {note}" for note in record["notes"]]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(record: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of one group, with the columns that any of them fills."""
    columns = [c for c in record["columns"] if any(c["key"] in row["metrics"] for row in rows)]
    floors = any(row["floor"] for row in rows)
    headings = ["", *(column["heading"] for column in columns), *(["times its floor"] * floors)]
    return markdown(headings, [_cells(row, columns, floors) for row in rows])


def _cells(row: Mapping[str, Any], columns: Sequence[Any], floors: bool) -> list[str]:
    if row["failed"]:
        failed = [f"{row['label']} - failed: {row['failed']}"]
        return [*failed, *[""] * (len(columns) + floors)]
    cells = [row["label"], *(figure(row["metrics"].get(c["key"]), c) for c in columns)]
    if floors:
        cells.append(_ratio(row))
    return cells


def _ratio(row: Mapping[str, Any]) -> str:
    """How many times its floor a row is, and which one: what the labels share is left out."""
    floor = row["floor"]
    if not floor or not floor["ratio"]:
        return ""
    what, _, own = floor["label"].partition(": ")
    shown = own if own and row["label"].startswith(f"{what}: ") else floor["label"]
    return f"{floor['ratio']:.2f} ({shown})"


def figure(measured: Mapping[str, Any] | None, column: Mapping[str, Any]) -> str:
    """A median with its spread, where there is one.

    >>> seconds = {"digits": 1, "scale": 1}
    >>> figure({"median": 2.0, "low": 1.5, "high": 2.5, "values": [1.5, 2.0, 2.5]}, seconds)
    '2.0 (1.5-2.5)'
    """
    if not measured:
        return ""
    digits, scale = column["digits"], column["scale"]
    middle, low, high = (f"{measured[k] / scale:,.{digits}f}" for k in ("median", "low", "high"))
    return middle if low == high else f"{middle} ({low}-{high})"


def machine_line(record: Mapping[str, Any]) -> str:
    """The machine in words."""
    machine = record["machine"]
    sets = ", ".join(machine["instructions"]) or "no instruction set of note"
    return (
        f"{machine['cores']} cores of {machine['processor']} ({sets}), "
        f"{machine['memory_gb']:.0f} GB, {machine['system']}"
    )


def _provenance(record: Mapping[str, Any]) -> str:
    git = record["git"]
    event = ""
    if "extent" in record:
        rows, columns = record["extent"]["rows"], record["extent"]["columns"]
        event = f" one extent is {rows} x {columns} px, SIMULATED;"
    state = f"{git['revision'][:10]}{' with changes' if git['changed'] else ''}"
    warning = ""
    if record["load"]["disturbed"]:
        used = record["load"]["cores_used_by_others"]
        warning = f" **Disturbed: others used {used:.1f} cores before the run.**"
    return (
        f"`{record['command']}`, {record['finished'][:10]}, {machine_line(record)};{event} "
        f"revision {state}. Median "
        f"(least-greatest) of repeats.{warning}"
    )


def _answers(answers: Mapping[str, Any]) -> str:
    compared = answers["compared"]
    if not compared:
        return ""
    if answers["identical"]:
        worst = max(one["largest"] or 0.0 for one in compared)
        exact = "bit for bit" if worst == 0 else f"largest difference {worst:.1g}, within tolerance"
        return f"Answers of {len(compared)} configurations compared with their references: {exact}."
    wrong = [
        f"{one['label']} differs from {one['reference']} in {one['differing']:,} of "
        f"{one['values']:,} values"
        + ("" if one["largest"] is None else f", by up to {one['largest']:.2g}")
        for one in compared
        if not one["identical"]
    ]
    return f"**ANSWERS DIFFER: {'; '.join(wrong)}.**"
