"""Two addresses of this machine, one of them a catalogue's own, and names that lead to either."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import dask
import pytest

HOME, ELSEWHERE = "127.0.0.1", "127.0.0.2"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Waits are short, and no test remembers another's failures or names."""
    from sarmap.acquire import reader
    from sarmap.net import patience, reach, remote

    monkeypatch.setattr(reader, "_failures", reader._Failures())
    monkeypatch.setattr(remote, "_blocks", remote._no_blocks())
    monkeypatch.setattr(patience, "_held", {})
    reach._lookup.cache_clear()
    with dask.config.set({"sarmap.reads.backoff": 0.001, "sarmap.reads.stall": 1}):
        yield
    reach._lookup.cache_clear()


class Listener:
    """A socket that counts who knocks."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket()
        self.socket.bind((address, 0))
        self.socket.listen(16)
        self.socket.setblocking(False)
        self.address = address
        self.port = int(self.socket.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}/"

    @property
    def knocks(self) -> int:
        """Connections made since the last time this was asked."""
        count = 0
        while True:
            try:
                self.socket.accept()[0].close()
            except BlockingIOError:
                return count
            count += 1


@pytest.fixture
def elsewhere(socket_enabled: None) -> Iterator[Listener]:
    """A server on an address of this machine that is not the catalogue's."""
    listener = Listener(ELSEWHERE)
    yield listener
    listener.socket.close()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`names(host, address, ...)`: have a name resolve, to one address after the other."""
    known: dict[str, list[str]] = {}
    resolve = socket.getaddrinfo

    def answer(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        text = host.decode() if isinstance(host, bytes) else host
        if text not in known:
            return resolve(host, port, *arguments, **options)
        addresses = known[text]
        address = addresses.pop(0) if len(addresses) > 1 else addresses[0]
        return resolve(address, port, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", answer)

    def define(host: str, *addresses: str) -> None:
        known[host] = list(addresses)

    return define


@pytest.fixture(scope="session")
def fuzz_targets(load_helper: Callable[[str, str], ModuleType]) -> ModuleType:
    return load_helper("safety", "fuzz_targets")
