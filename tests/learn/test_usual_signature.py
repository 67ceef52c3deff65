"""What a training notes of the landslides of its worlds, to fit maps to their events."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from sarmap.detect.manifest import read_manifest, write_manifest
from sarmap.detect.signature import CLASSES
from sarmap.detect.weight_files import DATA
from sarmap.detect.weights import load_detector
from sarmap.learn.usual_signature import measure_signature
from sarmap.learn.worlds import WorldSource


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """The shipped network, not measured yet."""
    shutil.copy(DATA / "attention-unet.npz", tmp_path)
    shipped = read_manifest(DATA / "attention-unet.json")
    return write_manifest(shipped.model_copy(update={"signature": ()}), tmp_path)


def test_landslides_of_worlds_that_darken_are_counted_as_dark(weights):
    worlds = [
        WorldSource(first=3, count=2, size=256, role="validation", physics={"family": "both_down"})
    ]
    assert load_detector(weights).usual_signature is None
    measure_signature(weights, worlds)
    counts = load_detector(weights).usual_signature
    assert counts.shape == (2, CLASSES, CLASSES)
    assert counts.sum() == pytest.approx(2e6, rel=1e-3)
    change = np.arange(CLASSES) - CLASSES // 2
    by_vv = counts.sum(axis=2)
    assert (by_vv[0] @ change) / by_vv[0].sum() < -1
    assert abs((by_vv[1] @ change) / by_vv[1].sum()) < 0.3


def test_worlds_that_train_are_not_counted(weights):
    measure_signature(weights, [WorldSource(first=3, count=1, size=64)])
    assert load_detector(weights).usual_signature is None
