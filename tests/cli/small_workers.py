"""``iic-rt`` with a small model that does what the first pixel says: ``python -m tests.cli.small_workers ARGUMENT...``.

Processes that it starts import this file too, and so have the same model.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from iic_rt import Inpainter, InpaintResult
from iic_rt.cli import remove, workers
from iic_rt.cli.main import main
from iic_rt.files import PART_BEGIN, PART_END

DIES, DIES_ONCE, WAITS = 1, 2, 3  # values of the first pixel


class SmallInpainter(Inpainter):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings | {"backend": "onnxruntime", "working_size": 64, "threads": 1})

    def inpaint(self, image: Any, *arguments: Any, **more: Any) -> InpaintResult:
        told = int(image[0, 0, 0])
        marker = Path(os.environ.get("DIED", ""))
        if told == DIES or (told == DIES_ONCE and not marker.exists()):
            if told == DIES_ONCE:
                marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if told == WAITS:
            (marker.parent / "out" / f"{PART_BEGIN}{os.getpid()}-00{PART_END}").touch()  # as if it were writing
            marker.touch()
            time.sleep(60)
        return super().inpaint(image, *arguments, **more)


workers.Inpainter = remove.Inpainter = SmallInpainter  # type: ignore[misc]

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
