"""Connections that go only where a catalogue's records may lead, for urllib3 and for requests.

The rule is that of `sarmap.net.reach`, applied where a connection is made, to the very address
that is connected to: a name that resolves to another one a moment later gains nothing.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any
from urllib.parse import urlsplit

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

from sarmap.net.reach import Reach

CONNECTIONS = 64
"""Open connections kept per host."""


class _Guard:
    """Mixed into a connection: it goes only where the reach allows."""

    reach: Reach
    _dns_host: str
    host: str
    port: int
    timeout: Any
    source_address: Any
    socket_options: Any

    def _new_conn(self) -> socket.socket:
        """urllib3 has no public place where the address, not the name, of a connection is known."""
        try:
            places = self.reach.addresses(self._dns_host, self.port)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error  # type: ignore[arg-type]
        failure: OSError = OSError("no address")
        for _, place in places:
            try:
                return create_connection(
                    (str(place[0]), self.port),
                    self.timeout,
                    source_address=self.source_address,
                    socket_options=self.socket_options,
                )
            except OSError as error:
                failure = error
        if isinstance(failure, TimeoutError):
            raise urllib3.exceptions.ConnectTimeoutError(self, "timed out") from failure
        raise NewConnectionError(self, f"no connection: {failure}") from failure  # type: ignore[arg-type]


def pool_classes(to: Reach) -> dict[str, Any]:
    """urllib3's connection pools, guarded."""

    class Plain(_Guard, HTTPConnection):
        reach = to

    class Secure(_Guard, HTTPSConnection):
        reach = to

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


class GuardedAdapter(HTTPAdapter):
    """For `requests`: every connection of the session is made by the rule, of redirects too."""

    def __init__(self, reach: Reach, **options: Any) -> None:
        self.reach = reach
        super().__init__(pool_maxsize=CONNECTIONS, **options)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Guard the pools."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = pool_classes(self.reach)

    def send(self, request: Any, *arguments: Any, **options: Any) -> Any:
        """Behind a web proxy, which is the user's own to choose, connections cannot be watched: the
        name is, as far as it is known."""
        if options.get("proxies"):
            parts = urlsplit(str(request.url))
            with contextlib.suppress(socket.gaierror):
                self.reach.addresses(str(parts.hostname), parts.port or 0)
        return super().send(request, *arguments, **options)
