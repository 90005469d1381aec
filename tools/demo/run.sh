#!/usr/bin/env bash
# The whole product on a few seconds of rendered video: run.sh CORES. Results go to demo/.
set -euo pipefail
cd "$(dirname "$0")/../.."
cores=$1
here=$PWD
python="$here/.venv/bin/python"
export PATH="$here/.venv/bin:$PATH" PYTHONPATH="$here" PYTHONNOUSERSITE=1

echo "demo: 1/2  rendering videos of a moving body into demo/footage"
"$python" -m tools demo render demo/footage

echo "demo: 2/2  every stage on them, then a short training"
snakemake --directory demo --cores "$cores" --configfile tools/demo/config.yaml --quiet rules host reason

echo
echo "The demo is done. Look at:"
for result in demo/reports/index.html demo/shards demo/train/loss.png demo/train/sample.mp4 demo/train/sample.png; do
    [ -e "$result" ] || { echo "demo: $result is missing; see demo/logs" >&2; exit 1; }
    echo "  $result"
done
echo "Your own footage: write its folder into config.yaml and run"
echo "  source .venv/bin/activate && snakemake --cores $cores"
