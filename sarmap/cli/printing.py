"""What the commands print: tables, progress and closing lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sarmap.progress import megapixels

if TYPE_CHECKING:
    from sarmap.acquire.archives import Looked
    from sarmap.assess.comparison import Comparison
    from sarmap.pipeline import MapResult
    from sarmap.store.provenance import Provenance
    from sarmap.types import Passes, Plan

T = TypeVar("T")
PAPER_SECONDS = 420
"""Paper 2: "around 7 mins" for the whole area on a six-core laptop."""


def passes_record(passes: Passes) -> dict[str, Any]:
    """The passes of one orbit, for JSON."""
    return {
        "orbit_state": passes.orbit_state,
        "relative_orbit": passes.relative_orbit,
        "catalog": passes.catalog.name,
        "simulated": passes.simulated,
        "notes": list(passes.notes),
        "passes": [
            {
                "role": one.role,
                "datetime": one.datetime.isoformat(),
                "platform": one.platform,
                "coverage_percent": round(100 * one.coverage, 1),
                "scenes": [item.id for item in one.items],
            }
            for one in passes
        ],
    }


def archives_record(looks: Sequence[Looked]) -> list[dict[str, Any]]:
    """Archives side by side, for JSON."""
    return [
        {
            "name": one.name,
            "taken": one.taken,
            "newest": None if one.newest is None else one.newest.datetime.isoformat(),
            "coverage_percent": None if one.newest is None else round(100 * one.newest.coverage, 1),
            "sentence": one.sentence,
        }
        for one in looks
    ]


def print_passes(passes: Passes) -> None:
    """The passes of one orbit, a line each."""
    mark = "  SIMULATED" if passes.simulated else ""
    mark += _due_text([passes], ", next due")
    track = f"relative orbit {passes.relative_orbit or 'not known'}"
    click.echo(f"{passes.orbit_state or 'orbit not known'}, {track}{mark}")
    for one in passes:
        click.echo(
            f"  {one.role:7} {one.datetime:%Y-%m-%d %H:%M} UTC  {one.platform:12} "
            f"{100 * one.coverage:5.1f} % covered"
        )
        for item in one.items:
            click.echo(f"          {item.id}")


def plan_record(plan: Plan) -> dict[str, Any]:
    """A plan, for JSON."""
    height, width = plan.grid.shape
    return {
        "orbits": [passes_record(passes) for passes in plan.passes],
        "grid": {"crs": str(plan.grid.crs), "rows": height, "columns": width},
        "detector": dict(plan.detector),
        "chunk": plan.chunk,
        "blocks": plan.blocks,
        "tasks": plan.tasks,
        "read_bytes": plan.read_bytes,
        "write_bytes": plan.write_bytes,
        "peak_memory": plan.peak_memory,
        "memory_limit": plan.memory_limit,
        "levels": [dict(one) for one in plan.levels],
        "warnings": list(plan.warnings),
    }


def print_plan(plan: Plan) -> None:
    """A plan, for a person."""
    from sarmap.store.provenance import read_provenance

    for passes in plan.passes:
        print_passes(passes)
    height, width = plan.grid.shape
    detector = plan.detector
    click.echo(
        f"grid      {height} rows x {width} columns, {plan.grid.crs}, "
        f"{abs(plan.grid.affine.a):g} m ({megapixels(height * width)})\n"
        f"detector  {detector['name']} ({detector['engine']}, {detector['precision']}) reads "
        f"{', '.join(detector['bands'])}\n"
        f"work      {plan.blocks} blocks of {plan.chunk} px, {plan.tasks:,} tasks\n"
        f"read      {plan.read_bytes / 1e6:,.0f} MB of pixels from {len(plan.scenes)} scenes\n"
        f"write     {plan.write_bytes / 1e6:,.0f} MB of pixels\n"
        f"memory    {plan.peak_memory / 1e9:.1f} GB at the peak, of "
        f"{plan.memory_limit / 1e9:.1f} GB allowed"
    )
    # passes that lie clearly off those before the event, which are levelled
    for limit in read_provenance({"sarmap:levels": [dict(one) for one in plan.levels]}).limits:
        click.echo(f"limits    {limit}")
    for warning in plan.warnings:
        click.echo(f"note      {warning}")


def result_record(result: MapResult) -> dict[str, Any]:
    """A finished map, for JSON."""
    return {
        "out": result.path,
        "files": dict(result.files),
        "seconds": round(result.seconds, 3),
        "pixels": result.pixels,
        "observation": dict(result.observation),
        "control": None if result.control is None else dict(result.control),
        "computed": result.computed,
        "reads": dict(result.reads),
        "engine": {
            key.removeprefix("engine_"): result.dataset.attrs[key]
            for key in ("engine", "precision", "engine_reason")
            if key in result.dataset.attrs
        },
        "warnings": list(result.warnings),
        "plan": plan_record(result.plan),
    }


def print_result(result: MapResult, extra: Mapping[str, Any] | None = None) -> None:
    """A finished map, for a person: files, warnings, and last what was found."""
    from sarmap.store.provenance import read_provenance

    made = read_provenance(result.dataset.attrs)
    if made.simulated:
        click.echo("SIMULATED event: nothing here happened.")
    already = "  (was finished already: no block was left to be done)"
    click.echo(f"map       {result.path}{already if result.computed == 0 else ''}")
    for name, file in result.files.items():
        click.echo(f"{name:9} {file}{_cog_note(result) if name == 'cog' else ''}")
    for name, text in (extra or {}).items():
        click.echo(f"{name:9} {text}")
    told = result.dataset.attrs
    if "engine" in told:
        why = f": {told['engine_reason']}" if "engine_reason" in told else ""
        click.echo(f"engine    {told['engine']} at {told['precision']}{why}")
    for limit in made.limits:
        click.echo(f"limits    {limit}")
    for warning in result.warnings:
        click.echo(f"note      {warning}")
    if result.control is not None:
        from sarmap.export.control_words import described

        click.echo(f"control   {described(result.control)}")
    click.echo(f"time      {megapixels(result.pixels)} in {result.seconds:.1f} s")
    named = result.plan.request.catalog != "auto"
    archive = "" if named else f", of {result.plan.passes[0].catalog.name}"
    click.echo(
        f"event     {', '.join(filter(None, (made.name, made.event_text)))}\n"
        f"passes    {made.days('pre')} before, {made.days('post')} after{archive}"
        f"{_due_text(result.plan.passes, '; the next is due')}\n"
        f"found     {_found_text(result, made)}"
    )


def _due_text(passes: Sequence[Passes], words: str) -> str:
    """When an orbit comes next; empty where nobody waits for it."""
    from sarmap.acquire.instants import utc_now
    from sarmap.acquire.pairing import next_due

    dues = [due for one in passes if (due := next_due(one, utc_now()))]
    return f"{words} {min(dues):%Y-%m-%d %H:%M} UTC" if dues else ""


def _found_text(result: MapResult, made: Provenance) -> str:
    """What a map calls landslide, in numbers."""
    from sarmap.export.polygons import count_landslides, pixel_area

    request = result.plan.request
    count, area = count_landslides(
        result.path, threshold=request.threshold, min_area=request.min_area
    )
    seen = result.observation.get("observed", 0) * pixel_area(result.plan.grid) / 1e6
    mark = "SIMULATED " if made.simulated else ""
    return (
        f"{count:,} {mark}candidate landslides, {area:,.2f} km² of {seen:,.1f} km² seen, from "
        f"probability {request.threshold:g} on"
    )


def _cog_note(result: MapResult) -> str:
    """That a COG of bytes is no probability until it is scaled, for who reads it as one."""
    made = json.loads(result.dataset.attrs.get("sarmap:products", "{}")).get("cog", {})
    if made.get("cog_dtype") == "float32":
        return ""
    return "  (uint8: probability = value x 0.004, 255 = not seen; --cog-dtype float32 writes it)"


def print_comparison(found: Comparison) -> None:
    """Two maps side by side, for a person."""
    if found.simulated:
        click.echo("SIMULATED event: nothing here happened.")
    click.echo(f"both saw  {found.seen_km2:,.1f} km²; landslide from {found.threshold:g}")
    for name, part in found.parts.items():
        true = "" if part.true_km2 is None else f", {100 * part.precision:.0f} % of it true"
        click.echo(f"{name:9} {part.km2:,.2f} km²{true}")
    for which, scores in found.scores.items():
        text = ", ".join(f"{_SCORES[name]} {100 * value:.1f}" for name, value in scores.items())
        click.echo(f"{which:9} {text} %; {found.found[which]:,} landslides found")
    if found.scores:
        gain = found.scores["second"]["f1"] - found.scores["first"]["f1"]
        ends = found.intervals["gain"]["f1"]
        known = (
            f" ({100 * ends.low:+.1f} to {100 * ends.high:+.1f})" if ends.low == ends.low else ""
        )
        click.echo(
            f"gain      {100 * gain:+.1f} F1 points{known}; {found.found['both']:,} landslides in "
            f"both, of {found.found['of']:,}"
        )


_SCORES = {"precision": "precision", "recall": "recall", "f1": "F1", "iou": "IoU"}


def answer(
    made: T, as_json: bool, record: Callable[[T], Mapping[str, Any]], show: Callable[[T], None]
) -> None:
    """What a command made: as JSON, or for a person."""
    if as_json:
        echo_json(record(made))
    else:
        show(made)


def echo_json(record: Mapping[str, Any]) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(record, indent=2))
