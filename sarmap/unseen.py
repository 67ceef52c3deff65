"""What a finished map does not show, in words, and why where it shows nothing."""

from __future__ import annotations

from collections.abc import Mapping

from sarmap.assembly import Prepared

__all__ = ["unseen", "why_nothing"]


def unseen(observation: Mapping[str, int]) -> tuple[str, ...]:
    """What the map does not show, in words; empty where everything was seen."""
    total = sum(observation.values())
    words = {
        "no_data": "hold no data",
        "read_failed": "could not be read",
        "layover_shadow": "lie in layover or shadow",
    }
    parts = [
        f"{100 * observation[key] / total:.1f} % {text}"
        for key, text in words.items()
        if observation.get(key)
    ]
    return (f"Not seen by the radar: {', '.join(parts)}.",) if parts else ()


def why_nothing(prepared: Prepared, observation: Mapping[str, int]) -> tuple[str, ...]:
    """Why nothing at all was observed, in a sentence; none where anything was."""
    if observation.get("observed") or not sum(observation.values()):
        return ()
    from sarmap.acquire.emptiness import why_empty
    from sarmap.compose.composites import required_radar_bands
    from sarmap.compose.names import as_held

    read = prepared.spec.bands
    bands = as_held(read, required_radar_bands(read), prepared.catalog.radar_assets)
    found = [why for one in prepared.passes for why in why_empty(one, prepared.grid, bands)]
    if observation.get("layover_shadow"):
        found.append("what was seen lies in layover or shadow")
    elif not found and observation.get("no_data"):
        found.append("every pass shows some of it, but no place is in all of them with elevation")
    return (f"Nothing was observed: {'; '.join(found) or 'the data could not be read'}.",)
