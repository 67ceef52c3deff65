"""Who is told of a new map: a feed in the folder, a webhook, a command.

Each is told at least once: what fails is tried again at the next look, and a watch that is killed
between telling and noting it tells again. The webhook follows Standard Webhooks
(https://www.standardwebhooks.com): `webhook-id` is the same for the same map, and
`webhook-signature` is an HMAC-SHA256 of id, time and body under the shared key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shlex
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from sarmap.regions.scan_folder import Folder
from sarmap.watch.record import Product, Watch
from sarmap.watch.request import WatchRequest, signing_key

LATEST, FEED = "latest.json", "feed.xml"
ATOM = "http://www.w3.org/2005/Atom"
PATIENCE = 30.0, 600.0
"""Seconds that a webhook and a command may take."""


def publish(folder: Folder, watch: Watch) -> None:
    """Write `latest.json` and `feed.xml` anew; OutputError where the folder does not take them."""
    if watch.products:
        folder.write(LATEST, message(watch, watch.products[-1]))
    folder.write_bytes(FEED, feed(watch))


def tell(
    request: WatchRequest, watch: Watch, product: Product, now: float
) -> tuple[str, list[str]]:
    """Tell the webhook and the command of a map, unless they know: a sentence on what failed, empty
    where nothing did, and who knows now.
    """
    ways: dict[str, Callable[[bytes], str]] = {}
    if request.webhook is not None:
        ways["webhook"] = lambda body: _post(request, f"{watch.id}.{product.name}", body, now)
    if request.command is not None:
        ways["command"] = lambda body: _run(str(request.command), body)
    body = json.dumps(message(watch, product), ensure_ascii=False).encode()
    failed = {name: way(body) for name, way in ways.items() if name not in product.told}
    told = [*product.told, *(name for name, sentence in failed.items() if not sentence)]
    return " ".join(filter(None, failed.values())), told


def message(watch: Watch, product: Product) -> dict[str, Any]:
    """A map's record, as the webhook, the command and `latest.json` have it."""
    kept = {name: value for name, value in asdict(product).items() if name != "told"}
    return {"watch": watch.id, "event": watch.asked["event"], "headline": headline(product), **kept}


def headline(product: Product) -> str:
    """A map in one line."""
    mark = "SIMULATED " if product.simulated else ""
    count = len(product.passes)
    text = (
        f"{product.landslides:,} {mark}candidate landslides, {product.km2:,.2f} km² of "
        f"{product.seen_km2:,.1f} km² seen; {product.orbit_state} orbit {product.relative_orbit}, "
        f"{count} pass{'es' * (count > 1)} after the event"
    )
    if product.changes:
        parts = (
            f"{product.changes[name]:,.2f} km² {name}" for name in ("kept", "withdrawn", "new")
        )
        text += f"; beside {product.changes['with']}: {', '.join(parts)}"
    return f"{text}; {product.unread:,} pixels not read yet" if product.unread else text


def feed(watch: Watch) -> bytes:
    """The maps as an Atom feed (RFC 4287), newest first; links lead from the folder."""
    ElementTree.register_namespace("", ATOM)
    root = ElementTree.Element(f"{{{ATOM}}}feed")

    def add(parent: ElementTree.Element, tag: str, text: str = "", **attributes: str) -> Any:
        element = ElementTree.SubElement(parent, f"{{{ATOM}}}{tag}", attributes)
        element.text = text or None
        return element

    add(root, "id", f"urn:uuid:{uuid.UUID(watch.id)}")
    add(root, "title", f"Landslide maps of the event of {watch.asked['event'][0][:16]} UTC")
    add(root, "updated", watch.products[-1].made if watch.products else watch.begun)
    add(add(root, "author"), "name", "sarmap")
    for product in reversed(watch.products):
        entry = add(root, "entry")
        add(entry, "id", f"urn:uuid:{uuid.uuid5(uuid.UUID(watch.id), product.name)}")
        add(entry, "title", headline(product))
        add(entry, "updated", product.made)
        add(entry, "summary", " ".join((headline(product), *product.warnings)))
        for number, file in enumerate(product.files.values()):
            add(entry, "link", rel="enclosure" if number else "alternate", href=quote(file))
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def signature(key: bytes, name: str, instant: int, body: bytes) -> str:
    """The `webhook-signature` of a message.

    >>> key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    >>> signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    signed = f"{name}.{instant}.".encode() + body
    return f"v1,{base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()}"


def _post(request: WatchRequest, name: str, body: bytes, now: float) -> str:
    """Why the webhook was not told; never its address, which may hold a key."""
    import requests

    url, instant = str(request.webhook), int(now)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(instant),
        "webhook-signature": signature(signing_key(request), name, instant, body),
    }
    where = f"The webhook at {urlsplit(url).hostname}"
    try:
        answer = requests.post(
            url, data=body, headers=headers, timeout=PATIENCE[0], allow_redirects=False
        )
    except (requests.RequestException, ValueError) as error:
        return f"{where} was not reached ({type(error).__name__}); it is told at the next look."
    if answer.status_code // 100 == 2:
        return ""
    return f"{where} answered {answer.status_code}; it is told at the next look."


def _run(command: str, body: bytes) -> str:
    """Why the command failed; never its words, which may hold a key."""
    words = shlex.split(command)
    try:
        done = subprocess.run(words, input=body, timeout=PATIENCE[1], check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"The command did not run ({type(error).__name__}); it is run at the next look."
    if done.returncode:
        return f"The command left with {done.returncode}; it is run again at the next look."
    return ""
