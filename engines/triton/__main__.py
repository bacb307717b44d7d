"""Writes a model repository for Triton: ``python -m engines.triton FOLDER``."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from iic_rt.cli.arguments import PRECISIONS

__all__ = ["main", "write_repository"]

MODEL = Path(__file__).with_name("model.py")
NAME = "iic_rt"
CONFIG = """\
name: "{name}"
backend: "python"
max_batch_size: 0  # images have any size, so each is a request of its own
input [
  {{ name: "image" data_type: TYPE_UINT8 dims: [ -1, -1, -1 ] }},
  {{ name: "mask" data_type: TYPE_UINT8 dims: [ -1, -1 ] }},
  {{ name: "avoid" data_type: TYPE_UINT8 dims: [ -1, -1 ] optional: true }},
  {{ name: "prefer" data_type: TYPE_UINT8 dims: [ -1, -1 ] optional: true }}
]
output [
  {{ name: "image" data_type: TYPE_UINT8 dims: [ -1, -1, -1 ] }},
  {{ name: "hole" data_type: TYPE_UINT8 dims: [ -1, -1 ] }},
  {{ name: "confidence" data_type: TYPE_FP32 dims: [ -1, -1 ] }}
]
instance_group [ {{ count: {instances} kind: KIND_CPU }} ]
{parameters}
"""


def write_repository(folder: Path, *, instances: int, warmup: list[int], **settings: object) -> None:
    """The folder that ``tritonserver --model-repository`` takes.

    Args:
        folder: to make; a model of the same name in it is replaced.
        instances: inpainters, each in a process of its own.
        warmup: sides of regions that are made ready before the first request.
        settings: of :class:`iic_rt.Inpainter`, as JSON can hold them; ``threads`` is for each instance.
    """
    parameters = "\n".join(
        f"parameters {{ key: {json.dumps(name)} value: {{ string_value: {json.dumps(json.dumps(value))} }} }}"
        for name, value in {**settings, "warmup": warmup}.items()
    )
    version = folder / NAME / "1"
    version.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(MODEL, version / "model.py")
    config = CONFIG.format(name=NAME, instances=instances, parameters=parameters)
    (folder / NAME / "config.pbtxt").write_text(config)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m engines.triton", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--instances", type=int, default=1, metavar="N", help="images filled at once (default 1)")
    parser.add_argument("--threads", type=int, metavar="N", help="of each; by default the cores are shared")
    parser.add_argument("--warmup", type=int, nargs="*", default=[256, 512, 1024], metavar="SIDE")
    parser.add_argument("--bundle", default="edge")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision", choices=PRECISIONS)
    parser.add_argument("--working-size", type=int, metavar="SIDE")
    arguments = vars(parser.parse_args(argv))
    write_repository(arguments.pop("folder"), **arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
