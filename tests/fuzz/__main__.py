"""Fuzzes what reads bytes of others, guided by coverage.

``python -m tests.fuzz``: every target for a minute; ``python -m tests.fuzz image --seconds 3600``: one for an hour.

Inputs that reach new code are kept in ``--corpus`` and are begun with next time. What goes wrong is kept in
``tests/fuzz/found``, where the tests run it again from then on.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
CORPUS = HERE.parents[1] / "runs" / "fuzz"
# One target in this process: fuzzing does not return.
ONE = """
import sys, atheris
with atheris.instrument_imports(include=["iic_rt"]):
    from tests.fuzz.targets import TARGETS
atheris.Setup(sys.argv[1:], TARGETS[{target!r}])
atheris.Fuzz()
"""
LARGEST = 65_536  # bytes of an input
MOST_MEMORY = 2048  # MiB
SLOWEST = 20  # seconds for an input
LONGEST_START = 120  # seconds
INTERRUPTED = 72  # the exit status of a fuzzer that was told to end


def fuzz(target: str, seconds: int, corpus: Path) -> tuple[int, int]:
    """Runs one target; returns how many inputs it was given, and the exit status (0: nothing was found)."""
    from tests.fuzz.targets import seeds

    begun = corpus / target
    begun.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(target)):
        (begun / f"seed-{number}").write_bytes(seed)
    options = [f"-max_len={LARGEST}", f"-rss_limit_mb={MOST_MEMORY}", f"-interrupted_exitcode={INTERRUPTED}"]
    options += [f"-timeout={SLOWEST}", f"-artifact_prefix={HERE / 'found' / target}-", "-print_final_stats=1"]
    command = [sys.executable, "-c", ONE.format(target=target), *options, str(begun)]
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder, "log")
        with said.open("wb") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file, cwd=HERE.parents[1])
        # From the first input on: to begin takes a while. atheris 3.0 does not heed -max_total_time.
        until, is_begun = time.monotonic() + LONGEST_START, False
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
            if not is_begun and b"INITED" in said.read_bytes():
                until, is_begun = time.monotonic() + seconds, True
        process.terminate()
        status = process.wait(SLOWEST + 40)
        log = said.read_text(errors="replace")
    status = 0 if status == INTERRUPTED else status
    if status:
        print(log[-4000:], file=sys.stderr)
    counted = re.search(r"number_of_executed_units:\s*(\d+)", log)
    return int(counted[1]) if counted else 0, status


def main(argv: list[str] | None = None) -> int:
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all by default")
    parser.add_argument("--seconds", type=int, default=60, help="of each target (default %(default)s)")
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="folder of the inputs (default %(default)s)")
    options = parser.parse_args(argv)
    if unknown := set(options.targets) - TARGETS.keys():
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    failed, total = 0, 0
    for target in options.targets or TARGETS:
        count, status = fuzz(target, options.seconds, options.corpus)
        total, failed = total + count, failed + (status != 0)
        print(f"{target}: {count} inputs, {'FOUND SOMETHING' if status else 'nothing found'}", flush=True)
    print(f"{total} inputs in all")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
