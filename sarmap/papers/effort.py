"""How much of the papers is made anew.

``full`` is the papers' own effort: for a machine with bf16 or a graphics card, or a night.
``reduced`` keeps the extent, the samples' rule and every row, with fewer epochs, clips and filters:
for an hour of two cores. ``small`` shows in a minute that the command works.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sarmap.errors import RequestError
from sarmap.simulate.event import simulate_event
from sarmap.simulate.fingerprint import simulator_hash
from sarmap.simulate.record import SimulatedEvent, open_event


@dataclass(frozen=True)
class Effort:
    """Sizes and settings of one reproduction."""

    name: str
    """'full', 'reduced' or 'small'."""
    rows: int
    """Rows of the simulated event, pixels."""
    columns: int
    """Columns."""
    training: Mapping[str, Any]
    """Settings of every row's training."""
    samples: Mapping[str, Any]
    """Settings of every row's samples."""
    grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Grid searched on A_BAA_S."""
    grid_epochs: int = 0
    """Most epochs of a cell of the grid."""


_PAPER_GRID: Mapping[str, tuple[int, ...]] = {
    "filters": (2, 4, 8, 16, 32),
    "batch": (2, 4, 8, 16, 32),
}

FULL1 = Effort(
    "full",
    3842,
    2346,
    {"epochs": 30, "batch": 64, "learning_rate": 0.001, "patience": 6},
    {"per_polygon": 2, "stride": 8},
)
"""Paper 1: the whole extent, at most two clips of each polygon."""
REDUCED1 = Effort(
    "reduced",
    3842,
    2346,
    {"epochs": 10, "batch": 64, "learning_rate": 0.001, "patience": 4},
    {"per_polygon": 1, "stride": 8},
)
"""Paper 1: the whole extent, one clip of each polygon, 10 epochs."""
SMALL1 = Effort(
    "small",
    448,
    384,
    {"epochs": 2, "batch": 32, "learning_rate": 0.002, "arguments": {"filters": [4, 8, 8]}},
    {"per_polygon": 2, "stride": 8, "block": 128},
)
"""Paper 1 in seconds; its scores mean nothing."""
FULL2 = Effort(
    "full",
    3842,
    2346,
    {"epochs": 40, "learning_rate": 0.001, "schedule": "constant", "patience": 6, "depth": 4},
    {"keep": "slide"},
    _PAPER_GRID,
    grid_epochs=10,
)
"""Paper 2: the whole extent, its grid, constant rate 0.001. The paper gives no number of epochs; an
epoch here is twice its patches."""
REDUCED2 = Effort(
    "reduced",
    3842,
    2346,
    {"epochs": 12, "learning_rate": 0.002, "schedule": "constant", "patience": 4, "depth": 4},
    {"keep": "slide"},
    {"filters": (2, 4, 8, 16), "batch": (8, 16, 32)},
    grid_epochs=3,
)
"""Paper 2: the whole extent, at most 16 first-layer filters of the paper's 32, 12 epochs."""
SMALL2 = Effort(
    "small",
    448,
    384,
    {"epochs": 1, "learning_rate": 0.01, "schedule": "constant", "depth": 2},
    {"keep": "slide", "block": 128},
    {"filters": (2,), "batch": (8, 16)},
    grid_epochs=1,
)
"""Paper 2 in seconds; its scores mean nothing."""


# --- places ---------------------------------------------------------------------------------------


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
    """Events as a training configuration takes them; RequestError where one lacks the orbit."""
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
