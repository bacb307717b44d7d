#!/usr/bin/env bash
# Trains on an NVIDIA GPU, in the foreground: SIGTERM (as of `timeout`) saves the state and ends it, and the same command
# goes on from there. MINUTES are of training alone; `timeout` bounds it with compiling, validation and reading the data.
#   training/gpu.sh DATA OUT MINUTES --perceptual-from PICTURES   the generator; after so many pictures, counted with those
#                                                                 of WEIGHTS, the perceptual loss joins
#   training/gpu.sh DATA OUT MINUTES ... --milestone WEIGHTS      the same, from averaged weights on
#   training/gpu.sh DATA OUT MINUTES ... --preset base            another preset
#   training/gpu.sh DATA OUT MINUTES --upsampler WEIGHTS          the upsampling network behind these generator weights
# An H200 sees 1,600 pictures a second, 1,000 with the perceptual loss.
# OUT/state.safetensors (50 MB) is what it goes on from. OUT/milestone.safetensors, written with it, and
# OUT/best.safetensors, of the best validation, hold averaged weights in FP16 (6 MB).
set -euo pipefail
data=$1 out=$2 minutes=$3
shift 3
# The folder stays the caller's, and with it every relative path.
PYTHONPATH=$(cd "$(dirname "$0")/.." && pwd)${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH
# One size of crop: each costs a minute of compiling.
recipe=(--stage 256:32:1.0 --learning-rate 7e-4 --decay 0.5 --perceptual-weight 0.5)
[[ " $* " != *" --upsampler "* ]] || recipe=(--stage 256:64:1.0)
exec python3 -m training.train --data "$data" --out "$out" --minutes "$minutes" --device cuda "${recipe[@]}" "$@"
