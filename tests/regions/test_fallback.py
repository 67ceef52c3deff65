"""Units for which the detector asked for lacks a pass or a band are mapped by one that it names."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sarmap
from sarmap.acquire.catalogs import resolve_catalog
from sarmap.assembly import prepare
from sarmap.cli.entry import main
from sarmap.detect.manifest import read_manifest, write_manifest
from sarmap.detect.weight_files import DATA
from sarmap.errors import CatalogError, RequestError
from sarmap.regions import decisions
from sarmap.regions.decisions import make_design
from sarmap.regions.forecast import plan_scan
from sarmap.regions.scan_record import make_record
from sarmap.regions.status import scan_status
from sarmap.regions.survey import as_begun, identity_of_scan, make_survey
from sarmap.store.identity import check_identity

Make = Callable[..., sarmap.ScanRequest]
SIMPLER = "log-ratio"
"""Reads one pass before and one after, in VV."""
AREA = (138.0005, 36.991, 138.009, 37.009)
SECOND = "_20180925T083411_20180925T083436"
"""The northern slice of the second pass after the event."""


@pytest.fixture(scope="module")
def greedy(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Paper 2's network, which reads two passes after the event, naming the log-ratio for places
    that have one."""
    known = read_manifest(DATA / "nava-2022-attention-unet.json")
    folder = tmp_path_factory.mktemp("weights") / "greedy"
    folder.mkdir()
    shutil.copy(DATA / known.weights, folder)
    write_manifest(known.model_copy(update={"name": "greedy", "otherwise": (SIMPLER,)}), folder)
    return str(folder)


@pytest.fixture(scope="module")
def records(border_event: Any) -> list[dict[str, Any]]:
    """All STAC items of the event."""
    return list(json.loads(border_event.items.read_text())["features"])


@pytest.fixture(scope="module")
def serving(border_event: Any) -> Callable[[list[dict[str, Any]]], Any]:
    """`serving(items)`: a catalogue of these items and no others."""
    from sarmap.simulate.serve import serve_catalog

    collections = json.loads(border_event.collections.read_text())
    return lambda items: serve_catalog(items, collections, border_event.path)


@pytest.fixture(scope="module")
def week_one(
    records: list[dict[str, Any]], serving: Callable[[list[dict[str, Any]]], Any]
) -> Iterator[Any]:
    """A catalogue in which the north still waits for the second pass after the event."""
    there = [item for item in records if SECOND not in item["id"]]
    assert len(there) == len(records) - 1
    with serving(there) as server:
        yield server


@pytest.fixture
def request_of(scan_request: Make, week_one: Any, greedy: str) -> Make:
    """A request for a scan of the event in that week, with changes."""
    fields = {"area": AREA, "unit": 128, "detector": greedy, "catalog": week_one.catalog}
    return lambda **changes: scan_request(**fields | changes)


def detectors_of(request: sarmap.ScanRequest) -> dict[str, str]:
    """Unit -> the detector that would map it."""
    known = make_survey(request)
    return {name: one.detector for name, one in make_design(known).decisions.items()}


@pytest.fixture(scope="module")
def finished(
    border_fields: dict[str, Any],
    week_one: Any,
    greedy: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> sarmap.ScanResult:
    """A scan of that week, to be read and not changed."""
    more: dict[str, Any] = {
        "area": AREA,
        "unit": 128,
        "detector": greedy,
        "catalog": week_one.catalog,
        "products": ("geopackage", "quicklook"),
        "out": str(tmp_path_factory.mktemp("scans") / "week-one"),
    }
    return sarmap.scan(sarmap.ScanRequest(**border_fields | more))


def test_every_unit_is_mapped_by_the_detector_that_a_map_of_it_would_be_made_with(
    finished: Any, request_of: Make
) -> None:
    assert not finished.incomplete
    found = {name: one.detector for name, one in finished.states.items() if one.detector}
    assert set(found.values()) == {"greedy", SIMPLER}
    works = make_survey(request_of()).works
    shared = {name: getattr(request_of(), name) for name in sarmap.MapRequest.model_fields}
    for name, detector in found.items():
        alone = prepare(sarmap.MapRequest(**shared | {"area": works[name].unit.grid}))
        assert alone.spec.name == detector
        attrs = sarmap.open_map(f"{finished.path}/units/{name}/map.zarr").attrs
        assert json.loads(attrs["detector"])["name"] == detector
        said = [text for text in json.loads(attrs["warnings"]) if "Mapped with" in text]
        assert bool(said) == bool(alone.warnings) == (detector == SIMPLER)
        for text in said:
            assert text.startswith(f"Mapped with '{SIMPLER}' instead of 'greedy', which finds more")
            assert "2 passes after the event were asked for, but ascending orbit 68 has 1" in text
            assert text in finished.states[name].sentence


def test_the_scan_says_who_mapped_what_wherever_it_is_read(finished: Any) -> None:
    other = [name for name, one in finished.states.items() if one.detector == SIMPLER]
    mapped = finished.count("done")
    share = f"{len(other)} of {mapped} units "
    assert len(finished.warnings) == 1
    assert finished.warnings[0].startswith(f"{share}was mapped with '{SIMPLER}' instead of")

    counts = {"greedy": mapped - len(other), SIMPLER: len(other)}
    collection = json.loads((Path(finished.path) / "collection.json").read_text())
    assert collection["sarmap:detectors"] == counts
    assert finished.warnings[0] in collection["description"]
    for name, state in finished.states.items():
        if state.status == "done":
            file = Path(finished.path) / "units" / name / f"{name}.json"
            told = json.loads(file.read_text())["properties"]
            assert told["sarmap:detector"] == state.detector
            assert ("sarmap:detector_reason" in told) == (name in other)

    status = scan_status(finished.path)
    assert status.detectors == counts
    assert status.notes[0].startswith(share)

    (zone,) = sarmap.open_scan(finished.path).zones.values()
    named = json.loads(zone.attrs["detector"])["name"]
    assert set(named.split(" and ")) == {"greedy", SIMPLER}
    assert "weights_sha256" not in zone.attrs
    notes = [text for text in json.loads(zone.attrs["warnings"]) if "instead of" in text]
    assert len(notes) == 1  # one for all units
    assert share in notes[0]


def test_the_plan_says_who_would_map_what_and_asks_once(request_of: Make) -> None:
    plan = plan_scan(request_of())
    assert plan.searches == 1  # both read the same bands of the same days
    assert plan.detectors == {
        name: sum(one.detector == name for one in plan.decisions.values())
        for name in ("greedy", SIMPLER)
    }
    assert f"units would be mapped with '{SIMPLER}'" in plan.warnings[0]
    assert plan.tasks is not None
    assert not Path(str(plan.request.out)).exists()


def test_a_unit_stays_with_the_detector_that_was_first_decided_for_it(
    request_of: Make, finished: Any, border_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted in that week before the north was mapped, continued when the second pass is
    there, a silent catalogue in between: the answer is that of the week."""

    def stop(at: Any) -> None:
        if at.number == 2:
            raise KeyboardInterrupt

    south_first: dict[str, Any] = {"epicentre": (138.004, 36.99)}
    with pytest.raises(KeyboardInterrupt):
        sarmap.scan(request_of(**south_first), progress=stop)
    out = Path(str(request_of().out))
    (waiting,) = (name for name, one in finished.states.items() if one.detector == SIMPLER)
    assert not (out / "units" / waiting).exists()

    def silent(*_: Any, **__: Any) -> Any:
        raise CatalogError("the catalogue does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(decisions, "search_scenes", silent)
        silenced = sarmap.scan(request_of(resume=True, **south_first))
    assert silenced.states[waiting].sentence == "the catalogue does not answer"

    later = replace(resolve_catalog(border_server.catalog), name=identity_of(request_of))
    again = sarmap.scan(request_of(resume=True, catalog=later, **south_first))
    assert not again.incomplete
    assert {state.detector for state in again.states.values()} == {"greedy", SIMPLER}
    assert set(detectors_of(request_of(catalog=later, out="new")).values()) == {"greedy"}
    mine, whole = sarmap.open_scan(again.path)["54N"], sarmap.open_scan(finished.path)["54N"]
    for layer in ("probability", "observation", "orbit"):
        np.testing.assert_array_equal(mine[layer].values, whole[layer].values)
    assert again.warnings == finished.warnings


def identity_of(request_of: Make) -> str:
    """The name under which a catalogue counts as that of the week."""
    return str(resolve_catalog(request_of().catalog).name)


def test_other_weights_of_the_other_are_not_mixed_in(request_of: Make, tmp_path: Path) -> None:
    request = request_of()
    known = make_survey(request)
    record: dict[str, Any] = {
        "identity": identity_of_scan(known),
        "detectors": {SIMPLER: "0" * 64},
        "takes": {},
        "units": {
            name: {"decision": {"takes": ["068A-1"], "coverage": 1.0, "detector": SIMPLER}}
            for name in known.works
        },
    }
    with pytest.raises(RequestError, match=f"other weights of detector '{SIMPLER}'"):
        make_design(known, record)
    record["detectors"] = {}
    for unit in record["units"].values():
        unit["decision"]["detector"] = "forgotten"
    with pytest.raises(RequestError, match="'forgotten', which 'greedy' no longer names"):
        make_design(known, record)
    other = identity_of_scan(make_survey(request_of(detector=SIMPLER)))
    with pytest.raises(RequestError, match="scan was made with detector greedy, and"):
        check_identity(record["identity"], other, "scan")


def test_places_without_vh_are_mapped_in_vv(
    request_of: Make,
    records: list[dict[str, Any]],
    serving: Callable[[list[dict[str, Any]]], Any],
) -> None:
    """By a catalogue that never has it, and by scenes that lack it."""
    dual = Dual()
    never = replace(resolve_catalog(request_of().catalog), radar_assets={"vv": "vv"})
    known = make_design(make_survey(request_of(detector=dual, catalog=never)))
    assert {one.detector for one in known.decisions.values()} == {SIMPLER}
    assert all("names no asset for 'vh'" in one.why for one in known.decisions.values())

    north = [json.loads(json.dumps(item)) for item in records]
    for item in north:
        if "T083411_2018" in item["id"]:
            item["assets"].pop("vh", None)
    with serving(north) as server:
        known = make_design(make_survey(request_of(detector=dual, catalog=server.catalog, unit=64)))
    assert {one.detector for one in known.decisions.values()} == {"Dual", SIMPLER}
    assert any("left out for want of asset" in one.why for one in known.decisions.values())
    assert known.searches == 2


@pytest.mark.parametrize(("west", "detector"), [(137.9955, "greedy"), (137.997, SIMPLER)])
def test_a_track_over_a_sliver_of_a_unit_keeps_no_detector(
    west: float,
    detector: str,
    request_of: Make,
    records: list[dict[str, Any]],
    serving: Callable[[list[dict[str, Any]]], Any],
) -> None:
    """Orbit 141 came back twice and ends at 137.998 E; orbit 68, all over, came back once."""
    there = [item for item in records if "_20180925T" not in item["id"]]
    with serving(there) as server:
        request = request_of(area=(west, 36.995, 138.0, 37.005), catalog=server.catalog, unit=8192)
        shared = {name: getattr(request, name) for name in sarmap.MapRequest.model_fields}
        assert prepare(sarmap.MapRequest(**shared)).spec.name == detector
        assert set(detectors_of(request).values()) == {detector}


class Dual:
    """Reads VH too; answers nothing of interest."""

    bands = ("vv_pre", "vv_post_1", "vh_post_1")
    otherwise = (SIMPLER,)

    def __call__(self, tiles: Any) -> Any:
        return np.clip(tiles[..., 2], 0, 1)


def test_who_names_no_other_detector_gets_none(request_of: Make) -> None:
    found = make_design(
        make_survey(request_of(detector="nava-2022-attention-unet"))
    ).decisions.values()
    waiting = [one for one in found if not one.takes]
    assert waiting
    assert all("2 passes after the event were asked for" in one.sentence for one in waiting)
    assert {one.detector for one in found if one.takes} == {"nava-2022-attention-unet"}


def test_a_composite_asks_for_the_detector_that_reads_it_and_for_no_other(
    request_of: Make,
) -> None:
    known = make_survey(request_of(composite="BAA_S"))
    assert known.detectors.first.key == "greedy"
    waiting = [one for one in make_design(known).decisions.values() if not one.takes]
    assert waiting
    assert not any(one.detector == SIMPLER for one in waiting)
    simpler = sarmap.load_detector(SIMPLER).bands
    assert set(detectors_of(request_of(composite=simpler)).values()) == {SIMPLER}


def test_a_control_is_no_reason_for_another_detector(
    request_of: Make, event: Any, server: Any
) -> None:
    """Two passes before the event serve the log-ratio's control, and not the one asked for."""
    request = request_of(
        area=event.grid, event=event.event, catalog=server.catalog, control=True, before_days=28.0
    )
    found = make_design(make_survey(request)).decisions.values()
    assert all("3 passes before the event were asked for" in one.sentence for one in found)
    assert set(detectors_of(request.model_copy(update={"control": False})).values()) == {"greedy"}


def test_where_no_detector_can_map_the_sentence_is_about_the_one_asked_for(
    request_of: Make,
) -> None:
    found = make_design(make_survey(request_of(after_days=3.0))).decisions.values()
    assert all("no pass of ascending orbit 68 after the event" in one.sentence for one in found)
    assert not any(one.no_radar for one in found)


def test_the_commands_say_it(
    request_of: Make,
    week_one: Any,
    greedy: str,
    border_event: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [
        *("--area", ",".join(map(str, AREA)), "--event", border_event.event),
        *("--catalog", week_one.url, "--detector", greedy, "--orbit", "ascending"),
        *("--unit", "128", "--out", str(tmp_path / "scan"), "--products", "quicklook"),
    ]

    def run(*given: str) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(list(given))
        assert not left.value.code
        return capsys.readouterr().out

    assert f"detector  {SIMPLER}: 1 units" in run("scan", *words, "--dry-run")
    assert f"note        1 of 2 units was mapped with '{SIMPLER}'" in run("scan", *words)
    assert f"detector  {SIMPLER}: 1 units" in run("status", str(tmp_path / "scan"))
    page = tmp_path / "page"
    run("report", str(tmp_path / "scan"), "--out", str(page))
    text = (page / "index.html").read_text()
    assert "greedy" in text
    assert SIMPLER in text


def test_workers_map_with_each_of_them(request_of: Make, finished: Any, local_workers: Any) -> None:
    with local_workers(2) as client:
        result = sarmap.scan(request_of(), client)
    assert {name: one.detector for name, one in result.states.items()} == {
        name: one.detector for name, one in finished.states.items()
    }
    mine, theirs = sarmap.open_scan(result.path)["54N"], sarmap.open_scan(finished.path)["54N"]
    for layer in ("probability", "observation", "orbit"):
        np.testing.assert_array_equal(mine[layer].values, theirs[layer].values)


def test_a_scan_is_of_one_archive_the_first_that_serves_any_unit(
    request_of: Make, week_one: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [{"name": "empty", "url": week_one.url, "radar_collection": "cop-dem-glo-30"}]
    names += [{"name": name, "url": week_one.url} for name in ("second", "third")]
    (tmp_path / "list.yaml").write_text(json.dumps(names))
    monkeypatch.setenv("SARMAP_ARCHIVES", str(tmp_path / "list.yaml"))
    survey = make_survey(request_of(catalog="auto", detector=SIMPLER))
    design = make_design(survey)
    assert {one.catalog.name for one in design.takes.values()} == {"second"}
    assert identity_of_scan(design.survey)["catalog"] == "second"
    (said,) = make_record(design, {})["warnings"]
    assert said.startswith("The passes are those of second; empty was not taken: ")
    begun = as_begun(survey, {"identity": {"catalog": "third"}})
    assert make_design(begun).survey.catalog.name == "third"
