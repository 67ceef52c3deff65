"""`map_landslides(resume=True)` and `sarmap map --resume`, by the route of a real map."""

from __future__ import annotations

import os
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import geopandas
import numpy as np
import pytest
import zarr

import sarmap
from sarmap.acquire.scene_reader import SceneReader
from sarmap.describing import identity_of
from sarmap.errors import Interrupted, RequestError
from sarmap.store.block_progress import read_progress
from sarmap.store.identity import check_identity
from sarmap.store.ledger import Ledger
from sarmap.store.location import store_at

Requests = Callable[..., sarmap.MapRequest]
Objects = Callable[[Path | str], dict[str, bytes]]


@pytest.fixture
def request_of(request_of: Requests, event: Any) -> Requests:
    """A request for the small event at 4 m, which makes four blocks, with changes."""
    return partial(request_of, area=event.area, resolution=4, chunk=512)


class Stopping:
    """A log-ratio of its own that ends the run when it is asked for the `at`-th time."""

    bands = ("vv_pre", "vv_post_1")
    kind = "pixel"
    name = "stopping"

    def __init__(self, at: int | None = None, error: type[BaseException] = KeyboardInterrupt):
        self.at, self.error, self.asked = at, error, 0

    def __call__(self, tiles: Any) -> Any:
        self.asked += 1
        if self.asked == self.at:
            raise self.error("stop")
        change = np.abs(np.log10(tiles[..., 1] / tiles[..., 0]))
        return np.clip(change, 0, 1).astype(np.float32)


@pytest.mark.parametrize("orbit", ["ascending", "both"])
def test_an_interrupted_map_says_what_is_kept_and_is_continued(
    orbit: str,
    request_of: Requests,
    objects: Objects,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On one thread blocks are stored one by one: some are when the last one is asked for.
    monkeypatch.setattr("sarmap.pipeline.READ_THREADS", 1)
    whole = request_of(orbit=orbit, detector=Stopping(), out=str(tmp_path / "whole.zarr"))
    blocks = sarmap.map_landslides(whole).plan.blocks
    assert blocks >= 4
    request = request_of(orbit=orbit, products=("quicklook", "item", "cog"), resume=True)
    last = blocks * (2 if orbit == "both" else 1)
    with pytest.raises(Interrupted, match=r"Interrupted\. \d of \d+ blocks are kept: .*--resume"):
        sarmap.map_landslides(request.model_copy(update={"detector": Stopping(at=last)}))
    done = read_progress(request.out or "").done
    assert 0 < done < blocks
    again = Stopping()
    result = sarmap.map_landslides(request.model_copy(update={"detector": again}))
    assert again.asked <= (blocks - done) * (2 if orbit == "both" else 1)
    assert objects(result.path) == objects(tmp_path / "whole.zarr")
    assert {Path(file).name for file in result.files.values()} == {
        "map.png",
        "map.json",
        "map.tif",
    }
    assert all(Path(file).is_file() for file in result.files.values())
    assert not (tmp_path / "map.zarr" / ".sarmap").exists()


def test_a_finished_map_is_not_made_again_but_its_missing_products_are(
    request_of: Requests, tmp_path: Path
) -> None:
    detector = Stopping()
    request = request_of(detector=detector, products=("cog", "quicklook"), resume=True)
    sarmap.map_landslides(request)
    asked, picture = detector.asked, (tmp_path / "map.png").read_bytes()
    written = (tmp_path / "map.tif").stat().st_mtime_ns
    (tmp_path / "map.png").unlink()
    result = sarmap.map_landslides(request)
    assert result.computed == 0
    assert detector.asked == asked
    assert (tmp_path / "map.png").read_bytes() == picture
    assert (tmp_path / "map.tif").stat().st_mtime_ns == written


def test_a_run_that_is_interrupted_after_the_last_block_says_that_the_map_is_whole(
    request_of: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_of(detector=Stopping(), products=("quicklook",), resume=True)

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("sarmap.export.keeping.Products.write", interrupted)
        with pytest.raises(Interrupted, match=r"A whole map stands there: .*--resume"):
            sarmap.map_landslides(request)
    assert read_progress(request.out or "").complete
    assert sarmap.map_landslides(request).computed == 0
    assert (tmp_path / "map.png").is_file()


def test_another_threshold_makes_the_polygons_again_and_not_over_an_edited_file(
    request_of: Requests, tmp_path: Path
) -> None:
    detector = Stopping()
    request = request_of(detector=detector, products=("geopackage", "cog"), resume=True)
    sarmap.map_landslides(request)
    asked, image = detector.asked, (tmp_path / "map.tif").stat().st_mtime_ns
    other = request.model_copy(update={"threshold": 0.2})
    sarmap.map_landslides(other)
    frame = geopandas.read_file(tmp_path / "map.gpkg")
    assert set(frame["threshold"]) == {0.2}
    assert (detector.asked, (tmp_path / "map.tif").stat().st_mtime_ns) == (asked, image)
    frame.assign(detector="mine").to_file(tmp_path / "map.gpkg", layer="landslides")
    kept = (tmp_path / "map.gpkg").read_bytes()
    for changes in ({"threshold": 0.3}, {"overwrite": True, "resume": False}):
        with pytest.raises(RequestError, match=r"map\.gpkg was edited"):
            sarmap.map_landslides(request.model_copy(update=changes))
    assert (tmp_path / "map.gpkg").read_bytes() == kept
    assert detector.asked == asked


def test_a_run_that_fails_at_its_first_block_leaves_nothing(
    request_of: Requests, tmp_path: Path
) -> None:
    with pytest.raises(ZeroDivisionError):
        sarmap.map_landslides(request_of(detector=Stopping(1, ZeroDivisionError), chunk=2048))
    assert not list(tmp_path.iterdir())


def test_a_request_that_differs_is_refused_by_name(request_of: Requests, tmp_path: Path) -> None:
    sarmap.map_landslides(request_of())
    record = (tmp_path / "map.zarr" / "zarr.json").read_bytes()
    differing: list[tuple[dict[str, Any], str]] = [
        ({"resolution": 8}, "grid"),
        ({"chunk": 1024}, "chunk"),
        ({"post": 2}, "scenes"),
        ({"orbit": "descending"}, "scenes"),
        ({"event": "2018-09-05T18:09:00Z"}, "event"),
        ({"detector": "attention-unet"}, "detector"),
    ]
    for changes, named in differing:
        said = f"made with(out)? {named} .*, (and|which) this request"
        with pytest.raises(RequestError, match=said):
            sarmap.map_landslides(request_of(resume=True, **changes))
        assert (tmp_path / "map.zarr" / "zarr.json").read_bytes() == record


def test_a_map_that_keeps_its_radar_says_which_flag_asks_for_it() -> None:
    begun = {"layers": {"probability": "float32", "vv_pre_db": "float32"}}
    with pytest.raises(RequestError, match="keeps the radar, which --keep-radar "):
        check_identity(begun, {"layers": {"probability": "float32"}}, "map.zarr")


def test_networks_are_told_apart_by_weights_engine_precision_and_overlap(
    request_of: Requests,
) -> None:
    from dataclasses import replace

    from sarmap.assembly import prepare

    request = request_of(detector="nava-2022-attention-unet", engine="openvino", precision="f32")
    prepared = prepare(request)
    one = identity_of(prepared)
    assert len(str(one["detector"]["weights_sha256"])) == 64
    assert one["engine"][2]
    for changes, named in (({"overlap": 32}, "overlap"), ({"engine": "tensorflow"}, "engine")):
        other = identity_of(prepare(request.model_copy(update=changes)))
        assert one[named] != other[named]
    reduced: Any = SimpleNamespace(engine="openvino", precision="bf16")
    assert identity_of(replace(prepared, detector=reduced))["engine"] != one["engine"]


def test_blocks_tell_what_hangs_on_unread_pixels_where_they_look_at_each_others_ground(
    request_of: Requests,
) -> None:
    from sarmap.assembly import assemble, prepare

    def told(**changes: Any) -> set[Any]:
        spoilt = assemble(prepare(request_of(**changes))).spoilt
        return set() if spoilt is None else set(spoilt.data_vars)

    assert told(detector="log-ratio") == {"spoilt"}
    assert told(detector="cnn") == {"spoilt", "window_spoilt"}
    paper = "nava-2022-attention-unet"
    assert told(detector=paper) == set()
    assert told(detector=paper, overlap=16) == {"spoilt"}
    assert told(detector=paper, chunk=500) == {"spoilt"}


@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.nightly)],
)
def test_the_command_line_stops_at_a_signal_with_one_sentence(
    sent: signal.Signals, code: int, event: Any, server: Any, objects: Objects, tmp_path: Path
) -> None:
    out = tmp_path / "map.zarr"
    west, south, east, north = event.area
    words = [str(Path(sysconfig.get_path("scripts")) / "sarmap"), "map"]
    words += ["--area", f"{west},{south},{east},{north}", "--event", event.event]
    words += ["--catalog", server.url, "--orbit", "ascending", "--detector", "log-ratio"]
    words += ["--resolution", "4", "--chunk", "64", "--out", str(out)]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as run:
        while not read_progress(out).done and run.poll() is None:
            time.sleep(0.02)
        run.send_signal(sent)
        _, said = run.communicate(timeout=120)
    assert run.returncode == code, said
    # a machine under load also gets the log's line of progress, every half minute
    lines = [line for line in said.splitlines() if line.strip() and "blocks/s" not in line]
    assert len(lines) == 1, said
    assert "blocks are kept" in lines[0]
    assert "--resume" in lines[0]
    again = subprocess.run([*words, "--resume"], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert read_progress(out).complete
    finished = objects(out)
    idle = subprocess.run([*words, "--resume"], capture_output=True, text=True, check=False)
    assert idle.returncode == 0
    assert "finished already" in idle.stdout
    assert objects(out) == finished


def test_a_block_that_reads_its_neighbours_ground_worse_than_they_did_is_told_of_and_done_again(
    request_of: Requests, objects: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first block is stored when reading its ground begins to fail; others borrow of it."""
    whole = sarmap.map_landslides(request_of(out=str(tmp_path / "whole.zarr")))
    request = request_of(resume=True)
    sarmap.map_landslides(request)
    store = store_at(request.out or "")
    codes = np.bincount(whole.dataset["observation"][:512, :512].values.ravel(), minlength=4)
    Ledger(store).start({"probability": {(0, 0): (*map(int, codes[:4]), 0)}})
    zarr.open_group(store, mode="r+").attrs["sarmap:status"] = "writing"
    east, south = whole.dataset["x"].values[511], whole.dataset["y"].values[511]
    real, away = SceneReader.read, True

    def holed(self: Any, window: Any, **more: Any) -> Any:
        pixels = real(self, window, **more).copy()
        place = np.indices(pixels.shape) + 0.5
        x = self.transform.c + self.transform.a * (window.col_off + place[1])
        y = self.transform.f + self.transform.e * (window.row_off + place[0])
        if away:
            pixels[(x < east - 8) & (x > east - 24) & (y > south + 24)] = -np.inf
        return pixels

    monkeypatch.setattr(SceneReader, "read", holed)
    told = sarmap.map_landslides(request)
    assert told.observation["read_failed"] == 0
    assert told.partly_read > 0
    assert told.read_failed
    away = False
    again = sarmap.map_landslides(request)
    assert 0 < (again.computed or 0) < whole.plan.blocks
    assert not again.read_failed
    assert objects(again.path) == objects(whole.path)
