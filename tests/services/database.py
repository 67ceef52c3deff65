"""PostgreSQL with PostGIS, in a folder of its own, by a user who is not root."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

REMEDY = "apt-get install postgresql postgresql-15-postgis-3, or set PATH to its programs"
OWNER = "postgres"
"""Who owns the server where root runs the tests; root may not start one. Debian makes this user."""


@dataclass(frozen=True)
class Database:
    """A database that accepts connections on loopback."""

    port: int
    user: str
    password: str
    name: str

    @property
    def environment(self) -> dict[str, str]:
        """What libpq, pypgstac and stac-fastapi read it from."""
        return {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": self.name,
        }


@contextmanager
def start_database(processes: ModuleType) -> Iterator[Database]:
    """A new, empty database until the block ends. Nothing in it is kept."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    initdb = processes.find_program("initdb", REMEDY, beside=programs)
    owner = _owner(processes)
    folder = Path(tempfile.mkdtemp(prefix="sarmap-postgres-"))
    try:
        if owner:
            shutil.chown(folder, owner, owner)
        database = Database(processes.free_port(), "sarmap", secrets.token_hex(16), "stac")
        _initialise(initdb, folder, database, owner)
        with processes.running(
            _server_command(Path(initdb).with_name("postgres"), folder, database),
            lambda: _accepts(Path(initdb).with_name("pg_isready"), database),
            folder / "server.log",
            user=owner,
            cwd=folder,
            stop=signal.SIGINT,  # PostgreSQL's fast shutdown
        ):
            _create(processes, Path(initdb).with_name("psql"), database)
            yield database
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _owner(processes: ModuleType) -> str | None:
    import pwd

    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(OWNER).pw_name
    except KeyError:
        processes.absent(f"the user {OWNER}", REMEDY)
        raise


def _initialise(initdb: str, folder: Path, database: Database, owner: str | None) -> None:
    import pwd

    secret = folder / "password"
    secret.write_text(database.password, encoding="ascii")
    secret.chmod(0o600)
    if owner:
        shutil.chown(secret, owner, owner)
    options = {
        "pgdata": folder / "data",
        "username": database.user,
        "auth": "scram-sha-256",
        "pwfile": secret,
        "encoding": "UTF8",
        "locale": "C",
    }
    subprocess.run(
        [initdb, "--no-sync", *(f"--{name}={value}" for name, value in options.items())],
        check=True,
        capture_output=True,
        user=owner,
        group=pwd.getpwnam(owner).pw_gid if owner else None,
        extra_groups=[] if owner else None,
        cwd=folder,
    )
    secret.unlink()


def _server_command(program: Path, folder: Path, database: Database) -> list[str]:
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(database.port),
        "unix_socket_directories": str(folder),
        "fsync": "off",  # a test's database may be lost
        "full_page_writes": "off",
        "jit": "off",
    }
    options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    return [str(program), "-D", str(folder / "data"), *options]


def _accepts(pg_isready: Path, database: Database) -> bool:
    """True once the server answers queries; it listens before."""
    command = [str(pg_isready), "-q", "-h", "127.0.0.1", "-p", str(database.port)]
    return subprocess.run(command, check=False).returncode == 0


def _create(processes: ModuleType, psql: Path, database: Database) -> None:
    def ask(name: str, statement: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(psql), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement],
            env={**os.environ, **database.environment, "PGDATABASE": name},
            capture_output=True,
            text=True,
            check=False,
        )

    made = ask("postgres", f"create database {database.name}")
    assert made.returncode == 0, made.stderr
    if ask(database.name, "create extension postgis").returncode:
        processes.absent("PostGIS", REMEDY)
