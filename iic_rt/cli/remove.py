"""``iic-rt remove``: one image, or a folder of them."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from iic_rt.cli.arguments import fill_options, inpainter_settings
from iic_rt.cli.json_text import json_text
from iic_rt.errors import IICError, InputError, OutputError
from iic_rt.figures import confidence_overlay, iterations_strip
from iic_rt.image_io import IMAGE_SUFFIXES, read_image, read_mask, write_image
from iic_rt.inpainter import Inpainter
from iic_rt.options import Output

__all__ = ["run_remove"]


@dataclass(frozen=True)
class Job:
    """One image and where its results go."""

    image: Path
    mask: Path
    out: Path
    confidence: Path | None
    strip: Path | None
    avoid: Path | None
    prefer: Path | None
    max_megapixels: float
    warnings: tuple[str, ...] = ()


def plan_jobs(arguments: argparse.Namespace) -> list[Job]:
    """The images to work on; nothing is read or written yet.

    Raises:
        InputError: a file and a folder are mixed, or the folder holds no image.
    """
    image, mask = arguments.image, arguments.mask
    if image.is_dir() != mask.is_dir():
        raise InputError(f"{image} and {mask} must both be files or both be folders")
    if not image.is_dir():
        more = arguments.confidence, arguments.iterations_strip, arguments.avoid, arguments.prefer
        return [Job(image, mask, arguments.out, *more, arguments.max_megapixels)]
    for name in ("avoid", "prefer"):
        folder = getattr(arguments, name)
        if folder is not None and not folder.is_dir():
            raise InputError(f"--{name} {folder} is no folder; with a folder of images name a folder of masks")
    for name in ("confidence", "iterations_strip"):
        folder = getattr(arguments, name)
        if folder is not None and folder.suffix.lower() in IMAGE_SUFFIXES:
            option = name.replace("_", "-")
            raise InputError(f"--{option} names the file {folder}; with a folder of images name a folder")
    pictures = sorted(p for p in image.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    if not pictures:
        raise InputError(f"{image} holds no image; endings read: {', '.join(IMAGE_SUFFIXES)}")

    def masks_in(folder: Path | None) -> dict[str, Path]:
        if folder is None:
            return {}
        return {p.stem: p for p in sorted(folder.iterdir()) if p.suffix.lower() in IMAGE_SUFFIXES}

    masks, avoid, prefer = (masks_in(folder) for folder in (mask, arguments.avoid, arguments.prefer))

    def inside(folder: Path | None, picture: Path) -> Path | None:
        return None if folder is None else folder / f"{picture.stem}.png"

    return [
        Job(
            picture,
            masks.get(picture.stem, mask / f"{picture.stem}.png"),
            arguments.out / picture.name,
            inside(arguments.confidence, picture),
            inside(arguments.iterations_strip, picture),
            avoid.get(picture.stem),
            prefer.get(picture.stem),
            arguments.max_megapixels,
            tuple(
                f"no {name} mask for {picture.name} in {folder}: this image is filled without one"
                for name, folder, found in (("avoid", arguments.avoid, avoid), ("prefer", arguments.prefer, prefer))
                if folder is not None and picture.stem not in found
            ),
        )
        for picture in pictures
    ]


def run_job(job: Job, inpainter: Inpainter) -> dict[str, Any]:
    """Fills one image and writes its files; returns what ``--json`` says about it."""
    most = job.max_megapixels
    image = read_image(job.image, max_megapixels=most)
    mask, avoid, prefer = (
        None if path is None else read_mask(path, max_megapixels=most) for path in (job.mask, job.avoid, job.prefer)
    )
    result = inpainter.inpaint(image, mask, avoid=avoid, prefer=prefer)
    assert result.confidence is not None
    assert result.hole_left is not None
    hole = result.hole
    messages = sorted({*job.warnings, *map(str, result.warnings)})
    write_image(job.out, result.image)
    if job.confidence is not None:
        write_image(job.confidence, confidence_overlay(result, hole))
    if job.strip is not None:
        write_image(job.strip, iterations_strip(image, hole, result))
    return {
        "image": str(job.image),
        "mask": str(job.mask),
        "out": str(job.out),
        "width": image.shape[1],
        "height": image.shape[0],
        "hole_px": int(hole.sum()),
        "hole_left_px": int(result.hole_left.sum()),
        "mean_confidence": round(float(result.confidence[hole > 0].mean()), 4) if hole.any() else None,
        "iterations": result.iterations,
        "regions": result.regions,
        "timings": asdict(result.timings),
        "warnings": [_as_options(message) for message in messages],
    }


def _as_options(message: str) -> str:
    """Names of arguments as the command has them."""
    return message.replace("mask_hole=", "--mask-hole ").replace("max_megapixels", "--max-megapixels")


def run_remove(arguments: argparse.Namespace) -> int:
    jobs = plan_jobs(arguments)
    outputs: tuple[Output, ...] = ("confidence", "hole_left")
    if arguments.iterations_strip is not None:
        outputs = (*outputs, "history")
    options = fill_options(arguments, mask_hole=arguments.mask_hole, outputs=outputs)
    if arguments.image.is_dir():
        for folder in (arguments.out, arguments.confidence, arguments.iterations_strip):
            if folder is not None:
                _make_folder(folder)
    done: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    with Inpainter(options=options, **inpainter_settings(arguments)) as inpainter:
        for job in _with_progress(jobs):
            try:
                done.append(run_job(job, inpainter))
            except IICError as error:
                failed.append({"image": str(job.image), "error": _as_options(str(error))})
                print(f"iic-rt: error: {failed[-1]['error']}", file=sys.stderr)
                continue
            for message in done[-1]["warnings"]:
                print(f"iic-rt: warning: {job.mask}: {message}", file=sys.stderr)
        if arguments.json:
            print(json_text({"backend": inpainter.backend_name, "results": done, "failed": failed}))
        else:
            _summarise(done, failed, inpainter.backend_name)
    return 1 if failed else 0


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from error


def _summarise(done: list[dict[str, Any]], failed: list[dict[str, str]], backend: str) -> None:
    for entry in done[:1] if len(done) + len(failed) == 1 else []:
        total = entry["timings"]["total_ms"]
        print(
            f"wrote {entry['out']}  ({entry['width']}x{entry['height']}, {entry['hole_px']} px filled, "
            f"{entry['iterations']} iterations, {total:.0f} ms, {backend})"
        )
    if len(done) + len(failed) > 1:
        print(f"{len(done)} written, {len(failed)} failed")
        for failure in failed:
            print(f"  {failure['image']}: {failure['error']}")


def _with_progress(jobs: list[Job]) -> Iterator[Job]:
    """The jobs, with a bar on the terminal when there are several."""
    shown = len(jobs) > 1 and sys.stderr.isatty()
    started = time.monotonic()
    for i, job in enumerate(jobs):
        if shown:
            width = 30
            filled = width * i // len(jobs)
            left = (time.monotonic() - started) / i * (len(jobs) - i) if i else 0.0
            bar = "#" * filled + "-" * (width - filled)
            print(f"\r[{bar}] {i}/{len(jobs)}  {left:4.0f} s left  {job.image.name[:30]:<30}", end="", file=sys.stderr)
        yield job
    if shown:
        print(f"\r[{'#' * 30}] {len(jobs)}/{len(jobs)}{'':<45}", file=sys.stderr)
