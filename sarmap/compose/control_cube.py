"""A cube as it would have been read before the event: what a control map's composite is made of.

The latest passes before the event take the roles of those after it, in order of time, and the
earlier ones those of the passes before. Nothing happened between them that a landslide detector
should find, so what it finds there is what it would find anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sarmap.compose.names import needs_optical, required_passes
from sarmap.errors import RequestError

if TYPE_CHECKING:
    import xarray as xr


def control_passes(bands: Sequence[str]) -> int:
    """How many passes before the event a control of these bands reads; RequestError where they read
    no radar pass after the event, or an optical scene: nothing can stand in.

    >>> control_passes(("vv_pre", "vv_post_1", "vv_post_2", "slope"))
    3
    """
    pre, post = required_passes(bands)
    if not post or needs_optical(bands):
        raise RequestError(
            "A control map asks the detector of radar passes before the event, but this one reads "
            f"{', '.join(bands)}: choose a detector of radar alone, or leave out control= "
            "(--control)."
        )
    return pre + post


def control_roles(bands: Sequence[str]) -> dict[str, str]:
    """Role of a pass before the event -> its role in the control.

    >>> control_roles(("vv_pre", "vv_post_1", "vv_post_2", "slope"))
    {'pre': 'post_2', 'pre_2': 'post_1', 'pre_3': 'pre'}
    """
    pre, post = required_passes(bands)
    after = [f"post_{number}" for number in range(post, 0, -1)]
    before = [_pre(number) for number in range(1, pre + 1)]
    return {_pre(number): role for number, role in enumerate((*after, *before), start=1)}


def _pre(number: int) -> str:
    return "pre" if number == 1 else f"pre_{number}"


def as_control(cube: xr.Dataset, bands: Sequence[str]) -> xr.Dataset:
    """The cube's passes before the event, `control_passes` or more (else RequestError), in the
    roles that a control of these bands reads.
    """
    roles = control_roles(bands)
    present = [str(role) for role in cube["role"].values]
    lacking = [role for role in roles if role not in present]
    if lacking:
        raise RequestError(
            f"A control of {', '.join(bands)} needs the pass {lacking[0]!r}, and the cube has "
            f"{', '.join(present)}: search passes with pre={control_passes(bands)}."
        )
    kept = [number for number, role in enumerate(present) if role in roles]
    chosen = cube.isel(time=kept)
    return chosen.assign_coords(role=("time", [roles[present[number]] for number in kept]))
