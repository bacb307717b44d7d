"""Kills programs that write, at every system call that changes something, and looks at what is left.

``python -m tests.kill``: every scenario, in minutes; ``python -m tests.kill file image``: some.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.kill.calls import can_trace, disorder
from tests.kill.scenarios import SCENARIOS, Workshop


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kill", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; all by default")
    parser.add_argument("--at-once", type=int, default=os.cpu_count(), help="runs at once (default %(default)s)")
    options = parser.parse_args(argv)
    if unknown := set(options.scenarios) - SCENARIOS.keys():
        parser.error(f"no scenario {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    if not can_trace():
        parser.error("it needs strace, and the right to use it")
    kills = failed = 0
    with tempfile.TemporaryDirectory(prefix="iic-rt-kill-") as place, ThreadPoolExecutor(options.at_once) as pool:
        for name in options.scenarios or SCENARIOS:
            workshop = Workshop(SCENARIOS[name], Path(place) / name.replace(" ", "-"))
            wrong = disorder(workshop.calls, SCENARIOS[name].part)
            elsewhere = 0
            for found, met in pool.map(workshop.kill, workshop.calls):
                wrong += found
                elsewhere += not met
            kills, failed = kills + len(workshop.calls), failed + bool(wrong)
            print(f"{name}: {len(workshop.calls)} calls, {elsewhere} not met, {len(wrong)} wrong", flush=True)
            print("".join(f"  {each}\n" for each in wrong), end="")
    print(f"{kills} kills in all")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
