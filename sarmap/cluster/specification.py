"""What `--cluster` may say: a word, a scheduler's address, or a YAML file, checked before use.

==============================  ====================================================================
``threads``                     threads of this process (the default)
``local`` or ``local:4``        worker processes on this machine
``tcp://host:8786``             a running scheduler
``tls://host:8786``             the same with certificates, from Dask's own configuration
``cluster.yaml``                any of these and more, by ``type``: see the classes below
==============================  ====================================================================

A file holds what sarmap itself must know (how many workers, how long to wait, certificates) and
``options``, which go to the library's own constructor as they are, under the names of its
documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from sarmap.errors import RequestError
from sarmap.request_file import read_text, read_yaml

SCHEMES = ("tcp", "tls", "ucx", "ws", "wss")
"""What a scheduler's address may begin with."""


class _Checked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Tls(_Checked):
    """Certificates for a `tls://` scheduler: files in PEM, on the client's machine."""

    ca_file: str = Field(description="certificate of the authority that signed the others")
    cert: str = Field(description="this client's certificate")
    key: str | None = Field(default=None, description="its private key; None: it is in `cert`")

    def missing(self) -> str | None:
        """The first field whose file is not there."""
        for name in ("ca_file", "cert", "key"):
            value = getattr(self, name)
            if value is not None and not Path(value).expanduser().is_file():
                return name
        return None


class Adapt(_Checked):
    """Workers started and stopped with the work."""

    minimum: NonNegativeInt = 0
    maximum: PositiveInt

    @model_validator(mode="after")
    def _ordered(self) -> Adapt:
        if self.minimum > self.maximum:
            raise ValueError("minimum must not exceed maximum")
        return self


class _Remote(_Checked):
    """What every cluster beyond this machine's own has."""

    wait: float = Field(default=120.0, gt=0, description="seconds to wait for the first worker")


class _Scaled(_Remote):
    """A cluster that sarmap starts and stops."""

    workers: PositiveInt | None = Field(
        default=None, description="how many; None: the library's default"
    )
    adapt: Adapt | None = Field(
        default=None, description="instead of `workers`: between two numbers"
    )
    options: dict[str, Any] = Field(
        default={}, repr=False, description="arguments of the library's own constructor"
    )

    @model_validator(mode="after")
    def _one_size(self) -> _Scaled:
        if self.workers is not None and self.adapt is not None:
            raise ValueError("give workers or adapt, not both")
        return self


class Threads(_Checked):
    """Threads of this process: no cluster."""

    type: Literal["threads"] = "threads"


class Local(_Checked):
    """Worker processes on this machine."""

    type: Literal["local"] = "local"
    workers: PositiveInt | None = Field(default=None, description="processes; None: from the cores")
    threads: PositiveInt | None = Field(
        default=None, description="threads of each; None: many, since reads wait"
    )
    memory: str | None = Field(default=None, description="of each worker; None: an equal share")
    dashboard: str | None = Field(
        default="127.0.0.1:8787", description="where the dashboard listens; null: none"
    )


class Address(_Remote):
    """A scheduler that runs already; it is left running."""

    type: Literal["address"] = "address"
    address: str = Field(pattern=f"^({'|'.join(SCHEMES)})://[^/@\\s]+(/[^@\\s]*)?$")
    tls: Tls | None = Field(default=None, description="None: what Dask's own configuration says")
    wait: float = Field(
        default=30.0,
        gt=0,
        description="seconds to wait for the scheduler, and then for the first worker",
    )


class Gateway(_Scaled):
    """dask-gateway: `options` are the cluster options of its server."""

    type: Literal["gateway"]
    address: str | None = Field(
        default=None, description="of the gateway; None: Dask's configuration"
    )
    proxy_address: str | None = None
    auth: Literal["basic", "kerberos", "jupyterhub"] | None = None
    name: str | None = Field(
        default=None, description="a cluster that runs already; it is left running"
    )


class Kubernetes(_Scaled):
    """The Dask operator: `options` are those of `dask_kubernetes.operator.KubeCluster`."""

    type: Literal["kubernetes"]
    name: str | None = Field(default=None, description="of the DaskCluster")
    namespace: str | None = None
    existing: bool = Field(default=False, description="`name` runs already; it is left running")
    manifest: str | None = Field(default=None, description="YAML file of a DaskCluster to create")

    @model_validator(mode="after")
    def _named(self) -> Kubernetes:
        if self.existing and self.name is None:
            raise ValueError("existing: true needs the name of the DaskCluster")
        if self.existing and (self.manifest or self.options):
            raise ValueError("a cluster that exists takes neither manifest nor options")
        return self


class Jobs(_Scaled):
    """Batch jobs: `options` are those of `dask_jobqueue.SLURMCluster` or `PBSCluster`."""

    type: Literal["slurm", "pbs"]


class Coiled(_Scaled):
    """Coiled: `options` are those of `coiled.Cluster`."""

    type: Literal["coiled"]
    name: str | None = None


class Ssh(_Remote):
    """Machines reached by SSH: `options` are those of `distributed.SSHCluster`."""

    type: Literal["ssh"]
    hosts: tuple[str, ...] = Field(
        min_length=2, description="the first runs the scheduler, each other one a worker"
    )
    options: dict[str, Any] = Field(default={}, repr=False)


Cluster = Annotated[
    Threads | Local | Address | Gateway | Kubernetes | Jobs | Coiled | Ssh,
    Field(discriminator="type"),
]
_CLUSTER: TypeAdapter[Any] = TypeAdapter(Cluster)
TYPES = ("threads", "local", "address", "gateway", "kubernetes", "slurm", "pbs", "coiled", "ssh")


def read_cluster(spec: str | Path | None) -> Any:
    """What `--cluster` says, checked, as one of the classes of this module; a RequestError names
    the word, or the field of the file, that is wrong.

    >>> read_cluster("local:3")
    Local(type='local', workers=3, threads=None, memory=None, dashboard='127.0.0.1:8787')
    >>> read_cluster("tcp://10.0.0.7:8786").address
    'tcp://10.0.0.7:8786'
    >>> read_cluster(None)
    Threads(type='threads')
    """
    text = "threads" if spec is None else str(spec).strip()
    word, _, count = text.partition(":")
    if text == "threads":
        return Threads()
    if "://" in text:
        return _address(text)
    if word == "local":
        return _local(text, count)
    if Path(text).suffix.lower() in (".yaml", ".yml"):
        return _checked(_read(Path(text).expanduser()), Path(text).name)
    raise RequestError(
        f"--cluster {text!r} is none of threads, local, local:N, a scheduler's address "
        "(tcp://host:port, tls://host:port) or a .yaml file."
    )


def _local(text: str, count: str) -> Local:
    if text == "local":
        return Local()
    if not count.isdecimal() or int(count) < 1:
        raise RequestError(
            f"--cluster {text!r} needs a number of worker processes after the colon: local:4."
        )
    return Local(workers=int(count))


def _address(text: str) -> Address:
    try:
        return Address(address=text)
    except ValidationError:
        raise RequestError(
            "--cluster was given an address that is no scheduler's: write it like "
            f"tcp://host:8786, beginning with {', '.join(SCHEMES)}, without user or password."
        ) from None


def _read(file: Path) -> Mapping[str, Any]:
    fields = read_yaml(read_text(file, "Cluster file"), f"Cluster file {file.name}")
    if not isinstance(fields, Mapping) or "type" not in fields:
        raise RequestError(
            f"Cluster file {file.name} must say which type it is of: type: {' | '.join(TYPES)}."
        )
    return fields


def _checked(fields: Mapping[str, Any], name: str) -> Any:
    try:
        return _CLUSTER.validate_python(dict(fields))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
    if fault["type"] == "union_tag_invalid":
        raise RequestError(f"Cluster file {name} has an unknown type: use {', '.join(TYPES)}.")
    where = ".".join(str(part) for part in fault["loc"][1:])
    about = f" at {where}" if where else ""
    if fault["type"] == "missing":
        raise RequestError(f"Cluster file {name} lacks {where}.")
    if fault["type"] == "extra_forbidden":
        raise RequestError(
            f"Cluster file {name} does not know {where!r}; what belongs to the library's own "
            "constructor goes below `options`."
        )
    message = fault["msg"].removeprefix("Value error, ")
    raise RequestError(f"Cluster file {name} is wrong{about}: {message[0].lower()}{message[1:]}.")
