"""Weights on disk: a JSON manifest that says what they are, and float16 arrays beside it.

The arrays are a NumPy ``.npz`` read with ``allow_pickle=False``: numbers and shapes, no code. A
user's own ``.keras`` file is the other thing a manifest may name; Keras reads it in safe mode.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sarmap.errors import WeightsError
from sarmap.types import Kind, Scaling

LARGEST = 2 * 2**30
"""Bytes that a weights file may unpack to: the largest network here has 17 MB."""


class Manifest(BaseModel):
    """What a set of weights is, needs and was made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    name: str = Field(min_length=1, description="short name for messages and attributes")
    network: str | None = Field(description="one of NETWORKS; None: the .keras file holds it")
    arguments: dict[str, Any] = Field({}, description="arguments of the network's builder")
    bands: tuple[str, ...] = Field(min_length=1, description="composite bands, in order")
    composite: str | None = Field(None, description="the papers' name for these bands")
    scaling: Scaling = Field(description="scaling of the radar bands")
    normalisation: Literal["tile-minmax", "none"] | dict[str, tuple[float, float]] = Field(
        description="or, per band, what is subtracted and divided by"
    )
    kind: Kind
    tile: int = Field(ge=1, description="edge of the input, pixels")
    stride: int = Field(ge=1, description="step from tile to tile, pixels")
    halo: int = Field(0, ge=0, description="context around the tile, pixels")
    network_size: int | None = Field(None, ge=1, description="edge the network resamples to")
    weights: str = Field(description="file beside the manifest")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="of the weights file")
    simulated: bool = Field(description="True where any training data were simulated")
    training: dict[str, Any] = Field({}, description="data, seeds, sizes, command, versions")
    scores: dict[str, Any] = Field({}, description="on data held out from training")
    licence: str = ""
    card: str = Field("", description="what it is good for, and what it is not")
    change_share: float = Field(
        0.0, ge=0, lt=1, description="weight of `change` beside the network, in the log-odds"
    )
    odds_added: float = Field(
        0.0, description="log-odds added to the joined answer: moves what counts as 0.5"
    )
    prevalence: float | None = Field(
        None, gt=0, lt=1, description="share of the land under landslides that answers suppose"
    )
    made_for: dict[str, tuple[float, float]] = Field(
        {}, description="measure -> least and most of the training data; see sarmap.detect.trust"
    )
    int8: dict[str, tuple[float, float]] = Field(
        {}, description="layer -> range of what it gives, for precision int8; {}: it has none"
    )
    signature: tuple[tuple[tuple[float, ...], ...], ...] = Field(
        (),
        description="pixels by change in the worlds that validated it; see sarmap.detect.signature",
    )
    otherwise: tuple[str, ...] = Field(
        (), description="detectors, in order, for places that lack a pass or band this one reads"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        if Path(self.weights).name != self.weights:
            raise ValueError("weights must be a file name in the manifest's own folder")
        if self.network is None and not self.weights.endswith(".keras"):
            raise ValueError("network may be null only for a .keras file")
        if isinstance(self.normalisation, dict) and set(self.normalisation) != set(self.bands):
            raise ValueError("normalisation must have one pair for each band")
        return self

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of one tile as the network takes it: y, x, band."""
        edge = self.tile + 2 * self.halo
        return edge, edge, len(self.bands)


def read_manifest(path: Path) -> Manifest:
    """Read and check a manifest; a WeightsError says which file, which field."""
    try:
        return Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise WeightsError(
            f"Manifest {path.name} is not valid at {where}: {first['msg']}."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(f"Manifest {path.name} cannot be read: {_cause(error)}.") from error


def save_weights(arrays: Mapping[str, NDArray[Any]], folder: Path, **fields: Any) -> Path:
    """Store arrays (`sarmap.detect.networks.get_arrays`) and the manifest of the other fields,
    ``<name>.npz`` and ``<name>.json``, in a folder, which is made; return the manifest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = f"{fields['name']}.npz"
    sha256 = write_arrays(arrays, folder / file)
    return write_manifest(Manifest(weights=file, sha256=sha256, **fields), folder)


def write_manifest(manifest: Manifest, folder: Path) -> Path:
    """Write ``<name>.json`` into a folder, keys in the order of the fields."""
    path = folder / f"{manifest.name}.json"
    text = json.dumps(manifest.model_dump(mode="json"), indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal.

    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "empty"
    >>> _ = file.write_bytes(b"")
    >>> digest(file)[:8]
    'e3b0c442'
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Arrays of an ``.npz`` by name, as stored (see `as_stored`); WeightsError where the file is
    truncated, corrupt, holds anything but finite numbers, or more than any network has.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            size = sum(one.file_size for one in stored.zip.infolist())
            arrays = {} if size > LARGEST else {name: stored[name] for name in stored.files}
    except Exception as error:  # NumPy and zipfile raise many kinds; each means the same
        raise WeightsError(
            f"Weights {path.name} are truncated or corrupt: fetch or train them again."
        ) from error
    if size > LARGEST:
        raise WeightsError(f"Weights {path.name} unpack to more than {LARGEST >> 20} MiB.")
    for name, array in arrays.items():
        # A member of the archive that is no array comes as bytes.
        if (
            not isinstance(array, np.ndarray)
            or array.dtype.kind != "f"
            or not np.isfinite(array).all()
        ):
            raise WeightsError(f"Weights {path.name} hold no finite numbers at {name}.")
    return arrays


def write_arrays(arrays: Mapping[str, NDArray[Any]], path: Path) -> str:
    """Store arrays (see `as_stored`) and return the file's SHA-256; the same give the same bytes.
    WeightsError where a value is no number: training has diverged.
    """
    kept = as_stored(arrays)
    stored: dict[str, Any] = {name: kept[name] for name in sorted(kept)}
    np.savez_compressed(path, **stored)
    return digest(path)


def as_stored(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Arrays as float16; those with a value beyond its 65,504 as float32. WeightsError where a
    value is no finite number: training has diverged.

    Only a normalisation's running variance grows so large, which is a few numbers.

    >>> kept = as_stored({"kernel": np.ones(2), "variance": np.float32([70000])})
    >>> [array.dtype.name for array in kept.values()]
    ['float16', 'float32']
    """
    kept: dict[str, NDArray[Any]] = {}
    with np.errstate(over="ignore"):
        for name, array in arrays.items():
            half = np.asarray(array, np.float16)
            kept[name] = half if np.isfinite(half).all() else np.asarray(array, np.float32)
            if not np.isfinite(kept[name]).all():
                raise WeightsError(f"Array {name} holds a value that is no number: train again.")
    return kept


def _cause(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
