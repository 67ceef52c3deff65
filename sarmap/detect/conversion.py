"""Keras model to OpenVINO IR, once per machine: converted in a process of its own, then cached.

Keras fixes its backend when it is first imported, and under its OpenVINO backend the model exports
without TensorFlow, with one output (`KERAS_BACKEND=openvino`). A process of its own leaves the
caller's Keras alone, and spares every later run the import of Keras: a warm start reads one file.
The network is built there with channels first, which is how OpenVINO wants its convolutions: built
with channels last it keeps 74 transposes and takes a quarter longer.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

from sarmap.cache import cache_folder
from sarmap.detect.manifest import Manifest, read_arrays, read_manifest
from sarmap.errors import SarmapError, WeightsError
from sarmap.version import __version__

LAYOUT = 1  # raise when the exported graph changes while versions do not
log = logging.getLogger(__name__)


def openvino_ir(manifest: Manifest, folder: Path, precision: str = "f32") -> tuple[bytes, bytes]:
    """The OpenVINO IR of the weights that a manifest and its folder hold: XML and binary, from the
    cache or converted now.

    A damaged cache entry (its checksums do not hold) is made again; a cache that cannot be written
    is reported in the log and done without. Raises WeightsError where the weights cannot be put
    into the manifest's network, SarmapError where the conversion itself fails. Precision 'int8'
    quantises it (`sarmap.detect.int8`); else it is float32, whatever it runs in.
    """
    if precision != "int8":
        manifest = manifest.model_copy(update={"int8": {}})
    path = cache_folder("models") / f"{_cache_key(manifest)}.zip"
    kept = _read(path)
    if kept is not None:
        return kept
    with tempfile.TemporaryDirectory(prefix="sarmap-") as scratch:
        xml, binary = _convert(manifest, folder, Path(scratch))
    _write(path, xml, binary)
    return xml, binary


def _cache_key(manifest: Manifest) -> str:
    """Everything the IR depends on, as one digest."""
    parts = {
        "layout": LAYOUT,
        "weights": manifest.sha256,
        "network": manifest.network,
        "arguments": manifest.arguments,
        "input": manifest.input_shape,
        "sarmap": __version__,
        "keras": metadata.version("keras"),
        "openvino": metadata.version("openvino"),
        **({"int8": manifest.int8} if manifest.int8 else {}),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _read(path: Path) -> tuple[bytes, bytes] | None:
    """The cached IR, or None where there is none or its checksums do not hold."""
    if not path.is_file():
        return None
    try:
        with zipfile.ZipFile(path) as kept:
            return kept.read("model.xml"), kept.read("model.bin")
    except Exception:  # zipfile raises many kinds, and each means the same: it is damaged
        log.warning("a converted model in the cache is damaged and is made again")
        return None


def _write(path: Path, xml: bytes, binary: bytes) -> None:
    """Replace the cache entry in one step, so that no other process sees half of it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".partial-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w") as kept:
                kept.writestr("model.xml", xml)
                kept.writestr("model.bin", binary)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        log.warning(
            "the converted model cannot be cached (%s); set SARMAP_CACHE to a writable folder",
            error.strerror,
        )


def _convert(manifest: Manifest, folder: Path, scratch: Path) -> tuple[bytes, bytes]:
    """Run this module in a process of its own and read what it wrote."""
    described = scratch / "manifest.json"
    described.write_text(manifest.model_dump_json(), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(described), str(folder), str(scratch / "model.xml")],
        env={**os.environ, "KERAS_BACKEND": "openvino"},
        capture_output=True,
        text=True,
        check=False,
    )
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    if done.returncode == WeightsError.exit_code:
        raise WeightsError(last)
    if done.returncode:
        raise SarmapError(
            f"Weights {manifest.name} could not be converted for OpenVINO ({last}); "
            "engine='tensorflow' runs them without converting."
        )
    return (scratch / "model.xml").read_bytes(), (scratch / "model.bin").read_bytes()


def forbid_telemetry() -> None:
    """Keep OpenVINO from telling a third party, over the network, that it was imported.

    It does so at each import, unless told otherwise in a file of the user's home; where its module
    for that is not to be had, it does without.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def build_model(manifest: Manifest, folder: Path) -> Any:
    """Build a manifest's network of two classes with its stored weights, for the Keras backend in
    use; WeightsError where network and arrays do not fit, or a ``.keras`` file is not safe to read.
    """
    from sarmap.detect.networks import build_network, set_arrays

    path = folder / manifest.weights
    if manifest.network is None:
        return _load_keras_file(path, manifest)
    model = build_network(manifest.network, len(manifest.bands), manifest.arguments)
    if tuple(model.input.shape[1:]) != manifest.input_shape:
        raise WeightsError(
            f"Weights {manifest.name} take tiles of shape {tuple(model.input.shape[1:])} where "
            f"their manifest says {manifest.input_shape}: mend tile, halo or arguments."
        )
    set_arrays(model, read_arrays(path))
    return model


def _load_keras_file(path: Path, manifest: Manifest) -> Any:
    import keras

    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds for a bad or unsafe file
        cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(f"{path.name} cannot be loaded safely: {cause}") from error
    shape = tuple(model.input.shape[1:])
    if len(shape) != 3 or any(
        have not in (None, need) for have, need in zip(shape, manifest.input_shape, strict=True)
    ):
        raise WeightsError(
            f"{path.name} takes tiles of shape {shape} where its manifest says "
            f"{manifest.input_shape}: mend the manifest."
        )
    return model


def _export(described: Path, folder: Path, target: Path) -> None:
    """In the process of its own: build with channels first, load, export; quantise, if asked."""
    forbid_telemetry()
    import keras

    from sarmap.detect.int8 import hold_to_ranges, quantise
    from sarmap.detect.networks import landslide_answer

    manifest = read_manifest(described)
    if manifest.network is not None:
        keras.config.set_image_data_format("channels_first")
    model = build_model(manifest, folder)
    if not manifest.int8:
        landslide_answer(model).export(str(target), format="openvino", verbose=False)
        return
    import openvino

    exact = target.with_name("exact.xml")
    held = landslide_answer(hold_to_ranges(model, manifest.int8))
    held.export(str(exact), format="openvino", verbose=False)
    quantised = openvino.Core().read_model(exact)
    quantise(quantised)
    openvino.save_model(quantised, target, compress_to_fp16=False)


def _main(arguments: list[str]) -> int:
    try:
        _export(*(Path(argument) for argument in arguments))
    except WeightsError as error:
        print(error, file=sys.stderr)
        return WeightsError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
