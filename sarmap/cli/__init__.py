"""The command line: `sarmap demo | simulate | search | plan | map | assess`."""

from __future__ import annotations

from sarmap.cli.entry import main

__all__ = ["main"]
