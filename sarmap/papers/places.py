"""The simulated events that stand in for Iburi: simulated once, or reused."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sarmap.errors import RequestError
from sarmap.papers.effort import Effort
from sarmap.simulate.event import simulate_event
from sarmap.simulate.fingerprint import simulator_hash
from sarmap.simulate.record import SimulatedEvent, open_event

Say = Callable[[str], None]


def own_event(
    out: Path, effort: Effort, seed: int, *, optical: bool, inventory: str | None, say: Say
) -> SimulatedEvent:
    """The event of a reproduction, simulated in its folder on the first run."""
    kind = "inventory" if inventory else "invented"
    size = f"{effort.rows}x{effort.columns}"
    folder = out / "events" / f"{kind}-{seed}-{size}-{simulator_hash()}"
    if folder.exists():
        return open_event(folder)
    say(f"simulating the event of seed {seed}, {effort.rows} x {effort.columns} px")
    return simulate_event(
        folder,
        seed=seed,
        rows=effort.rows,
        columns=effort.columns,
        earlier=0,
        inventory=inventory,
        optical=optical,
        decoy=False,
    )


def sources(
    events: Sequence[SimulatedEvent],
    orbit: str,
    *,
    land_cover: bool,
    held_out: SimulatedEvent | None = None,
    inventory: str | None = None,
) -> list[dict[str, Any]]:
    """Events as a training configuration takes them.

    Raises
    ------
    RequestError
        An event lacks the orbit.
    """
    found = []
    for event in [*events, *([held_out] if held_out else [])]:
        if orbit not in event.orbits:
            raise RequestError(
                f"The simulated event {event.path.name} has no {orbit} orbit: give events with "
                "both, or let the command simulate its own."
            )
        held = event is held_out
        found.append(
            {
                "name": "real inventory" if held else f"seed {event.seed}",
                "simulated": str(event.path),
                "orbit": orbit,
                "role": "test" if held else "training",
                "inventory": inventory if held else None,
                "land_cover": "simulated" if land_cover and not held else None,
            }
        )
    return found


def has_optical(event: SimulatedEvent) -> bool:
    """Whether an event has the Sentinel-2 scene that composite RGB reads."""
    items = json.loads(event.items.read_text(encoding="utf-8"))["features"]
    return any(item.get("collection") == "sentinel-2-l2a" for item in items)
