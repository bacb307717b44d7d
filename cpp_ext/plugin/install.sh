#!/usr/bin/env bash
# Builds the plugin and installs it where the runtime looks: $IIC_RT_CACHE, or ~/.cache/iic-rt.
#   cpp_ext/plugin/install.sh [ARCHITECTURES] [CMAKE OPTION...]
# ARCHITECTURES is a compute capability without the point (87 for Orin, 110 for Thor); without it the GPU is asked.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
architectures=${1:-}
if [[ -z $architectures ]]; then
    architectures=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1 | tr -d .) || true
fi
if [[ ! $architectures =~ ^[0-9] ]]; then
    echo "nvidia-smi tells no compute capability; name it: cpp_ext/plugin/install.sh 87" >&2
    exit 2
fi
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT
cmake -S "$here" -B "$build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_CUDA_ARCHITECTURES="$architectures" "${@:2}"
cmake --build "$build"
cmake --install "$build" --prefix "${IIC_RT_CACHE:-$HOME/.cache/iic-rt}"
