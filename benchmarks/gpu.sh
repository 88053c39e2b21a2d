#!/usr/bin/env bash
# The figures of a GPU, in one command and at most eight minutes: the tests marked `gpu`, `affetto bench` on the paper's
# shapes, EMOVO with every method, the paper's 216 runs reckoned from measured steps. Needs a checkout, PyTorch with CUDA
# and the packages that affetto depends on; no network. What is not there is skipped, and the tables say so.
#   benchmarks/gpu.sh --emovo EMOVO --model whisper-base        folders of the corpus and of a checkpoint
#   benchmarks/gpu.sh --device cpu --tiny --minutes 5           try the script itself, on any machine
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
export PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
export TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE="${HF_HUB_OFFLINE:-1}"
exec "$PYTHON" benchmarks/gpu.py "$@"
