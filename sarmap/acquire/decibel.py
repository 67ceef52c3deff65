"""Decibel given as power, known by their signs before they become holes in a map."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarmap.errors import RequestError

LOW, HIGH = -60.0, -1.0
"""Where decibel of land and water lie; power, noise taken off, falls little below zero."""
ENOUGH = 64
"""Numbers below which nothing can be said."""


def refuse_decibel(stored: NDArray[Any], what: str, valid: NDArray[np.bool_] | None = None) -> None:
    """Refuse numbers of a block that are to be read as power and are decibel by their signs.

    Parameters
    ----------
    stored
        Numbers as they are stored, any shape; what fills the gaps may be among them.
    what
        Where they come from, for the message.
    valid
        Which of them count; None: all.

    Raises
    ------
    RequestError
        Most of what is no filling (zero, -60 and below) lies between -60 and -1.

    Examples
    --------
    >>> refuse_decibel(np.full(100, -9999.0), "Pass 1")
    >>> refuse_decibel(np.linspace(-25, 1, 100), "Pass 1")
    Traceback (most recent call last):
    ...
    sarmap.errors.RequestError: Pass 1 cannot be power: 92 % of its numbers are negative, down to \
-25.0. They are likely decibel: give scaling='db' (--scaling db; a catalogue's setting scaling).
    """
    likely = (stored > LOW) & (stored < HIGH)
    if valid is not None:
        likely &= valid
    share = np.count_nonzero(likely)
    if 2 * share < ENOUGH:  # too few of whatever there is: power, in most blocks
        return
    known = np.isfinite(stored) & (stored > LOW) & (stored != 0)
    if valid is not None:
        known &= valid
    count = np.count_nonzero(known)
    if count < ENOUGH or 2 * share <= count:
        return
    raise RequestError(
        f"{what} cannot be power: {100 * share / count:.0f} % of its numbers are negative, down to "
        f"{float(stored[likely].min()):.1f}. They are likely decibel: give scaling='db' "
        "(--scaling db; a catalogue's setting scaling)."
    )
