"""What a watch is asked for: a map request, when it ends, and who is told."""

from __future__ import annotations

import base64
import os

from pydantic import Field

from sarmap.errors import RequestError
from sarmap.types import MapRequest


class WatchRequest(MapRequest):
    """Everything one watch is made from: a `MapRequest`, when it ends, and who is told.

    >>> request = WatchRequest(area=(141.0, 42.0, 143.0, 44.0), event="2018-09-05T18:08:00Z")
    >>> request.days, request.every
    (60.0, 1.0)
    """

    out: str | None = Field(default="watch", description="folder or URL that is kept current")
    products: tuple[str, ...] = Field(
        default=("cog", "geopackage", "item"), description="beside each map's store, as of a map"
    )
    days: float = Field(default=60.0, gt=0, description="days after the event at which it ends")
    passes: int | None = Field(
        default=None,
        ge=1,
        description="it ends when so many passes after the event are mapped; None: at `days` alone",
    )
    every: float = Field(
        default=1.0, gt=0, description="hours between two looks while a pass is overdue"
    )
    webhook: str | None = Field(
        default=None, description="https address that gets each map's record as signed JSON"
    )
    webhook_secret: str = Field(
        default="SARMAP_WEBHOOK_SECRET", description="environment variable with the signing key"
    )
    command: str | None = Field(
        default=None, description="command run for each map, its record as JSON on standard input"
    )


def check_request(request: WatchRequest) -> None:
    """Refuse (RequestError) what cannot be watched: the passes are files, there is no `out`, or
    what tells somebody lacks its key.
    """
    if request.from_files:
        raise RequestError(
            "A watch waits for a catalogue's passes, and files were given (--pre, --post): map "
            "those with sarmap map."
        )
    if not request.out:
        raise RequestError("A watch needs a place to be written: give out=, for example watch.")
    for name in ("overwrite", "resume", "strict"):
        if getattr(request, name):
            raise RequestError(
                f"A watch goes on by itself: leave out {name} (--{name}), and begin anew in "
                "another `out`."
            )
    if request.after_days is not None:
        raise RequestError("A watch ends after days= (--days): leave out after_days.")
    if request.webhook is None:
        return
    if not request.webhook.startswith(("https://", "http://")):
        raise RequestError("webhook= (--webhook) must be an address that begins with https://.")
    signing_key(request)


def signing_key(request: WatchRequest) -> bytes:
    """The key of the webhook's signatures, text, or base64 after ``whsec_``; RequestError where the
    environment has none.
    """
    kept = os.environ.get(request.webhook_secret, "")
    try:
        coded = kept.startswith("whsec_")
        key = base64.b64decode(kept.removeprefix("whsec_")) if coded else kept.encode()
    except ValueError:
        key = b""
    if not key:
        raise RequestError(
            f"The webhook's records are signed with the key in {request.webhook_secret}, and that "
            "environment variable holds none: set it, or name another (--webhook-secret VARIABLE)."
        )
    return key
