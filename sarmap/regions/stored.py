"""Decisions of a scan as records, and back: item ids only, never an address."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pystac

from sarmap.acquire.scenes import Scene, is_simulated
from sarmap.acquire.shortfall import Sought
from sarmap.regions.tracks import Decision
from sarmap.types import Pass, Passes

__all__ = ["decision_record", "restored_takes", "take_record"]


def decision_record(decision: Decision) -> dict[str, Any]:
    """What one unit is read from."""
    return asdict(decision) | {"takes": list(decision.takes)}


def take_record(passes: Passes) -> dict[str, Any]:
    """The passes of one track over the region."""
    return {
        "orbit_state": passes.orbit_state,
        "relative_orbit": passes.relative_orbit,
        "simulated": passes.simulated,
        "passes": [
            {
                "role": one.role,
                "datetime": one.datetime.isoformat(),
                "platform": one.platform,
                "coverage": round(one.coverage, 6),
                "scenes": [item.id for item in one.items],
            }
            for one in (*passes.pre, *passes.post)
        ],
    }


def restored_takes(
    record: Mapping[str, Any],
    kept: Mapping[str, Decision],
    scenes: Mapping[str, Scene],
    sought: Sought,
    optical: tuple[pystac.Item, ...],
) -> tuple[dict[str, Passes], dict[str, Decision]]:
    """Takes and unit decisions of an earlier run; without those whose scenes are no longer there.

    Args:
        record: `scan.json`.
        kept: decisions in it, of one detector.
        scenes: item id -> scene, of all that the catalogue has now.
        sought: what was searched for.
        optical: Sentinel-2 scenes for all units.
    """
    wanted = dict.fromkeys(key for one in kept.values() for key in one.takes)
    takes = {
        key: _passes(take, scenes, sought, optical)
        for key, take in ((key, record["takes"][key]) for key in wanted)
        if all(name in scenes for one in take["passes"] for name in one["scenes"])
    }
    units = {name: one for name, one in kept.items() if all(key in takes for key in one.takes)}
    return takes, units


def _passes(
    take: Mapping[str, Any],
    scenes: Mapping[str, Scene],
    sought: Sought,
    optical: tuple[pystac.Item, ...],
) -> Passes:
    made = [
        Pass(
            role=one["role"],
            datetime=dt.datetime.fromisoformat(one["datetime"]),
            orbit_state=take["orbit_state"],
            relative_orbit=take["relative_orbit"],
            platform=one["platform"],
            items=tuple(scenes[name].item for name in one["scenes"]),
            coverage=one["coverage"],
        )
        for one in take["passes"]
    ]
    items = [item for one in made for item in one.items]
    return Passes(
        pre=tuple(one for one in made if one.role.startswith("pre")),
        post=tuple(one for one in made if one.role.startswith("post")),
        catalog=sought.settings,
        event=sought.event,
        optical=optical,
        simulated=any(is_simulated(item) for item in (*items, *optical)),
    )
