#!/usr/bin/env bash
# Trains on an NVIDIA GPU in the background and survives the end of the shell: training/gpu.sh DATA OUT MINUTES [PRESET]
# Run it again with the same OUT and MINUTES and it goes on where it was stopped. Progress: tail -f OUT/train.log
set -euo pipefail
data=$1 out=$2 minutes=$3 preset=${4:-edge}
cd "$(dirname "$0")/.."
mkdir -p "$out"
# The discriminator joins for the second half: a sharper picture, once there is one to sharpen.
setsid nohup python3 -m training.train --data "$data" --out "$out" --minutes "$minutes" --preset "$preset" \
    --device cuda --stage 128:128:0.25 --stage 256:64:1.0 --adversarial-weight 0.01 \
    >>"$out/train.log" 2>&1 </dev/null &
echo "started; tail -f $out/train.log"
