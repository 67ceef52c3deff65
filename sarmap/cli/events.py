"""`sarmap simulate`, `serve` and `demo`: a simulated event, its STAC API, and a map of it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sarmap.cli.map_commands import finish
from sarmap.cli.options import json_option, point_of
from sarmap.cli.printing import PAPER_SECONDS, echo_json, print_result, result_record
from sarmap.cli.startup import import_libraries
from sarmap.errors import OutputError, RequestError

if TYPE_CHECKING:
    from sarmap.simulate.event import SimulatedEvent
    from sarmap.types import Orbit

_size = [
    click.option("--seed", type=int, default=2018, show_default=True, help="Random seed."),
    click.option("--rows", type=click.IntRange(1), default=3842, show_default=True),
    click.option("--columns", type=click.IntRange(1), default=2346, show_default=True),
]


def _sized(function: Callable[..., None]) -> Callable[..., None]:
    """Seed and size of a simulated event."""
    for option in reversed(_size):
        function = option(function)
    return function


@click.command(epilog="Example: sarmap simulate my-event --seed 7 --rows 1000 --columns 800")
@click.argument("out", type=click.Path())
@_sized
@click.option("--center", help="Longitude,latitude of the middle. Default: eastern Iburi.")
@click.option("--crs", help="EPSG code. Default: the UTM zone of the place.")
@click.option("--event", default="2018-09-05T18:08:00Z", show_default=True, help="UTC instant.")
@click.option("--earlier", type=click.IntRange(0), default=4, show_default=True, help="Passes.")
@click.option("--inventory", type=click.Path(), help="Landslide polygons to use, in any format.")
@click.option("--overwrite", is_flag=True, help="Replace an existing event.")
@json_option
def simulate(out: str, as_json: bool, center: str | None, **arguments: Any) -> None:
    """Simulate an event as a STAC catalogue of COGs in folder OUT. Nothing in it is real."""
    from sarmap.simulate.event import simulate_event

    if center is not None:
        arguments["center"] = point_of("center", center)
    event = simulate_event(out, progress=_stage, **arguments)
    record = {"out": str(event.path), "seed": event.seed, "area": event.area, "simulated": True}
    if as_json:
        echo_json(record)
    else:
        click.echo(f"SIMULATED event in {event.path}: {event.inventory.name}, seed {event.seed}")


def _stage(stage: str, share: float) -> None:
    """One line per stage on a terminal, overwritten as it goes."""
    if sys.stderr.isatty():
        print(f"\r\x1b[Ksimulating: {stage} {100 * share:.0f} %", end="", file=sys.stderr)
        if share >= 1:
            print(file=sys.stderr)


@click.command(epilog="Example: sarmap serve my-event")
@click.argument("folder", type=click.Path())
@click.option("--port", type=click.IntRange(1, 65535), help="Of the API. Default: a free one.")
@json_option
def serve(folder: str, port: int | None, as_json: bool) -> None:
    """Serve a simulated event as a STAC API on this machine, until Ctrl-C.

    FOLDER was made by `sarmap simulate`. Loopback alone can reach it: maps, scans and clusters of
    this machine take its address as --catalog.
    """
    from sarmap.simulate.event import open_event
    from sarmap.simulate.serve import serve_event

    event = open_event(folder)
    with serve_event(event, port) as server:
        area = ",".join(f"{degrees:.4f}" for degrees in event.area)
        record = {"catalog": server.url, "area": area, "event": event.event, "simulated": True}
        if as_json:
            echo_json(record)
        else:
            click.echo(
                f"SIMULATED event at {server.url} until Ctrl-C; in another terminal:\n\n"
                f"  sarmap map --catalog {server.url} --area {area} --event {event.event}\n"
            )
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


@click.command(epilog="Example: sarmap demo --out demo")
@click.option("--out", default="sarmap-demo", show_default=True, help="Folder for the results.")
@click.option("--cache", type=click.Path(), help="Where the simulated event is kept.")
@_sized
@click.option("--detector", default="auto", show_default=True)
@click.option(
    "--orbit", type=click.Choice(["ascending", "descending", "both"]), default="ascending"
)
@click.option(
    "--control", is_flag=True, help="Also map dates before the event, to measure false alarms."
)
@json_option
def demo(
    out: str,
    cache: str | None,
    detector: str,
    orbit: Orbit,
    control: bool,
    as_json: bool,
    **size: int,
) -> None:
    """Map a SIMULATED Iburi event, offline, by the route of a real map.

    The first run simulates the event (a few minutes) and keeps it; every run then asks a STAC API
    on this machine, reads COGs over HTTP, and ends with a map, a picture and a score.
    """
    import_libraries()
    from sarmap.assess.scores import score_map
    from sarmap.cli.options import products_of
    from sarmap.detect.weights import load_detector
    from sarmap.pipeline import map_landslides
    from sarmap.progress import progress_bar
    from sarmap.simulate.serve import serve_event
    from sarmap.types import MapRequest

    started = time.perf_counter()
    _keep_loopback_direct()
    # what would be refused is refused before the minutes that simulating takes
    if detector != "auto":
        load_detector(detector)
    store = _ready_store(out)
    event = _cached_event(cache, size)
    with serve_event(event) as server, progress_bar() as progress:
        request = MapRequest(
            area=event.grid,
            event=event.event,
            catalog=server.catalog,
            detector=detector,
            orbit=orbit,
            out=str(store),
            products=products_of("all", detector),
            keep_radar=True,
            control=control,
            overwrite=True,
        )
        result = map_landslides(request, progress=progress)
    scores = score_map(result.dataset, event.inventory)
    seconds = time.perf_counter() - started
    if as_json:
        echo_json(result_record(result) | {"scores": scores.record(), "process_seconds": seconds})
    else:
        print_result(result, {"score": f"{scores} (against the simulated inventory)"})
        click.echo(f"The paper: about {PAPER_SECONDS} s on six cores for 9.0 Mpx.")
    finish(result.read_failed)


def _keep_loopback_direct() -> None:
    """Servers on this machine are never asked through a proxy, whatever the environment says."""
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [host for host in os.environ.get(name, "").split(",") if host]
        os.environ[name] = ",".join([*hosts, "127.0.0.1", "localhost"])


def _cached_event(cache: str | None, size: dict[str, int]) -> SimulatedEvent:
    """The demo's event, simulated on the first run."""
    from sarmap.simulate.kept import demo_event, event_folder

    if not event_folder(**size, cache=cache).exists():
        click.echo("First run: simulating the event; later runs reuse it.", err=True)
    return demo_event(**size, cache=cache, progress=_stage)


def _ready_store(out: str) -> Path:
    """The map's place in the demo's folder, which is made here."""
    folder = Path(out).expanduser()
    _refuse_real(folder / "map.zarr")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder {folder.name} for the results cannot be made ({error.strerror}): choose "
            "another --out."
        ) from error
    return folder / "map.zarr"


def _refuse_real(store: Path) -> None:
    """The demo replaces its own earlier results, and nothing else."""
    from sarmap.store.result import is_simulated, open_map

    if not store.exists():
        return
    if store.is_dir() and not any(store.iterdir()):
        return  # a run that ended before it wrote left the folder
    try:
        simulated = is_simulated(open_map(store))
    except RequestError:
        simulated = False
    if not simulated:
        raise RequestError(
            f"{store.name} in that folder is not a finished simulated map, and the demo would "
            "replace it: remove it, or choose another --out."
        )
