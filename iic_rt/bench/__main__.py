"""Arguments of ``python -m iic_rt.bench``, and the order of the work."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from iic_rt.bench.cases import LARGEST_HOLE, Case, Scene, cases, pairs, read_scene, synthetic
from iic_rt.bench.check import Reference, reference
from iic_rt.bench.environment import environment, machine
from iic_rt.bench.plot import plot, require_matplotlib
from iic_rt.bench.record import SCHEMA, TOOL, failures, problems, read_record, write_record
from iic_rt.bench.table import report
from iic_rt.bench.worker import measure_apart
from iic_rt.bundle.manifest import DEFAULT_BUNDLE, load_bundle
from iic_rt.errors import IICError

__all__ = ["main"]

EPILOG = """examples:
  python -m iic_rt.bench                                            512x512, 15 % hole, the fastest backend here
  python -m iic_rt.bench --backend onnxruntime openvino:bf16 --size 512 1920x1080 --json r.json --plot r.png
  python -m iic_rt.bench --compare openvino:bf16 onnxruntime --repeats 50
  python -m iic_rt.bench --from r.json --plot r.png                 draw a record again
The fields of the record and how to read the tables: docs/bench.md
"""


def contender(text: str) -> tuple[str, str | None]:
    """NAME[:PRECISION]"""
    backend, _, precision = text.partition(":")
    return backend, precision or None


def size(text: str) -> tuple[int, int]:
    """N or WxH"""
    width, _, height = text.partition("x")
    found = int(width), int(height or width)
    if min(found) < 32:
        raise ValueError(text)
    return found


def hole(text: str) -> float:
    """PERCENT"""
    percent = float(text)
    if not 0 < percent <= LARGEST_HOLE:
        raise argparse.ArgumentTypeError(f"{text} %; give more than 0 and at most {LARGEST_HOLE}")
    return percent


def positive(text: str) -> int:
    """N"""
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}; give a whole number from 1 up")
    return int(text)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m iic_rt.bench",
        description="Times calls by stage, after checking that the result is right.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what is measured, in every combination")
    add = what.add_argument
    add("--backend", type=contender, nargs="+", metavar="NAME[:PRECISION]", help="default: the fastest that loads")
    add("--size", type=size, nargs="+", metavar="N|WxH", help="of the picture (default 512)")
    add("--hole", type=hole, nargs="+", metavar="PERCENT", help="of the picture (default 15)")
    add("--iterations", type=positive, nargs="+", metavar="N", default=[4], help="most iterations (default 4)")
    add("--batch", type=positive, nargs="+", metavar="N", default=[1], help="pictures in a timed unit, one by one")
    add("--mode", choices=("latency", "throughput", "both"), default="latency")
    add("--compare", type=contender, nargs=2, metavar="NAME[:PRECISION]", help="time two in turn and print the ratio")
    how = parser.add_argument_group("how")
    add = how.add_argument
    add("--repeats", type=positive, metavar="N", default=30, help="timed units, or rounds (default %(default)s)")
    add("--warmup", type=positive, metavar="N", default=3, help="units before them (default %(default)s)")
    add("--workers", type=positive, metavar="N", default=2, help="inpainters at once in throughput mode (default 2)")
    add("--threads", type=positive, metavar="N", help="CPU threads, split among the workers")
    add("--bundle", default=DEFAULT_BUNDLE, help="shipped name or folder (default %(default)s)")
    add("--working-size", type=positive, metavar="N", help="side of the loop's picture (default: the bundle's)")
    add("--picture", type=Path, metavar="FILE", help="instead of the built-in scene; with --mask")
    add("--mask", type=Path, metavar="FILE", help="white = remove")
    out = parser.add_argument_group("where it goes")
    out.add_argument("--json", type=Path, metavar="FILE", help="write the record")
    out.add_argument("--plot", type=Path, metavar="PNG", help="draw stages and histograms")
    out.add_argument("--from", type=Path, metavar="FILE", dest="source", help="read a record instead of measuring")
    return parser


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if (arguments.picture is None) != (arguments.mask is None):
        parser.error("--picture and --mask go together")
    if arguments.picture and (arguments.size or arguments.hole):
        parser.error("--size and --hole are those of --picture and --mask; leave them out")
    if arguments.source and arguments.json:
        parser.error("--from reads a record that is already there; leave --json out")
    if arguments.plot and arguments.plot.suffix.lower() != ".png":
        parser.error(f"--plot writes PNG; {arguments.plot} has another ending")
    arguments.size = arguments.size or [(512, 512)]
    arguments.hole = arguments.hole or [15.0]
    if arguments.backend is None:
        arguments.backend = [] if arguments.compare else [("auto", None)]
    return arguments


def collect(arguments: argparse.Namespace, command: str) -> dict[str, Any]:
    """Measures everything that was asked for; a failure is a row like any other. Rows are written as they come."""
    own = read_scene(arguments.picture, arguments.mask) if arguments.picture else None
    jobs: list[tuple[Case, ...]] = [*((case,) for case in cases(arguments, own)), *pairs(arguments, own)]
    bundle = load_bundle(arguments.bundle)
    facts = environment(bundle)
    facts["bundle"]["sha256"] = bundle.sha256
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "tool": TOOL,
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": command,
        **facts,
        "machine": machine(arguments.bundle),
        "cases": [],
        "comparisons": [],
    }
    made: tuple[object, Scene, Reference] | None = None
    for i, job in enumerate(jobs, 1):
        case = job[0]
        print(f"[{i}/{len(jobs)}] {' against '.join(c.title for c in job)}", file=sys.stderr, flush=True)
        key = case.width, case.height, case.hole_percent, case.iterations
        if made is None or made[0] != key:  # cases of one scene follow one another
            scene = own or synthetic(case.width, case.height, case.hole_percent)
            made = key, scene, reference(case, scene)
        row = measure_apart(job, made[1], made[2])
        if "failed" in row:
            print(f"    FAILED: {row['failed']}", file=sys.stderr, flush=True)
        record["comparisons" if len(job) == 2 else "cases"].append(row)
        if arguments.json:
            write_record(arguments.json, record)
    return record


def run(arguments: argparse.Namespace, command: str) -> int:
    if arguments.plot:
        require_matplotlib()
    for path in filter(None, (arguments.json, arguments.plot)):
        path.parent.mkdir(parents=True, exist_ok=True)
    record = read_record(arguments.source) if arguments.source else collect(arguments, command)
    print(report(record), flush=True)
    if arguments.plot:
        plot(record, arguments.plot)
    broken = problems(record)
    for text in broken:
        print(f"{TOOL}: error: {text}, against the record's own schema; please report it", file=sys.stderr)
    return int(bool(broken or failures(record)))


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns 0, 1 when anything could not be measured, or 2 for wrong arguments (argparse)."""
    arguments = parse(argv)
    command = shlex.join(["python", "-m", TOOL, *(argv if argv is not None else sys.argv[1:])])
    try:
        return run(arguments, command)
    except IICError as error:
        print(f"{TOOL}: error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # nobody reads any more, as behind `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains at its end
        return 1
    except KeyboardInterrupt:
        print(f"{TOOL}: interrupted; --json holds what was finished before", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
