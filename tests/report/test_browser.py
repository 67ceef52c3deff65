"""The page as a person meets it: in a real browser, from a file, without a network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest

from sarmap.export.polygons import polygonise


def open_page(browser: Any, file: Path, **how: Any) -> tuple[Any, list[str]]:
    """The page, ready, and what its console said that it should not."""
    context = browser.new_context(viewport={"width": 1300, "height": 900}, offline=True, **how)
    tab = context.new_page()
    said: list[str] = []
    tab.on("console", lambda one: said.append(one.text) if one.type in ("error", "warning") else 0)
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("requestfailed", lambda request: said.append(f"failed: {request.url[:200]}"))
    tab.goto(file.as_uri())
    tab.wait_for_function("document.body.dataset.ready === 'all'", timeout=60_000)
    return tab, said


@pytest.fixture(scope="module")
def opened(browser: Any, page: Path) -> Iterator[tuple[Any, list[str]]]:
    tab, said = open_page(browser, page / "index.html")
    yield tab, said
    tab.context.close()


@pytest.fixture
def tab(opened: tuple[Any, list[str]]) -> Any:
    """The open page as it is at first."""
    tab, _ = opened
    tab.click("#threshold-reset")
    tab.click("#f-reset")
    tab.evaluate("window.scrollTo(0, 0)")
    settle(tab)
    return tab


def settle(tab: Any) -> None:
    """Until the map has drawn what was asked."""
    tab.wait_for_timeout(120)


def differs(tab: Any, before: bytes) -> bool:
    """Whether the map looks other than before, once it has had up to ten seconds to draw."""
    for _ in range(40):
        if tab.screenshot(clip=tab.locator("#map").bounding_box()) != before:
            return True
        tab.wait_for_timeout(250)
    return False


def set_threshold(tab: Any, level: int) -> None:
    tab.evaluate(
        "level => { const s = document.getElementById('threshold'); s.value = level;"
        "s.dispatchEvent(new Event('input', { bubbles: true })) }",
        level,
    )
    settle(tab)


def count(tab: Any) -> int:
    return int(tab.inner_text("#count").replace(",", ""))


def column(tab: Any, number: int) -> list[float]:
    """Numbers of one column of the table of landslides."""
    cells = tab.locator(f"#slides-table tbody td:nth-child({number})").all_inner_texts()
    return [float(cell.replace(",", "")) for cell in cells if re.match(r"^[\d.,]+$", cell)]


def resolution(tab: Any) -> str:
    """The scale bar in words and pixels, once it stands still: it changes as one zooms."""
    read = "one => one.innerText + ' ' + one.offsetWidth"
    before, now = "", tab.locator(".ol-scale-line-inner").evaluate(read)
    while now != before:
        tab.wait_for_timeout(400)
        before, now = now, tab.locator(".ol-scale-line-inner").evaluate(read)
    return str(now)


def test_it_opens_from_a_file_without_a_network_and_without_a_complaint(
    opened: tuple[Any, list[str]],
) -> None:
    tab, said = opened
    tab.wait_for_load_state("networkidle")
    assert said == []
    assert tab.evaluate("[...document.images].every(image => image.complete)")


@pytest.mark.parametrize("level", [25, 75, 125, 150, 225])
def test_the_slider_finds_the_very_polygons_of_the_export(
    tab: Any, map_store: Path, level: int
) -> None:
    set_threshold(tab, level)
    truth = polygonise(map_store, threshold=level / 250)
    assert count(tab) == len(truth)
    area = float(tab.inner_text("#area"))
    assert area == pytest.approx(truth["area_m2"].sum() / 1e6, abs=0.006)
    largest = truth.sort_values(["area_m2", "id"], ascending=[False, True]).head(25)
    assert column(tab, 1) == largest["id"].tolist()
    assert column(tab, 2) == largest["area_m2"].tolist()
    assert column(tab, 3) == pytest.approx(largest["mean_probability"].tolist(), abs=0.00501)
    assert column(tab, 5) == pytest.approx(largest["mean_slope_deg"].tolist(), abs=0.0501)


@pytest.mark.parametrize("level", [75, 150])
def test_what_is_shown_is_saved_with_the_ids_of_the_export(
    tab: Any, map_store: Path, tmp_path: Path, level: int
) -> None:
    set_threshold(tab, level)
    with tab.expect_download() as waiting:
        tab.click("#export")
    assert waiting.value.suggested_filename == f"{map_store.stem}_{level * 0.004:g}.geojson"
    waiting.value.save_as(tmp_path / "shown.geojson")
    shown = geopandas.read_file(tmp_path / "shown.geojson")
    truth = polygonise(map_store, threshold=level / 250)
    assert shown.is_valid.all()
    for name in ("id", "area_m2", "at_edge", "threshold", "simulated"):
        assert shown[name].tolist() == truth[name].tolist()
    np.testing.assert_allclose(shown[["lon", "lat"]], truth[["lon", "lat"]], atol=2e-5)
    moved = shown.to_crs(truth.crs)
    assert (moved.symmetric_difference(truth).area < 0.01 * truth.area).all()
    tab.check("#f-inside")
    settle(tab)
    assert tab.inner_text("#filtered").startswith(f"{(~truth['at_edge']).sum()} of {len(truth)}")
    tab.click("#f-reset")
    settle(tab)


def test_the_area_has_its_range_at_every_threshold(tab: Any) -> None:
    lines = set()
    for level in (50, 125, 200):
        set_threshold(tab, level)
        line = tab.inner_text("#interval")
        low, high = (float(end) for end in re.match(r"([\d.]+) to ([\d.]+) km²", line).groups())  # type: ignore[union-attr]
        assert low <= float(tab.inner_text("#area")) <= high
        lines.add(line)
    assert len(lines) == 3
    assert "no confidence interval" in tab.locator("#interval-text").text_content()


def test_the_slider_redraws_the_map(tab: Any) -> None:
    before = tab.screenshot(clip=tab.locator("#map").bounding_box())
    set_threshold(tab, 250)
    tab.mouse.move(5, 5)
    assert differs(tab, before)


def test_a_row_zooms_to_its_landslide_and_marks_it(tab: Any) -> None:
    tab.focus("#map")
    tab.keyboard.press("Home")
    whole = resolution(tab)
    tab.click("#slides-table tbody tr:nth-child(4) td:nth-child(2)")
    tab.wait_for_timeout(600)
    assert resolution(tab) != whole
    chosen = tab.locator("#slides-table tr.chosen")
    assert chosen.count() == 1
    assert chosen.locator("td").first.inner_text() == tab.inner_text(
        "#slides-table tbody tr:nth-child(4) td:first-child"
    )


def test_a_click_on_the_map_finds_the_row(tab: Any) -> None:
    tab.click("#slides-table tbody tr:nth-child(1) td:nth-child(2)")
    tab.wait_for_timeout(600)
    number = tab.inner_text("#slides-table tr.chosen td:first-child")
    tab.click("#slides-table tbody tr:nth-child(2) button")
    tab.wait_for_timeout(600)
    other = tab.inner_text("#slides-table tr.chosen td:first-child")
    assert other != number
    tab.focus("#swipe")
    tab.keyboard.press("Home")  # the divider lies over the middle
    box = tab.locator("#map").bounding_box()
    tab.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tab.wait_for_timeout(500)
    assert f"Candidate {other}:" in tab.inner_text("#readout")


def test_the_table_sorts_and_says_so(tab: Any) -> None:
    for head, number in (("Mean slope", 5), ("Mean probability", 3)):
        button = tab.locator("#slides-table th button", has_text=head)
        button.click()
        values = column(tab, number)
        assert values == sorted(values, reverse=True)
        assert button.locator("xpath=..").get_attribute("aria-sort") == "descending"
        button.click()
        values = column(tab, number)
        assert values == sorted(values)
    tab.locator("#slides-table th button", has_text="Area").click()


def test_the_table_filters(tab: Any, map_store: Path) -> None:
    truth = polygonise(map_store)
    tab.fill("#f-area", "20000")
    tab.fill("#f-slope-low", "15")
    kept = truth[(truth["area_m2"] >= 20_000) & (truth["mean_slope_deg"] >= 15)]
    assert 0 < len(kept) < len(truth)
    assert tab.inner_text("#filtered").startswith(f"{len(kept)} of {len(truth)} landslides")
    assert len(column(tab, 1)) == min(len(kept), 25)
    tab.click("#f-reset")
    settle(tab)
    assert tab.inner_text("#filtered") == ""


def test_only_what_is_in_view_can_be_listed(tab: Any, map_store: Path) -> None:
    tab.click("#slides-table tbody tr:nth-child(1) button")
    tab.wait_for_timeout(600)
    tab.check("#f-view")
    settle(tab)
    assert 0 < len(column(tab, 1)) < len(polygonise(map_store))


def test_the_keyboard_does_all(tab: Any) -> None:
    tab.focus("#map")
    tab.keyboard.press("Home")
    first = resolution(tab)
    tab.keyboard.press("+")
    tab.wait_for_timeout(500)
    assert resolution(tab) != first
    tab.keyboard.press("Home")
    tab.wait_for_timeout(500)
    assert resolution(tab) == first
    tab.focus("#threshold")
    before = count(tab)
    for _ in range(10):
        tab.keyboard.press("ArrowRight")
    settle(tab)
    assert count(tab) != before
    tab.focus("#swipe")
    tab.keyboard.press("Home")
    assert tab.locator("#divider").evaluate("one => one.style.left") == "0%"
    tab.locator("#slides-table tbody button").first.focus()
    tab.keyboard.press("Enter")
    settle(tab)
    assert tab.locator("#slides-table tr.chosen").count() == 1


def test_everything_can_be_reached_by_tab_in_order(tab: Any) -> None:
    tab.focus(".skip")
    reached = []
    for _ in range(40):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.id"))
    order = [reached.index(name) for name in ("map", "threshold", "left", "swipe", "f-area")]
    assert order == sorted(order)


def test_the_swipe_compares_two_images(tab: Any) -> None:
    box = tab.locator("#map").bounding_box()
    pictures = set()
    for left, right in (("vv_pre", "vv_post_1"), ("vv_pre", "probability")):
        tab.select_option("#left", left)
        tab.select_option("#right", right)
        tab.wait_for_timeout(400)
        pictures.add(tab.screenshot(clip=box))
    handle = tab.locator("#divider").bounding_box()
    tab.mouse.move(handle["x"] + 17, handle["y"] + handle["height"] / 2)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] / 4, handle["y"] + 50, steps=4)
    tab.mouse.up()
    assert tab.input_value("#swipe") == "25"
    pictures.add(tab.screenshot(clip=box))
    assert len(pictures) == 3


def test_what_the_radar_could_not_see_is_drawn_and_explained(tab: Any) -> None:
    assert "not seen: layover or shadow" in tab.inner_text("#legend")
    box = tab.locator("#map").bounding_box()
    with_it = tab.screenshot(clip=box)
    tab.uncheck("[data-layer=unseen]")
    assert differs(tab, with_it)
    assert "not seen" not in tab.inner_text("#legend")
    tab.check("[data-layer=unseen]")


def test_a_background_can_be_left_out(tab: Any) -> None:
    tab.uncheck("[data-layer='exposure:roads']")
    with_it = tab.screenshot(clip=tab.locator("#map").bounding_box())
    tab.uncheck("[data-layer=background]")
    assert differs(tab, with_it)
    tab.check("[data-layer=background]")
    tab.check("[data-layer='exposure:roads']")


def test_density_has_a_layer_a_legend_and_a_figure(tab: Any) -> None:
    tab.check("[data-layer=density]")
    assert "per km²" in tab.inner_text("#legend")
    assert re.search(r"[\d.]+ candidates per km² on average", tab.inner_text("#slides-lead"))
    tab.uncheck("[data-layer=density]")


def test_districts_are_counted_at_the_threshold(tab: Any, map_store: Path) -> None:
    rows = tab.locator("#districts-table tbody tr")
    assert rows.count() == 2
    landslides = sum(int(text) for text in rows.locator("td:nth-child(4)").all_inner_texts())
    assert landslides == len(polygonise(map_store))
    names = rows.locator("td:first-child").all_inner_texts()
    assert sorted(names) == ["East <b>", "West"]  # what a file says is never taken for HTML
    set_threshold(tab, 225)
    fewer = sum(int(text) for text in rows.locator("td:nth-child(4)").all_inner_texts())
    assert fewer < landslides


def test_what_was_touched_follows_the_threshold(tab: Any) -> None:
    roads = tab.locator("[data-exposure=roads] > p")
    assert "1 of 2 touched" in roads.inner_text()
    assert "1 not seen by the radar at all" in roads.inner_text()
    before = roads.inner_text()
    set_threshold(tab, 250)
    assert roads.inner_text() != before
    assert "1 not seen" in tab.inner_text("[data-exposure=buildings] > p")


def test_a_simulated_map_says_so_wherever_it_is_seen(tab: Any) -> None:
    assert tab.title().startswith("SIMULATED")
    assert "SIMULATED" in tab.inner_text(".simulated")
    assert tab.locator(".stamp").is_visible()
    tab.locator("footer").scroll_into_view_if_needed()
    box = tab.locator(".simulated").bounding_box()
    assert box["y"] >= 0  # the banner stays in view


def violations(tab: Any, front_end: Path) -> Any:
    """What axe finds wrong with a page, and where."""
    axe = front_end / "node_modules/axe-core/axe.min.js"
    session = tab.context.new_cdp_session(tab)
    session.send("Page.setBypassCSP", {"enabled": True})
    session.send("Runtime.evaluate", {"expression": axe.read_text()})
    return tab.evaluate(
        "async () => (await axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a',"
        " 'wcag21aa', 'wcag22aa', 'best-practice'] })).violations.map(one => [one.id,"
        " one.nodes.map(node => node.html.slice(0, 200))])"
    )


def test_axe_finds_nothing(tab: Any, front_end: Path) -> None:
    assert violations(tab, front_end) == []


def test_on_a_phone_figures_come_first_and_nothing_is_wider_than_the_screen(
    browser: Any, page: Path
) -> None:
    tab, said = open_page(browser, page / "index.html")
    tab.set_viewport_size({"width": 360, "height": 740})
    settle(tab)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    figures, stage = (tab.locator(f"#{name}").bounding_box() for name in ("figures", "stage"))
    assert figures["y"] + figures["height"] <= stage["y"]
    assert said == []
    tab.context.close()


def test_one_file_holds_all(browser: Any, map_store: Path, tmp_path: Path) -> None:
    from sarmap.report.writing import write_report

    file = tmp_path / "alone.html"
    write_report(map_store, file)
    moved = tmp_path / "elsewhere" / "alone.html"
    moved.parent.mkdir()
    file.rename(moved)
    tab, said = open_page(browser, moved)
    assert count(tab) == len(polygonise(map_store))
    with tab.expect_download() as waiting:
        tab.click(".downloads a")
    assert Path(waiting.value.path()).read_bytes()[:15] == b"SQLite format 3"
    assert said == []
    tab.context.close()


def test_it_says_what_is_missing_of_the_folder(browser: Any, page: Path, tmp_path: Path) -> None:
    import shutil

    half = tmp_path / "half"
    shutil.copytree(page, half)
    (half / "data" / "cells.js").unlink()
    tab = browser.new_context().new_page()
    tab.goto((half / "index.html").as_uri())
    tab.wait_for_selector("#waiting.broken")
    assert "data/cells.js is missing" in tab.inner_text("#waiting")
    tab.context.close()


def test_the_first_page_of_several_zones_leads_to_each(
    browser: Any, page: Path, front_end: Path, tmp_path: Path
) -> None:
    import shutil

    from sarmap.report.downloads import Download
    from sarmap.report.shell import PICTURE, Start, ZoneRow, write_start

    shutil.copytree(page, tmp_path / "53N")
    shutil.copytree(page, tmp_path / "54N")
    (tmp_path / PICTURE).write_bytes((page / "tiles/vv_pre/0/0/0.webp").read_bytes())
    words = Start(
        title="Two <zones>",
        units="3 of 4 units mapped, in 2 UTM zones",
        simulated=True,
        attribution="Made up.",
        missing=("This scan is not whole.",),
        zones=[ZoneRow("53N", 1204, 3.5, 40.0), ZoneRow("54N", 17, 0.25, 12.0)],
        landslides=1220,
        mapped_km2=3.7,
        downloads=[Download("all.gpkg", "GeoPackage", "for a GIS", "application/x", 1)],
        version="sarmap 0",
    )
    write_start(tmp_path, words)
    context = browser.new_context(viewport={"width": 360, "height": 740}, offline=True)
    tab = context.new_page()
    said: list[str] = []
    tab.on("console", lambda one: said.append(one.text) if one.type in ("error", "warning") else 0)
    tab.goto((tmp_path / "index.html").as_uri())
    assert tab.title() == "SIMULATED: Two <zones>"
    assert tab.locator(".simulated").is_visible()
    assert "This scan is not whole." in tab.inner_text("main")
    assert tab.inner_text("tbody tr:first-child").split("\t") == [
        "Zone 53N",
        "1,204",
        "3.50",
        "40.0",
    ]
    assert "1,220" in tab.inner_text("tfoot")
    assert tab.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    assert said == []
    assert violations(tab, front_end) == []  # axe itself asks for the style, and is refused
    said.clear()
    tab.click("text=Zone 54N")
    tab.wait_for_function("document.body.dataset.ready === 'all'", timeout=60_000)
    assert tab.url == (tmp_path / "54N" / "index.html").as_uri()
    assert said == []
    context.close()
