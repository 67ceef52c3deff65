#!/usr/bin/env bash
# Compare two revisions: asv's small benchmarks of both, and the quick chunking table of the newer.
# Usage: benchmarks/compare.sh BASE HEAD [FOLDER]; ends with 1 where something became slower by a
# quarter or more, or where answers differ. Run it in an environment with `pip install '.[test,bench]'`.
set -euo pipefail
base=${1:?give the older revision}
head=${2:?give the newer revision}
out=${3:-benchmarks/results/compare}
cd "$(dirname "$0")/.."
mkdir -p "$out"

# Only sarmap is installed anew for each revision; its dependencies are this environment's.
SARMAP_DEPENDENCIES=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
export SARMAP_DEPENDENCIES
python -m asv machine --yes --machine compare > "$out/machine.txt"

failed=0
python -m asv continuous --machine compare --factor 1.25 --split --interleave-rounds \
  "$base" "$head" | tee "$out/asv.txt" || failed=1
python -m benchmarks chunking --quick --fresh --out "$out" > "$out/chunking.txt" || failed=1

{
  echo "## Benchmarks: $(git rev-parse --short "$base") against $(git rev-parse --short "$head")"
  echo
  grep '^|' "$out/asv.txt" || echo "Nothing changed by a quarter or more."
  echo
  echo '<details><summary>All small benchmarks</summary>'
  echo
  echo '```'
  grep -v '^\[\|^|' "$out/asv.txt" || true
  echo '```'
  echo '</details>'
  echo
  cat "$out/chunking.md"
} > "$out/summary.md"
exit "$failed"
