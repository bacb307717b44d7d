#!/usr/bin/env bash
# The long training of the generator, in the background at the lowest priority, on whatever cores are idle.
#   training/campaign.sh start DATA        starts it, or goes on where it was stopped or killed
#   training/campaign.sh status            its last lines
#   training/campaign.sh pause | continue  frees the processor while something is timed
#   training/campaign.sh stop              saves its state and ends it
#   training/campaign.sh milestone         writes its averaged weights to training/weights/campaign.safetensors, to be
#                                          committed: where its folder is lost, start goes on from them
#   training/campaign.sh finish DATA OUT MINUTES   a copy of it whose learning rate comes down now, for a release
# Its folder is runs/campaign (CAMPAIGN and MILESTONE name others). Options of `python -m training.train` may follow DATA or MINUTES.
set -euo pipefail
invoked_from=$PWD
cd "$(dirname "$0")/.."
run=${CAMPAIGN:-runs/campaign}
python=${PYTHON:-.venv/dev/bin/python}
[[ -x $python ]] || python=python3
milestone=${MILESTONE:-training/weights/campaign.safetensors}
recipe=(--samples 2000000 --learning-rate 5e-4 --workers 1)
ranks=$(($(nproc) > 1 ? 2 : 1)) # two processes keep two cores busier than two threads do
# Small crops first: in the same time the network sees several times as many (benchmarks.recipes).
stages=(--stage 64:64:0.1 --stage 128:16:0.25 --stage 256:16:1.0)

usage() { sed -n '2,/^set/{/^set/d;s/^# \?//;p}' "$0" >&2; exit 2; }
absolute() { (cd "$invoked_from" && realpath -m "$1"); }
alive() { [[ -f $run/pid ]] && kill -0 "$(cat "$run/pid")" 2>/dev/null; } # of its group the first process
end_leftovers() { [[ ! -f $run/pid ]] || kill -KILL -- "-$(cat "$run/pid")" 2>/dev/null || true; } # loaders of a rank that crashed

start() { # FOLDER DATA [OPTIONS]
    local folder=$1 data=$2
    shift 2
    mkdir -p "$folder"
    end_leftovers
    # The scheduler runs it only when nobody else wants to. A group of its own, so that all of its processes are paused
    # and stopped together.
    export WORLD_SIZE=$ranks MASTER_ADDR=127.0.0.1 MASTER_PORT=$((20000 + RANDOM % 10000)) GLOO_SOCKET_IFNAME=lo
    export OMP_NUM_THREADS=$(($(nproc) / ranks))
    setsid nohup chrt --idle 0 nice -n 19 bash -c 'for ((RANK = 0; RANK < WORLD_SIZE; RANK++)); do RANK=$RANK "$@" & done; wait' \
        campaign "$python" -m training.train --data "$data" --out "$folder" "${recipe[@]}" "$@" \
        >>"$folder/train.log" 2>&1 </dev/null &
    echo $! >"$folder/pid"
    echo "started; tail -f $folder/train.log"
}

stop() {
    kill -CONT -- "-$(cat "$run/pid")"
    kill -TERM -- "-$(cat "$run/pid")"
    while alive; do sleep 1; done
    end_leftovers
    rm -f "$run/pid"
}

command=${1:-}
shift || usage
case $command in
start)
    [[ $# -ge 1 ]] || usage
    if alive; then
        echo "it is running already; tail -f $run/train.log"
        exit 0
    fi
    data=$(absolute "$1")
    shift
    [[ " $* " == *" --stage "* ]] && stages=()
    [[ -f $milestone ]] && set -- --milestone "$milestone" "$@"
    start "$run" "$data" "${stages[@]}" "$@"
    ;;
status) if alive; then echo running; else echo "not running"; fi; tail -n "${1:-3}" "$run/train.log" ;;
pause) kill -STOP -- "-$(cat "$run/pid")" ;;
continue) kill -CONT -- "-$(cat "$run/pid")" ;;
stop) if alive; then stop; fi ;;
milestone) "$python" -m training.milestone --run "$run" --out "$milestone" ;;
finish)
    [[ $# -ge 3 ]] || usage
    if alive; then stop; fi # one training at a time
    data=$(absolute "$1") out=$(absolute "$2") minutes=$3
    shift 3
    mkdir -p "$out"
    [[ -f $out/state.safetensors ]] || cp "$run"/{state.safetensors,config.json,log.jsonl} "$out"
    # A thousand steps or fewer: the average must forget the weights it began from.
    start "$out" "$data" --stage 256:16:1.0 --ema-decay 0.995 --end-in "$minutes" "$@"
    ;;
*) usage ;;
esac
