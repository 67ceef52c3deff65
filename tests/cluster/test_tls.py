"""A scheduler that speaks TLS: with the right certificates, and a sentence for everything else."""

from __future__ import annotations

import datetime as dt
import ipaddress
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import sarmap
from sarmap.cluster.opening import open_client
from sarmap.errors import ClusterError, RequestError

Maker = Callable[..., sarmap.MapRequest]


class Authority:
    """A certificate authority made for a test, in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("test authority")
        own = self._certificate(self._name, self._key, authority=True)
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> tuple[Path, Path]:
        """Certificate and key of one part of a cluster."""
        key = ec.generate_private_key(ec.SECP256R1())
        cert = self.folder / f"{name}.pem"
        kept = self.folder / f"{name}-key.pem"
        signed = self._certificate(_name(name), key, authority=False)
        cert.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        kept.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return cert, kept

    def _certificate(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def secured(
    authority: Authority, processes: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Address of a scheduler with one worker, both of which speak TLS alone."""
    folder, port = tmp_path_factory.mktemp("secured"), processes.free_port()
    address = f"tls://127.0.0.1:{port}"
    with ExitStack() as stack:
        for name, words in (
            ("scheduler", ["--port", str(port)]),
            ("worker", [address, "--nthreads", "2"]),
        ):
            cert, key = authority.issue(name)
            tls = ["--tls-ca-file", authority.ca, "--tls-cert", cert, "--tls-key", key]
            command = ["dask", name, *words, *tls, "--host", "127.0.0.1", "--no-dashboard"]
            log = folder / f"{name}.log"
            stack.enter_context(
                processes.running(
                    [sys.executable, "-m", *map(str, command), "--protocol", "tls"],
                    lambda log=log: (
                        "Scheduler at" in log.read_text()  # type: ignore[misc]
                        or "Registered to" in log.read_text()
                    ),
                    log,
                    cwd=folder,
                )
            )
        yield address


@pytest.fixture
def cluster_file(tmp_path: Path) -> Callable[..., Path]:
    """A cluster's YAML file for an address, with certificates."""

    def write(address: str, authority: Authority | None, **changes: str) -> Path:
        fields: dict[str, Any] = {"type": "address", "address": address, "wait": 5}
        if authority is not None:
            cert, key = authority.issue("client")
            tls = {"ca_file": str(authority.ca), "cert": str(cert), "key": str(key)}
            fields["tls"] = tls | changes
        path = tmp_path / "cluster.yaml"
        path.write_text(yaml.safe_dump(fields))
        return path

    return write


def test_a_map_is_made_over_tls(
    secured: str,
    authority: Authority,
    cluster_file: Callable[..., Path],
    request_of: Maker,
    tmp_path: Path,
) -> None:
    alone = sarmap.map_landslides(request_of(out=str(tmp_path / "alone.zarr")))
    with open_client(cluster_file(secured, authority)) as client:
        assert client is not None
        workers = client.scheduler_info(n_workers=-1)["workers"]
        assert all(address.startswith("tls://") for address in workers)
        together = sarmap.map_landslides(request_of(), client)
    assert together.dataset.load().equals(alone.dataset.load())


def test_a_plain_client_is_told_what_may_be_missing(
    secured: str, cluster_file: Callable[..., Path]
) -> None:
    plain = secured.replace("tls://", "tcp://")
    with (
        pytest.raises(ClusterError, match=r"does not answer .* whether it wants tls://") as caught,
        open_client(cluster_file(plain, None)),
    ):
        pass
    assert "\n" not in str(caught.value)


def test_certificates_of_another_authority_open_nothing(
    secured: str, cluster_file: Callable[..., Path], tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "theirs")
    with (
        pytest.raises(ClusterError, match=r"does not answer .* check the certificates"),
        open_client(cluster_file(secured, stranger)),
    ):
        pass


def test_a_scheduler_without_tls_is_told_of(
    scheduler_here: Any, authority: Authority, cluster_file: Callable[..., Path]
) -> None:
    with scheduler_here(0) as address:
        asked = cluster_file(address.replace("tcp://", "tls://"), authority)
        with (
            pytest.raises(ClusterError, match=r"does not answer .* that the scheduler speaks TLS"),
            open_client(asked),
        ):
            pass


def test_tls_needs_certificates(secured: str) -> None:
    told = "needs certificates: give --cluster a YAML file"
    with pytest.raises(RequestError, match=told), open_client(secured):
        pass


def test_a_certificate_that_is_not_there_is_named_by_its_field(
    secured: str, authority: Authority, cluster_file: Callable[..., Path], tmp_path: Path
) -> None:
    asked = cluster_file(secured, authority, cert=str(tmp_path / "lost.pem"))
    told = r"file of tls\.cert is not there"
    with pytest.raises(RequestError, match=told) as caught, open_client(asked):
        pass
    assert str(tmp_path) not in str(caught.value)


def test_certificates_without_tls_in_the_address_are_a_mistake(
    secured: str, authority: Authority, cluster_file: Callable[..., Path]
) -> None:
    asked = cluster_file(secured.replace("tls://", "tcp://"), authority)
    with pytest.raises(RequestError, match="write it as tls://"), open_client(asked):
        pass


def test_what_is_no_certificate_is_told_of(
    secured: str, authority: Authority, cluster_file: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "text.pem").write_text("this is no certificate")
    asked = cluster_file(secured, authority, cert=str(tmp_path / "text.pem"))
    with pytest.raises(RequestError, match=r"certificates .* cannot be used"), open_client(asked):
        pass
