"""Runs examples/ray_folder.py with a small model on two local nodes of one CPU each.

``python -m tests.ray.cluster FOLDER ARGUMENT...``; the model does what the first pixel says, and each actor leaves the
name of its node in FOLDER.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import ray
from ray.cluster_utils import Cluster

import iic_rt
from tests.cli.small_workers import SmallInpainter

PROGRAM = Path(__file__).parents[2] / "examples" / "ray_folder.py"
FOLDER = Path(sys.argv.pop(1))


class Actor(SmallInpainter):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        (FOLDER / ray.get_runtime_context().get_node_id()).touch()


if __name__ == "__main__":
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    os.environ["RAY_ADDRESS"] = cluster.address
    iic_rt.Inpainter = Actor  # type: ignore[misc]
    try:
        exec(compile(PROGRAM.read_text(), str(PROGRAM), "exec"), globals())
    finally:
        ray.shutdown()
        cluster.shutdown()
