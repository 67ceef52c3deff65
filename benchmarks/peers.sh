#!/usr/bin/env bash
# An environment of its own for `python -m benchmarks peers`: PyTorch for the CPU, and MONAI alone.
set -euo pipefail
folder=${1:?give the folder of the new environment}
python3 -m venv "$folder"
"$folder/bin/pip" install -q 'torch==2.13.0' numpy
"$folder/bin/pip" install -q --no-deps monai
"$folder/bin/python" -c 'import monai.inferers, torch; print("torch", torch.__version__)'
