"""Storage that does not answer for a while: tried again, ever more slowly, but not for ever."""

from __future__ import annotations

import errno
import itertools
import time
from collections.abc import Callable
from typing import TypeVar

from sarmap.errors import OutputError
from sarmap.net.patience import Deadline, Patience
from sarmap.store.objects import storage_errors

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds for which a store that takes nothing is tried again."""
_WAITS = Patience(backoff=0.25, longest=8.0)
"""Waits between tries; growth and jitter are those of reads."""
_LASTING = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EINVAL}
    | {errno.ENAMETOOLONG, errno.ELOOP}
)
_LASTING_REMOTE = frozenset(
    {"PermissionDeniedError", "UnauthenticatedError", "NotSupportedError", "InvalidPathError"}
    | {"NotFoundError", "NotImplementedError", "UnknownConfigurationKeyError"}
)


def patiently(action: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    """Do what writes to a store (`what` is the subject of a failure's sentence), again and again
    until it succeeds or OutputError ends it: no new try begins after `patience` seconds.

    A full disk, a busy or absent server may be well again in a moment; a refusal stays one, and is
    not tried twice.

    >>> answers = iter([OSError(28, "No space left on device"), None])
    >>> def write():
    ...     if (error := next(answers)) is not None:
    ...         raise error
    ...     return "written"
    >>> patiently(write, "Layer 'slope'")
    'written'
    """
    deadline = Deadline(patience)
    for attempt in itertools.count():
        try:
            return action()
        except storage_errors() as error:
            if deadline.left <= 0 or _lasting(error):
                reason = getattr(error, "strerror", None) or type(error).__name__
                raise OutputError(f"{what} could not be written ({reason}).") from None
        time.sleep(min(_WAITS.pause(attempt), max(deadline.left, 0.01)))
    raise AssertionError("a count never ends")


def _lasting(error: Exception) -> bool:
    """True for a refusal that waiting does not change."""
    if isinstance(error, OSError):
        return error.errno in _LASTING
    return type(error).__name__ in _LASTING_REMOTE
