"""A control's figures in words, from the record that a map keeps of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def described(figures: Mapping[str, Any]) -> str:
    """The figures in one sentence, from their record.

    >>> described({"threshold": 0.5, "control_seen_km2": 90.0, "control_mapped_km2": 0.9,
    ...            "control_polygons": 120, "mapped_km2": 6.0, "false_m2_per_km2": 10000.0,
    ...            "beyond_control_km2": 5.1, "beyond_control_km2_interval": [4.5, 5.6]})
    'False alarms before the event: 10,000 m² per km² (120 patches); of 6.00 km² mapped, 5.10 km² \
(4.50 to 5.60) are more than that.'
    """
    share = figures["false_m2_per_km2"]
    if share is None:
        return "The control saw nothing of the place, so it says nothing of false alarms."
    low, high = figures["beyond_control_km2_interval"]
    ends = "" if low is None else f" ({low:,.2f} to {high:,.2f})"
    return (
        f"False alarms before the event: {share:,.0f} m² per km² "
        f"({figures['control_polygons']:,} patches); of {figures['mapped_km2']:,.2f} km² mapped, "
        f"{figures['beyond_control_km2']:,.2f} km²{ends} are more than that."
    )
