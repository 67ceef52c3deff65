"""The command line: `sarmap demo`, `map` and their kin, one module per family of commands."""

from __future__ import annotations

from sarmap.cli.entry import main

__all__ = ["main"]
