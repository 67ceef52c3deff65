"""`sarmap scan` and `sarmap status`: a region unit by unit, and how far it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sarmap.cli.map_commands import UNREAD, print_watch
from sarmap.cli.options import (
    SectionedCommand,
    cluster_options,
    fields_from,
    json_option,
    opened_client,
    point_of,
    request_options,
)
from sarmap.cli.printing import answer
from sarmap.cli.startup import import_libraries
from sarmap.errors import RequestError
from sarmap.progress import megapixels

if TYPE_CHECKING:
    from sarmap.regions.forecast import ScanPlan
    from sarmap.regions.request import ScanRequest
    from sarmap.regions.scanning import ScanProgress, ScanResult
    from sarmap.regions.status import ScanStatus


@click.command(
    cls=SectionedCommand,
    epilog="Example: sarmap scan --area japan.gpkg --event 2018-09-05T18:08:00Z "
    "--epicentre 142.0,42.7 --out hokkaido --cluster local",
)
@request_options()
@click.option("--unit", type=int, help="Edge of a unit of work, pixels. Default: 10240.")
@click.option("--epicentre", help="Longitude,latitude: units nearest to it go first.")
@click.option("--priority", help="Raster or vector file: units where it is greatest go first.")
@click.option(
    "--order",
    type=click.Choice(["shaking", "epicentre", "raster", "none"]),
    help="Default: raster with --priority, epicentre with --epicentre, shaking with an earthquake "
    "whose ShakeMap is known, else none.",
)
@click.option("--dry-run", is_flag=True, help="Say what it would take, and map nothing.")
@click.option("--report", is_flag=True, help="Also write the page of `sarmap report`: OUT_report.")
@click.option("--calibrate", is_flag=True, help="With --dry-run: map a piece to know the rate.")
@cluster_options
@json_option
def scan(as_json: bool, dry_run: bool, calibrate: bool, report: bool, **flags: Any) -> None:
    """Map a region of any size, unit by unit, the most urgent first.

    FILE is an optional request in YAML or TOML; flags override it. Everything is kept in the folder
    or URL --out: one Zarr map per unit, one STAC collection over all, merged polygons, a picture.
    """
    if calibrate and not dry_run:
        raise RequestError("--calibrate belongs to --dry-run: give both, or neither.")
    import_libraries()
    with opened_client(flags) as client:
        request = _request(flags)
        if dry_run:
            from sarmap.regions.forecast import plan_scan

            plan = plan_scan(request, client, calibrate=calibrate)
            return answer(plan, as_json, _plan_record, _print_plan)
        from sarmap.regions.scanning import scan as run

        page = _page(request) if report else None
        with _following() as progress:
            result = run(request, client, progress=progress)
    if page is not None and result.count("done", "unread"):
        from sarmap.regions.opened import open_scan

        made = open_scan(result.path).write_report(page, overwrite=True)
        result = replace(result, files={**result.files, "report": made.index})
    answer(result, as_json, _result_record, _print_result)
    if result.incomplete:
        _say_incomplete(result)
        click.get_current_context().exit(UNREAD)


def _page(request: ScanRequest) -> Path:
    """Where the scan's page goes; a place that cannot take it is refused before any work."""
    from sarmap.report.folder import check_place
    from sarmap.store.location import is_url

    out = str(request.out).rstrip("/")
    place = Path(f"{out.rpartition('/')[2] if is_url(out) else out}_report").expanduser()
    check_place(place, overwrite=request.resume or request.overwrite)
    return place


def _request(flags: Mapping[str, Any]) -> ScanRequest:
    from sarmap.regions.request import PRODUCTS, ScanRequest
    from sarmap.request_file import make_request

    fields = fields_from(flags)
    if isinstance(fields.get("epicentre"), str):
        fields["epicentre"] = point_of("epicentre", fields["epicentre"])
    words = fields.get("products")
    if isinstance(words, str):
        names = [word.strip() for word in words.split(",") if word.strip()]
        fields["products"] = PRODUCTS if words == "all" else tuple(names)
    return make_request(fields, ScanRequest)


@contextmanager
def _following() -> Iterator[Callable[[ScanProgress], None]]:
    """One line on the terminal for where the scan is; elsewhere a line per unit."""
    live, last = sys.stderr.isatty(), ""

    def follow(at: ScanProgress) -> None:
        nonlocal last
        line = f"unit {at.number}/{at.units} {at.unit}"
        if live:
            blocks = f", {at.blocks_done}/{at.blocks} blocks" if at.blocks else ""
            print(f"\r\x1b[K{line}{blocks}", end="", file=sys.stderr, flush=True)
        elif line != last:
            print(line, file=sys.stderr)
        last = line

    try:
        yield follow
    finally:
        if live and last:
            print(file=sys.stderr)


def _say_incomplete(result: ScanResult) -> None:
    counts = [
        f"{result.count(word)} {text}"
        for word, text in (
            ("failed", "failed"),
            ("unread", "hold pixels that could not be read"),
            ("waiting", "were not tried"),
        )
        if result.count(word)
    ]
    print(
        f"sarmap: of {len(result.states)} units {', '.join(counts)}; run the same again with "
        "--resume to try them again.",
        file=sys.stderr,
    )


def _result_record(result: ScanResult) -> dict[str, Any]:
    return {
        "out": result.path,
        "files": dict(result.files),
        "seconds": round(result.seconds, 3),
        "simulated": result.simulated,
        "control": None if result.control is None else dict(result.control),
        "warnings": list(result.warnings),
        "units": {
            name: {
                "status": state.status,
                "place": result.places[name],
                "seconds": state.seconds,
                "pixels": state.pixels,
                "observation": dict(state.observation),
                "detector": state.detector,
                "sentence": state.sentence,
            }
            for name, state in result.states.items()
        },
    }


def _print_result(result: ScanResult) -> None:
    mark = "  SIMULATED: nothing here happened" if result.simulated else ""
    click.echo(f"scan        {result.path}{mark}")
    for name, file in result.files.items():
        click.echo(f"{name:11} {file}")
    for name, state in result.states.items():
        if state.status in ("failed", "no_radar"):
            click.echo(f"{state.status:11} {name} ({result.places[name]}): {state.sentence}")
    for warning in result.warnings:
        click.echo(f"note        {warning}")
    if result.control is not None:
        from sarmap.export.control_words import described

        click.echo(f"control     {described(result.control)}")
    mapped = [state for state in result.states.values() if state.status in ("done", "unread")]
    pixels = sum(state.pixels for state in mapped)
    click.echo(
        f"{len(mapped)} of {len(result.states)} units mapped, {megapixels(pixels)}; this run "
        f"took {result.seconds:.1f} s."
    )


def _plan_record(plan: ScanPlan) -> dict[str, Any]:
    told = (
        "zones order unmapped orbits detectors scenes searches pixels pixels_done blocks tasks "
        "unit_tasks read_bytes write_bytes peak_memory core_hours"
    )
    rate = None
    if plan.rate is not None:
        rate = {name: getattr(plan.rate, name) for name in ("core_seconds_per_megapixel", "source")}
    return {
        "units": len(plan.order),
        **{name: getattr(plan, name) for name in told.split()},
        "rate": rate,
        "warnings": plan.warnings,
    }


def _print_plan(plan: ScanPlan) -> None:
    zones = ", ".join(f"{count} in {zone}" for zone, count in plan.zones.items())
    click.echo(f"units     {len(plan.order)} ({zones}), first {', '.join(plan.order[:3])}")
    for words, count in plan.orbits.items():
        click.echo(f"orbit     {words}: {count} units")
    for name, count in plan.detectors.items():
        click.echo(f"detector  {name}: {count} units")
    tasks = "not known" if plan.tasks is None else f"about {plan.tasks:,}"
    click.echo(
        f"work      {megapixels(plan.pixels)} in {plan.blocks:,} blocks, {tasks} tasks, at most "
        f"{plan.unit_tasks:,} at a time\n"
        f"read      {plan.read_bytes / 1e6:,.0f} MB of pixels from {len(plan.scenes)} scenes\n"
        f"write     {plan.write_bytes / 1e6:,.0f} MB of pixels\n"
        f"memory    {plan.peak_memory / 1e9:.1f} GB at the peak of the largest unit"
    )
    if plan.rate is None:
        click.echo(
            "hours     not known: no unit of this scan is mapped yet; --calibrate maps a piece to "
            "measure"
        )
    else:
        click.echo(
            f"hours     {plan.core_hours:.2f} core-hours left, at "
            f"{plan.rate.core_seconds_per_megapixel:.2f} core-seconds per Mpx, measured on "
            f"{plan.rate.source}"
        )
    for name, sentence in plan.unmapped.items():
        click.echo(f"unmapped  {name}: {sentence}")
    for warning in plan.warnings:
        click.echo(f"note      {warning}")


@click.command(epilog="Example: sarmap status s3://bucket/hokkaido --watch 10")
@click.argument("out")
@click.option(
    "--watch",
    type=click.FloatRange(0.1),
    is_flag=False,
    flag_value=5.0,
    default=None,
    metavar="SECONDS",
    help="Say it again every so many seconds (5), until the scan has ended.",
)
@json_option
def status(out: str, watch: float | None, as_json: bool) -> None:
    """Say how far a scan is: units and blocks done, failed and left, rate and time left.

    OUT is the folder or URL of a scan, or of `sarmap watch`: then its maps, and when it looks next.
    Only small records are read from there, on any machine.
    """
    while True:
        finished = _say_status(out, as_json)
        if watch is None or finished:
            return
        time.sleep(watch)


def _say_status(out: str, as_json: bool) -> bool:
    """Say where a scan or a watch stands; True where it is over."""
    from sarmap.regions.scan_folder import Folder
    from sarmap.regions.status import ScanStatus, scan_status
    from sarmap.watch.record import RECORD, Watch, read_watch

    folder = Folder(out)
    if folder.read_bytes(RECORD) is None:
        scanned = scan_status(out)
        answer(scanned, as_json, ScanStatus.record, _print_status)
        return scanned.finished
    watched = read_watch(folder)
    answer(watched, as_json, Watch.record, partial(print_watch, folder.shown))
    return bool(watched.ended)


def _print_status(found: ScanStatus) -> None:
    mark = "  SIMULATED" if found.simulated else ""
    units = ", ".join(f"{count} {word.replace('_', ' ')}" for word, count in found.units.items())
    blocks = found.blocks
    click.echo(
        f"{found.path}{mark}\n"
        f"units     {units}\n"
        f"blocks    {blocks['done']} done, {blocks['failed']} with unread pixels, "
        f"{blocks['left']} left"
    )
    for name, count in found.detectors.items():
        click.echo(f"detector  {name}: {count} units")
    for name, (done, total) in found.running.items():
        click.echo(f"at work   {name} ({found.places[name]}): {done} of {total} blocks")
    if found.rate is None:
        click.echo("rate      not known before the first unit is done")
    else:
        click.echo(
            f"rate      {found.rate.pixels_per_second / 1e6:.2f} Mpx/s, "
            f"{_duration(found.seconds_left or 0.0)} left"
        )
    if found.age is not None:
        click.echo(f"changed   {_duration(found.age)} ago")
    for name, sentence in found.failures.items():
        click.echo(f"failed    {name} ({found.places[name]}): {sentence}")
    for warning in (*found.notes, *found.warnings):
        click.echo(f"note      {warning}")


def _duration(seconds: float) -> str:
    """Seconds in words: '42 s', '3 min 5 s', '2 h 10 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
