"""One pass after the event: what cannot map says what can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import sarmap
from sarmap.acquire.shortfall import TooFewPassesError
from sarmap.choosing import detectors_for, offer
from sarmap.detect.change import LogRatio
from sarmap.detect.protocol import describe


def test_on_day_7_the_map_says_what_maps_today(event: Any, server: Any, tmp_path: Path) -> None:
    request = sarmap.MapRequest(
        area=event.grid,
        event=event.event,
        catalog=server.catalog,
        orbit="ascending",
        after_days=15.0,  # the second pass comes on day 19
        detector="cnn-baa",
        out=str(tmp_path / "map.zarr"),
    )
    with pytest.raises(TooFewPassesError) as caught:
        sarmap.map_landslides(request)
    text = str(caught.value)
    assert "2 passes after the event were asked for, but ascending orbit 68 has 1" in text
    assert "Detector 'cnn-baa' reads 1 before and 2 after" in text
    assert "map now with 'attention-unet' or" in text
    assert "(--detector attention-unet)" in text
    assert caught.value.available == (1, 1)
    # and what is offered works
    today = request.model_copy(update={"detector": "attention-unet"})
    assert sarmap.map_landslides(today).pixels == event.shape[0] * event.shape[1]


def test_only_detectors_of_no_more_passes_are_offered() -> None:
    assert set(detectors_for(1, 1)) <= set(detectors_for(1, 2))
    assert detectors_for(0, 0) == ()


def test_a_detector_that_has_its_passes_gets_no_offer() -> None:
    assert offer(describe(LogRatio()), (1, 1)) == ""
