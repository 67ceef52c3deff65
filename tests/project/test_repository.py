"""What stands beside the package: workflows, issue forms, hooks, citation, and no stray address."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import sarmap

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCHEMAS = {
    "github-workflows": [f".github/workflows/{path.name}" for path in WORKFLOWS],
    "github-issue-forms": [
        ".github/ISSUE_TEMPLATE/wrong.yml",
        ".github/ISSUE_TEMPLATE/wish.yml",
    ],
    "github-issue-config": [".github/ISSUE_TEMPLATE/config.yml"],
    "dependabot": [".github/dependabot.yml"],
    "citation-file-format": ["CITATION.cff"],
}
ADDRESSES = re.compile(
    r"\b(ghcr|gcr|quay|docker|registry\.k8s|mcr\.microsoft|nvcr)\.(io|com)/"
    r"|\bpypi\.org/simple|files\.pythonhosted\.org|--(extra-)?index-url|PIP_INDEX_URL",
    re.IGNORECASE,
)


def _load(path: str | Path) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize(
    ("schema", "path"), [(schema, path) for schema, paths in SCHEMAS.items() for path in paths]
)
def test_a_file_is_what_its_reader_allows(schema: str, path: str) -> None:
    """The schemas are those that check-jsonschema carries with it."""
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    done = subprocess.run(
        [*check, "--force-filetype", "yaml", str(ROOT / path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_supported_python_is_tested_with_the_oldest_and_the_newest() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    prefix = "Programming Language :: Python :: "
    claimed = [name.removeprefix(prefix) for name in project["classifiers"] if prefix in name]
    matrix = _load(".github/workflows/tests.yml")["jobs"]["dependencies"]["strategy"]["matrix"]
    assert matrix["python"] == claimed
    assert matrix["resolution"] == ["lowest-direct", "highest"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_do_no_more_than_it_must(path: Path) -> None:
    """Read-only unless a job says why; no text of a pull request becomes a command."""
    workflow = _load(path)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert "${{" not in step.get("run", ""), step["run"]


def test_a_release_holds_no_password() -> None:
    workflow = _load(".github/workflows/release.yml")
    publish = workflow["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"] == "release"
    assert "secrets." not in (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")
    assert all("password" not in step.get("with", {}) for step in publish["steps"])


def test_hooks_run_tools_of_the_test_environment() -> None:
    hooks = [hook for repo in _load(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}
    for hook in hooks:
        program = hook["entry"].split()[0]
        assert shutil.which(program, path=sysconfig.get_path("scripts")), program


def test_the_version_is_the_same_wherever_it_stands() -> None:
    assert _load("CITATION.cff")["version"] == sarmap.__version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first = re.search(r"^## (\S+) \((unreleased|\d{4}-\d{2}-\d{2})\)$", changes, re.MULTILINE)
    assert first is not None
    assert first.group(1) == sarmap.__version__


PAGES = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "deploy").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_leads_to_files_that_are_there(page: Path) -> None:
    named = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [path for path in named if not (page.parent / path).exists()] == []


def test_every_way_to_deploy_says_when_what_it_costs_and_how_to_end_it() -> None:
    table = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| \[[^]]+\]\(([^)]+)\) \|", table)
    ways = [ROOT / "deploy" / path for path in rows if not path.startswith("..")]
    assert len(ways) == 7
    for page in ways:
        text = page.read_text(encoding="utf-8")
        for heading in ("**When:**", "**What it costs:**", "**Taking it down:**"):
            assert heading in text, f"{page}: {heading}"


def test_no_tracked_file_names_a_registry_or_a_package_index() -> None:
    """Whoever builds or deploys says where from; the project does not."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False, text=True
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")
    found = []
    for name in filter(None, tracked.stdout.split("\0")):
        path = ROOT / name
        if path == Path(__file__) or not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{name}: {match.group()}" for match in ADDRESSES.finditer(text)]
    assert found == []
