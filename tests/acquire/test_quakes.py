"""From an earthquake to instant, epicentre and area: the service's own formats, on loopback."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import dask
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

import sarmap
from sarmap.acquire import quakes
from sarmap.acquire.quakes import from_quake, read_quake
from sarmap.cli.options import fields_from
from sarmap.errors import CatalogError, RequestError
from sarmap.regions.survey import make_survey
from sarmap.request_file import make_request

WHEN = dt.datetime(2018, 9, 5, 18, 7, 59, 150000, dt.UTC)


def ring(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def contours() -> dict[str, Any]:
    """Shaking round 142 E 42.7 N: V to 7.5, with a calm island inside VI, and VI over the edge."""
    lines = {
        5.0: [ring(141.0, 42.0, 143.0, 43.4)],
        6.0: [ring(141.6, 42.4, 142.4, 43.0), ring(141.7, 42.5, 141.8, 42.6), ring(142.9, 42, 143,
              42.1)[:4]],
        7.5: [ring(141.9, 42.65, 142.1, 42.75)],
    }  # fmt: skip
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {"value": value, "units": "mmi", "color": "#7aff93", "weight": 4},
                "geometry": {"type": "MultiLineString", "coordinates": parts},
            }
            for value, parts in lines.items()
        ],
    }


def event(shakemap: str | None) -> dict[str, Any]:
    """The detail of an event as the service gives it."""
    contents = {"download/cont_mmi.json": {"url": shakemap}, "download/grid.xml": {"url": "x"}}
    products = {"origin": [{}], "shakemap": [{"contents": contents}]}
    return {
        "type": "Feature",
        "id": "us2000h8ty",
        "properties": {
            "mag": 6.6, "place": "27 km E of Chitose, Japan", "time": 1536170879150,
            "products": products if shakemap else {"origin": [{}]},
        },
        "geometry": {"type": "Point", "coordinates": [141.929, 42.686, 35.0]},
    }  # fmt: skip


def grid(shaking: np.ndarray[Any, Any], stamp: str = "2018-09-05T18:07:59UTC") -> str:
    """A ShakeMap's grid with these values, row by row from the north, 0.1 degrees apart."""
    rows, columns = shaking.shape
    lines = "\n".join(
        f"{141 + 0.1 * c:.4f} {43 - 0.1 * r:.4f} 12.5 {shaking[r, c]:.2f} 3.1"
        for r in range(rows)
        for c in range(columns)
    )
    names = enumerate(("LON", "LAT", "PGA", "MMI", "PGV"), 1)
    fields = "".join(f'<grid_field index="{n}" name="{name}" units="dd" />\n' for n, name in names)
    return (
        '<?xml version="1.0" encoding="US-ASCII" standalone="yes"?>\n<!-- made by ShakeMap -->\n'
        '<shakemap_grid xmlns="http://earthquake.usgs.gov/eqcenter/shakemap" event_id="us2000h8ty">'
        f'<event event_id="us2000h8ty" magnitude="6.6" lat="42.686" lon="141.929" '
        f'event_timestamp="{stamp}" event_description="Hokkaido" />\n'
        f'<grid_specification lon_min="141.0" lat_min="{43 - 0.1 * (rows - 1)}" '
        f'lon_max="{141 + 0.1 * (columns - 1)}" lat_max="43.0" nlon="{columns}" nlat="{rows}" />\n'
        f"{fields}<grid_data>\n{lines}\n</grid_data></shakemap_grid>\n"
    )


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The earthquake service: path or event's id -> what it answers."""
    answers: dict[str, Any] = {"cont_mmi.json": contours()}

    class Service(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            name = parse_qs(parts.query).get("eventid", [parts.path.rpartition("/")[2]])[0]
            body = json.dumps(answers.get(name, "not found")).encode()
            self.send_response(200 if name in answers else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    root = f"http://127.0.0.1:{server.server_address[1]}"
    answers["us2000h8ty"] = event(f"{root}/product/cont_mmi.json")
    answers["us1"] = event(None)
    monkeypatch.setattr(quakes, "SERVICE", f"{root}/query")
    with dask.config.set({"sarmap.reads.attempts": 1}):
        yield answers
    server.shutdown()
    server.server_close()


class TestService:
    def test_an_event_gives_instant_epicentre_and_where_it_shook(self, service: Any) -> None:
        quake = read_quake("usgs:us2000h8ty", 6.0)
        assert (quake.when, quake.epicentre, quake.greatest) == (WHEN, (141.929, 42.686), 7.5)
        assert quake.shaken is not None
        # 0.8 x 0.6 degrees without the island, and the triangle at the edge, closed straight
        assert quake.shaken.area == pytest.approx(0.48 - 0.01 + 0.01, abs=1e-9)
        assert not quake.shaken.covers(shapely.Point(141.75, 42.55))

    @pytest.mark.parametrize(("least", "area"), [(5.0, 2.8), (6.5, 0.02), (7.5, 0.02)])
    def test_the_least_contour_that_is_enough_counts(
        self, service: Any, least: float, area: float
    ) -> None:
        quake = read_quake("usgs:us2000h8ty", least)
        assert quake.shaken is not None
        assert quake.shaken.area == pytest.approx(area)

    @pytest.mark.parametrize(
        ("named", "mmi", "message"),
        [
            (
                "usgs:us1",
                6.0,
                "usgs:us1 has no ShakeMap .yet., so where it shook is not known: giv",
            ),
            ("usgs:us2000h8ty", 8.0, r"reaches 7.5 and nowhere 8: give a lower mmi \(--mmi\)"),
            ("usgs:us/../x", 6.0, "names no earthquake: give it as usgs:"),
        ],
    )
    def test_what_lacks_is_said(self, service: Any, named: str, mmi: float, message: str) -> None:
        with pytest.raises(RequestError, match=message):
            from_quake(sarmap.MapRequest(event=named, mmi=mmi))

    def test_an_unknown_event_and_a_silent_service(
        self, service: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(CatalogError, match="service answered HTTP 404 for usgs:us2: check"):
            read_quake("usgs:us2", 6.0)
        monkeypatch.setattr(quakes, "SERVICE", "http://127.0.0.1:9/query")
        with pytest.raises(CatalogError, match="could not be reached for usgs:us2"):
            read_quake("usgs:us2", 6.0)

    def test_an_area_of_ones_own_goes_before_the_shaking(self, service: Any) -> None:
        asked = from_quake(sarmap.MapRequest(event="usgs:us1", area=(141, 42, 142, 43)))
        assert (asked.area, asked.event) == ((141, 42, 142, 43), WHEN)

    def test_a_scan_of_it_begins_where_it_shook_hardest(self, service: Any, tmp_path: Path) -> None:
        service["us2000h8ty"]["geometry"]["coordinates"][:2] = [142.39, 42.41]
        asked = {"event": "usgs:us2000h8ty", "unit": 1024, "detector": "change"}
        survey = make_survey(sarmap.ScanRequest(**asked, out=str(tmp_path / "scan")))
        assert survey.request.order == "shaking"
        hardest = shapely.box(141.9, 42.65, 142.1, 42.75)  # VII.5, and all the rest VI
        ranks = [(work.rank, work.piece.intersects(hardest)) for work in survey.works.values()]
        assert ranks == sorted(ranks, reverse=True)
        assert set(ranks) == {(7.5, True), (6.0, False)}
        second = next(work for work in survey.works.values() if work.rank == 6.0)
        assert second.piece.distance(shapely.Point(142.39, 42.41)) == 0  # then the nearest

    def test_without_a_shakemap_a_scan_begins_at_the_epicentre(
        self, service: Any, tmp_path: Path
    ) -> None:
        service["us1"]["geometry"]["coordinates"][:2] = [142.09, 42.74]
        asked = {"event": "usgs:us1", "area": (141.9, 42.65, 142.1, 42.75), "detector": "change"}
        survey = make_survey(sarmap.ScanRequest(**asked, unit=256, out=str(tmp_path / "scan")))
        assert survey.request.order == "epicentre"
        first, *_, last = survey.works.values()
        assert first.piece.distance(shapely.Point(142.09, 42.74)) == 0
        assert 10 < last.rank < 30
        with pytest.raises(RequestError, match="'shaking' needs an earthquake with a ShakeMap"):
            make_survey(sarmap.ScanRequest(**asked, order="shaking", out=str(tmp_path / "scan")))


class TestFiles:
    def test_a_grid(self, tmp_path: Path) -> None:
        shaking = np.full((5, 6), 4.0)
        shaking[1:3, 2:5] = 6.0
        (tmp_path / "grid.xml").write_text(grid(shaking))
        quake = read_quake(str(tmp_path / "grid.xml"), 6.0)
        assert (quake.when, quake.greatest) == (WHEN.replace(microsecond=0), 6.0)
        assert quake.shaken is not None
        # points of the grid are the middles of its cells
        assert quake.shaken.bounds == pytest.approx((141.15, 42.75, 141.45, 42.95))
        assert quake.shaken.area == pytest.approx(0.06)
        assert read_quake(str(tmp_path / "grid.xml"), 4.0).levels[6.0].equals(quake.shaken)
        with pytest.raises(RequestError, match=r"grid\.xml reaches 6 and nowhere 6\.1"):
            from_quake(sarmap.MapRequest(event=str(tmp_path / "grid.xml"), mmi=6.1))

    def test_an_events_geojson_alone_or_in_a_feed(self, tmp_path: Path) -> None:
        for told in (event(None), {"type": "FeatureCollection", "features": [event(None)]}):
            (tmp_path / "quake.geojson").write_text(json.dumps(told))
            assert read_quake(str(tmp_path / "quake.geojson"), 6.0).when == WHEN

    def test_contours_are_an_area(self, tmp_path: Path) -> None:
        path = tmp_path / "cont_mmi.json"
        path.write_text(json.dumps(contours()))
        asked = from_quake(sarmap.MapRequest(area=str(path), event="2018-09-05T18:08Z", mmi=7))
        assert asked.area.bounds == (141.9, 42.65, 142.1, 42.75)
        with pytest.raises(RequestError, match="does not say when the earthquake was: give it as"):
            from_quake(sarmap.MapRequest(event=str(path)))

    def test_a_raster_is_an_area(self, tmp_path: Path) -> None:
        shaking = np.full((5, 6), 4.5, np.float32)
        shaking[1:3, 2:5] = 6.0
        shaking[4, 0] = -9999
        path = tmp_path / "mmi_mean.flt"
        place = Affine(0.1, 0, 140.95, 0, -0.1, 43.05)
        shape = {"height": 5, "width": 6, "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
        with rasterio.open(path, "w", driver="EHdr", transform=place, **shape) as raster:
            raster.write(shaking, 1)
        asked = from_quake(sarmap.MapRequest(area=str(path), event="2018-09-05T18:08Z", mmi=6))
        assert asked.area.bounds == pytest.approx((141.15, 42.75, 141.45, 42.95))
        path.with_suffix(".hdr").unlink()
        with pytest.raises(RequestError, match=r"that file and mmi_mean\.hdr beside it"):
            read_quake(str(path), 6.0)

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            ("a.json", "{", "a.json is neither JSON nor XML"),
            ("a.json", "[1, 2]", "a.json is no earthquake as the USGS writes one"),
            ("a.xml", "<a/>", "a.xml is no grid of a ShakeMap"),
            ("a.xml", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "a.xml is neither JSON nor XML"),
            ("a.xml", grid(np.ones((2, 2)), "2012-08-07T01:55:12WIB"), "a.xml is no grid of a Sha"),
            (
                "a.xml",
                grid(np.ones((2, 2))).replace("MMI", "PSA"),
                "a.xml is no grid of a ShakeMap",
            ),
            ("b.json", None, "event file b.json cannot be read .No such file"),
        ],
    )
    def test_a_file_of_something_else(
        self, tmp_path: Path, name: str, text: str | None, message: str
    ) -> None:
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(RequestError, match=message):
            read_quake(str(tmp_path / name), 6.0)


def test_a_path_is_no_interval_and_an_instant_still_needs_a_place() -> None:
    def given(text: str) -> Any:
        return fields_from({"file": None, "event": text})["event"]

    assert given("2018-09-05/2018-09-06") == ("2018-09-05", "2018-09-06")
    assert given("a/grid.xml") == "a/grid.xml"
    assert make_request({"event": "usgs:us1"}).area is None
    with pytest.raises(RequestError, match="lacks area"):
        make_request({"event": "2018-09-05"})


def test_a_map_of_an_earthquake_is_that_of_its_instant_and_place(
    service: Any, server: Any, request_of: Any, event: Any
) -> None:
    from sarmap.assembly import prepare

    west, south, east, north = event.area
    x, y = (west + east) / 2, (south + north) / 2
    small = ring(x - 0.001, y - 0.001, x + 0.001, y + 0.001)
    service["cont_mmi.json"]["features"][2]["geometry"]["coordinates"] = [small]
    prepared = prepare(request_of(area=None, event="usgs:us2000h8ty", mmi=7))
    assert prepared.passes[0].event == (WHEN, WHEN)
    height, width = prepared.grid.shape
    assert 10 < height < 40
    assert 10 < width < 40
