"""Runs a program whose unfinished files have the same names in every run: ``-m MODULE ARGUMENTS`` or ``-c CODE``.

So a call of one run is found in another by the file that it touches.
"""

from __future__ import annotations

import itertools
import runpy
import sys

import iic_rt.files

if __name__ == "__main__":
    numbers = itertools.count()
    iic_rt.files.part_name = lambda: f"{iic_rt.files.PART_BEGIN}1-{next(numbers)}{iic_rt.files.PART_END}"
    how, what = sys.argv[1:3]
    sys.argv = sys.argv[2:]
    if how == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        exec(compile(what, "-c", "exec"), {"__name__": "__main__"})
