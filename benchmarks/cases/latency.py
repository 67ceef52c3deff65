"""`latency`: COGs over HTTP, each request answered late, or one in a hundred not at all."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.context import Context
from benchmarks.model import Benchmark, Configuration, Metric

__all__ = ["LATENCY"]

LOCAL = "local files"


def _configure(context: Context) -> Sequence[Configuration]:
    over_http = context.scene.arguments(context.extent)
    in_place = {**context.local.arguments(context.extent), "trusted": True}
    network = {"detector": "nava-2022-attention-unet"}
    tried, share = ((0.08,), 0.15) if context.quick else ((0.0, 0.02, 0.08, 0.2), 0.01)
    made = [
        Configuration(LOCAL, "mapping:run", {**in_place, **network}, family="map"),
        *(
            Configuration(
                f"HTTP, {1000 * delay:.0f} ms added per request",
                "mapping:run",
                {**over_http, **network},
                family="map",
                floor=LOCAL,
                server={"delay": delay},
            )
            for delay in tried
        ),
        Configuration(
            f"HTTP, {100 * share:.0f} % of requests failing",
            "mapping:run",
            {**over_http, **network},
            family="map",
            floor=LOCAL,
            server={"fail": share},
        ),
    ]
    return made


LATENCY = Benchmark(
    name="latency",
    title="Slow and failing servers",
    configure=_configure,
    metrics=(
        Metric("seconds", "s"),
        Metric("peak_memory", "peak, GB", 2, 1e9),
        Metric("requests", "requests", 0),
        Metric("failed_requests", "failed", 0),
        Metric("bytes_read", "read, MB", 1, 1e6),
        Metric("unread_pixels", "unread px", 0),
    ),
    minutes=3,
    repeats=2,
    notes=("Elevation and radar come from the slow server; the STAC API answers at once.",),
)
