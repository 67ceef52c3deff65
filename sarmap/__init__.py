"""Rapid mapping of landslides from Sentinel-1 radar: a STAC search to a landslide map, in chunks.

The verbs of the route, and the records they take and give; ``__init__.pyi`` lists them. Names load
when first used, so that ``import sarmap`` stays quick and never loads TensorFlow. Pictures are in
`sarmap.plot`, all else where it lives.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from typing import Any

from sarmap.lazy import homes_of
from sarmap.version import __version__

_HOMES = {name: module for name, module in homes_of(__file__).items() if module != "sarmap.version"}
_MOVED = {
    "Pass": "sarmap.types",
    "Scan": "sarmap.regions.opened",
    "TrainingResult": "sarmap.learn.outputs",
    "apply_calibration": "sarmap.assess.calibration",
    "assess_into": "sarmap.assess.report",
    "changed_polygons": "sarmap.assess.comparison",
    "compare_maps": "sarmap.assess.comparison",
    "explore": "sarmap.plot",
    "plan_scan": "sarmap.regions.forecast",
    "plot_change": "sarmap.plot",
    "plot_composite": "sarmap.plot",
    "plot_coverage": "sarmap.plot",
    "plot_footprints": "sarmap.plot",
    "plot_observation": "sarmap.plot",
    "plot_outcomes": "sarmap.plot",
    "plot_pair": "sarmap.plot",
    "plot_probability": "sarmap.plot",
    "polygonise": "sarmap.export.polygons",
    "progress_bar": "sarmap.progress",
    "read_control": "sarmap.assess.control",
    "read_inventory": "sarmap.assess.inventory",
    "read_labels": "sarmap.assess.labels",
    "scan_status": "sarmap.regions.status",
    "score_map": "sarmap.assess.scores",
    "tune": "sarmap.learn.tune",
    "write_report": "sarmap.report.writing",
}
"""Names that were here once -> where they live; they still work, with a warning."""

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name == "plot":
        return importlib.import_module("sarmap.plot")
    if name in _MOVED:
        said = f"sarmap.{name} is deprecated: from {_MOVED[name]} import {name}."
        warnings.warn(said, DeprecationWarning, stacklevel=2)
    elif name not in _HOMES:
        raise AttributeError(f"module 'sarmap' has no attribute {name!r}")
    value = getattr(importlib.import_module((_MOVED | _HOMES)[name]), name)
    if name in _HOMES:
        globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "plot"]


class _OnceXarrayLoads:
    """Gives xarray's objects ``.sarmap`` as soon as xarray is imported, whoever imports it."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """xarray as it is found without this, whose loading ends with the accessor's."""
        if name != "xarray":
            return None
        from importlib.util import find_spec  # xarray takes it anyway, `import sarmap` need not

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
