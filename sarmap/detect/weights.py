"""Detectors by name or path: weights found, checked against their manifest, and made callable.

A loaded detector is a light handle. It pickles as a name or path, a SHA-256, an engine and a
precision; each worker process loads the weights once, and refuses other weights than the map was
started with.
"""

from __future__ import annotations

import logging
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from sarmap.detect.engines import Engine, choose_engine, make_engine
from sarmap.detect.manifest import Manifest, digest, read_manifest
from sarmap.errors import RequestError, WeightsError
from sarmap.types import Detector

__all__ = ["NetworkDetector", "detector_names", "load_detector"]

DATA = Path(__file__).parent / "data"
ALIASES = {"cnn": "cnn-baa"}
LOG_RATIO = "log-ratio"
log = logging.getLogger(__name__)


class NetworkDetector:
    """A network with its weights, ready to answer tiles (`sarmap.types.Detector`)."""

    def __init__(
        self, manifest: Manifest, folder: Path, source: str, engine: str, precision: str
    ) -> None:
        self.manifest = manifest
        self.name = manifest.name
        self.bands = manifest.bands
        self.composite = manifest.composite
        self.scaling = manifest.scaling
        self.normalisation = manifest.normalisation
        self.kind = manifest.kind
        self.tile = manifest.tile
        self.stride = manifest.stride
        self.halo = manifest.halo
        self.network_size = manifest.network_size
        self.sha256 = manifest.sha256
        self.engine = engine
        self.precision = precision
        self._folder = folder
        self._source = source
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n, y, x, band], normalised, to probability [n, y, x] or, for windows, [n].

        Raises
        ------
        RequestError
            Where the tiles are not of the network's shape.
        """
        if tiles.ndim != 4 or tiles.shape[1:] != self.manifest.input_shape:
            raise RequestError(
                f"Detector {self.name} takes tiles of shape [n, "
                f"{', '.join(map(str, self.manifest.input_shape))}], not {list(tiles.shape)}."
            )
        return self.prepare()(tiles)

    def prepare(self) -> Engine:
        """Start the engine now rather than at the first call, and give it; later calls reuse it."""
        with self._lock:
            if self._engine is None:
                self._engine = make_engine(self.manifest, self._folder, self.engine, self.precision)
            return self._engine

    @property
    def provenance(self) -> dict[str, str | int | float]:
        """What made the answers, for the result's attributes."""
        return {
            "weights": self.name,
            "weights_sha256": self.sha256,
            "weights_trained_on_simulated_data": int(self.manifest.simulated),
            "engine": self.engine,
            "precision": self.precision,
        }

    def __reduce__(self) -> tuple[Any, tuple[str, str, str, str]]:
        return _reload, (self._source, self.sha256, self.engine, self.precision)

    def __dask_tokenize__(self) -> tuple[str, ...]:
        return (type(self).__name__, self.sha256, self.engine, self.precision)

    def __repr__(self) -> str:
        return (
            f"<detector {self.name} ({', '.join(self.bands)}), {self.engine} {self.precision}, "
            f"weights {self.sha256[:12]}>"
        )


def load_detector(
    name_or_path: str | Path, *, engine: str = "auto", precision: str = "auto"
) -> Detector:
    """Load a detector by its name, or from a user's own weights.

    Parameters
    ----------
    name_or_path
        One of `detector_names`; or a manifest (``.json``), the weights file beside one, or a
        folder that holds exactly one manifest.
    engine
        'auto' (OpenVINO), 'openvino' or 'tensorflow'.
    precision
        'auto' (bf16 where the processor has it natively, else f32), 'f32' or 'bf16'.

    Raises
    ------
    WeightsError
        Where nothing has that name, or the weights are missing, damaged, changed after their
        manifest was written, or not what the manifest says.
    RequestError
        Where engine or precision are unknown, or bf16 is asked of a processor without.

    Examples
    --------
    >>> detector = load_detector("attention-unet", precision="f32")
    >>> detector.bands, detector.kind, detector.tile
    (('vv_pre', 'vv_post_1', 'vv_post_2', 'slope'), 'segment', 64)
    """
    choice = choose_engine(engine, precision)
    if str(name_or_path) == LOG_RATIO:
        from sarmap.detect.log_ratio import LogRatio

        detector: Any = LogRatio()
        return cast(Detector, detector)
    path, source = _find(name_or_path)
    manifest = read_manifest(path)
    _check_digest(manifest, path.parent)
    return NetworkDetector(manifest, path.parent, source, choice.engine, choice.precision)


def detector_names() -> tuple[str, ...]:
    """Names `load_detector` knows: the shipped weights, their aliases, and ``log-ratio``."""
    shipped = (path.stem for path in DATA.glob("*.json"))
    return tuple(sorted({*shipped, *ALIASES, LOG_RATIO}))


_RELOAD = threading.Lock()


def _reload(source: str, sha256: str, engine: str, precision: str) -> NetworkDetector:
    """Unpickle a handle; all copies in one process share one detector."""
    with _RELOAD:  # the cache alone would let two threads load at once
        return _load_once(source, sha256, engine, precision)


@lru_cache(maxsize=8)
def _load_once(source: str, sha256: str, engine: str, precision: str) -> NetworkDetector:
    """Load what a handle names, and only the same weights."""
    detector = load_detector(source, engine=engine, precision=precision)
    assert isinstance(detector, NetworkDetector)
    if detector.sha256 != sha256:
        raise WeightsError(
            f"Weights {detector.name} on this worker are not those the map was started with "
            f"({detector.sha256[:12]}, not {sha256[:12]}): install the same ones on every worker."
        )
    return detector


def _find(name_or_path: str | Path) -> tuple[Path, str]:
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


def _check_digest(manifest: Manifest, folder: Path) -> None:
    path = folder / manifest.weights
    if not path.is_file():
        raise WeightsError(f"Weights {path.name}, named by manifest {manifest.name}, are missing.")
    if digest(path) != manifest.sha256:
        raise WeightsError(
            f"Weights {path.name} were changed after their manifest was written: fetch or train "
            "them again."
        )
