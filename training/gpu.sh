#!/usr/bin/env bash
# Trains on an NVIDIA GPU in the background and survives the end of the shell.
#   training/gpu.sh DATA OUT MINUTES                       the generator
#   training/gpu.sh DATA OUT MINUTES --preset base         another preset
#   training/gpu.sh DATA OUT MINUTES --upsampler WEIGHTS   the upsampling network behind these generator weights
# Run it again with the same arguments and it goes on where it was stopped. Progress: tail -f OUT/train.log
set -euo pipefail
data=$1 out=$2 minutes=$3
shift 3
cd "$(dirname "$0")/.."
mkdir -p "$out"
if [[ " $* " == *" --upsampler "* ]]; then
    set -- "$@" --stage 256:64:1.0
else
    # The discriminator joins for the second half: a sharper picture, once there is one to sharpen.
    set -- "$@" --stage 128:128:0.25 --stage 256:64:1.0 --adversarial-weight 0.01
fi
setsid nohup python3 -m training.train --data "$data" --out "$out" --minutes "$minutes" --device cuda "$@" \
    >>"$out/train.log" 2>&1 </dev/null &
echo "started; tail -f $out/train.log"
