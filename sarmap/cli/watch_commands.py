"""`sarmap watch`: an event mapped again whenever the radar has passed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sarmap.cli.options import (
    SectionedCommand,
    cluster_options,
    fields_from,
    json_option,
    opened_client,
    request_options,
    with_products,
)
from sarmap.cli.printing import echo_json
from sarmap.cli.startup import import_libraries

if TYPE_CHECKING:
    from sarmap.watch.record import Watch


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
    from sarmap.watch.request import WatchRequest
    from sarmap.watch.watching import watch_event

    request = make_request(with_products(fields_from(flags)), WatchRequest)
    with opening as client:
        found = watch_event(request, client, once=once, say=_say)
    if as_json:
        echo_json(found.record())
    else:
        print_watch(str(request.out), found)


def _say(line: str) -> None:
    """One line as it happens, beside the command's own output."""
    click.echo(line, err=True)


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
