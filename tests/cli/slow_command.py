"""Runs ``iic-rt`` with a filler that takes its time: SECONDS, then the arguments of the command."""

from __future__ import annotations

import sys

from iic_rt.cli import video
from iic_rt.cli.main import main
from tests.video.clips import GreyFill

if __name__ == "__main__":
    video.Inpainter = lambda **settings: GreyFill(float(sys.argv[1]))  # type: ignore[assignment,misc,attr-defined]
    sys.exit(main(sys.argv[2:]))
