"""Catalogues that are files: the same passes as of an API, whatever form the file has."""

from __future__ import annotations

import copy
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rustac

import sarmap
from sarmap.acquire.catalogs import open_catalog, resolve_catalog
from sarmap.acquire.item_files import ItemFiles
from sarmap.acquire.search import search_passes
from sarmap.errors import CatalogError, RequestError


def relative(stac: Any) -> list[dict[str, Any]]:
    """The Iburi records, their assets beside them."""
    records: list[dict[str, Any]] = stac.iburi()
    for one in records:
        for band, asset in one["assets"].items():
            asset["href"] = f"./cogs/{one['id']}_{band}.tif"
    return records


def collection_file(records: list[dict[str, Any]], folder: Path) -> Path:
    path = folder / "items.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": records}))
    return path


def parquet_file(records: list[dict[str, Any]], folder: Path) -> Path:
    rustac.write_sync(str(folder / "items.parquet"), records)
    return folder / "items.parquet"


def items_folder(records: list[dict[str, Any]], folder: Path) -> Path:
    for one in records:
        (folder / f"{one['id']}.json").write_text(json.dumps(one))
    (folder / "notes.json").write_text('{"of": "somebody else"}')
    return folder


def static(records: list[dict[str, Any]], folder: Path) -> Path:
    """As pystac writes one: a catalogue, a collection below it, items below that."""
    root = pystac.Catalog("root", "static")
    below = pystac.Collection(
        "sentinel-1-rtc",
        "radar",
        pystac.Extent(
            pystac.SpatialExtent([[-180, -90, 180, 90]]),
            pystac.TemporalExtent([[None, None]]),
        ),
    )
    root.add_child(below)
    below.add_items(pystac.Item.from_dict(copy.deepcopy(one)) for one in records)
    root.normalize_and_save(str(folder), pystac.CatalogType.SELF_CONTAINED)
    return folder / "catalog.json"


FORMS = [collection_file, parquet_file, items_folder, static]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_passes_that_an_api_gives(
    form: Callable[..., Path], stac: Any, tmp_path: Path
) -> None:
    place = form(relative(stac), tmp_path)
    found = search_passes(stac.area, stac.event, catalog=place)
    assert [f"{one.datetime:%m-%d}" for one in found] == ["09-01", "09-13", "09-25"]
    assert found.catalog.name == place.name
    item = found.post[0].items[0]
    file = Path(item.assets["vv"].href)
    assert file.name == f"{item.id}_vv.tif"
    assert file.is_relative_to(tmp_path)
    assert file.parent.name == "cogs"
    assert item.get_self_href() is None  # a path of this machine stands in no result


def test_a_file_is_searched_by_place_time_and_collection(stac: Any, tmp_path: Path) -> None:
    dem = {**stac.radar("2018-09-01T00:00:00"), "id": "dem", "collection": "cop-dem-glo-30"}
    across = stac.radar("2018-09-02T00:00:00", bounds=(179.5, 10.0, -179.5, 11.0), suffix="x")
    odd = {"id": "odd", "type": "Feature", "assets": None, "collection": "sentinel-1-rtc"}
    place = collection_file([*stac.iburi(), dem, across, odd], tmp_path)
    files = open_catalog(resolve_catalog(place))
    assert isinstance(files, ItemFiles)
    assert files.collections == ["cop-dem-glo-30", "sentinel-1-rtc"]

    def ids(*asked: Any) -> set[str]:
        return {one["id"] for one in files.search(*asked)} - {"odd"}

    assert ids("cop-dem-glo-30", None, None) == {"dem"}
    assert ids("sentinel-1-rtc", (-179.9, 10, -179.8, 11), None) == {across["id"]}
    assert ids("sentinel-1-rtc", (170.0, 10, 170.1, 11), None) == set()
    assert len(ids("sentinel-1-rtc", stac.area, None)) == 23
    found = search_passes(stac.area, stac.event, catalog=place)
    assert found.notes[0].startswith("1 record was left out (item odd is not a valid STAC item")


@pytest.mark.parametrize("name", ["s1-gamma0", None])
def test_radar_of_one_collection_is_known_by_its_assets(
    name: str | None, stac: Any, tmp_path: Path
) -> None:
    records = [{**one, "collection": name} for one in relative(stac)]
    found = search_passes(stac.area, stac.event, catalog=collection_file(records, tmp_path))
    assert len(found.post) == 2
    records[0]["collection"] = "another-maker"
    with pytest.raises(RequestError, match=r"no collection 'sentinel-1-rtc' \(it has another-mak"):
        search_passes(stac.area, stac.event, catalog=collection_file(records, tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "items.geojson is no JSON of STAC"),
        ("[1]", "holds no STAC item"),
        ('{"type": "FeatureCollection", "features": []}', "holds no STAC item"),
        ('{"type": "Catalog", "links": [{"rel": "child", "href": "gone.json"}]}',
         "file gone.json cannot be read .No such file"),
        ('{"type": "Catalog", "links": [{"rel": "item", "href": "/vsicurl/x.json"}]}',
         "names no web address"),
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_refused_by_name(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "items.geojson").write_text(text)
    with pytest.raises(RequestError, match=message) as caught:
        open_catalog(resolve_catalog(tmp_path / "items.geojson"))
    assert str(tmp_path) not in str(caught.value)


def test_a_parquet_of_something_else_is_no_catalogue(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(RequestError, match=r"a\.parquet is no JSON of STAC"):
        open_catalog(resolve_catalog(tmp_path / "a.parquet"))


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """The temporary folder over HTTP."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    handler = partial(Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_static_catalogue_on_the_web(stac: Any, tmp_path: Path, web: str) -> None:
    static(relative(stac), tmp_path)
    found = search_passes(stac.area, stac.event, catalog=f"{web}/catalog.json")
    assert found.catalog.name == "catalog.json"
    href = found.pre[0].items[0].assets["vv"].href
    assert href.startswith(f"{web}/sentinel-1-rtc/")
    with pytest.raises(CatalogError, match="answered HTTP 404"):
        open_catalog(resolve_catalog(f"{web}/gone/catalog.json"))


def test_a_catalogue_on_the_web_leads_to_no_file_of_this_machine(tmp_path: Path, web: str) -> None:
    link = {"rel": "item", "href": f"file://{tmp_path}/items.geojson"}
    (tmp_path / "catalog.json").write_text(json.dumps({"type": "Catalog", "links": [link]}))
    with pytest.raises(RequestError, match="names no web address"):
        open_catalog(resolve_catalog(f"{web}/catalog.json"))


def test_files_in_a_bucket(stac: Any, tmp_path: Path, s3: Any) -> None:
    import obstore
    from obstore.store import from_url

    bucket = f"s3://{s3.bucket}/catalogues"
    store = from_url(bucket)
    for path in (collection_file(relative(stac), tmp_path), parquet_file(relative(stac), tmp_path)):
        obstore.put(store, f"a/{path.name}", path.read_bytes())
        found = search_passes(stac.area, stac.event, catalog=f"{bucket}/a/{path.name}")
        href = found.pre[0].items[0].assets["vv"].href
        assert href.startswith(f"{bucket}/a/cogs/S1B_IW_GRDH")
    with pytest.raises(CatalogError, match=r"none\.json cannot be read"):
        open_catalog(resolve_catalog(f"{bucket}/none.json"))


def test_a_map_of_files_in_a_bucket_is_held_to_them(
    event: Any, request_of: Any, tmp_path: Path, s3: Any
) -> None:
    """Their entity tags are kept with the map, and asked at resume."""
    records = json.loads(event.items.read_text(encoding="utf-8"))
    client, names = s3.client(), []
    for record in records["features"]:
        for asset in record["assets"].values():
            if record["properties"].get("sat:relative_orbit", 68) == 68:
                client.upload_file(str(event.path / asset["href"]), s3.bucket, asset["href"])
                names.append(asset["href"])
            asset["href"] = f"s3://{s3.bucket}/{asset['href']}"
    (tmp_path / "items.json").write_text(json.dumps(records))
    request = request_of(
        area=event.grid[:64, :64], catalog=str(tmp_path / "items.json"), relative_orbit=68
    )
    mapped = sarmap.map_landslides(request)
    assert mapped.observation["observed"] > 0
    assert not mapped.read_failed
    resumed = request.model_copy(update={"resume": True})
    assert sarmap.map_landslides(resumed).computed == 0
    name = next(name for name in names if f"/{mapped.plan.scenes[0]}/iw-vv" in name)
    body = client.get_object(Bucket=s3.bucket, Key=name)["Body"].read()
    client.put_object(Bucket=s3.bucket, Key=name, Body=body[:-1] + bytes([body[-1] ^ 1]))
    with pytest.raises(RequestError, match="asset 'vv' is another one than when this map"):
        sarmap.map_landslides(resumed)


def test_the_same_pixels_give_the_same_map_as_through_the_api(
    event: Any, request_of: Any, tmp_path: Path
) -> None:
    area = event.grid[:128, :128]
    maps = [
        sarmap.map_landslides(request_of(area=area, out=str(tmp_path / name), **catalog))
        for name, catalog in (("api.zarr", {}), ("file.zarr", {"catalog": str(event.items)}))
    ]
    for name in ("probability", "observation"):
        np.testing.assert_array_equal(*(one.dataset[name].values for one in maps))
    assert maps[1].observation["observed"] > 0
    assert str(event.path) not in json.dumps({k: str(v) for k, v in maps[1].dataset.attrs.items()})
