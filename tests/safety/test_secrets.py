"""Canaries wherever a secret may stand; everything a run leaves behind is searched for them.

Planted: tokens of the storage, stale signatures and passwords in the records' hrefs, a password in
the catalogue's address, keys in the environment. Searched: logs of every library at DEBUG, standard
output and error, the `--json` record, every file of the result with its attributes, tags and
metadata, error messages with their tracebacks, Dask's graph and keys, and a performance report.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import re
import traceback
import urllib.parse
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
import pytest
import rasterio
import xarray as xr

import sarmap

CANARIES = {
    "PC_SDK_SUBSCRIPTION_KEY": "CANARYsubscription0",
    "AWS_SECRET_ACCESS_KEY": "CANARYaws1",
    "AWS_SESSION_TOKEN": "CANARYaws2",
    "AZURE_STORAGE_SAS_TOKEN": "CANARYazure3",
}
STALE = "se=2020-01-01&sp=r&sig=CANARYstale4"
PASSWORD = "CANARYpassword5"


@dataclass
class Catalog:
    """A catalogue full of secrets."""

    record: dict[str, Any]
    """As a request file has it."""
    storage: Any
    """The guarded storage behind it."""

    def secrets(self) -> list[str]:
        """Everything that must not be seen, in the forms it may take."""
        plain = [*CANARIES.values(), "CANARY", *self.storage.signatures]
        plain += [urllib.parse.unquote(one) for one in self.storage.signatures]
        coded = [base64.b64encode(one.encode()).decode().rstrip("=") for one in plain]
        return [*plain, *coded]

    def told_in(self, text: str) -> list[str]:
        """The secrets that a text tells."""
        return sorted({one for one in self.secrets() if one in text})


@pytest.fixture
def catalog(
    event: Any, monkeypatch: pytest.MonkeyPatch, load_helper: Callable[[str, str], ModuleType]
) -> Iterator[Catalog]:
    """The event behind storage that opens to tokens only; its records are full of old ones."""
    from sarmap.net import signing
    from sarmap.simulate.serve import absolute_hrefs, serve_catalog

    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(signing, "_TOKENS", signing.TokenStore())
    signed = load_helper("real", "signed_storage")
    root = event.path.parent.parent
    items = json.loads(event.items.read_text())["features"]
    collections = json.loads(event.collections.read_text())
    with signed.serve_signed(signed.SignedStorage(root)) as storage:
        base = f"{storage.url}/{event.path.relative_to(root)}/"
        moved = [absolute_hrefs(item, base) for item in items]
        for record in moved:
            for asset in record["assets"].values():
                place = asset["href"].replace("http://", f"http://me:{PASSWORD}@")
                asset["href"] = f"{place}?{STALE}"
        with serve_catalog(moved, collections, event.path) as api:
            record = {
                "url": api.url.replace("http://", f"http://me:{PASSWORD}@"),
                "dem_collection": "cop-dem-glo-30",
                "optical_collection": None,
                "signing": "planetary-computer",
                "signing_url": storage.signing_url,
            }
            yield Catalog(record, storage)


@pytest.fixture
def everything_logged() -> Iterator[list[str]]:
    """Lines of every logger of this process at DEBUG, as a handler of the user's sees them."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.name} {self.format(record)}")

    root = logging.getLogger()
    keep, before = Keep(), root.level
    root.addHandler(keep)
    root.setLevel(logging.DEBUG)
    wanted = ("sarmap", "rasterio", "urllib3", "requests", "pystac_client", "distributed", "fsspec")
    levels = {name: logging.getLogger(name).level for name in wanted}
    for name in wanted:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield lines
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    root.removeHandler(keep)
    root.setLevel(before)


@pytest.fixture
def words(event: Any, catalog: Catalog, tmp_path: Path) -> Callable[..., list[str]]:
    """Words of a `sarmap map` of the event by a request file."""

    def make(*more: str, **fields: Any) -> list[str]:
        west, south, east, north = event.area
        request = {
            "area": [west, south, east, north],
            "event": event.event,
            "catalog": catalog.record,
            "detector": "log-ratio",
            "orbit": "ascending",
            "chunk": 128,
            "out": str(tmp_path / "out" / "map.zarr"),
            "products": ["cog", "geopackage", "geoparquet", "quicklook", "item"],
            **fields,
        }
        (tmp_path / "out").mkdir(exist_ok=True)
        file = tmp_path / "request.yaml"
        file.write_text(json.dumps(request), encoding="utf-8")
        return ["map", str(file), *more]

    return make


def run(words: list[str]) -> int:
    from sarmap.cli import main

    with pytest.raises(SystemExit) as left:
        main(words)
    return int(left.value.code or 0)


def written(folder: Path) -> str:
    """Every byte of every file below, compressed text of PNG and GeoTIFF metadata unpacked."""
    parts = []
    for file in sorted(folder.rglob("*")):
        if not file.is_file():
            continue
        content = file.read_bytes()
        parts.append(f"{file.name}\n{content.decode('latin-1')}")
        for chunk in re.findall(rb"(?:zTXt|iTXt)(.*?)(?=....IDAT|....IEND)", content, re.DOTALL):
            for start in range(min(len(chunk), 200)):
                with contextlib.suppress(zlib.error):
                    parts.append(zlib.decompress(chunk[start:]).decode("latin-1"))
                    break
        if file.suffix == ".tif":
            with rasterio.open(file) as made:
                parts.append(
                    str([made.tags(ns=ns) for ns in made.tag_namespaces()] + [made.tags()])
                )
    return "\n".join(parts)


def test_a_run_that_goes_wrong_in_places_tells_no_secret(
    words: Callable[..., list[str]],
    catalog: Catalog,
    everything_logged: list[str],
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    event: Any,
) -> None:
    """Tokens are revoked on the way, and one scene of the pass is gone for good."""
    catalog.storage.revoke_after = 10
    issue = catalog.storage.judge

    def judge(container: str, query: str) -> str:
        if catalog.storage.requests and len(catalog.storage.requests) % 5 == 0:
            catalog.storage.note("broken", 403, "")  # counted, so that the next one passes
            return "forged"
        return str(issue(container, query))

    catalog.storage.judge = judge
    code = run(words("--json"))
    said = capfd.readouterr()
    assert code in (0, 3)
    record = json.loads(said.out[said.out.index("{") :])
    stored = xr.open_zarr(record["out"])
    logged = "\n".join(everything_logged)
    statuses = {status for _, status, _ in catalog.storage.requests}
    assert {206, 403} <= statuses
    assert "urllib3" in logged  # the libraries did speak
    assert "rasterio" in logged
    assert len(catalog.storage.signatures) >= 2
    for name, text in {
        "output": said.out,
        "errors": said.err,
        "log": logged,
        "files": written(tmp_path / "out"),
        "attributes": str(stored.attrs) + str([one.attrs for one in stored.variables.values()]),
        "log folder": written(tmp_path / "out"),
    }.items():
        assert catalog.told_in(text) == [], name


def test_the_search_itself_finds_what_is_planted(catalog: Catalog) -> None:
    """The test above can fail."""
    catalog.storage.issue("a/b")
    token = catalog.storage.tokens[0]
    assert catalog.told_in(f"GET /a?{token}")
    assert catalog.told_in(f"http://me:{PASSWORD}@h/")
    assert catalog.told_in(base64.b64encode(b"CANARYaws1").decode())
    assert not catalog.told_in("nothing of the kind")


@pytest.mark.parametrize(
    "fields",
    [
        {"strict": True},
        {"catalog_change": {"url": f"http://me:{PASSWORD}@127.0.0.1:9/?sig=CANARYurl6"}},
        {"catalog_change": {"signing_url": "http://127.0.0.1:9/token?key=CANARYkey7"}},
        {"catalog_change": {"radar_collection": "none-such"}},
        {"catalog_change": {"dem_asset": "none-such"}},
        {"catalog_change": {"signing": "CANARYsigner8"}},
    ],
    ids=["strict", "no catalogue", "no tokens", "no collection", "no asset", "no signer"],
)
def test_errors_tell_no_secret_with_all_their_traceback(
    fields: dict[str, Any],
    catalog: Catalog,
    event: Any,
    everything_logged: list[str],
    tmp_path: Path,
) -> None:
    import dask

    change = fields.pop("catalog_change", {})
    if fields.get("strict"):
        catalog.storage.judge = lambda _container, _query: "forged"
    request = sarmap.MapRequest(
        area=event.grid,
        event=event.event,
        catalog=catalog.record | change,
        detector="log-ratio",
        orbit="ascending",
        out=str(tmp_path / "map.zarr"),
        **({"strict": True} | fields),
    )
    with (
        dask.config.set({"sarmap.reads.attempts": 2}),
        pytest.raises(sarmap.errors.SarmapError) as raised,
    ):
        sarmap.map_landslides(request)
    # A bad value that the user typed is shown to them; nothing that was kept secret is.
    secrets = [one for one in catalog.secrets() if one not in ("CANARY",)]
    secrets += [PASSWORD, "CANARYurl6", "CANARYkey7"]
    # Source lines of tracebacks are this file's own, canaries and all.
    trace = "\n".join(
        line for line in traceback.format_exception(raised.value) if "test_secrets.py" not in line
    )
    for text in (str(raised.value), trace, "\n".join(everything_logged)):
        assert [one for one in secrets if one in text] == []


def test_graph_keys_and_performance_report_tell_no_secret(
    catalog: Catalog,
    event: Any,
    local_workers: Any,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from distributed import performance_report

    from sarmap.assembly import assemble, prepare

    request = sarmap.MapRequest(
        area=event.grid,
        event=event.event,
        catalog=catalog.record,
        detector="log-ratio",
        orbit="ascending",
        chunk=128,
        out=str(tmp_path / "map.zarr"),
    )
    lazy: Any = assemble(prepare(request)).dataset
    graph = dict(lazy.__dask_graph__())
    assert len(graph) > 20
    assert catalog.told_in(" ".join(map(str, graph))) == []
    # The catalogue's own address and the environment stay with the client.
    assert catalog.told_in(cloudpickle.dumps(graph).decode("latin-1")) == []
    report = tmp_path / "report.html"
    with (
        local_workers(1, threads=2) as client,
        performance_report(filename=str(report)),
    ):
        result = sarmap.map_landslides(request, client=client)
        told = client.run(lambda: None) and client.get_worker_logs()
        scheduler = client.get_scheduler_logs()
    assert not result.read_failed
    assert len(catalog.storage.signatures) >= 1
    said = capfd.readouterr()
    for name, text in {
        "report": report.read_text(encoding="utf-8"),
        "worker logs": str(told),
        "scheduler logs": str(scheduler),
        "output": said.out + said.err,
        "files": written(tmp_path / "map.zarr"),
    }.items():
        assert catalog.told_in(text) == [], name
