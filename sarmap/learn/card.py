"""The model card: what weights were made from, what they score, and what they must not be used for.

After Mitchell et al. 2019 (Model Cards for Model Reporting, doi:10.1145/3287560.3287596), in
Markdown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sarmap.assess.scores import SCORES
from sarmap.detect.manifest import Manifest
from sarmap.learn.kept_evidence import GROUND, SET, WORLD, is_kept
from sarmap.learn.sen12landslides import CITED, place_of

_SPLITS = {
    "random": "random (the papers'; neighbours of training samples, so too good)",
    "blocks": "spatial blocks",
    "events": "whole event held out",
}


def make_card(
    manifest: Manifest,
    events: Sequence[Mapping[str, Any]],
    scores: Mapping[str, Mapping[str, Any]],
) -> str:
    """The card of some weights, in Markdown, from their manifest, the records of the events that
    the sample store keeps, and part -> `sarmap.learn.scoring.PartScore.record`.
    """
    parts = [
        f"# {manifest.name}",
        _summary(manifest),
        "## Trained on",
        _events(events),
        _training(manifest),
        "## Scores",
        _unit(manifest),
        score_table(scores),
        "## Land covers that cause false alarms",
        _false_alarms(scores, "clips" if manifest.kind == "window" else "pixels"),
        "## Made for",
        _made_for(manifest),
        "## It must not be used",
        _not_for(manifest),
        f"Weights `{manifest.weights}`, sha256 `{manifest.sha256}`. Licence: {manifest.licence}.",
    ]
    return "\n\n".join(parts) + "\n"


def score_table(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """Scores by part as a Markdown table, percent with 95 % intervals.

    >>> one = {"split": "blocks", "samples": 9, "f1": 0.5, "intervals": {"f1": [0.4, 0.61]}}
    >>> print(score_table({"test": one}).splitlines()[-1][:51])
    | test | spatial blocks | 9 | - | - | - | 50.0 (40.
    """
    lines = [
        "| part | split | samples | accuracy % | precision % | recall % | F1 % | IoU % |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for part, record in scores.items():
        cells = [_percent(record.get(name), record["intervals"].get(name)) for name in SCORES]
        split = _SPLITS[record["split"]]
        lines.append(f"| {part} | {split} | {record['samples']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _percent(value: float | None, interval: Sequence[float | None] | None) -> str:
    """A share in percent with its interval, as far as they are known."""
    if value is None:
        return "-"
    ends = interval or [None, None]
    if ends[0] is None or ends[1] is None:
        return f"{100 * value:.1f}"
    return f"{100 * value:.1f} ({100 * ends[0]:.1f} to {100 * ends[1]:.1f})"


def _summary(manifest: Manifest) -> str:
    made_up = (
        "**Trained on SIMULATED events"
        + ("" if _all_simulated(manifest) else " among others")
        + ": no landslide in those is real.** "
        if manifest.simulated
        else ""
    )
    what = "each pixel" if manifest.kind == "segment" else f"a window of {manifest.tile} px"
    supposed = (
        f" A probability supposes that landslides cover {100 * manifest.prevalence:.0f} % of the "
        "land: where they cover less, fewer of what is called are landslides."
        if manifest.prevalence
        else ""
    )
    return (
        f"{made_up}Network `{manifest.network}` {dict(manifest.arguments)}; answers for {what} of "
        f"composite {manifest.composite or 'of its own'}: {', '.join(manifest.bands)} "
        f"({manifest.scaling}, normalised: {_normalised(manifest)}).{supposed}"
    )


def _all_simulated(manifest: Manifest) -> bool:
    of = manifest.training
    own = all(one["simulated"] for one in of["events"]) and not of.get("sen12landslides")
    parent = manifest.training.get("fine_tuned_from") or {"simulated": True}
    return own and bool(parent["simulated"])


def _normalised(manifest: Manifest) -> str:
    given = manifest.normalisation
    return given if isinstance(given, str) else "fixed statistics per band"


def _events(events: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "| event | real or simulated | role | landslides | outlines repaired | extent, px | CRS |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in events:
        if not is_kept(str(one["name"])):
            lines.append(
                f"| {one['name']} | {'simulated' if one['simulated'] else 'real'} | {one['role']} "
                f"| {one['landslides']} | {one['repaired']} | {one['shape'][0]} x "
                f"{one['shape'][1]} | {one['crs']} |"
            )
    drawn = [one for one in events if is_kept(str(one["name"]), WORLD)]
    put = [one for one in events if is_kept(str(one["name"]), GROUND)]
    real = [one for one in events if is_kept(str(one["name"]), SET)]
    lines += _together(drawn, "drawn worlds", "simulated")
    lines += _together(put, "real scenes with landslides put in", "simulated in real")
    for place in sorted({place_of(str(one["name"])) for one in real}):
        mine = [one for one in real if place_of(str(one["name"])) == place]
        lines += _together(mine, f"patches of {place}", "real")
    return "\n".join([*lines, "", CITED] if real else lines)


def _together(events: Sequence[Mapping[str, Any]], what: str, kind: str) -> list[str]:
    """Many small scenes, a line for each role."""
    lines = []
    for role in dict.fromkeys(str(one["role"]) for one in events):
        mine = [one for one in events if one["role"] == role]
        sizes = [tuple(one["shape"]) for one in mine]
        low, high = min(sizes), max(sizes)
        extent = f"{low[0]} x {low[1]}" + (f" to {high[0]} x {high[1]}" if high != low else "")
        count = sum(int(one["landslides"]) for one in mine)
        lines.append(f"| {len(mine)} {what} | {kind} | {role} | {count} | 0 | {extent} | - |")
    return lines


def _made_for(manifest: Manifest) -> str:
    """Ranges of the input outside of which a map by these weights is not to be trusted."""
    if not manifest.made_for:
        return "Not measured: a map does not say whether its input is like the training's."
    lines = ["| measure (`sarmap.detect.trust`) | from | to |", "| --- | --- | --- |"]
    lines += [f"| {name} | {low:g} | {high:g} |" for name, (low, high) in manifest.made_for.items()]
    return "\n".join(lines)


def _training(manifest: Manifest) -> str:
    of = manifest.training
    recipe = of["recipe"]
    parent = of.get("fine_tuned_from")
    start = f", fine-tuned from {parent['name']} ({parent['sha256'][:12]})" if parent else ""
    return (
        f"{of['samples']} training samples, loss {of['loss']}, Adam at {recipe['learning_rate']:g} "
        f"({recipe['schedule']}), batch {recipe['batch']}, "
        f"{'with' if recipe['augment'] else 'without'} augmentation, {of['epochs']} epochs{start} "
        f"in {of['minutes']} minutes, best validation loss {of['best_validation_loss']}, "
        f"weights of the {recipe.get('keep', 'best')} epoch. "
        f"Seed {recipe['seed']}; {of['precision']}; "
        + ", ".join(f"{name} {version}" for name, version in of["versions"].items())
        + "."
    )


def _unit(manifest: Manifest) -> str:
    counted = "Pixels are counted"
    if manifest.kind == "window":
        counted = "Clips are counted, as many of other land as of landslides unless said otherwise"
    kept = manifest.training["sample_settings"].get("keep")
    only = (
        " Only patches with at least one landslide pixel were kept, as in the paper: on a whole "
        "map, with much more other land, precision is lower."
        if manifest.kind == "segment" and kept == "slide"
        else ""
    )
    return (
        f"{counted}, at probability 0.5, with the numbers as stored (float16); in brackets the 95 "
        "% interval of a block bootstrap over squares of 256 px, where there are at least ten."
        + only
    )


def _false_alarms(scores: Mapping[str, Mapping[str, Any]], unit: str) -> str:
    known = {part: record["false_alarms"] for part, record in scores.items()}
    known = {part: covers for part, covers in known.items() if covers}
    if not known:
        return "Not known: no event gave its land cover (`land_cover` in the configuration)."
    part = "test" if "test" in known else list(known)[-1]
    rows = sorted(known[part].items(), key=lambda pair: -(pair[1]["share"] or 0))
    lines = [
        f"On part *{part}*; share of the {unit} of a land cover that are no landslide and were "
        "called one:",
        "",
        "| land cover | called landslide | of | share % |",
        "| --- | --- | --- | --- |",
    ]
    for name, one in rows:
        lines.append(f"| {name} | {one['called']} | {one['of']} | {100 * one['share']:.2f} |")
    return "\n".join(lines)


def _not_for(manifest: Manifest) -> str:
    points = [
        "as the only ground for a decision about people's safety: it finds candidates to be "
        "looked at",
        "to declare a place free of landslides: what the radar cannot see (layover, shadow, "
        "missing data) is marked, and small slides are missed",
        "on other bands, another scaling, resolution or sensor than those above",
        "to read a probability as a share of certainty, unless it was calibrated on a place like "
        "the one that is mapped",
    ]
    if manifest.simulated:
        points.insert(
            0,
            "on a real event as if it had been tried on one: part or all of its training data was "
            "simulated, and its scores there say nothing certain about real ground",
        )
    else:
        points.insert(
            0, "on terrain, vegetation or a season unlike those of its training events untested"
        )
    return "\n".join(f"- {point}" for point in points)
