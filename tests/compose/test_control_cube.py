"""A control asks the same detector of a time when nothing happened."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from sarmap.compose.composites import make_composite
from sarmap.compose.control_cube import as_control, control_passes, control_roles
from sarmap.errors import RequestError


def cube(*roles: str) -> xr.Dataset:
    """A pixel per pass, whose power is the pass's number in time."""
    power = np.arange(1, len(roles) + 1, dtype=np.float32)[:, None, None]
    codes = np.zeros(power.shape, np.uint8)
    return xr.Dataset(
        {"vv": (("time", "y", "x"), power), "observation": (("time", "y", "x"), codes)},
        coords={"role": ("time", list(roles)), "y": [5.0], "x": [5.0]},
    )


def test_passes_before_the_event_take_the_later_roles_in_order_of_time() -> None:
    whole = cube("pre_4", "pre_3", "pre_2", "pre", "post_1", "post_2")
    earlier = as_control(whole, ("vv_pre", "vv_post_1", "vv_post_2"))
    made = make_composite(earlier, None, ("vv_pre", "vv_post_1", "vv_post_2"), scaling="power")
    assert made.values.ravel().tolist() == [2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    ("bands", "roles"),
    [
        (("vv_pre", "vv_post_1"), {"pre": "post_1", "pre_2": "pre"}),
        (("vv_change",), {"pre": "post_1", "pre_2": "pre"}),
        (("vv_post_1", "dem"), {"pre": "post_1"}),
        (
            ("vv_pre", "vv_pre_2", "vv_post_1", "vv_post_2"),
            {"pre": "post_2", "pre_2": "post_1", "pre_3": "pre", "pre_4": "pre_2"},
        ),
    ],
)
def test_as_many_passes_are_read_as_the_detector_reads_in_all(
    bands: tuple[str, ...], roles: dict[str, str]
) -> None:
    assert control_roles(bands) == roles
    assert control_passes(bands) == len(roles)


@pytest.mark.parametrize("bands", [("red", "green", "blue"), ("vv_pre", "dem")])
def test_what_reads_no_radar_after_the_event_has_no_control(bands: tuple[str, ...]) -> None:
    with pytest.raises(RequestError, match="choose a detector of radar alone, or leave out"):
        control_passes(bands)


def test_a_cube_with_too_few_passes_is_refused() -> None:
    with pytest.raises(RequestError, match=r"needs the pass 'pre_2'.*search passes with pre=2"):
        as_control(cube("pre", "post_1"), ("vv_pre", "vv_post_1"))
