"""What the page says in words: the event, the scenes, the model's card, how the map was made."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from sarmap.assess.scores import SCORES
from sarmap.report.strips import Source
from sarmap.store.provenance import Provenance
from sarmap.types import Observation

Fact = tuple[str, str]
"""What, and its value."""


def event_words(made: Provenance) -> str:
    """When it happened: one instant, or from when to when."""
    if not made.event:
        return "an event of unknown date"
    start, end = made.event
    if start == end:
        return f"{start:%d %B %Y, %H:%M} UTC"
    return f"{start:%d %B %Y, %H:%M} to {end:%d %B %Y, %H:%M} UTC"


def heading_words(made: Provenance) -> str:
    """A page's heading, where nobody gave one."""
    return f"Landslides{f' at {made.name}' if made.name else ''} of {event_words(made)}"


_MADE_UP = "SIMULATED data made by sarmap: no satellite measured it, no landslide in it is real."


def attribution_words(made: Provenance) -> str:
    """The notice of the data's owners, or that there is none to name."""
    if made.attribution:
        return made.attribution
    return _MADE_UP if made.simulated else "This map carries no notice of its data's owners."


def place_words(source: Source) -> str:
    """Where it is: the middle and the size of the map."""
    box = source.reader.grid.extent.to_crs("EPSG:4326").boundingbox
    lon, lat = (box.left + box.right) / 2, (box.bottom + box.top) / 2
    rows, columns = source.shape
    edge = source.pixel_area**0.5 / 1000
    return (
        f"{abs(lat):.2f}° {'N' if lat >= 0 else 'S'}, {abs(lon):.2f}° {'E' if lon >= 0 else 'W'}, "
        f"{columns * edge:.0f} x {rows * edge:.0f} km"
    )


def _json(value: Any) -> dict[str, Any]:
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return {}
    return dict(found) if isinstance(found, Mapping) else {}


def facts_of(source: Source) -> list[Fact]:
    """How the map was made, line by line."""
    attrs, made, grid = source.reader.attrs, source.made, source.reader.grid
    detector, asked = _json(attrs.get("detector")), _json(attrs.get("sarmap:request"))
    rows, columns = source.shape
    tiling = _json(attrs.get("tiling"))
    facts = [
        ("Event", event_words(made)),
        ("Catalogue", _catalogue(asked, made)),
        ("Orbit", ", ".join(f"{one}" for one in made.orbits) + _tracks(made)),
        ("Read by the detector", ", ".join(detector.get("bands", [])) or made.composite),
        ("Scaling", str(detector.get("scaling", attrs.get("scaling", "")))),
        ("Detector", f"{detector.get('name', made.detector)} ({detector.get('kind', 'own')})"),
        ("Engine", _engine(detector)),
        ("Tiles", _tiles(detector, tiling)),
        ("Grid", f"{rows:,} x {columns:,} pixels of {source.pixel_area**0.5:g} m, {_crs(grid)}"),
        ("Threshold asked for", f"{asked['threshold']:g}" if "threshold" in asked else ""),
        ("Made", _instant(attrs.get("sarmap:created"))),
        ("Time it took", _seconds(attrs.get("sarmap:seconds"))),
        ("Software", f"sarmap {made.version}".strip()),
    ]
    facts += [("What can be seen", limit) for limit in made.limits]
    notes = attrs.get("warnings")
    for note in json.loads(notes) if isinstance(notes, str) and notes[:1] == "[" else []:
        facts.append(("Note", str(note)))
    return [(name, value) for name, value in facts if value.strip()]


def _catalogue(asked: Mapping[str, Any], made: Provenance) -> str:
    name = str(asked.get("catalog", ""))
    return f"{name} (a simulated catalogue on this machine)" if made.simulated and name else name


def _tracks(made: Provenance) -> str:
    tracks = ", ".join(map(str, made.relative_orbits))
    return f", relative orbit {tracks}" if tracks else ""


def _engine(detector: Mapping[str, Any]) -> str:
    engine, precision = detector.get("engine", ""), detector.get("precision", "")
    return "own" if engine == "own" else f"{engine}, {precision}".strip(", ")


def _tiles(detector: Mapping[str, Any], tiling: Mapping[str, Any]) -> str:
    if "tile" not in detector:
        return ""
    return (
        f"{detector['tile']} px, stride {detector.get('stride')}, halo {detector.get('halo')}, "
        f"overlap {tiling.get('overlap', 0)}; computed in blocks of {tiling.get('chunk', '?')} px"
    )


def _crs(grid: Any) -> str:
    code = grid.crs.to_epsg()
    return f"EPSG:{code} ({grid.crs.proj.name})" if code else str(grid.crs.proj.name)


def _instant(text: Any) -> str:
    try:
        return f"{dt.datetime.fromisoformat(str(text)):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return ""


def _seconds(value: Any) -> str:
    return f"{float(value):,.1f} s" if isinstance(value, int | float) else ""


def scene_rows(made: Provenance) -> list[tuple[str, str, str, str, str]]:
    """Scenes in order of time: role, date, satellite, orbit, id."""
    words = {"pre": "before", "post": "after"}
    rows = []
    for scene in sorted(made.scenes, key=lambda one: str(one.get("datetime", ""))):
        role = str(scene.get("role", ""))
        orbit = f"{scene.get('orbit_state', '')} {scene.get('relative_orbit', '')}".strip()
        rows.append(
            (
                words.get(role.split("_")[0], role),
                _instant(scene.get("datetime")),
                str(scene.get("platform", "")),
                orbit,
                str(scene.get("id", "")),
            )
        )
    return rows


def unseen_words(counts: Mapping[Observation, int]) -> list[Fact]:
    """Share of the map by what the radar saw."""
    total = max(sum(counts.values()), 1)
    words = {
        Observation.OBSERVED: "seen",
        Observation.NO_DATA: "no data there",
        Observation.READ_FAILED: "could not be read",
        Observation.LAYOVER_SHADOW: "layover or shadow: slopes hide the ground",
    }
    return [(words[code], f"{100 * counts.get(code, 0) / total:.2f} %") for code in Observation]


def card_of(source: Source) -> tuple[str, list[Fact]]:
    """The model card in Markdown (empty where there is none), and what the map says of the model.

    The card is shown only where the weights of that name on this machine are the very ones that
    made the map.
    """
    attrs = source.reader.attrs
    detector = _json(attrs.get("detector"))
    digest = str(detector.get("sha256") or attrs.get("weights_sha256") or "")
    manifest = _manifest(source.made.detector, digest)
    facts = [
        ("Detector", source.made.detector or "unnamed"),
        ("Weights, sha256", digest),
        (
            "Trained on simulated data",
            {"1": "yes", "0": "no"}.get(
                str(attrs.get("weights_trained_on_simulated_data", "")), ""
            ),
        ),
    ]
    facts += [(f"Setting {key}", str(value)) for key, value in attrs.items() if _own(key, source)]
    if manifest is None:
        return "", [(name, value) for name, value in facts if value]
    facts += [("Licence", manifest.licence), ("Network", str(manifest.network or "own"))]
    card = manifest.card
    if manifest.scores and "| part |" not in card:
        card += f"\n\n{_scores(manifest.scores)}"
    return card.strip(), [(name, value) for name, value in facts if value]


def _own(key: Any, source: Source) -> bool:
    """Settings that a detector without weights leaves in a map, such as the log ratio's."""
    name = source.made.detector.replace("-", "_")
    return bool(name) and str(key).startswith(f"{name}_")


def _manifest(name: str, digest: str) -> Any:
    """The manifest of weights by that name, if it is of those very weights; else None."""
    from importlib.resources import files

    from sarmap.detect.manifest import read_manifest
    from sarmap.errors import WeightsError

    file = files("sarmap.detect") / "data" / f"{name}.json"
    if not name or "/" in name or not file.is_file():
        return None
    try:
        manifest = read_manifest(file)  # type: ignore[arg-type]
    except WeightsError:
        return None
    return manifest if manifest.sha256 == digest else None


def _scores(scores: Mapping[str, Any]) -> str:
    """Scores of a manifest as a Markdown table."""
    lines = [
        "Scores on data held out from training, in percent:",
        "",
        "| part | pixels or clips | accuracy | precision | recall | F1 | IoU |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for part, record in scores.items():
        if not isinstance(record, Mapping):
            continue
        cells = [f"{100 * record[n]:.1f}" if record.get(n) is not None else "-" for n in SCORES]
        count = record.get("count", "-")
        shown = f"{count:,}" if isinstance(count, int) else str(count)
        lines.append(f"| {part} | {shown} | {' | '.join(cells)} |")
    return "\n".join(lines)
