"""Detectors by name, path or URL: weights made callable.

A loaded detector is a light handle. It pickles as a name, path or URL, what the manifest says of
the weights (their SHA-256 among it), an engine and a precision; unpickling reads nothing. Each
worker process finds the weights once, at its first block, and refuses others than the map was
started with.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from sarmap.detect.change import Change, LogRatio
from sarmap.detect.engines import Engine, check_int8, choose_engine, make_engine
from sarmap.detect.fetching import fetch_manifest, is_address
from sarmap.detect.fusion import join, log_odds
from sarmap.detect.manifest import Manifest, read_manifest
from sarmap.detect.protocol import Detector
from sarmap.detect.quiet import QuietGround
from sarmap.detect.signature import BANDS, Counts, Signature
from sarmap.detect.weight_files import (
    CHANGE,
    LOG_RATIO,
    check_digest,
    find_manifest,
    same_weights,
)
from sarmap.errors import RequestError

SWEEPING = ("cnn-dense",)
"""Networks that can answer all windows of a patch in one pass."""
SWEEP = 128
"""Windows along each edge of a patch: its activations stay in a core's share of the cache."""


class NetworkDetector:
    """A network with its weights, ready to answer tiles (`sarmap.Detector`)."""

    def __init__(
        self,
        manifest: Manifest,
        folder: Path | None,
        source: str,
        engine: str,
        precision: str,
        dense: bool = False,
        beside: Change | None = None,
        signature: Signature | None = None,
        quiet: QuietGround | None = None,
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
        self.otherwise = manifest.otherwise
        self.sha256 = manifest.sha256
        self.engine = engine
        self.precision = precision
        self.dense = SWEEP if dense else 0
        self.beside = beside or (Change() if manifest.change_share else None)
        self.signature = signature
        self.quiet = quiet
        self.reason = ""
        self._folder = folder
        self._source = source
        self._engines: dict[int, Engine] = {}
        self._lock = threading.Lock()

    def __call__(self, tiles: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n, y, x, band], normalised, to probability [n, y, x] or, for windows, [n];
        RequestError where the tiles are not of the network's shape.
        """
        if tiles.ndim != 4 or tiles.shape[1:] != self.manifest.input_shape:
            raise RequestError(
                f"Detector {self.name} takes tiles of shape [n, "
                f"{', '.join(map(str, self.manifest.input_shape))}], not {list(tiles.shape)}."
            )
        answer = self._start(0)(tiles)
        added = np.float32(self.manifest.odds_added)
        if self.beside is None and self.signature is None and self.quiet is None and not added:
            return answer
        odds = log_odds(answer)
        if self.beside is not None:
            odds = self._joined(odds, tiles, self.beside)
        odds += added
        if self.signature is not None:
            odds += self.signature.added(self._planes(tiles, BANDS))
        if self.quiet is not None:
            odds -= np.float32(self.quiet.lowered)
        return np.asarray(1 / (1 + np.exp(-odds)), np.float32)

    def fitted(
        self, quiet: NDArray[np.float32], event: NDArray[np.float32], bands: int
    ) -> NetworkDetector:
        """The same with the `change` beside it fitted to a place; see `Change.fitted`."""
        if self.beside is None:
            return self
        return self._at_place(self.beside.fitted(quiet, event, bands), self.signature, self.quiet)

    @property
    def usual_signature(self) -> Counts | None:
        """Pixels by change in the worlds that validated it; None: it was not measured."""
        return np.array(self.manifest.signature) if self.manifest.signature else None

    def with_signature(self, signature: Signature) -> NetworkDetector:
        """The same, fitted to what an event's landslides do (`sarmap.detect.signature`)."""
        return self._at_place(self.beside, signature, self.quiet)

    def held_to(self, quiet: QuietGround) -> NetworkDetector:
        """The same, its answers lowered as a place's quiet ground asks (`sarmap.detect.quiet`)."""
        return self._at_place(self.beside, self.signature, quiet)

    def _at_place(
        self, beside: Change | None, signature: Signature | None, quiet: QuietGround | None
    ) -> NetworkDetector:
        how = (self.engine, self.precision, self.dense > 0, beside, signature, quiet)
        network = NetworkDetector(self.manifest, self._folder, self._source, *how)
        network.reason, network._engines = self.reason, self._engines
        return network

    def _joined(
        self, odds: NDArray[np.float32], tiles: NDArray[np.float32], beside: Change
    ) -> NDArray[np.float32]:
        other = log_odds(beside(self._planes(tiles, beside.bands)))
        return join(odds, other, self.manifest.change_share)

    def _planes(self, tiles: NDArray[np.float32], bands: Sequence[str]) -> NDArray[np.float32]:
        """Some bands of normalised tiles as they were."""
        statistics = cast(dict[str, tuple[float, float]], self.manifest.normalisation)
        planes = [
            tiles[..., self.bands.index(band)] * np.float32(statistics[band][1])
            + np.float32(statistics[band][0])
            for band in bands
        ]
        return np.stack(planes, axis=-1)

    def sweep(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """All windows of patches at once, for networks that can (`sarmap.detect.cnn`).

        float32 [n, edge, edge, band] with ``edge = (dense - 1) * stride + tile``, normalised, to
        probability [n, dense, dense].
        """
        return self._start(self.dense)(patches)

    def prepare(self) -> Engine:
        """Start the engine now rather than at the first call, and give it; later calls reuse it."""
        return self._start(self.dense)

    def _start(self, dense: int) -> Engine:
        """The engine of single tiles (0), or of patches of so many windows along each edge."""
        with self._lock:
            if dense not in self._engines:
                folder = self._find_weights()
                manifest = _of_patches(self.manifest, dense) if dense else self.manifest
                self._engines[dense] = make_engine(manifest, folder, self.engine, self.precision)
            return self._engines[dense]

    def find_weights(self) -> None:
        """Find (or fetch) and check the weights now rather than at the first call.

        Raises WeightsError where this process cannot find them, or they are not those the map was
        started with; RequestError where this processor lacks the precision that it was started
        with.
        """
        with self._lock:
            self._find_weights()

    def _find_weights(self) -> Path:
        if self._folder is None:
            choose_engine(self.engine, self.precision)
            self._folder = same_weights(self._source, self.manifest)
        return self._folder

    @property
    def folder(self) -> Path:
        """Folder of the manifest and the weights on this machine."""
        return self._find_weights()

    @property
    def provenance(self) -> dict[str, str | int | float]:
        """What made the answers, for the result's attributes."""
        return {
            "weights": self.name,
            "weights_sha256": self.sha256,
            "weights_trained_on_simulated_data": int(self.manifest.simulated),
            "engine": self.engine,
            "precision": self.precision,
            **({"engine_reason": self.reason} if self.reason else {}),
            **(
                {"probability_supposes_landslides_percent": 100 * self.manifest.prevalence}
                if self.manifest.prevalence
                else {}
            ),
            **(self.beside.provenance if self.beside else {}),
            **(self.signature.provenance if self.signature else {}),
            **(self.quiet.provenance if self.quiet else {}),
            **({"windows_in_one_pass": 1} if self.dense else {}),
        }

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        left = _STAY_BEHIND if self.precision == "int8" else _STAY_BEHIND | {"int8"}
        record = self.manifest.model_dump_json(exclude=left, exclude_defaults=True)
        at_place = (self.beside, self.signature, self.quiet)
        how = (self.engine, self.precision, self.dense > 0, *at_place)
        return _reload, (self._source, record, *how)

    def __dask_tokenize__(self) -> tuple[str, ...]:
        how = (self.dense, self.beside, self.signature, self.quiet)
        return (type(self).__name__, self.sha256, self.engine, self.precision, *map(str, how))

    def __repr__(self) -> str:
        return (
            f"<detector {self.name} ({', '.join(self.bands)}), {self.engine} {self.precision}, "
            f"weights {self.sha256[:12]}>"
        )


def load_detector(
    name_or_path: str | Path,
    *,
    engine: str = "auto",
    precision: str = "auto",
    dense: bool | None = None,
) -> Detector:
    """Load a detector by its name, or from a user's own weights.

    Parameters
    ----------
    name_or_path
        One of `detector_names`; a manifest (``.json``), the weights file beside one, or a folder
        that holds exactly one manifest; or the URL (``https://``, ``s3://`` ...) of a manifest or
        weights file, which may end in ``#sha256=`` and the weights' hash.
    engine
        'auto' (Keras where there is a GPU and a backend that reaches it, else OpenVINO),
        'openvino', 'tensorflow' or 'keras' (on whatever backend Keras runs on).
    precision
        'auto' (bf16 where the device has it natively, else f32), 'f32', 'bf16', or 'int8': on
        OpenVINO, for weights that were measured for it (``attention-unet``).
    dense
        Window classifiers only. True: one convolutional pass gives the answers of all windows at
        once, equal to the windows' own to 1e-5; for networks without resampling or padding inside
        the window (``cnn-dense``). False: window by window. None: as the network can.

    Raises
    ------
    WeightsError
        Where nothing has that name, or the weights are missing, damaged, changed after their
        manifest was written, or not what the manifest says.
    RequestError
        Where engine or precision are unknown, bf16 is asked of a processor without, or int8 of a
        detector without.

    Examples
    --------
    >>> detector = load_detector("nava-2022-attention-unet", precision="f32")
    >>> detector.bands, detector.kind, detector.tile
    (('vv_pre', 'vv_post_1', 'vv_post_2', 'slope'), 'segment', 64)
    """
    choice = choose_engine(engine, precision)
    weightless: dict[str, Any] = {LOG_RATIO: LogRatio, CHANGE: Change}
    if str(name_or_path) in weightless:
        check_int8(precision, str(name_or_path), {})
        return cast(Detector, weightless[str(name_or_path)]())
    if is_address(str(name_or_path)):
        source = str(name_or_path)
        manifest, folder = fetch_manifest(source)
    else:
        path, source = find_manifest(name_or_path)
        manifest, folder = read_manifest(path), path.parent
        check_digest(manifest, folder)
    check_int8(precision, manifest.name, manifest.int8)
    dense = _can_sweep(manifest) if dense is None else _may_sweep(manifest, dense)
    network = NetworkDetector(manifest, folder, source, choice.engine, choice.precision, dense)
    network.reason = choice.reason
    return network


_STAY_BEHIND = {"training", "scores", "licence", "card", "otherwise", "made_for", "signature"}
"""What of a manifest no worker needs."""
_RELOAD = threading.Lock()


def _can_sweep(manifest: Manifest) -> bool:
    """True for a network that can answer all windows of a patch in one pass."""
    fixed = isinstance(manifest.normalisation, dict)
    return manifest.network in SWEEPING and manifest.kind == "window" and fixed


def _may_sweep(manifest: Manifest, dense: bool) -> bool:
    """`dense` as asked; refused where the network cannot do it."""
    if dense and not _can_sweep(manifest):
        raise RequestError(
            f"Detector {manifest.name} cannot answer all windows in one pass: that takes a network "
            f"without resampling or padding inside the window ({', '.join(SWEEPING)}) and fixed "
            "normalisation; leave dense out, or use detector 'cnn-dense'."
        )
    return dense


def _of_patches(manifest: Manifest, dense: int) -> Manifest:
    """The manifest of the same weights as a network of patches of `dense` windows along an edge."""
    arguments = {
        "clip": manifest.tile,
        **manifest.arguments,
        "every": manifest.stride,
        "windows": dense,
    }
    tile = (dense - 1) * manifest.stride + manifest.tile
    return manifest.model_copy(update={"arguments": arguments, "tile": tile, "kind": "segment"})


def _reload(source: str, record: str, *how: Any) -> NetworkDetector:
    """Unpickle a handle; all copies in one process share one detector.

    Dask's scheduler unpickles graphs too, and needs no weights: nothing is read here.
    """
    with _RELOAD:  # the cache alone would let two threads make one each
        return _reload_once(source, record, *how)


@lru_cache(maxsize=8)
def _reload_once(source: str, record: str, *how: Any) -> NetworkDetector:
    return NetworkDetector(Manifest.model_validate_json(record), None, source, *how)
