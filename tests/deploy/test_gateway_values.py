"""dask-gateway's values, held to what its server understands."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from dask_gateway_server.backends.kubernetes.backend import KubeClusterConfig
from traitlets.config import Config

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "gateway"


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / "values.yaml").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def configured(values: dict[str, Any]) -> Config:
    """The server's configuration after the extra code of the chart ran."""
    settings = Config()
    for code in values["gateway"]["extraConfig"].values():
        exec(compile(code, "extraConfig", "exec"), {"c": settings})
    return settings


def test_the_options_that_a_map_asks_for_become_a_cluster(configured: Config) -> None:
    """What `sarmap --cluster gateway.yaml` sends is what the server's own classes accept."""
    asked = yaml.safe_load((FOLDER / "sarmap.yaml").read_text(encoding="utf-8"))["options"]
    options = configured.Backend.cluster_options
    given = options.parse_options(asked)
    made = options.get_configuration(given, SimpleNamespace(name="analyst"))
    cluster = KubeClusterConfig(**made)
    assert cluster.worker_cores == cluster.worker_cores_limit == 2
    assert cluster.worker_memory == cluster.worker_memory_limit == 4 * 2**30
    assert cluster.worker_threads == 8


@pytest.mark.parametrize("asked", [{"worker_cores": 99}, {"worker_memory": 1}, {"image": "other"}])
def test_what_is_out_of_bounds_is_refused(configured: Config, asked: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        configured.Backend.cluster_options.parse_options(asked)


def test_the_extra_settings_are_settings_of_the_server(configured: Config) -> None:
    for name in configured.ClusterConfig:
        assert name in KubeClusterConfig.class_trait_names(), name


def test_pod_settings_are_settings_of_the_server(values: dict[str, Any]) -> None:
    names = {"extraPodConfig": "extra_pod_config", "extraContainerConfig": "extra_container_config"}
    for role in ("scheduler", "worker"):
        for key in set(values["gateway"]["backend"][role]) & set(names):
            assert f"{role}_{names[key]}" in KubeClusterConfig.class_trait_names()


def test_secrets_are_named_never_given(values: dict[str, Any]) -> None:
    hub = values["gateway"]["auth"]["jupyterhub"]
    assert set(hub) == {"apiTokenFromSecretName", "apiTokenFromSecretKey"}
    (source,) = values["gateway"]["backend"]["worker"]["extraContainerConfig"]["envFrom"]
    assert set(source) == {"secretRef"}


def test_nothing_listens_to_the_outside(values: dict[str, Any]) -> None:
    """The chart's own default is a public load balancer."""
    assert values["traefik"]["service"]["type"] == "ClusterIP"
