"""The route of Planetary Computer's users, signing included, with nothing changed but addresses.

Recorded items come from a STAC API on loopback; their blobs from storage that answers 403 to
whoever brings no token, a forged one or one that is no longer good.
"""

from __future__ import annotations

import copy
import json
import logging
import re
import subprocess
import sysconfig
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
import dask
import numpy as np
import pytest
import rasterio
import xarray as xr
from numpy.typing import NDArray
from rasterio.windows import from_bounds

import sarmap
from sarmap.errors import UnreadDataError

pytestmark = pytest.mark.real

EVENT = "2024-04-25T12:00:00Z"
STALE = "st=2024-04-20T00%3A00%3A00Z&se=2024-04-20T01%3A00%3A00Z&sp=rl&sr=c&sig=c3RhbGU%3D"


@pytest.fixture
def grid(planetary_replay: ModuleType) -> Any:
    return sarmap.make_grid(planetary_replay.place())


def tells(storage: Any, text: str) -> bool:
    """True where a text holds a signature: one that was given, or any that is not blotted out."""
    return bool(re.search(r"sig=(?!\.\.\.)", text)) or any(s in text for s in storage.signatures)


def plain_mosaic(
    folder: Path, replay: ModuleType, records: Any, day: str, grid: Any
) -> NDArray[Any]:
    """VV of one day by plain rasterio reads: the earlier slice first, then the later one."""
    canvas = np.full(grid.shape.yx, np.nan, np.float32)
    slices = [
        record
        for record in records
        if record["properties"]["datetime"].startswith(day)
        and record["properties"].get("s1:slice_number") in ("29", "30")
    ]
    for record in sorted(slices, key=lambda r: r["properties"]["datetime"]):
        with rasterio.open(folder / replay.blob(record, "vv")) as opened:
            window = from_bounds(*grid.boundingbox.bbox, transform=opened.transform)
            pixels = opened.read(1, window=window)
        empty = np.isnan(canvas) & (pixels > 0)
        canvas[empty] = pixels[empty]
    return canvas


def test_pixels_come_through_signed_reads_only(
    planetary: Any,
    grid: Any,
    planetary_replay: ModuleType,
    planetary_records: Any,
    planetary_blobs: Path,
) -> None:
    settings, storage = planetary
    passes = sarmap.search_passes(planetary_replay.place(), EVENT, catalog=settings)
    cube = sarmap.open_cube(passes, grid, bands=("vv",), chunk=100).compute()
    for index, day in enumerate(("2024-04-19", "2024-05-01", "2024-05-13")):
        expected = plain_mosaic(planetary_blobs, planetary_replay, planetary_records, day, grid)
        assert np.isfinite(expected).all()
        np.testing.assert_array_equal(cube["vv"][index].values, expected)
    assert {kind for kind, _ in storage.kinds} == {"signed"}
    assert {status for _, status in storage.kinds} <= {200, 206}
    assert len(storage.tokens) == 1  # one container, one token


def test_the_pass_is_put_together_from_the_two_slices_that_meet_there(
    planetary: Any, planetary_replay: ModuleType
) -> None:
    settings, _ = planetary
    passes = sarmap.search_passes(planetary_replay.place(), EVENT, catalog=settings)
    assert [len(one.items) for one in passes] == [2, 2, 2]
    assert (passes.orbit_state, passes.relative_orbit) == ("descending", 51)
    assert {one.platform for one in passes} == {"SENTINEL-1A"}


def test_planning_and_building_the_graph_fetch_no_token_and_no_pixel(
    planetary: Any, grid: Any, planetary_replay: ModuleType
) -> None:
    settings, storage = planetary
    passes = sarmap.search_passes(planetary_replay.place(), EVENT, catalog=settings)
    cube = sarmap.open_cube(passes, grid, bands=("vv",), chunk=100)
    assert storage.tokens == []
    assert storage.requests == []
    cube["vv"][0].compute()
    lazy: Any = cube
    graph = cloudpickle.dumps(dict(lazy.__dask_graph__()))
    assert storage.tokens
    assert not tells(storage, graph.decode("latin-1"))


def test_a_token_that_expires_between_two_reads_is_replaced(
    planetary: Any, grid: Any, planetary_replay: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sarmap.net import signing

    settings, storage = planetary
    hours = [datetime(2018, 9, 20, hour, tzinfo=UTC) for hour in (8, 10)]
    storage.clock = lambda: hours[0]
    monkeypatch.setattr(signing, "_TOKENS", signing.TokenStore(clock=lambda: hours[0]))
    passes = sarmap.search_passes(planetary_replay.place(), EVENT, catalog=settings)
    cube = sarmap.open_cube(passes, grid, bands=("vv",), chunk=100)
    first = cube["vv"][:1].compute()
    issued = len(storage.tokens)
    del hours[0]  # a token lasts an hour
    second = cube[["vv", "observation"]].compute()
    assert len(storage.tokens) > issued
    assert (second["observation"] == 0).all()
    np.testing.assert_array_equal(second["vv"][0].values, first[0].values)


def test_a_token_refused_before_its_time_is_replaced_mid_read(
    planetary: Any, grid: Any, planetary_replay: ModuleType
) -> None:
    settings, storage = planetary
    storage.revoke_after = 12
    passes = sarmap.search_passes(planetary_replay.place(), EVENT, catalog=settings)
    cube = sarmap.open_cube(passes, grid, bands=("vv",), chunk=60).compute()
    assert (cube["observation"] == 0).all()
    assert storage.kinds[("revoked", 403)] > 0
    assert len(storage.tokens) > 1


def test_a_token_that_stands_in_the_catalogue_already_is_not_believed(
    planetary: Any,
    grid: Any,
    planetary_replay: ModuleType,
    planetary_records: Any,
    replay: Any,
    tmp_path: Path,
) -> None:
    from sarmap.simulate.serve import serve_catalog

    settings, storage = planetary
    signed = []
    for record in planetary_records:
        moved = copy.deepcopy(planetary_replay.readdress(record, storage.url))
        for asset in moved["assets"].values():
            asset["href"] += f"?{STALE}" if asset["href"].startswith(storage.url) else ""
        signed.append(moved)
    with serve_catalog(signed, replay.collections, tmp_path) as server:
        passes = sarmap.search_passes(
            planetary_replay.place(), EVENT, catalog=replace(settings, url=server.url)
        )
        cube = sarmap.open_cube(passes, grid, bands=("vv",)).compute()
    assert (cube["observation"] == 0).all()
    assert {kind for kind, _ in storage.kinds} == {"signed"}
    assert "sig=" not in str(
        [item.to_dict(transform_hrefs=False) for one in passes for item in one.items]
    )


def run_map(settings: Any, place: Any, out: Path, detector: str, **more: Any) -> Any:
    request = sarmap.MapRequest(
        area=place,
        event=EVENT,
        catalog=settings,
        detector=detector,
        out=str(out / "map.zarr"),
        products=("cog", "geopackage", "geoparquet", "quicklook", "item"),
        **more,
    )
    return sarmap.map_landslides(request)


def test_the_whole_map_runs_and_keeps_its_tokens_to_itself(
    planetary: Any,
    planetary_replay: ModuleType,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    record_property: Any,
) -> None:
    caplog.set_level(logging.DEBUG)
    settings, storage = planetary
    storage.revoke_after = 8
    result = run_map(
        settings, planetary_replay.place(), tmp_path, "nava-2022-attention-unet", chunk=64
    )
    assert not result.read_failed
    assert np.isfinite(xr.open_zarr(result.path)["probability"].values).mean() > 0.9
    notice = result.dataset.attrs["attribution"]
    assert [notice.count(owner) for owner in ("Catalyst", "Copernicus DEM")] == [1, 1]
    record_property("blob_requests", str(dict(storage.kinds)))
    record_property("tokens_issued", len(storage.tokens))
    assert not any(status < 400 for kind, status in storage.kinds if kind != "signed")
    assert storage.kinds[("revoked", 403)] > 0
    assert len({token.split("sig=")[1] for token in storage.tokens}) >= 3  # two containers, anew
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    heard = "\n".join([*(r.getMessage() for r in caplog.records), *capfd.readouterr()])
    assert (
        storage.url in heard
    )  # the log speaks of the storage, so that its silence means something
    assert tells(storage, storage.tokens[0])
    assert not tells(storage, heard)
    assert not tells(storage, written.decode("latin-1"))
    assert not tells(storage, f"{result.dataset.attrs} {result}")


def test_the_command_line_takes_the_same_route_from_a_request_file(
    planetary: Any, planetary_replay: ModuleType, tmp_path: Path
) -> None:
    settings, storage = planetary
    request = {
        "area": list(planetary_replay.place()),
        "event": EVENT,
        "catalog": {
            "preset": "planetary-computer",
            "url": settings.url,
            "signing_url": storage.signing_url,
        },
        "detector": "log-ratio",
        "out": str(tmp_path / "map.zarr"),
    }
    file = tmp_path / "request.yaml"
    file.write_text(json.dumps(request), encoding="utf-8")  # JSON is YAML
    command = [str(Path(sysconfig.get_path("scripts"), "sarmap")), "map", str(file), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert {kind for kind, _ in storage.kinds} == {"signed"}
    assert not tells(storage, ran.stdout + ran.stderr)
    assert (xr.open_zarr(tmp_path / "map.zarr")["observation"] != 2).all()


def test_dask_workers_sign_for_themselves(
    planetary: Any, grid: Any, planetary_replay: ModuleType, local_workers: Any
) -> None:
    settings, storage = planetary
    passes = sarmap.search_passes(planetary_replay.place(), EVENT, catalog=settings)
    cube = sarmap.open_cube(passes, grid, bands=("vv",), chunk=100)
    with local_workers(1, threads=4, memory_limit=0):
        observation = cube["observation"].compute()
    assert (observation == 0).all()
    assert {kind for kind, _ in storage.kinds} == {"signed"}
    assert len(storage.tokens) == 1  # the worker's: this process asked for none


def test_storage_that_refuses_every_token_makes_no_map_of_low_probabilities(
    planetary: Any,
    planetary_replay: ModuleType,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings, storage = planetary
    issue = storage.issue
    storage.issue = lambda container: {
        **issue(container),
        "token": issue(container)["token"].replace("sig=", "sig=x"),
    }
    with dask.config.set({"sarmap.reads.backoff": 0}), pytest.raises(UnreadDataError) as refused:
        run_map(settings, planetary_replay.place(), tmp_path, "log-ratio", strict=True)
    stored = xr.open_zarr(tmp_path / "map.zarr")
    assert np.isnan(stored["probability"].values).all()
    assert (stored["observation"].values == sarmap.Observation.READ_FAILED).all()
    assert {kind for kind, _ in storage.kinds} == {"forged"}
    for text in (str(refused.value), caplog.text, str(stored.attrs)):
        assert not tells(storage, text)
