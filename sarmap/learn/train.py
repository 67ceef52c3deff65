"""From a configuration to trained weights with their card: samples, training, scores, files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sarmap.learn.config import TrainingConfig, events_of, read_config
from sarmap.learn.fitting import Report
from sarmap.learn.grounds import open_grounds
from sarmap.learn.outputs import TrainingResult, prepare_folder
from sarmap.learn.sample_store import SampleStore, samples_for
from sarmap.learn.sample_writing import Progress, write_samples
from sarmap.learn.scene import Scene
from sarmap.learn.sen12landslides import open_patches
from sarmap.learn.settle import check_installed, settle
from sarmap.learn.splits import describe_parts
from sarmap.learn.training_scenes import open_scenes
from sarmap.learn.worlds import open_worlds


def train(
    config: TrainingConfig | Mapping[str, Any] | str | Path,
    *,
    scenes: Sequence[Scene] | None = None,
    samples: str | Path | None = None,
    client: Any = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    report: Report | None = None,
    dealt: Callable[[str], None] | None = None,
) -> TrainingResult:
    """Train a network and store its weights, manifest, card and curves.

    A run that was killed goes on where it stopped, at the last finished window of the samples or
    epoch; one that was finished is not repeated.

    Parameters
    ----------
    config
        What to make; names and values, or a YAML or TOML file, as well.
    scenes
        Lazy composites and labels to use instead of opening the configuration's events.
    samples
        Zarr of the samples; None: ``samples.zarr`` in the output folder.
    client
        Dask client to read composites on; None: threads.
    overwrite
        Replace another training in the output folder.
    progress
        Called with windows of samples done and in all.
    report
        Called after each epoch with its losses.
    dealt
        Called before the first epoch with how many samples each part got, in words.

    Returns
    -------
    TrainingResult

    Raises
    ------
    RequestError
        The configuration, an event or its labels cannot be used.
    OutputError
        The output folder cannot be written.
    """
    check_installed()
    config = read_config(config)
    finished = prepare_folder(config, overwrite=overwrite)
    if finished is not None:
        return finished
    store = prepare_samples(
        config,
        samples or Path(config.out).expanduser() / "samples.zarr",
        scenes=scenes,
        client=client,
        overwrite=overwrite,
        progress=progress,
    )
    if dealt is not None:
        dealt(parts_text(config, store))
    return settle(config, store, store.stored_parts(), report=report)


def parts_text(config: TrainingConfig, store: SampleStore) -> str:
    """How many samples of a configuration each part got, in words; see `describe_parts`."""
    how = config.samples
    test = 0.0 if how.split == "events" else how.test
    return describe_parts(store.stored_parts(), test=test, validation=how.validation)


def prepare_samples(
    config: TrainingConfig,
    out: str | Path,
    *,
    scenes: Sequence[Scene] | None = None,
    client: Any = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> SampleStore:
    """The samples of a configuration, written, finished or reused, and dealt out to parts."""
    store = _samples(config, scenes, out, client, overwrite, progress)
    how = config.samples
    store.parts(
        how.split, seed=config.seed, test=how.test, validation=how.validation, block=how.block
    )
    return store


def _samples(
    config: TrainingConfig,
    scenes: Sequence[Scene] | None,
    out: str | Path,
    client: Any,
    overwrite: bool,
    progress: Progress | None,
) -> SampleStore:
    def written(of: Sequence[Scene]) -> SampleStore:
        return write_samples(
            of,
            out,
            config.rule,
            normalisation=config.normalised,
            overwrite=overwrite,
            client=client,
            progress=progress,
        )

    if scenes is not None:
        return written(scenes)
    asked = _asked(config)
    known = samples_for(out, asked)
    if known is not None:  # no catalogue need be asked again
        return known
    with open_scenes(config.events, config.bands, config.scaling) as opened:
        drawn = open_worlds(config.worlds, config.bands, config.worlds_folder)
        put_in = open_grounds(config.grounds, config.bands, config.worlds_folder)
        real = open_patches(config.sen12landslides, config.bands, config.worlds_folder)
        store = written([*opened, *drawn, *put_in, *real])
    store.remember(asked)
    return store


def _asked(config: TrainingConfig) -> str:
    """Hash of all in the configuration, and of the files it names, that decides the samples."""
    told = [
        events_of(config),
        [
            source.model_dump(mode="json")
            for source in (*config.worlds, *config.grounds, *config.sen12landslides)
        ],
        [*config.bands, config.scaling, config.normalised, str(config.rule)],
    ]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
