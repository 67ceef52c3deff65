"""Rapid mapping of landslides from Sentinel-1 radar: a STAC search to a landslide map, in chunks.

Names load when first used, so that ``import sarmap`` stays quick and never loads TensorFlow.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from sarmap.version import __version__

if TYPE_CHECKING:
    from sarmap.acquire.arrays import make_cube as make_cube
    from sarmap.acquire.arrays import make_terrain as make_terrain
    from sarmap.acquire.cube import open_cube as open_cube
    from sarmap.acquire.grid import make_grid as make_grid
    from sarmap.acquire.search import search_passes as search_passes
    from sarmap.acquire.terrain import open_terrain as open_terrain
    from sarmap.assess.assessment import assess_map as assess_map
    from sarmap.assess.calibration import apply_calibration as apply_calibration
    from sarmap.assess.comparison import changed_polygons as changed_polygons
    from sarmap.assess.comparison import compare_maps as compare_maps
    from sarmap.assess.control import read_control as read_control
    from sarmap.assess.inventory import read_inventory as read_inventory
    from sarmap.assess.labels import read_labels as read_labels
    from sarmap.assess.report import assess_into as assess_into
    from sarmap.assess.scores import score_map as score_map
    from sarmap.compose.composites import make_composite as make_composite
    from sarmap.detect.fusion import fuse as fuse
    from sarmap.detect.prediction import predict as predict
    from sarmap.detect.weights import load_detector as load_detector
    from sarmap.export.cog import write_cog as write_cog
    from sarmap.export.item import write_item as write_item
    from sarmap.export.polygons import polygonise as polygonise
    from sarmap.export.polygons import write_polygons as write_polygons
    from sarmap.export.store import open_map as open_map
    from sarmap.export.store import write_zarr as write_zarr
    from sarmap.learn.outputs import TrainingResult as TrainingResult
    from sarmap.learn.train import train as train
    from sarmap.learn.tune import tune as tune
    from sarmap.mapping import map_cube as map_cube
    from sarmap.pipeline import map_landslides as map_landslides
    from sarmap.planning import plan as plan
    from sarmap.plot.codes import plot_observation as plot_observation
    from sarmap.plot.codes import plot_outcomes as plot_outcomes
    from sarmap.plot.coverage import plot_coverage as plot_coverage
    from sarmap.plot.coverage import plot_footprints as plot_footprints
    from sarmap.plot.explore import explore as explore
    from sarmap.plot.maps import plot_change as plot_change
    from sarmap.plot.maps import plot_composite as plot_composite
    from sarmap.plot.maps import plot_pair as plot_pair
    from sarmap.plot.maps import plot_probability as plot_probability
    from sarmap.progress import progress_bar as progress_bar
    from sarmap.regions.forecast import plan_scan as plan_scan
    from sarmap.regions.opened import Scan as Scan
    from sarmap.regions.opened import open_scan as open_scan
    from sarmap.regions.request import ScanRequest as ScanRequest
    from sarmap.regions.scanning import scan as scan
    from sarmap.regions.status import scan_status as scan_status
    from sarmap.report.writing import write_report as write_report
    from sarmap.simulate.kept import demo_event as demo_event
    from sarmap.simulate.kept import serve_demo as serve_demo
    from sarmap.types import CatalogSettings as CatalogSettings
    from sarmap.types import Detector as Detector
    from sarmap.types import MapRequest as MapRequest
    from sarmap.types import MapResult as MapResult
    from sarmap.types import Observation as Observation
    from sarmap.types import Pass as Pass
    from sarmap.types import Passes as Passes
    from sarmap.types import Plan as Plan

_HOME = {
    "CatalogSettings": "sarmap.types",
    "Detector": "sarmap.types",
    "MapRequest": "sarmap.types",
    "MapResult": "sarmap.types",
    "Observation": "sarmap.types",
    "Pass": "sarmap.types",
    "Passes": "sarmap.types",
    "Plan": "sarmap.types",
    "TrainingResult": "sarmap.learn.outputs",
    "apply_calibration": "sarmap.assess.calibration",
    "assess_into": "sarmap.assess.report",
    "assess_map": "sarmap.assess.assessment",
    "changed_polygons": "sarmap.assess.comparison",
    "compare_maps": "sarmap.assess.comparison",
    "read_control": "sarmap.assess.control",
    "Scan": "sarmap.regions.opened",
    "ScanRequest": "sarmap.regions.request",
    "demo_event": "sarmap.simulate.kept",
    "explore": "sarmap.plot.explore",
    "fuse": "sarmap.detect.fusion",
    "load_detector": "sarmap.detect.weights",
    "make_composite": "sarmap.compose.composites",
    "make_cube": "sarmap.acquire.arrays",
    "make_grid": "sarmap.acquire.grid",
    "make_terrain": "sarmap.acquire.arrays",
    "map_cube": "sarmap.mapping",
    "map_landslides": "sarmap.pipeline",
    "open_cube": "sarmap.acquire.cube",
    "open_map": "sarmap.export.store",
    "open_scan": "sarmap.regions.opened",
    "open_terrain": "sarmap.acquire.terrain",
    "plan": "sarmap.planning",
    "progress_bar": "sarmap.progress",
    "plot_change": "sarmap.plot.maps",
    "plot_coverage": "sarmap.plot.coverage",
    "plot_footprints": "sarmap.plot.coverage",
    "plot_composite": "sarmap.plot.maps",
    "plot_observation": "sarmap.plot.codes",
    "plot_outcomes": "sarmap.plot.codes",
    "plot_pair": "sarmap.plot.maps",
    "plot_probability": "sarmap.plot.maps",
    "plan_scan": "sarmap.regions.forecast",
    "polygonise": "sarmap.export.polygons",
    "predict": "sarmap.detect.prediction",
    "read_inventory": "sarmap.assess.inventory",
    "read_labels": "sarmap.assess.labels",
    "scan": "sarmap.regions.scanning",
    "scan_status": "sarmap.regions.status",
    "score_map": "sarmap.assess.scores",
    "search_passes": "sarmap.acquire.search",
    "serve_demo": "sarmap.simulate.kept",
    "train": "sarmap.learn.train",
    "tune": "sarmap.learn.tune",
    "write_cog": "sarmap.export.cog",
    "write_item": "sarmap.export.item",
    "write_polygons": "sarmap.export.polygons",
    "write_report": "sarmap.report.writing",
    "write_zarr": "sarmap.export.store",
}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'sarmap' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _OnceXarrayLoads:
    """Gives xarray's objects ``.sarmap`` as soon as xarray is imported, whoever imports it."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """xarray as it is found without this, whose loading ends with the accessor's."""
        if name != "xarray":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_both(module: Any) -> None:
                load(module)
                importlib.import_module("sarmap.plot.accessor")

            spec.loader.exec_module = load_both  # type: ignore[method-assign]
        return spec


if "xarray" in sys.modules:
    importlib.import_module("sarmap.plot.accessor")
else:
    sys.meta_path.insert(0, _OnceXarrayLoads())
