#!/usr/bin/env bash
# Trains on an NVIDIA GPU, in the foreground: SIGTERM (as of `timeout`) saves the state and ends it, and the same command
# goes on from there. MINUTES are of training alone; `timeout` bounds it with compiling, validation and reading the data.
#   training/gpu.sh DATA OUT MINUTES                        the generator: structure
#   training/gpu.sh DATA OUT MINUTES --milestone WEIGHTS    the same, from averaged weights
#   training/gpu.sh DATA OUT MINUTES --perceptual WEIGHTS   from averaged weights on, with the perceptual loss
#   training/gpu.sh DATA OUT MINUTES --preset base          another preset
#   training/gpu.sh DATA OUT MINUTES --upsampler WEIGHTS    the upsampling network behind these generator weights
# OUT/state.safetensors (50 MB) is what it goes on from. OUT/milestone.safetensors, written with it, and
# OUT/best.safetensors, of the best validation, hold averaged weights in FP16 (6 MB).
set -euo pipefail
data=$1 out=$2 minutes=$3
shift 3
# The folder stays the caller's, and with it every relative path.
PYTHONPATH=$(cd "$(dirname "$0")/.." && pwd)${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH
case " $* " in
*" --upsampler "*) recipe=(--stage 256:64:1.0) ;;
*" --perceptual "*)
    # Structure has been learnt, and its optimiser's moments are gone: a lower rate.
    recipe=(--stage 256:32:1.0 --perceptual-weight 0.5 --learning-rate 4e-4)
    set -- "${@/#--perceptual/--milestone}"
    ;;
*) recipe=(--stage 256:32:1.0) ;; # one size of crop: each costs a minute of compiling
esac
exec python3 -m training.train --data "$data" --out "$out" --minutes "$minutes" --device cuda "${recipe[@]}" "$@"
