"""One request for a range of a file in a bucket, with keys and endpoint of the environment.

What comes is what a request over the web gives (`sarmap.net.web`), entity tag and all, so that a
file in a bucket is held, tried again and read ahead as any other.
"""

from __future__ import annotations

import datetime as dt
import os
from functools import lru_cache
from typing import Any

from sarmap.net.patience import Deadline, Patience
from sarmap.net.reach import BUCKETS
from sarmap.net.signing import redact
from sarmap.net.tally import count
from sarmap.net.web import Answer, ReadError


def in_bucket(href: str) -> bool:
    """True for the address of a file in a bucket.

    >>> in_bucket("s3://maps/a.tif"), in_bucket("https://example.org/a.tif")
    (True, False)
    """
    return href.startswith(tuple(f"{scheme}://" for scheme in BUCKETS))


def fetch_object(href: str, first: int, last: int, limits: Patience, deadline: Deadline) -> Answer:
    """Bytes `first` to `last` (inclusive) of a file in a bucket, in one try; a ReadError says
    whether another may help.
    """
    from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError

    bucket, _, name = href.partition("://")[2].partition("/")
    count("requests")
    try:
        store = _opened(f"{href.partition(':')[0]}://{bucket}", limits)
        got = store.get(name, options={"range": (first, last + 1)})
        body, meta = got.bytes().to_bytes(), got.meta
    except BaseError as error:
        again = not isinstance(error, NotFoundError | PermissionDeniedError) and deadline.left > 0
        raise ReadError(redact(str(error).splitlines()[0]), again=again) from None
    if len(body) != min(last, meta["size"] - 1) - first + 1:
        raise ReadError(f"the answer broke off after {len(body)} bytes")
    count("bytes", len(body))
    version = meta["e_tag"] or meta["last_modified"].isoformat()
    return Answer(body, meta["size"], version, href, vouched=True)


@lru_cache(maxsize=64)
def _opened(bucket: str, limits: Patience) -> Any:
    """A bucket, whose requests are not repeated: that is for `sarmap.net.remote`."""
    from obstore.store import from_url

    none: Any = {"max_retries": 0, "retry_timeout": dt.timedelta(seconds=limits.deadline)}
    client: Any = {
        "connect_timeout": dt.timedelta(seconds=limits.connect),
        "timeout": dt.timedelta(seconds=limits.deadline),
        # options that are given replace the environment's
        "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true"),
    }
    return from_url(bucket, retry_config=none, client_options=client)
