"""How far a map is: a bar in a terminal or in a notebook, a line now and then anywhere else.

`map_landslides(progress=...)` takes any function of the blocks done and all blocks; this is one.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

LOG_SECONDS = 30.0
"""Between two lines of a log."""
Progress = Callable[[int, int], None]
"""Called with blocks done and blocks in all."""


def megapixels(pixels: float) -> str:
    """A number of pixels in words, two digits of it at least.

    >>> megapixels(9_013_332), megapixels(83_200), megapixels(834_000_000)
    ('9.0 Mpx', '0.083 Mpx', '834.0 Mpx')
    """
    millions = pixels / 1e6
    return f"{millions:,.1f} Mpx" if millions >= 1 or not millions else f"{millions:.2g} Mpx"


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar with rate and time left: on a terminal's standard error, or below a notebook's cell.

    Where there is neither, as in a job's log, a line on standard error every half minute; nothing
    where the logger ``sarmap`` says errors alone.

    Yields
    ------
    A function for `map_landslides(progress=...)`.

    Examples
    --------
    >>> with progress_bar() as progress:
    ...     progress(3, 12)
    """
    if not logging.getLogger("sarmap").isEnabledFor(logging.WARNING):
        yield lambda done, total: None
    elif _in_notebook():
        yield _notebook_bar()
    elif sys.stderr.isatty():
        with _terminal_bar() as progress:
            yield progress
    else:
        yield _log_lines()


def _in_notebook() -> bool:
    """True in a Jupyter kernel, which shows HTML; IPython in a terminal does not."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


@contextmanager
def _terminal_bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), TextColumn("{task.description}"))
    started = time.monotonic()
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("mapping", total=None)

        def update(done: int, total: int) -> None:
            words = progress_words(done, total, time.monotonic() - started)
            bar.update(task, completed=done, total=total, description=words)

        yield update


def _log_lines() -> Progress:
    """A line on standard error, never sooner than `LOG_SECONDS` after the one before."""
    started = last = time.monotonic()

    def update(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LOG_SECONDS:
            print(f"sarmap: {progress_words(done, total, now - started)}", file=sys.stderr)
            last = now

    return update


def _notebook_bar() -> Progress:
    """One display below the cell, renewed in place; rich would need ipywidgets for that."""
    shell: Any = import_module("IPython.display")
    started = time.monotonic()
    shown = shell.display(shell.HTML(notebook_line(0, 0, 0.0)), display_id=True)

    def update(done: int, total: int) -> None:
        shown.update(shell.HTML(notebook_line(done, total, time.monotonic() - started)))

    return update


def notebook_line(done: int, total: int, seconds: float) -> str:
    """The bar as HTML.

    >>> notebook_line(3, 12, 6.0)
    '<progress value="3" max="12"></progress> mapping 3/12 blocks, 0.5 blocks/s, 18 s left'
    >>> notebook_line(0, 0, 0.0)
    '<progress></progress> mapping'
    """
    share = f' value="{done}" max="{total}"' if total else ""
    return f"<progress{share}></progress> {progress_words(done, total, seconds)}"


def progress_words(done: int, total: int, seconds: float) -> str:
    """How far a map is, after so many seconds.

    >>> progress_words(0, 1, 0.4)
    'mapping 0/1 block'
    """
    if not total:
        return "mapping"
    words = f"mapping {done}/{total} block{'s' * (total != 1)}"
    if not done or done == total or seconds <= 0:
        return words
    rate = done / seconds
    return f"{words}, {rate:.2g} blocks/s, {(total - done) / rate:.0f} s left"
