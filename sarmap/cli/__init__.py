"""The command line: `sarmap demo`, `map` and their kin, one module per family of commands."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave (SystemExit) with an exit code of the table in
    `sarmap.cli.entry`.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _leave)
    from sarmap.cli import entry

    entry.main(arguments)


def _leave(number: int, _: FrameType | None) -> None:
    """End at once: while libraries are imported an exception would come out of any of them."""
    print("sarmap: Interrupted.", file=sys.stderr, flush=True)
    os._exit(128 + number)
