"""The ``iic-rt`` command, also as ``python -m iic_rt``: from the first instruction on it ends without a traceback."""

from __future__ import annotations

import io
import os
import signal
import sys

__all__ = ["main"]


def main() -> int:
    """Runs the command; returns its exit status."""
    interrupts = signal.getsignal(signal.SIGINT)
    if interrupts is signal.default_int_handler:  # not where a shell has it ignored
        signal.signal(signal.SIGINT, _end_at_once)
    try:
        from iic_rt.cli.main import main as run  # takes a while
    except (ImportError, OSError, MemoryError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        why = lines[-1] if lines else "memory ran out"  # numpy writes a page, and what it was at the end
        print(f"iic-rt: error: a library cannot be loaded: {why}", file=sys.stderr)
        return 1

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # of names that its encoding does not have
    try:
        signal.signal(signal.SIGINT, interrupts)
        status = run()
    except KeyboardInterrupt:  # before or after the work
        return 128 + signal.SIGINT
    except SystemExit as ended:  # of argparse
        status = int(ended.code or 0)
    return _flush(status)


def _end_at_once(number: int, _frame: object) -> None:
    """While modules are imported nothing has been done, and an exception might be caught by any of them."""
    os.write(2, b"iic-rt: interrupted\n")
    os._exit(128 + number)


def _flush(status: int) -> int:
    """What is left in the buffer is written, or its failure said, before the interpreter finds out."""
    if sys.stdout is None:
        return status
    try:
        sys.stdout.flush()
    except OSError as error:
        # Nobody reads any more, as behind `head`, or the command has said it already.
        if status == 0 and not isinstance(error, BrokenPipeError):
            print(f"iic-rt: error: cannot write to standard output: {error.strerror}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return status or 1
    return status


if __name__ == "__main__":
    sys.exit(main())
