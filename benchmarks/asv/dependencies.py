"""Give asv's environment the libraries of another one: only sarmap itself is installed in it.

Run by `asv.conf.json` with asv's Python; `SARMAP_DEPENDENCIES` names the other's site-packages
(`benchmarks/compare.sh` sets it). Without it, sarmap's dependencies are installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path


def main() -> None:
    site = Path(sysconfig.get_path("purelib"))
    given = os.environ.get("SARMAP_DEPENDENCIES")
    if given:
        (site / "dependencies.pth").write_text(given + "\n", encoding="utf-8")
        return
    command = [sys.executable, "-m", "pip", "install", "-q", sys.argv[1], "psutil"]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
