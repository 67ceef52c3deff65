"""Where a result stands, and what stands there already."""

from pathlib import Path

import pytest

from sarmap.store.location import begun_store


def test_a_folder_that_goes_while_it_is_looked_at_is_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "map.zarr"
    folder.mkdir()

    def gone(self: Path) -> None:
        raise FileNotFoundError(self)

    monkeypatch.setattr(Path, "iterdir", gone)
    assert begun_store(folder) is None
