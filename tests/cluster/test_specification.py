"""What `--cluster` may say, and one sentence for everything that it may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sarmap.cluster.specification import (
    Address,
    Coiled,
    Gateway,
    Jobs,
    Kubernetes,
    Local,
    Ssh,
    Threads,
    read_cluster,
)
from sarmap.errors import RequestError


def file(folder: Path, **fields: Any) -> Path:
    path = folder / "cluster.yaml"
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("spec", "kind", "fields"),
    [
        (None, Threads, {}),
        ("threads", Threads, {}),
        ("local", Local, {"workers": None}),
        ("local:4", Local, {"workers": 4, "dashboard": "127.0.0.1:8787"}),
        ("tcp://10.0.0.7:8786", Address, {"address": "tcp://10.0.0.7:8786"}),
        ("tls://scheduler.example.org:8786", Address, {"tls": None}),
        ("wss://hub.example.org/user/me/dask", Address, {}),
    ],
)
def test_a_word_or_an_address(spec: str | None, kind: type, fields: dict[str, Any]) -> None:
    cluster = read_cluster(spec)
    assert type(cluster) is kind
    for name, value in fields.items():
        assert getattr(cluster, name) == value


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Local, {"type": "local", "workers": 2, "threads": 8, "memory": "4GB"}),
        (Address, {"type": "address", "address": "tcp://h:1", "wait": 5}),
        (Gateway, {"type": "gateway", "address": "https://g", "auth": "jupyterhub", "workers": 2}),
        (Kubernetes, {"type": "kubernetes", "name": "maps", "options": {"image": "sarmap:1"}}),
        (Jobs, {"type": "slurm", "workers": 4, "options": {"queue": "cpu", "cores": 8}}),
        (Jobs, {"type": "pbs", "adapt": {"maximum": 20}}),
        (Coiled, {"type": "coiled", "workers": 10, "options": {"region": "eu-central-1"}}),
        (Ssh, {"type": "ssh", "hosts": ["a", "b", "c"]}),
    ],
)
def test_a_file_of_each_type(tmp_path: Path, kind: type, fields: dict[str, Any]) -> None:
    cluster = read_cluster(file(tmp_path, **fields))
    assert type(cluster) is kind
    for name, value in fields.items():
        kept = getattr(cluster, name)
        kept = list(kept) if isinstance(kept, tuple) else kept
        assert (kept.model_dump(exclude_defaults=True) if name == "adapt" else kept) == value


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cloud", "none of threads, local"),
        ("local:none", "needs a number"),
        ("local:0", "needs a number"),
        ("http://scheduler", "tcp://host:8786"),
        ("tcp://user:secret@host:8786", "without user or password"),
        ("nowhere.yaml", "cannot be read: No such file"),
    ],
)
def test_a_word_that_says_nothing(spec: str, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        read_cluster(spec)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"workers": 2}, "must say which type"),
        ({"type": "mesos"}, "has an unknown type: use threads"),
        ({"type": "slurm", "queue": "cpu"}, "does not know 'slurm.queue'|does not know 'queue'"),
        ({"type": "local", "workers": 0}, "wrong at workers: input should be greater than 0"),
        ({"type": "address"}, "lacks address"),
        ({"type": "address", "address": "tcp://h:1", "tls": {"cert": "c"}}, "lacks tls.ca_file"),
        ({"type": "pbs", "workers": 1, "adapt": {"maximum": 2}}, "give workers or adapt, not both"),
        ({"type": "pbs", "adapt": {"minimum": 3, "maximum": 2}}, "minimum must not exceed maximum"),
        ({"type": "kubernetes", "existing": True}, "needs the name of the DaskCluster"),
        ({"type": "ssh", "hosts": ["one"]}, "wrong at hosts"),
    ],
)
def test_a_file_that_is_wrong_names_the_field(
    tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        read_cluster(file(tmp_path, **fields))
    assert "cluster.yaml" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_a_file_that_is_no_yaml_says_where(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text("type: [local\n", encoding="utf-8")
    with pytest.raises(RequestError, match=r"not valid YAML at line 2"):
        read_cluster(path)


def test_what_goes_to_a_library_is_not_repeated_in_messages() -> None:
    """Options may hold a password."""
    assert "secret" not in repr(Jobs(type="slurm", options={"account": "secret"}))
