"""Do all workers see the place that the result goes to? A token beside it tells.

A worker with a disk of its own would write a map's blocks into a folder that only it has, and
report them stored. So the client leaves a token beside the result, and every worker, also one that
joins later, must find that very token before it takes part.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sarmap.errors import ClusterError, RequestError
from sarmap.store.location import is_url, store_at
from sarmap.store.objects import delete, get, put

_PAUSES = (0.0, 0.5, 1.0)
"""Seconds before each look: shared file systems may show a new file a moment later."""


@dataclass(frozen=True)
class MeetingPlace:
    """Where the token lies and what it says; travels to workers."""

    folder: str
    """Folder or URL that the result lies in."""
    name: str
    """Of the token, in that folder."""
    token: str
    """What it says."""
    shown: str
    """The result, as an error may name it."""

    def trouble(self) -> str | None:
        """Why this process cannot write the result, as the end of a sentence; None: it can."""
        reason = "does not see"
        for pause in _PAUSES:
            time.sleep(pause)
            try:
                if get(store_at(self.folder), self.name) == self.token.encode():
                    return None
            except Exception as error:  # any store's own, which has tried again itself
                reason = f"cannot reach ({type(error).__name__})"
                break
        return (
            f"{reason} the place of {self.shown}: give an `out` that all workers see, such as "
            "s3://bucket/map.zarr with its endpoint and credentials in every worker's environment, "
            "or a folder that they share"
        )


@contextmanager
def meeting_place(out: str) -> Iterator[MeetingPlace]:
    """A token beside a result for as long as the `with` block lasts.

    Raises
    ------
    ClusterError
        The token cannot be written.
    RequestError
        The result would lie in the memory of one process.
    """
    if out.startswith("memory://"):
        raise RequestError(
            "out=memory:// is the memory of one process, which a cluster's workers do not share: "
            "give a folder or an s3:// address."
        )
    place = _place(out)
    try:
        put(store_at(place.folder), place.name, place.token.encode())
    except Exception as error:
        raise ClusterError(
            f"A token for the workers cannot be written beside {place.shown} "
            f"({type(error).__name__}): choose another `out`."
        ) from error
    try:
        yield place
    finally:
        with suppress(Exception):  # a token left behind does no harm
            delete(store_at(place.folder), [place.name])


def _place(out: str) -> MeetingPlace:
    """Beside the result, so that nothing of it is touched; inside where it is a bucket's root."""
    from urllib.parse import urlsplit

    token = uuid.uuid4().hex
    if not is_url(out):
        path = store_at(out).root
        return MeetingPlace(str(path.parent), f".{path.name}.workers", token, path.name)
    parts = urlsplit(out.rstrip("/"))
    root = f"{parts.scheme}://{parts.netloc}"
    folder, _, name = parts.path.rpartition("/")
    shown = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
    return MeetingPlace(root + folder, f"{name}.workers", token, shown)
