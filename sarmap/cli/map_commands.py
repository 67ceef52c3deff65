"""`sarmap search`, `plan`, `map` and `watch`."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from sarmap.cli.options import (
    SectionedCommand,
    cluster_options,
    fields_from,
    json_option,
    opened_client,
    request_from,
    request_options,
    say,
    with_products,
)
from sarmap.cli.printing import (
    answer,
    archives_record,
    echo_json,
    passes_record,
    plan_record,
    print_passes,
    print_plan,
    print_result,
    result_record,
)
from sarmap.cli.startup import import_libraries
from sarmap.errors import RequestError

if TYPE_CHECKING:
    from sarmap.watch.record import Watch

UNREAD = 3
"""Exit code: finished, but some data could not be read."""


@click.command(
    cls=SectionedCommand,
    epilog="Example: sarmap search --area 141.83,42.58,142.14,42.89 --event 2018-09-05T18:08:00Z",
)
@request_options(full=False)
@json_option
def search(as_json: bool, **flags: Any) -> None:
    """Find the radar passes before and after an event, of every orbit; the best comes first.

    Of several archives (--catalog auto) each is asked, and the passes are those of the first that
    has some before and after. FILE is an optional request in YAML or TOML; flags override it.
    """
    from sarmap.acquire.archives import archives_of, compared
    from sarmap.acquire.quakes import from_quake
    from sarmap.acquire.search import look
    from sarmap.acquire.sought import Search

    request = from_quake(request_from(flags))
    if request.from_files:
        raise RequestError(
            "sarmap search looks into a catalogue, and files were given (--pre, --post): sarmap "
            "plan says what they hold."
        )
    archives = archives_of(request.catalog, trusted=request.trust_catalog, verify=request.verify)
    wanted = Search.of(
        request.area,
        request.event,
        orbit=request.orbit,
        relative_orbit=request.relative_orbit,
        pre=request.pre,
        post=request.post or 2,
        before_days=request.before_days,
        after_days=request.after_days,
    )
    looks, found = compared(archives, lambda settings: look(wanted, settings))
    orbits = found or ()
    if as_json:
        record = {"orbits": [passes_record(passes) for passes in orbits]}
        echo_json(record if len(looks) == 1 else {"archives": archives_record(looks), **record})
        return
    for one in looks if len(looks) > 1 else ():
        click.echo(f"archive   {one.name}: {one.sentence}")
    for passes in orbits:
        print_passes(passes)
    for note in dict.fromkeys(note for passes in orbits for note in passes.notes):
        click.echo(f"note      {note}")


@click.command(cls=SectionedCommand, epilog="Example: sarmap plan request.yaml --memory 2.5GB")
@request_options()
@json_option
def plan(as_json: bool, **flags: Any) -> None:
    """Say what a map would read, compute and write; refuse what does not fit.

    FILE is an optional request in YAML or TOML; flags override it.
    """
    from sarmap.planning import plan as make

    made = make(request_from(flags))
    answer(made, as_json, plan_record, print_plan)


@click.command(
    "map",
    cls=SectionedCommand,
    epilog="Examples: sarmap map --area 141.83,42.58,142.14,42.89 --event 2018-09-05T18:08:00Z "
    "--out iburi.zarr --products all; of files: sarmap map --pre before/ --post after/",
)
@request_options()
@cluster_options
@json_option
def map_(as_json: bool, **flags: Any) -> None:
    """Map landslides: search, read, predict, write.

    FILE is an optional request in YAML or TOML; flags override it.
    """
    opening = opened_client(flags)
    request = request_from(flags)
    import_libraries()
    from sarmap.pipeline import map_landslides
    from sarmap.progress import progress_bar

    with opening as client, progress_bar() as progress:
        result = map_landslides(request, client, progress=progress)
    answer(result, as_json, result_record, print_result)
    finish(result.read_failed)


def finish(read_failed: bool) -> None:
    """Leave with the exit code of a map with unread data, where it has any."""
    if read_failed:
        print(
            "sarmap: some data could not be read; those pixels are marked read_failed.",
            file=sys.stderr,
        )
        click.get_current_context().exit(UNREAD)


@click.command(
    cls=SectionedCommand,
    epilog="Example: sarmap watch --area 141.83,42.58,142.14,42.89 --event 2018-09-05T18:08:00Z "
    "--out iburi --webhook https://example.org/maps",
)
@request_options()
@click.option("--days", type=float, help="Days after the event at which it ends. Default: 60.")
@click.option(
    "--passes", type=int, help="It ends when so many passes after the event are mapped, too."
)
@click.option("--every", type=float, help="Hours between looks while a pass is late. Default: 1.")
@click.option("--once", is_flag=True, help="Look once, map what is new, and leave: for cron.")
@click.option("--webhook", metavar="URL", help="Gets each map's record as signed JSON.")
@click.option(
    "--webhook-secret",
    metavar="VARIABLE",
    help="Environment variable with the signing key. Default: SARMAP_WEBHOOK_SECRET.",
)
@click.option("--command", help="Run for each map, its record as JSON on standard input.")
@cluster_options
@json_option
def watch(as_json: bool, once: bool, **flags: Any) -> None:
    """Watch an event: map it again whenever the radar has passed, until it is over.

    FILE is an optional request in YAML or TOML; flags override it. Every map is kept in the folder
    or URL --out with what it changed, latest.json names the newest, and feed.xml all. Killed and
    started again, it goes on; `sarmap status` says where it stands.
    """
    opening = opened_client(flags)
    import_libraries()
    from sarmap.request_file import make_request
    from sarmap.watch.record import Watch
    from sarmap.watch.request import WatchRequest
    from sarmap.watch.watching import watch_event

    request = make_request(with_products(fields_from(flags)), WatchRequest)
    with opening as client:
        found = watch_event(request, client, once=once, say=say)
    answer(found, as_json, Watch.record, partial(print_watch, str(request.out)))


def print_watch(shown: str, found: Watch) -> None:
    """Where a watch stands, for a person."""
    from sarmap.watch.telling import headline

    simulated = any(one.simulated for one in found.products)
    click.echo(f"{shown}{'  SIMULATED' if simulated else ''}")
    click.echo(f"event     {found.asked['event'][0][:16].replace('T', ' ')} UTC")
    click.echo(f"looks     {found.looks:,} since {found.begun[:16].replace('T', ' ')} UTC")
    for product in found.products:
        click.echo(f"map       {product.name}: {headline(product)}")
    if found.sentence:
        click.echo(f"note      {found.sentence}")
    if found.ended:
        click.echo(f"ended     {found.ended}")
    else:
        click.echo(f"next      {found.next_look[:16].replace('T', ' ')} UTC")
