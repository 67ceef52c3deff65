"""Small objects: the same on a disk, in memory and in a bucket."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import boto3
import pytest

from sarmap.store import objects
from sarmap.store.location import store_at


@pytest.fixture(params=["disk", "memory", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    name = f"objects-{uuid.uuid4().hex[:8]}"
    if request.param == "bucket":
        request.getfixturevalue("s3")
        boto3.client("s3").create_bucket(Bucket=name)
    return store_at(
        {"disk": tmp_path / "a", "memory": f"memory://{name}"}.get(request.param, f"s3://{name}/a")
    )


def test_what_was_put_is_found_and_what_was_not_is_none(store: Any, tmp_path: Path) -> None:
    (tmp_path / "long.bin").write_bytes(bytes(range(256)) * 99)
    assert not objects.holds(store)
    objects.put(store, "b/one", b"1")
    objects.put_new(store, "b/one", b"2")
    objects.put_file(store, "b/long.bin", tmp_path / "long.bin")
    assert objects.get(store, "b/one") == b"1"
    assert objects.get(store, "b/none") is None
    assert objects.get_many(store, ["b/none", "b/long.bin"]) == {
        "b/long.bin": (tmp_path / "long.bin").read_bytes()
    }
    assert objects.exists(store, "b/one")
    assert not objects.exists(store, "b/none")
    assert sorted(objects.names_in(store, "b")) == ["long.bin", "one"]


def test_a_store_is_emptied_one_object_last(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("record.json", *(f"c/{number}" for number in range(12))):
        objects.put(store, key, b"1")
    objects.delete(store, ["c/0", "c/1"])
    assert len(objects.names_in(store, "c")) == 10
    with monkeypatch.context() as patch:
        patch.setattr(objects, "delete_folder", lambda *_: None)  # killed before the end
        objects.clear(store, last="record.json")
    assert objects.holds(store)
    assert not objects.holds(store, besides="record.json")
    objects.clear(store, last="record.json")
    assert not objects.holds(store)
