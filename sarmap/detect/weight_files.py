"""Weights on this machine, by name or path: where they lie, and whether they are those meant.

Those by URL are fetched first (`sarmap.detect.fetching`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sarmap.detect.fetching import fetch_weights, is_address
from sarmap.detect.manifest import Manifest, digest, read_manifest
from sarmap.errors import WeightsError

DATA = Path(__file__).parent / "data"
ALIASES = {"cnn": "cnn-baa", "nava-2021-cnn": "cnn-baa"}
CHANGE, LOG_RATIO = "change", "log-ratio"
"""Detectors without weights."""


def detector_names() -> tuple[str, ...]:
    """Names `load_detector` knows: shipped weights, their aliases, ``change``, ``log-ratio``."""
    shipped = (path.stem for path in DATA.glob("*.json"))
    return tuple(sorted({*shipped, *ALIASES, CHANGE, LOG_RATIO}))


def made_for(name: str) -> Mapping[str, tuple[float, float]]:
    """Ranges of the input that shipped weights learnt from (`sarmap.detect.trust`)."""
    return read_manifest(DATA / f"{name}.json").made_for


def find_manifest(name_or_path: str | Path) -> tuple[Path, str]:
    """The manifest of a name or path, and what finds it again in another process."""
    name = str(name_or_path)
    shipped = DATA / f"{ALIASES.get(name, name)}.json"
    if "/" not in name and shipped.is_file():
        return shipped, name
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        path = _only_manifest(path)
    elif path.suffix in (".npz", ".keras"):
        if not path.is_file():
            raise WeightsError(f"There are no weights {path.name}: check the path.")
        path = path.with_suffix(".json")
    elif path.suffix != ".json":
        raise WeightsError(
            f"There is no detector {name!r}: use one of {', '.join(detector_names())}, or the "
            "path of a manifest (.json), a weights file (.npz, .keras) or their folder."
        )
    if not path.is_file():
        raise WeightsError(
            f"There is no manifest {path.name}: weights need the .json that was written with them."
        )
    return path, str(path.resolve())


def _only_manifest(folder: Path) -> Path:
    found = sorted(folder.glob("*.json"))
    if len(found) != 1:
        raise WeightsError(
            f"Folder {folder.name} holds {len(found)} manifests (.json): name the one to load."
        )
    return found[0]


def check_digest(manifest: Manifest, folder: Path) -> None:
    """Raise WeightsError where the weights are missing, or are not those of their manifest."""
    path = folder / manifest.weights
    if not path.is_file():
        raise WeightsError(f"Weights {path.name}, named by manifest {manifest.name}, are missing.")
    if digest(path) != manifest.sha256:
        raise WeightsError(
            f"Weights {path.name} were changed after their manifest was written: fetch or train "
            "them again."
        )


def same_weights(source: str, asked: Manifest) -> Path:
    """The folder of the weights that a handle names, and only of the same weights."""
    if is_address(source):
        return fetch_weights(source, asked)
    try:
        path, _ = find_manifest(source)
    except WeightsError as error:
        raise WeightsError(
            f"Weights {asked.name} are not on this worker: give their URL instead of a path "
            "(https:// or s3://), or install them on every worker."
        ) from error
    found = read_manifest(path)
    if found.sha256 != asked.sha256:
        raise WeightsError(
            f"Weights {asked.name} on this worker are not those the map was started with "
            f"({found.sha256[:12]}, not {asked.sha256[:12]}): install the same on every worker."
        )
    check_digest(found, path.parent)
    return path.parent
