"""The land cover of a simulated event, made anew from its seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sarmap.errors import RequestError
from sarmap.simulate.cover import land_cover


def test_it_lies_on_the_events_grid_and_every_code_has_a_name(event: Any) -> None:
    codes, names = land_cover(event)
    assert codes.shape == event.shape
    assert set(np.unique(codes).tolist()) <= set(names)
    assert "forest" in names.values()
    again, _ = land_cover(event.path)
    np.testing.assert_array_equal(codes, again)


def test_the_ground_of_another_simulator_is_not_guessed(event: Any) -> None:
    with pytest.raises(RequestError, match="its land cover is not known: leave out land_cover"):
        land_cover(replace(event, landslides=event.landslides + 1))
