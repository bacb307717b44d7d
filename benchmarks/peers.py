"""Rivals beside this project on the images of your choice: their published results, or their networks as ONNX files.

``python -m benchmarks.peers --images F --masks F --results MI-GAN=F --out peers.json --sheets F``
``python -m benchmarks.peers --images F --masks F --model LaMa=lama.onnx --out peers.json --sheets F``

Files belong together by their names without the ending. ``--images`` are the originals, so that the hole's truth is
known; masks are white where the hole is, unless ``--black-is-hole``. Results must have the size of their original.

A model takes an image [1, 3, H, W] and a mask [1, 1, H, W], or one input [1, 4, H, W] of the image with the hole
zeroed and the mask. Whole numbers are 0 to 255, others 0 to 1. The mask is 1 (255) in the hole; ``--known-is-one``
names a model that has it the other way, as MI-GAN does. A fixed size is met by resizing. An output in [-1, 1], [0, 1]
or [0, 255] is read as what it is. Models and this project are timed in turn, on the first image.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.contenders import measure, summary
from benchmarks.data import Case
from benchmarks.evaluate import evaluate
from benchmarks.methods import Method
from benchmarks.record import environment, write_record
from iic_rt import Inpainter, InpaintOptions
from iic_rt.image_io import IMAGE_SUFFIXES, read_image, read_mask

__all__ = ["OnnxModel", "load_folder", "main", "published"]

Pixels = NDArray[np.uint8]
OURS = "iic-rt"


def by_stem(folder: Path) -> dict[str, Path]:
    files = (path for path in sorted(folder.iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES)
    return {path.stem: path for path in files}


def read_rgb(path: Path) -> Pixels:
    image = read_image(path)
    return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.ndim == 2 else np.ascontiguousarray(image[..., 2::-1])


def load_folder(images: Path, masks: Path, *, black_is_hole: bool = False) -> list[Case]:
    """Every image that has a mask, in the order of the names.

    Raises:
        ValueError: no image has a mask, or the sizes of the two differ.
    """
    found = by_stem(masks)
    cases = []
    for stem, path in by_stem(images).items():
        if stem not in found:
            continue
        image, mask = read_rgb(path), read_mask(found[stem])
        if mask.shape != image.shape[:2]:
            raise ValueError(
                f"{found[stem]} is {mask.shape[::-1]}, its image {image.shape[1::-1]}; sizes must be equal"
            )
        cases.append(Case(stem, image, ((mask > 127) != black_is_hole).astype(np.uint8), {}))
    if not cases:
        raise ValueError(f"no file in {masks} has the name of an image in {images}")
    return cases


def published(folder: Path, cases: list[Case]) -> Method:
    """A method that answers with what lies in the folder; known pixels are those of the original.

    Raises:
        ValueError: a result is missing or has another size.
    """
    files, results = by_stem(folder), {}
    for case in cases:
        if case.name not in files:
            raise ValueError(f"{folder} has no result of {case.name}; leave the image out, or add it")
        image = read_rgb(files[case.name])
        if image.shape != case.image.shape:
            raise ValueError(f"{files[case.name]} is {image.shape[1::-1]}, its original {case.image.shape[1::-1]}")
        results[case.image.tobytes()] = image
    return lambda image, hole: np.where(hole[..., None] > 0, results[image.tobytes()], image)


class OnnxModel:
    """A rival's network as a method; see the module's docstring for what it may take and give.

    Raises:
        ValueError: its inputs are of another kind.
    """

    def __init__(self, path: Path, *, known_is_one: bool = False, threads: int = 0) -> None:
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
        self._known_is_one = known_is_one
        self._inputs = self._session.get_inputs()
        channels = [node.shape[1] if len(node.shape) == 4 else None for node in self._inputs]
        if channels not in ([3, 1], [1, 3], [4]):
            described = ", ".join(f"{node.name} {node.shape}" for node in self._inputs)
            raise ValueError(f"{path} takes {described}; allowed are [1, 3, H, W] and [1, 1, H, W], or [1, 4, H, W]")

    def __call__(self, image: Pixels, hole: Pixels) -> Pixels:
        size = image.shape[1::-1]
        height, width = self._inputs[0].shape[2:]
        if isinstance(height, int) and isinstance(width, int) and (width, height) != size:
            image_in = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            hole_in = cv2.resize(hole, (width, height), interpolation=cv2.INTER_NEAREST)
        else:
            image_in, hole_in = image, hole
        output = self._session.run(None, {node.name: self._input(node, image_in, hole_in) for node in self._inputs})[0]
        filled = as_pixels(output[0].transpose(1, 2, 0))
        if filled.shape[1::-1] != size:
            filled = cv2.resize(filled, size, interpolation=cv2.INTER_CUBIC)
        return np.where(hole[..., None] > 0, filled, image)

    def _input(self, node: Any, image: Pixels, hole: Pixels) -> NDArray[Any]:
        mask = hole[None].astype(np.float32)
        if self._known_is_one:
            mask = 1 - mask
        colours = image.transpose(2, 0, 1).astype(np.float32) / 255
        channels = {1: mask, 3: colours, 4: np.concatenate((colours * (1 - hole), mask))}[node.shape[1]]
        if node.type == "tensor(uint8)":
            return np.round(channels * 255).astype(np.uint8)[None]
        return channels.astype(np.float16 if node.type == "tensor(float16)" else np.float32)[None]


def as_pixels(output: NDArray[Any]) -> Pixels:
    """uint8 [H, W, 3] of an output in [0, 255], [0, 1] or [-1, 1]: whichever its values lie in."""
    if output.dtype == np.uint8:
        return np.ascontiguousarray(output)
    values = output.astype(np.float32)
    if values.max() > 2:
        return np.round(values.clip(0, 255)).astype(np.uint8)
    if values.min() < -0.2:  # networks leave [0, 1] by a little
        values = (values + 1) / 2
    return np.round(values.clip(0, 1) * 255).astype(np.uint8)


def named(text: str) -> tuple[str, Path]:
    name, found, path = text.partition("=")
    if not (name and found and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PATH")
    return name, Path(path)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--images", type=Path, required=True, help="folder of the originals")
    parser.add_argument("--masks", type=Path, required=True, help="folder of the masks")
    parser.add_argument("--black-is-hole", action="store_true", help="in the masks' files")
    parser.add_argument("--results", type=named, action="append", default=[], metavar="NAME=FOLDER", help="of a rival")
    parser.add_argument("--model", type=named, action="append", default=[], metavar="NAME=FILE", help="a rival's ONNX")
    parser.add_argument("--known-is-one", action="append", default=[], metavar="NAME", help="in the mask of this model")
    parser.add_argument("--backend", default="onnxruntime", help="of this project (default %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of the models and of this project")
    parser.add_argument("--repeats", type=int, default=10, help="calls that are timed")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument("--sheets", type=Path, help="folder for a sheet an image: hole, results in order, original")
    options = parser.parse_args(argv)
    try:
        cases = load_folder(options.images, options.masks, black_is_hole=options.black_is_hole)
        rivals = {name: published(folder, cases) for name, folder in options.results}
        models = {
            name: OnnxModel(path, known_is_one=name in options.known_is_one, threads=options.threads)
            for name, path in options.model
        }
    except (OSError, ValueError) as error:
        parser.error(str(error))
    exact = InpaintOptions(grow=0)
    with Inpainter(backend=options.backend, threads=options.threads) as inpainter:
        ours: dict[str, Method] = {
            OURS: lambda image, hole: inpainter.inpaint(image, hole).image,
            f"{OURS}, grow 0": lambda image, hole: inpainter.inpaint(image, hole, options=exact).image,
        }
        record = environment(inpainter.bundle) | evaluate(cases, ours | rivals | models, pictures=options.sheets)
        if models:
            image, hole = cases[0].image, cases[0].hole
            timed = {OURS: ours[OURS]} | models
            calls = {name: lambda method=method: method(image, hole) for name, method in timed.items()}
            record["ms"] = {n: summary(v) for n, v in measure(calls, repeats=options.repeats).items()}
    write_record(options.out, record)
    for name, row in record["methods"].items():
        time = f"{record['ms'][name]['p50']:>10.1f} ms" if name in record.get("ms", {}) else ""
        print(f"{name:<24}{row['psnr']:>8.2f} dB{row['distance']:>8.3f}{row['sharpness']:>8.2f}{time}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
