"""Manifests for the Dask operator, held to the CRD schemas that `dask-kubernetes` ships."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sarmap.cluster.specification import read_cluster
from sarmap.request_file import make_request, read_request_file

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
MANIFESTS = ("cluster/cluster.yaml", "cluster/autoscaler.yaml", "job/job.yaml")


@pytest.fixture(scope="module")
def schemas() -> dict[str, dict[str, Any]]:
    """OpenAPI schema of each kind of resource."""
    spec = find_spec("dask_kubernetes")
    assert spec is not None
    assert spec.origin is not None
    found = {}
    for path in (Path(spec.origin).parent / "operator" / "deployment").rglob("crds/*.yaml"):
        definition = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]
        (version,) = definition["versions"]
        found[definition["names"]["kind"]] = version["schema"]["openAPIV3Schema"]
    assert {"DaskCluster", "DaskJob", "DaskAutoscaler"} <= set(found)
    return found


def _loosened(schema: Any) -> Any:
    """Kubernetes' `int-or-string` in words of JSON Schema."""
    if isinstance(schema, dict):
        changed = {key: _loosened(value) for key, value in schema.items()}
        if changed.pop("x-kubernetes-int-or-string", False):
            changed = {"type": ["integer", "string"]}
        return changed
    return [_loosened(one) for one in schema] if isinstance(schema, list) else schema


def _unknown(value: Any, schema: dict[str, Any], place: str = "") -> Iterator[str]:
    """Fields that a structural schema does not know: Kubernetes would drop them in silence."""
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from _unknown(one, schema.get("items", {}), f"{place}[{number}]")
    if not isinstance(value, dict) or schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name, inner in value.items():
        if name in known:
            yield from _unknown(inner, known[name], f"{place}.{name}")
        elif not others:
            yield f"{place}.{name}"


def _faults(manifest: dict[str, Any], schemas: dict[str, dict[str, Any]]) -> list[str]:
    schema = schemas[manifest["kind"]]
    wrong = jsonschema.Draft202012Validator(_loosened(schema)).iter_errors(manifest)
    body = {name: value for name, value in manifest.items() if name in schema["properties"]}
    return [error.message for error in wrong] + list(_unknown(body, schema))


@pytest.fixture(params=MANIFESTS)
def manifest(request: pytest.FixtureRequest) -> dict[str, Any]:
    text = (FOLDER / request.param).read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def test_a_manifest_is_what_its_definition_allows(
    manifest: dict[str, Any], schemas: dict[str, dict[str, Any]]
) -> None:
    assert manifest["apiVersion"] == "kubernetes.dask.org/v1"
    assert _faults(manifest, schemas) == []


def test_the_check_itself_finds_a_wrong_type_and_an_unknown_field(
    schemas: dict[str, dict[str, Any]],
) -> None:
    cluster = yaml.safe_load((FOLDER / MANIFESTS[0]).read_text(encoding="utf-8"))
    wrong = copy.deepcopy(cluster)
    wrong["spec"]["worker"]["replicas"] = "two"
    assert any("'two'" in fault for fault in _faults(wrong, schemas))
    misspelt = copy.deepcopy(cluster)
    misspelt["spec"]["worker"]["spec"]["containers"][0]["resource"] = {}
    assert _faults(misspelt, schemas) == [".spec.worker.spec.containers[0].resource"]
    lacking = copy.deepcopy(cluster)
    del lacking["spec"]["scheduler"]["service"]
    assert any("'service'" in fault for fault in _faults(lacking, schemas))


def _pods(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every pod that a manifest asks for."""
    spec = manifest["spec"]
    if "job" in spec:
        yield spec["job"]["spec"]
        spec = spec["cluster"]["spec"]
    for role in ("scheduler", "worker"):
        if role in spec:
            yield spec[role]["spec"]


def test_pods_are_not_root_may_not_become_it_and_hold_no_secret(manifest: dict[str, Any]) -> None:
    for pod in _pods(manifest):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        mounted = {mount["name"] for one in pod["containers"] for mount in one["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["resources"]["limits"]["memory"]
            assert "env" not in container
            assert all("secretRef" in source for source in container.get("envFrom", ()))


def test_the_service_finds_the_scheduler_of_its_cluster(manifest: dict[str, Any]) -> None:
    name, spec = manifest["metadata"]["name"], manifest["spec"]
    if manifest["kind"] == "DaskAutoscaler":
        cluster = yaml.safe_load((FOLDER / MANIFESTS[0]).read_text(encoding="utf-8"))
        assert spec["cluster"] == cluster["metadata"]["name"]
        assert spec["minimum"] <= cluster["spec"]["worker"]["replicas"] <= spec["maximum"]
        return
    scheduler = spec.get("cluster", manifest)["spec"]["scheduler"]
    assert scheduler["service"]["type"] == "ClusterIP"
    assert scheduler["service"]["selector"]["dask.org/cluster-name"] == name
    ports = {port["name"] for port in scheduler["spec"]["containers"][0]["ports"]}
    assert {port["targetPort"] for port in scheduler["service"]["ports"]} == ports


@pytest.fixture
def job() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / "job" / "job.yaml").read_text())
    return loaded


def test_the_job_maps_a_request_that_sarmap_accepts(job: dict[str, Any]) -> None:
    pod = job["spec"]["job"]["spec"]
    (script,) = pod["containers"][0]["args"][2:]
    (words,) = (line.split() for line in script.splitlines() if "sarmap map" in line)
    settings = yaml.safe_load((FOLDER / "job" / "kustomization.yaml").read_text(encoding="utf-8"))
    (generated,) = settings["configMapGenerator"]
    assert generated["name"] in {v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v}
    mounted = [Path(word).name for word in words if word.startswith("/request/")]
    assert mounted == generated["files"]
    request = make_request(read_request_file(FOLDER / "job" / mounted[0]))
    assert str(request.out).startswith("s3://")


def test_the_job_looks_for_the_scheduler_where_the_operator_puts_it(job: dict[str, Any]) -> None:
    from dask_kubernetes.operator.controller.controller import SCHEDULER_NAME_TEMPLATE

    host = SCHEDULER_NAME_TEMPLATE.format(cluster_name=job["metadata"]["name"])
    (port,) = (
        one["port"]
        for one in job["spec"]["cluster"]["spec"]["scheduler"]["service"]["ports"]
        if one["name"] == "tcp-comm"
    )
    cluster = read_cluster(FOLDER / "job" / "cluster.yaml")
    assert (cluster.type, cluster.address) == ("address", f"tcp://{host}:{port}")


def test_the_command_that_shows_the_log_finds_the_pod_of_the_job(job: dict[str, Any]) -> None:
    from dask_kubernetes.operator.controller.controller import build_job_pod_spec

    pod = build_job_pod_spec(
        job_name="sarmap-map",
        cluster_name="sarmap-map",
        namespace="sarmap",
        spec=job["spec"]["job"]["spec"],
        annotations={},
        labels={},
    )
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    (label, value) = re.search(r"--selector (\S+)=(\S+)", text).groups()  # type: ignore[union-attr]
    assert pod["metadata"]["labels"][label] == value


@pytest.mark.parametrize(
    ("answers", "tries", "code"),
    [
        ("0", 1, 0),  # done
        ("2", 1, 2),  # the request is wrong
        ("3 0", 2, 0),  # some pixels were not read, and then they were
        ("1 137 0", 3, 0),  # broke off
        ("1 1 1 1 1 1", 5, 1),  # never
    ],
)
def test_the_job_tries_again_what_a_second_try_may_mend(
    answers: str, tries: int, code: int, job: dict[str, Any], tmp_path: Path
) -> None:
    """The job's own script, with a command in sarmap's place that leaves with these codes."""
    command = tmp_path / "sarmap"
    command.write_text(
        f"#!/bin/sh\nset -- {answers}\necho once >> {tmp_path}/calls\n"
        f"shift $(($(wc -l < {tmp_path}/calls) - 1))\nexit $1\n"
    )
    command.chmod(0o755)
    words = job["spec"]["job"]["spec"]["containers"][0]["args"]
    path = f"{tmp_path}:/usr/bin:/bin"
    done = subprocess.run(words, env={"PATH": path, "PAUSE": "0"}, check=False)
    assert done.returncode == code
    assert len((tmp_path / "calls").read_text().splitlines()) == tries


@pytest.mark.parametrize("name", ["cluster", "job"])
def test_kustomize_fills_in_the_image_everywhere(name: str, tmp_path: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed here")
    folder = shutil.copytree(FOLDER / name, tmp_path / name)
    settings = folder / "kustomization.yaml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(
        text.replace("newName: sarmap ", "newName: mine/sarmap ").replace(
            "newTag: cpu", "newTag: v7"
        ),
        encoding="utf-8",
    )
    made = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, check=True)
    resources = list(yaml.safe_load_all(made.stdout))
    assert {one["metadata"]["namespace"] for one in resources} == {"sarmap"}
    pods = [pod for one in resources if "spec" in one for pod in _pods(one)]
    images = {container["image"] for pod in pods for container in pod["containers"]}
    assert images == {"mine/sarmap:v7"}
