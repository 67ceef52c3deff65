"""Why passes show nothing, told pass by pass and band by band."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sarmap.unseen import why_empty


def test_each_pass_that_shows_nothing_is_named_with_its_cause(
    kit: Any, tmp_path: Path, power: Any
) -> None:
    files = {
        "pre_3": np.full_like(power, -32768),
        "pre_2": 10 * np.log10(power) - 80,  # decibel as of land are refused when read
        "pre": power,
        "post_1": power,
        "post_2": power,
    }
    scenes = {}
    for role, pixels in files.items():
        kit.cog(tmp_path / f"{role}.tif", pixels)
        scenes[role] = [kit.item(f"S1_{role}", {"vv": tmp_path / f"{role}.tif"})]
    (tmp_path / "post_1.tif").unlink()
    found = why_empty(kit.passes(scenes), kit.box(300, 260), ("vv",))
    assert len(found) == 3
    holds_none, decibel, unread = found
    assert holds_none == "VV of pre_3 (2018-08-09, S1_pre_3): its files hold no data there"
    assert decibel.startswith("VV of pre_2 (2018-08-21, S1_pre_2): its values are -")
    assert "set scaling: db" in decibel
    assert unread == "VV of post_1 (2018-09-14, S1_post_1): it could not be read"
