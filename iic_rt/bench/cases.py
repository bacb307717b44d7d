"""What is measured: scenes, and one case for every combination of backend, size, hole, iterations, batch and mode."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.errors import InputError
from iic_rt.image_io import read_image, read_mask

__all__ = ["Case", "Scene", "cases", "pairs", "read_scene", "synthetic"]

LARGEST_HOLE = 75  # percent; the object of `synthetic` must stay inside the picture


@dataclass(frozen=True)
class Scene:
    """A picture uint8 [H, W, 3] (RGB) and its hole uint8 [H, W] in {0, 1}."""

    image: NDArray[np.uint8]
    hole: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One measurement.

    Attributes:
        backend: its name, or ``"auto"``.
        precision: None for the backend's default.
        width: of the picture in pixels.
        height: of the picture in pixels.
        hole_percent: of the picture's pixels.
        iterations: most iterations of the loop.
        batch: pictures given one after another in each timed unit.
        mode: ``"latency"`` for one inpainter, ``"throughput"`` for ``workers`` at once.
        workers: threads, each with an inpainter of its own.
        repeats: timed units of every worker.
        warmup: units before these.
        threads: of the CPU, split among the workers; None for the backend's default.
        working_size: None for the bundle's.
        bundle: name or folder.
    """

    backend: str
    precision: str | None
    width: int
    height: int
    hole_percent: float
    iterations: int
    batch: int
    mode: str
    workers: int
    repeats: int
    warmup: int
    threads: int | None
    working_size: int | None
    bundle: str

    @property
    def title(self) -> str:
        """The case in a few words."""
        name = self.backend + (f":{self.precision}" if self.precision else "")
        text = f"{name} {self.width}x{self.height}, hole {self.hole_percent:g} %, T = {self.iterations}"
        if self.batch > 1:
            text += f", batch {self.batch}"
        return text + (f", {self.workers} workers" if self.mode == "throughput" else "")


def synthetic(width: int, height: int, hole_percent: float) -> Scene:
    """A picture of soft colours, stripes and grain, always the same, with one round object to remove.

    Grain and stripes matter: on flat areas many patches are equally alike, and rounding decides which is copied.
    """
    rng = np.random.default_rng(0)
    coarse = rng.uniform(40, 215, (8, 8, 3)).astype(np.float32)
    colours = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    yy, xx = np.mgrid[:height, :width]
    stripes = 30 * np.sin((xx + 2 * yy) * (64 * np.pi / width))
    grain = rng.normal(0, 8, (height, width))
    image = np.clip(colours + (stripes + grain)[..., None], 0, 255).astype(np.uint8)
    radius = np.sqrt(hole_percent / 100 / np.pi)
    hole = ((yy + 0.5) / height - 0.5) ** 2 + ((xx + 0.5) / width - 0.5) ** 2 < radius**2
    return Scene(image, hole.astype(np.uint8))


def read_scene(picture: Path, mask: Path) -> Scene:
    """A picture and its mask (white = remove) from files.

    Raises:
        InputError: they cannot be read or do not fit together, or nothing is marked.
    """
    image, marked = read_image(picture), read_mask(mask)
    rgb = np.stack([image] * 3, axis=-1) if image.ndim == 2 else image[..., 2::-1]
    if marked.shape != image.shape[:2]:
        raise InputError(f"{mask} is {marked.shape[1]}x{marked.shape[0]}, {picture} {image.shape[1]}x{image.shape[0]}")
    hole = np.asarray(marked >= 128, np.uint8)
    if not hole.any():
        raise InputError(f"{mask} marks nothing; white (from 128 up) is removed, and without a hole nothing is timed")
    return Scene(np.ascontiguousarray(rgb), hole)


def cases(arguments: argparse.Namespace, scene: Scene | None) -> Iterator[Case]:
    """One case for every combination asked for; ``scene`` is the user's own or None."""
    modes = ("latency", "throughput") if arguments.mode == "both" else (arguments.mode,)
    for axes, contender, mode in product(_axes(arguments, scene), arguments.backend, modes):
        yield _case(arguments, contender, *axes, mode)


def pairs(arguments: argparse.Namespace, scene: Scene | None) -> Iterator[tuple[Case, Case]]:
    """The two of ``--compare`` for every combination of the rest."""
    if arguments.compare is not None:
        first, second = arguments.compare
        for axes in _axes(arguments, scene):
            yield _case(arguments, first, *axes, "latency"), _case(arguments, second, *axes, "latency")


Axes = Iterator[tuple[tuple[int, int], float, int, int]]


def _axes(arguments: argparse.Namespace, scene: Scene | None) -> Axes:
    sizes, holes = arguments.size, arguments.hole
    if scene is not None:
        height, width = scene.hole.shape
        sizes, holes = [(width, height)], [round(100 * float(scene.hole.mean()), 2)]
    yield from product(sizes, holes, arguments.iterations, arguments.batch)


def _case(
    arguments: argparse.Namespace,
    contender: tuple[str, str | None],
    size: tuple[int, int],
    hole_percent: float,
    iterations: int,
    batch: int,
    mode: str,
) -> Case:
    return Case(
        backend=contender[0],
        precision=contender[1],
        width=size[0],
        height=size[1],
        hole_percent=hole_percent,
        iterations=iterations,
        batch=batch,
        mode=mode,
        workers=arguments.workers if mode == "throughput" else 1,
        repeats=arguments.repeats,
        warmup=arguments.warmup,
        threads=arguments.threads,
        working_size=arguments.working_size,
        bundle=arguments.bundle,
    )
