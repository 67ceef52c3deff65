"""Which detector maps a place: the one asked for, or the one that it names where it cannot."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import sarmap
from sarmap.acquire.catalogs import resolve_catalog
from sarmap.acquire.shortfall import PassError
from sarmap.assembly import prepare
from sarmap.detect.manifest import read_manifest, write_manifest
from sarmap.detect.weight_files import DATA
from sarmap.errors import RequestError

SIMPLER = "nava-2022-attention-unet"
GREEDY = ("vv_pre", "vv_pre_2", "vv_post_1", "vh_post_1")
"""Two passes before the event, and VH: more than paper 2's network reads."""


@pytest.fixture
def greedy(tmp_path: Path) -> str:
    """Weights of four bands that name paper 2's network for places that lack one of them."""
    known = read_manifest(DATA / f"{SIMPLER}.json")
    folder = tmp_path / "greedy"
    folder.mkdir()
    shutil.copy(DATA / known.weights, folder)
    changes = {"name": "greedy", "bands": GREEDY, "composite": None, "otherwise": (SIMPLER,)}
    write_manifest(known.model_copy(update=changes), folder)
    return str(folder)


def request(event: Any, server: Any, **how: Any) -> sarmap.MapRequest:
    given = {"area": event.grid, "event": event.event, "catalog": server.catalog}
    return sarmap.MapRequest(**(given | {"orbit": "ascending", "out": "map.zarr"} | how))


def test_where_everything_is_there_it_is_the_one_asked_for(
    event: Any, server: Any, greedy: str
) -> None:
    found = prepare(request(event, server, detector=greedy))
    assert (found.spec.name, found.spec.bands, found.warnings) == ("greedy", GREEDY, ())


def test_with_too_few_passes_the_other_maps_and_the_map_says_so(
    event: Any, server: Any, greedy: str, tmp_path: Path
) -> None:
    out = str(tmp_path / "map.zarr")
    result = sarmap.map_landslides(
        request(event, server, detector=greedy, before_days=14.0, out=out)
    )
    said = result.warnings[0]
    assert said.startswith(f"Mapped with '{SIMPLER}' instead of 'greedy', which finds more: ")
    assert "2 passes before the event were asked for, but ascending orbit 68 has 1" in said
    import xarray as xr

    with xr.open_zarr(out) as stored:
        assert json.loads(stored.attrs["detector"])["name"] == SIMPLER
        assert said in json.loads(stored.attrs["warnings"])


def test_a_catalogue_without_a_band_is_served_by_the_other(
    event: Any, server: Any, greedy: str
) -> None:
    catalog = replace(resolve_catalog(server.catalog), radar_assets={"vv": "vv"})
    found = prepare(request(event, server, detector=greedy, catalog=catalog))
    assert found.spec.name == SIMPLER
    assert "names no asset for 'vh'" in found.warnings[0]


def test_a_composite_that_is_the_others_asks_for_the_other(
    event: Any, server: Any, greedy: str
) -> None:
    found = prepare(request(event, server, detector=greedy, composite="A_BAA_S"))
    assert (found.spec.name, found.warnings) == (SIMPLER, ())


def test_a_composite_of_its_own_is_asked_of_it_alone(event: Any, server: Any, greedy: str) -> None:
    with pytest.raises(PassError, match="2 passes before the event were asked for"):
        prepare(request(event, server, detector=greedy, composite=GREEDY, before_days=14.0))


def test_the_default_maps_from_one_pass_on_either_side_and_needs_no_other() -> None:
    from sarmap.compose.names import required_passes, required_radar_bands

    default: Any = sarmap.load_detector("attention-unet")
    assert required_passes(default.bands) == (1, 1)
    assert required_radar_bands(default.bands) == ("vv",)
    assert default.otherwise == ()


def test_the_default_takes_all_passes_there_are_and_vv_alone(event: Any, server: Any) -> None:
    catalog = replace(resolve_catalog(server.catalog), radar_assets={"vv": "vv"})
    found = prepare(request(event, server, detector="attention-unet", catalog=catalog))
    (passes,) = found.passes
    assert (len(passes.pre), len(passes.post)) == (2, 2)
    assert set(found.judged[0].levelling.offsets) == {"vv"}
    asked = prepare(request(event, server, detector="attention-unet", pre=1, post=1))
    assert (len(asked.passes[0].pre), len(asked.passes[0].post)) == (1, 1)


def test_where_neither_can_map_the_sentence_is_about_the_one_asked_for(
    event: Any, server: Any, greedy: str
) -> None:
    early = request(event, server, detector=greedy, before_days=3.0)
    with pytest.raises(PassError, match="no pass before the event"):
        prepare(early)


def test_what_has_nothing_to_do_with_passes_is_no_reason_for_the_other(
    event: Any, server: Any, greedy: str
) -> None:
    with pytest.raises(RequestError, match="composite 'RGB' has the bands"):
        prepare(request(event, server, detector=greedy, composite="RGB"))
