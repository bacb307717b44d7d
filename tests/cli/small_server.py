"""``iic-rt serve`` with a small model that is ready at once: ``python -m tests.cli.small_server ARGUMENT...``."""

from __future__ import annotations

import sys
import time
from typing import Any

from iic_rt import Inpainter, InpaintResult
from iic_rt.cli import serve
from iic_rt.cli.main import main
from iic_rt.server import worker

SECONDS = 0.05  # that an image takes at least


class SmallInpainter(Inpainter):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings | {"backend": "onnxruntime", "working_size": 64, "threads": 1})

    def inpaint(self, *arguments: Any, **more: Any) -> InpaintResult:
        time.sleep(SECONDS)
        return super().inpaint(*arguments, **more)


if __name__ == "__main__":
    worker.WARM_SIDES = ()
    serve.Inpainter = SmallInpainter
    sys.exit(main(["serve", *sys.argv[1:]]))
