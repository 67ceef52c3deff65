"""`simulator`: drawn worlds beside real Sentinel-1 passes, and beside real landslides."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.cases.rightness import real_data
from benchmarks.context import Context
from benchmarks.model import Benchmark, Configuration, Metric

__all__ = ["SIMULATOR"]

SEEDS = range(6)


def _absent(context: Context) -> str | None:
    return None if real_data() else "the real data are not here (SARMAP_REAL_DATA)."


def _configure(context: Context) -> Sequence[Configuration]:
    data = {"data": str(real_data())}
    changes: dict[str, dict[str, object]] = {"São Sebastião, real": {}} | {
        f"drawn world of seed {seed} (simulated)": {"seed": seed} for seed in SEEDS
    }
    places = {
        "OPERA, California, 30 m": "opera",
        "Myanmar, 30 m": "myanmar",
        "drawn worlds (simulated)": "drawn",
    }
    rows = [
        *(
            Configuration(label, "simulator:change", {**which, **data}, "Change")
            for label, which in changes.items()
        ),
        *(
            Configuration(label, "simulator:passes", {"source": source, **data}, "Quiet passes")
            for label, source in places.items()
        ),
    ]
    return rows[:1] if context.quick else rows


SIMULATOR = Benchmark(
    name="simulator",
    title="The simulator beside real Sentinel-1 data",
    configure=_configure,
    metrics=(
        Metric("strong", "changed by over 2 dB, %", 1, 0.01),
        Metric("both_down", "of these darker in both, %", 0, 0.01),
        Metric("both_up", "brighter in both, %", 0, 0.01),
        Metric("disagree", "apart, %", 0, 0.01),
        Metric("vh_over_vv", "VH / VV", 2),
        Metric("correlation", "correlation of VV and VH", 2),
        *(Metric(f"along_{lag}", f"along the look, {lag} px", 2) for lag in (1, 2, 3)),
        *(Metric(f"across_{lag}", f"across it, {lag} px", 2) for lag in (1, 2, 3)),
        *(
            Metric(f"{band}_{key}", f"{band.upper()} {heading}", digits)
            for band in ("vv", "vh")
            for key, heading, digits in (
                ("level", "level, dB", 1),
                ("step", "from pass to pass, dB", 2),
                ("shift", "whole passes move, dB", 2),
                ("looks", "looks", 1),
                ("correlation", "correlation of neighbours", 2),
            )
        ),
    ),
    minutes=2,
    repeats=1,
    absent=_absent,
    on_event=False,
    notes=(
        "Change: mean of the passes after over the mean of those before, where landslides crowd; "
        "São Sebastião's comes from published figures of 14 and 15 passes, and its area is a weak "
        "label made from the change itself. The drawn worlds are of tall forest on steep ground, "
        "within three pixels of the outlines; their canopy, strength and sizes were set so that "
        "these figures come near: they are no independent test.",
        "From pass to pass: standard deviation from the median deviation, the shift of the whole "
        "pass taken off. Looks: in the most even tenth of windows of 7 x 7 px. Drawn worlds: six "
        "seeds, of all spacings.",
    ),
)
