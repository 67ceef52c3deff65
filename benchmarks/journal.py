"""What has been measured so far, one line per process: an interrupted run goes on where it was."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Journal"]


@dataclass
class Journal:
    """Results of one benchmark by configuration and repeat, appended as they come."""

    path: Path
    """The file."""
    tree: str
    """Digest of the measured code: results of other code are left out."""
    done: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    """(key of the configuration, number of the repeat) -> what the task returned."""

    @classmethod
    def open(cls, path: Path, tree: str, *, fresh: bool = False) -> Journal:
        """The journal at a path; `fresh` begins anew."""
        if fresh:
            path.unlink(missing_ok=True)
        journal = cls(path, tree)
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                if entry["tree"] == tree:
                    journal.done[(entry["key"], entry["repeat"])] = entry["result"]
        return journal

    def add(self, key: str, repeat: int, result: dict[str, Any]) -> None:
        """Keep one result, at once."""
        self.done[(key, repeat)] = result
        entry = {"tree": self.tree, "key": key, "repeat": repeat, "result": result}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def results(self, key: str, repeats: int) -> list[dict[str, Any]]:
        """The results of a configuration, by repeat."""
        found = (self.done.get((key, repeat)) for repeat in range(repeats))
        return [result for result in found if result is not None]

    def forget(self) -> None:
        """Remove the journal and the answers kept beside it."""
        for path in (self.path, *self.path.parent.glob(f"{self.path.stem}-*.npz")):
            path.unlink(missing_ok=True)
