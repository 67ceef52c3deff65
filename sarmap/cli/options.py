"""The flags of a map request, shared by `search`, `plan` and `map`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sarmap.errors import RequestError

if TYPE_CHECKING:
    from distributed import Client

    from sarmap.types import MapRequest

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")

_PLACE = [
    click.argument("file", required=False, type=click.Path()),
    click.option("--area", help="west,south,east,north in degrees, GeoJSON, or a vector file."),
    click.option(
        "--event",
        help="UTC instant: 2018-09-05T18:08:00Z; for a storm START/END; for an earthquake usgs:ID, "
        "or its GeoJSON or ShakeMap grid.xml, which give the area, too.",
    ),
    click.option("--mmi", type=float, help="Least shaking of an earthquake's area. Default: 6."),
    click.option("--name", help="What the place or event is called, for titles."),
    click.option(
        "--catalog",
        metavar="auto|NAME|URL|FILE",
        help="A preset (planetary-computer, opera-rtc-s1, digital-earth-africa), the URL of a STAC "
        "API, or a catalogue's file or folder. Default: auto, the first archive of a list that has "
        "the passes.",
    ),
    click.option(
        "--trust-catalog",
        is_flag=True,
        default=None,
        help="Let its records lead to local files and private addresses.",
    ),
    click.option(
        "--verify",
        is_flag=True,
        default=None,
        help="Read twice, and compare, what comes over plain HTTP without a checksum.",
    ),
    click.option(
        "--orbit",
        type=click.Choice(["ascending", "descending", "both"]),
        help="Default: the best covered.",
    ),
    click.option("--relative-orbit", type=int, help="Track number. Default: the best covered."),
    click.option(
        "--pre",
        multiple=True,
        metavar="NUMBER|FILE|FOLDER",
        help="Passes before the event: how many, or files of your own (may be repeated).",
    ),
    click.option(
        "--post",
        multiple=True,
        metavar="NUMBER|FILE|FOLDER",
        help="Passes after the event, likewise. Default: as many as needed.",
    ),
    click.option("--before-days", type=float, help="Days searched before. Default: 60 or more."),
    click.option("--after-days", type=float, help="Days searched after. Default: 60 or more."),
]
_MAP = [
    click.option("--times", help="Instants of the files, T1,T2,...; default: as their names say."),
    click.option(
        "--scaling",
        type=click.Choice(["power", "amplitude", "db", "dn"]),
        help="How radar is stored. Default: as power; what cannot be power is refused.",
    ),
    click.option("--dem", metavar="FILE", help="Elevation of your own, metres."),
    click.option(
        "--detector",
        help="auto (default), attention-unet, change, log-ratio, cnn, cnn-dense, or weights.",
    ),
    click.option("--composite", help="BAA_S, BAA, ... Default: the detector's own."),
    click.option("--crs", help="EPSG code. Default: the UTM zone of the area."),
    click.option("--resolution", type=float, help="Metres. Default: 10."),
    click.option("--overlap", type=int, help="Pixels by which tiles overlap. Default: 0."),
    click.option("--chunk", type=int, help="Block edge in pixels. Default: planned."),
    click.option("--engine", help="auto, openvino, tensorflow or keras."),
    click.option("--precision", help="auto, f32, bf16 or int8."),
    click.option(
        "--dense/--windowed",
        default=None,
        help="Window classifiers: all windows at once, or one by one. Default: automatic.",
    ),
    click.option("--memory", help="Memory limit, such as 2.5GB. Default: what the machine has."),
    click.option("--out", help="Result store. Default: map.zarr."),
    click.option("--overwrite", is_flag=True, default=None, help="Replace an existing result."),
    click.option(
        "--resume",
        is_flag=True,
        default=None,
        help="Continue an unfinished result, and read again what could not be read.",
    ),
    click.option("--strict", is_flag=True, default=None, help="Fail if any data was unread."),
    click.option(
        "--keep-radar",
        is_flag=True,
        default=None,
        help="Keep the radar before and after in the store, for `sarmap report`.",
    ),
    click.option(
        "--control",
        is_flag=True,
        default=None,
        help="Also map dates before the event, to measure false alarms.",
    ),
    click.option(
        "--level/--no-level",
        default=None,
        help="Bring all passes to one level before they are compared. Default: --level.",
    ),
    click.option("--threshold", type=float, help="Probability that makes a landslide."),
    click.option("--min-area", type=float, help="Smallest polygon kept, square metres."),
    click.option(
        "--cog-dtype",
        type=click.Choice(["uint8", "float32"]),
        help="The COG's probabilities: uint8 steps of 0.004 (the default), or as they are.",
    ),
    click.option(
        "--products",
        help="Beside the store: cog,geopackage,geoparquet,geojson,flatgeobuf,kmz,points,quicklook,"
        "item; or all, which keeps the radar, too.",
    ),
]


SECTIONS = {
    "Where and when": "area event mmi name catalog trust_catalog verify orbit relative_orbit pre "
    "post before_days after_days times scaling dem crs resolution",
    "What finds": "detector composite level overlap dense threshold min_area control",
    "Units of a region": "unit epicentre priority order dry_run calibrate",
    "Watching": "days passes every once webhook webhook_secret command",
    "Resources": "engine precision chunk memory cluster performance_report",
    "Output": "out overwrite resume strict keep_radar products cog_dtype report as_json",
}
"""Heading of the help -> parameters under it."""


class SectionedCommand(click.Command):
    """A command whose help groups its options under the headings of `SECTIONS`."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, and what each is where it is not given."""
        options = [one for one in self.get_params(ctx) if isinstance(one, click.Option)]
        told = {str(one.name): _with_default(one, ctx) for one in options}
        for title, names in SECTIONS.items():
            records = [told.pop(name) for name in names.split() if told.get(name)]
            if records:
                with formatter.section(title):
                    formatter.write_dl([one for one in records if one])
        with formatter.section("Others"):
            formatter.write_dl([one for one in told.values() if one])


def _with_default(option: click.Option, ctx: click.Context) -> tuple[str, str] | None:
    """Flags and help of an option; the request's own default, where the help does not say it."""
    from sarmap.types import MapRequest

    record = option.get_help_record(ctx)
    field = MapRequest.model_fields.get(str(option.name))
    if record is None or field is None or "efault" in record[1]:
        return record
    said = field.default in (None, False, ()) or field.is_required()
    return record if said else (record[0], f"{record[1]} Default: {field.default}.")


def request_options(*, full: bool = True) -> Callable[[F], F]:
    """Add the flags of a request to a command; not `full`: only those of a search."""

    def decorate(function: F) -> F:
        for option in reversed(_PLACE + (_MAP if full else [])):
            function = option(function)
        return function

    return decorate


def request_from(flags: Mapping[str, Any]) -> MapRequest:
    """The request of a file with the flags given on top; RequestError where one is wrong."""
    from sarmap.request_file import make_request

    return make_request(with_products(fields_from(flags)))


def with_products(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a map's request with its products by name, where they were given as words."""
    words = fields.get("products")
    if not isinstance(words, str):
        return fields
    kept = {"keep_radar": True} if words == "all" else {}
    return kept | fields | {"products": products_of(words, fields.get("detector", ""))}


def fields_from(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request file with the flags given on top; RequestError where the file is
    wrong.
    """
    from sarmap.request_file import read_request_file
    from sarmap.types import names_quake

    fields: dict[str, Any] = read_request_file(flags["file"]) if flags.get("file") else {}
    absent = (None, ())
    given = {name: one for name, one in flags.items() if one not in absent and name != "file"}
    if isinstance(given.get("times"), str):
        given["times"] = [one.strip() for one in given["times"].split(",")]
    if "/" in given.get("event", "") and not names_quake(given["event"]):
        given["event"] = tuple(given["event"].split("/", 1))
    return fields | given


def products_of(words: str, detector: str) -> tuple[str, ...]:
    """Names of products; `all` means all that the detector has."""
    from sarmap.export.products import PRODUCTS

    if words != "all":
        return tuple(word.strip() for word in words.split(",") if word.strip())
    return tuple(name for name in PRODUCTS if name != "points" or str(detector).startswith("cnn"))


_CLUSTER = [
    click.option(
        "--cluster",
        metavar="SPEC",
        help="threads, local, local:N, tcp://host:port, tls://host:port or a .yaml file. "
        "Default: threads.",
    ),
    click.option(
        "--performance-report",
        metavar="FILE",
        type=click.Path(),
        help="Keep Dask's account of the run in an HTML file.",
    ),
]


def cluster_options(function: F) -> F:
    """Add `--cluster` and `--performance-report` to a command; `opened_client` reads them."""
    for option in reversed(_CLUSTER):
        function = option(function)
    return function


def point_of(flag: str, text: str) -> tuple[float, float]:
    """Longitude and latitude of a flag, from two numbers with a comma."""
    try:
        longitude, latitude = (float(part) for part in text.split(","))
    except ValueError:
        raise RequestError(f"--{flag} {text!r} must be longitude,latitude.") from None
    return longitude, latitude


def opened_client(flags: dict[str, Any]) -> AbstractContextManager[Client | None]:
    """The client that the flags of `cluster_options` ask for, opened by `with`; None: threads.

    The flags are taken out of `flags` at once; nothing is opened before the `with` block. Raises
    RequestError where they are wrong, or an optional package is missing; ClusterError where the
    scheduler does not answer, or no worker came in time.
    """
    from sarmap.cluster.opening import open_client

    spec, report = flags.pop("cluster", None), flags.pop("performance_report", None)
    debug = bool((click.get_current_context().obj or {}).get("debug"))
    return open_client(spec, performance_report=report, say=say, quiet=not debug)


def say(line: str) -> None:
    """One line for the person at the terminal; standard output stays the command's own."""
    click.echo(line, err=True)
