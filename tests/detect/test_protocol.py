"""What a detector says about itself: defaults, forms, one sentence for what cannot be served."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from sarmap.detect.change import LogRatio
from sarmap.detect.protocol import Detector, FixedStatistics, describe
from sarmap.errors import RequestError


class Own:
    """A user's own detector, with whatever attributes a test gives it."""

    bands: Any = ("vv_pre", "slope")

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)

    def __call__(self, tiles: Any) -> Any:
        return tiles[..., 0]


def test_bands_are_all_a_detector_has_to_say() -> None:
    spec = describe(Own())
    assert isinstance(Own(), Detector)
    assert spec.bands == ("vv_pre", "slope")
    assert (spec.name, spec.kind, spec.scaling, spec.normalisation) == (
        "Own",
        "segment",
        "power",
        "none",
    )
    assert (spec.tile, spec.stride, spec.halo, spec.network_size) == (64, 64, 0, 64)


def test_a_window_detector_defaults_to_the_papers_window_and_step() -> None:
    spec = describe(Own(kind="window", network_size=32))
    assert (spec.tile, spec.stride, spec.network_size) == (25, 2, 32)


def test_the_stride_of_a_segment_detector_defaults_to_its_tile() -> None:
    assert describe(Own(tile=128)).stride == 128


def test_statistics_per_band_may_be_a_mapping_in_any_order() -> None:
    spec = describe(Own(normalisation={"slope": (15, 10), "dem": (0, 1), "vv_pre": (0.2, 0.1)}))
    assert spec.normalisation == FixedStatistics((0.2, 15.0), (0.1, 10.0))
    assert json.loads(str(spec.attributes["normalisation"])) == {
        "vv_pre": [0.2, 0.1],
        "slope": [15.0, 10.0],
    }


def test_provenance_joins_the_attributes_and_never_hides_the_tiling() -> None:
    spec = describe(Own(provenance={"weights_sha256": "ab", "tile": 1}))
    assert (spec.attributes["weights_sha256"], spec.attributes["tile"]) == ("ab", 64)


def test_attributes_are_strings_and_numbers() -> None:
    for detector in (Own(), Own(kind="window"), LogRatio()):
        values = describe(detector).attributes.values()
        assert all(isinstance(value, str | int | float) for value in values)


@pytest.mark.parametrize(
    ("attributes", "sentence"),
    [
        ({"bands": ()}, r"Own has bands \(\); name at least one"),
        ({"bands": "vv_pre"}, "Own has bands 'vv_pre'"),
        ({"bands": ("vv_pre", 1)}, "name at least one in a tuple"),
        ({"bands": ("slope", "slope")}, "names a band twice"),
        ({"scaling": "decibel"}, "scaling 'decibel'; use one of amplitude, power, db"),
        ({"kind": "object"}, "kind 'object'; use one of segment, window, pixel"),
        ({"tile": 0}, "tile 0; use a whole number >= 1"),
        ({"tile": 6.5}, "tile 6.5; use a whole number"),
        ({"tile": "64"}, "tile '64'; use a whole number"),
        ({"halo": -1}, "halo -1; use a whole number >= 0"),
        ({"tile": 8, "stride": 9}, "stride 9 above its tile 8"),
        ({"normalisation": "standard"}, "normalisation 'standard'; use tile-minmax, none"),
        ({"normalisation": {"vv_pre": (0, 1)}}, "no statistics for band slope"),
        ({"normalisation": FixedStatistics((0,), (1,))}, "1 offsets and 1 scales for 2 bands"),
        ({"normalisation": FixedStatistics((0, 0), (1, 0))}, "positive scales"),
        ({"normalisation": FixedStatistics((0, float("nan")), (1, 1))}, "finite offsets"),
        ({"kind": "pixel", "normalisation": "tile-minmax"}, "no tiles for tile-minmax"),
        ({"kind": "window", "halo": 3}, "halo 3; a window is its own context"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_sentence(
    attributes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(RequestError, match=sentence) as refusal:
        describe(Own(**attributes))
    assert "\n" not in str(refusal.value)


def test_what_cannot_be_called_is_no_detector() -> None:
    with pytest.raises(RequestError, match="cannot be called"):
        describe(SimpleNamespace(bands=("vv_pre",)))  # type: ignore[arg-type]
