"""Which addresses a catalogue's records may lead to: a catalogue is untrusted input.

The rule. A record may name files on public hosts over http(s), and buckets (`s3://`, `gs://`,
`az://`). It may name a host that is not public (loopback, private, link-local, carrier-grade NAT
or reserved addresses) only where that host is the catalogue's own, at any port: a catalogue on
loopback, as the demo's, may serve files on loopback. Local paths, `file:`, `/vsi...` chains and
every other scheme are refused. A name counts by the addresses it resolves to, looked up where the
connection is made, so neither a redirect nor a name that changes its address leads elsewhere.
`CatalogSettings.trusted` lifts all of it. The records of a catalogue that is itself a file of this
machine may name files of this machine, too.

What counts as public follows IANA's special-purpose registries, as Python's `ipaddress` has them;
IPv4 addresses inside IPv6 ones (mapped, 6to4, NAT64 of RFC 6052) count as themselves.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from sarmap.errors import RequestError
from sarmap.types import CatalogSettings

WEB = ("http", "https")
"""Schemes read by `sarmap.net.web`."""

BUCKETS = ("s3", "gs", "az")
"""Schemes of object stores; their endpoints come from the user's environment, not the record."""

_NEVER = tuple(map(ipaddress.ip_network, ("fec0::/10", "192.0.0.0/24")))
"""Site-local and protocol addresses (RFC 3879, RFC 6890), which Python counts as public."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SWITCH = "if you trust this catalogue, set trusted in its settings (--trust-catalog)"


class AddressRefused(OSError):
    """An address that a record may not lead to; never asked."""


@dataclass(frozen=True)
class Reach:
    """How far the records of one catalogue reach. Small and picklable: it travels with each read.

    >>> Reach().allows("169.254.169.254"), Reach(home=("127.0.0.1",)).allows("127.0.0.1")
    (False, True)
    """

    trusted: bool = False
    """True: everywhere."""
    home: tuple[str, ...] = ()
    """Addresses of the catalogue itself that are not public."""
    local: bool = False
    """True: to files of this machine, too."""
    verify: bool = False
    """True: what comes over plain HTTP without a checksum is read twice, and compared."""

    def allows(self, address: str) -> bool:
        """True where a connection to an IP address may be made."""
        return self.trusted or is_public(address) or address in self.home

    def addresses(self, host: str, port: int) -> list[tuple[Any, ...]]:
        """Where to connect to for a host, in the resolver's order: (family, socket address). Raises
        AddressRefused where none may be reached, OSError where the name does not resolve.
        """
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        allowed = [(one[0], one[4]) for one in found if self.allows(_bare(str(one[4][0])))]
        if not allowed:
            raise AddressRefused(f"the address of {host} is not public")
        return allowed


def is_public(address: str) -> bool:
    """True for an IP address that anyone on the internet could reach.

    >>> [is_public(a) for a in ("8.8.8.8", "10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe")]
    [True, False, False, False]
    """
    try:
        ip: Any = ipaddress.ip_address(_bare(address))
    except ValueError:
        return False
    if ip.version == 6:
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    if any(ip in network for network in _NEVER):
        return False
    return bool(ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified))


def reach_of(settings: CatalogSettings, url: str | None = None) -> Reach:
    """How far the records of a catalogue's API reach; of the one at `url` (`settings.dem_url`).

    >>> reach_of(CatalogSettings("mine", "http://127.0.0.1:7822"))
    Reach(trusted=False, home=('127.0.0.1',), local=False, verify=False)
    """
    verify = settings.verify
    if settings.trusted:
        return Reach(trusted=True, verify=verify)
    if not urlsplit(url or settings.url or "x:").scheme:
        return Reach(local=True, verify=verify)
    known = _known(_host(url or settings.url))
    return Reach(home=tuple(one for one in known if not is_public(one)), verify=verify)


def check_href(href: str, reach: Reach, what: str) -> None:
    """Refuse (RequestError), before anything is read, what a record may not lead to: a local path,
    another scheme, or a host that is not public. `what` is the item and asset, for the message.

    >>> check_href("https://8.8.8.8/a.tif", Reach(), "item 'a', asset 'vv'")
    >>> check_href("/etc/passwd", Reach(), "item 'a', asset 'vv'")
    Traceback (most recent call last):
    ...
    sarmap.errors.RequestError: The record of item 'a', asset 'vv' names no web address (a local \
path, or a scheme other than http, https, s3, gs, az), which a catalogue may not do: if you trust \
this catalogue, set trusted in its settings (--trust-catalog).
    """
    if reach.trusted:
        return
    scheme, host = _scheme(href), _host(href)
    if scheme in BUCKETS and host:
        return
    if reach.local and href[:1] == "/" and not href.startswith("/vsi"):
        return
    if scheme not in WEB or not host:
        raise RequestError(
            f"The record of {what} names no web address (a local path, or a scheme other than "
            f"{', '.join((*WEB, *BUCKETS))}), which a catalogue may not do: {_SWITCH}."
        )
    known = _known(host)  # an unknown name may yet be known to the workers, or to a web proxy
    if known and not any(reach.allows(address) for address in known):
        raise RequestError(
            f"The record of {what} names an address that is not public (loopback, private or "
            f"link-local), which a catalogue elsewhere may not do: {_SWITCH}."
        )


def _scheme(href: str) -> str:
    head, mark, _ = href.partition("://")
    return head.lower() if mark else ""


def _host(url: str) -> str:
    """Host of an address; empty where it has none.

    >>> _host("http://[::1]:80/a"), _host("http://[bad/")
    ('::1', '')
    """
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _bare(address: str) -> str:
    """An address without its IPv6 zone."""
    return address.partition("%")[0]


@lru_cache(maxsize=1024)
def _lookup(host: str) -> tuple[str, ...]:
    """All addresses of a host; a failure is raised, so that it is not remembered."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(sorted({_bare(str(one[4][0])) for one in found}))


def _known(host: str) -> tuple[str, ...]:
    """All addresses of a host; none where it does not resolve."""
    try:
        return _lookup(host) if host else ()
    except (OSError, ValueError):  # ValueError: no text that could be a name
        return ()
