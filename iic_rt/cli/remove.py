"""``iic-rt remove``: one image, or a folder of them."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from iic_rt.cli.arguments import fill_options, inpainter_settings, share_threads
from iic_rt.cli.ending import ending
from iic_rt.cli.json_text import json_text
from iic_rt.cli.messages import damaged, say
from iic_rt.cli.outputs import check_apart, check_place
from iic_rt.decoder_noise import noise_told_to
from iic_rt.errors import IICError, InputError, OutputError
from iic_rt.exif import without_gps
from iic_rt.figures import confidence_overlay, iterations_strip
from iic_rt.files import make_folder, remove_stale
from iic_rt.image_header import read_header
from iic_rt.image_io import (
    IMAGE_SUFFIXES,
    check_format,
    decode_image,
    decode_mask,
    lost_profile,
    read_file,
    write_image,
)
from iic_rt.inpainter import Inpainter
from iic_rt.no_memory import filling_told
from iic_rt.options import Output

if TYPE_CHECKING:
    from iic_rt.cli.workers import Workers

__all__ = ["Job", "run_remove", "try_job"]

Pixels = NDArray[np.uint8]

OPTIONS = {  # what messages say, and what it is in the command
    "mask_hole=": "--mask-hole ",
    "max_megapixels": "--max-megapixels",
    "fill fewer at once": "take fewer --workers",
}


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
    drop_gps: bool = False
    warnings: tuple[str, ...] = ()


Outcome = tuple[Job, dict[str, Any]]  # what --json says of an image, or its "image" and "error"


def plan_jobs(arguments: argparse.Namespace) -> list[Job]:
    """The images to work on; nothing is decoded or written yet.

    Raises:
        InputError: a file and a folder are mixed, a folder holds no image or cannot be read, or two masks are of one
            image.
        OutputError: a result would overwrite what is read, or another one.
    """
    image, mask = arguments.image, arguments.mask
    if _is_folder(image) != _is_folder(mask):
        raise InputError(f"{image} and {mask} must both be files or both be folders")
    read = [path for path in (image, mask, arguments.avoid, arguments.prefer) if path is not None]
    written = [path for path in (arguments.out, arguments.confidence, arguments.iterations_strip) if path is not None]
    check_apart(read, written)
    if not image.is_dir():
        for path in written:
            check_place(path)
            remove_stale(Path(os.path.realpath(path)).parent)
        more = arguments.confidence, arguments.iterations_strip, arguments.avoid, arguments.prefer
        return [Job(image, mask, arguments.out, *more, arguments.max_megapixels, arguments.drop_gps)]
    images = _images_in(image)
    if not images:
        raise InputError(f"{image} holds no image; endings read: {', '.join(IMAGE_SUFFIXES)}")
    for name in ("avoid", "prefer"):
        folder = getattr(arguments, name)
        if folder is not None and not _is_folder(folder):
            raise InputError(f"--{name} {folder} is no folder; with a folder of images name a folder of masks")
    for name in ("out", "confidence", "iterations_strip"):
        folder = getattr(arguments, name)
        if folder is not None and folder.suffix.lower() in IMAGE_SUFFIXES and not folder.is_dir():
            option = name.replace("_", "-")
            raise InputError(f"--{option} names the file {folder}; with a folder of images name a folder")
    stems = {path.stem for path in images}
    masks, avoid, prefer = (
        {} if folder is None else _masks_in(folder, stems) for folder in (mask, arguments.avoid, arguments.prefer)
    )

    def inside(folder: Path | None, image: Path) -> Path | None:
        return None if folder is None else folder / f"{image.stem}.png"

    jobs = [
        Job(
            path,
            masks.get(path.stem, mask / f"{path.stem}.png"),
            arguments.out / path.name,
            inside(arguments.confidence, path),
            inside(arguments.iterations_strip, path),
            avoid.get(path.stem),
            prefer.get(path.stem),
            arguments.max_megapixels,
            arguments.drop_gps,
            tuple(
                f"no {name} mask for {path.name} in {folder}: this image is filled without one"
                for name, folder, found in (("avoid", arguments.avoid, avoid), ("prefer", arguments.prefer, prefer))
                if folder is not None and path.stem not in found
            ),
        )
        for path in images
    ]
    for folder in written:
        make_folder(folder)
        remove_stale(folder)
    places = [[path for path in (job.out, job.confidence, job.strip) if path is not None] for job in jobs]
    check_apart((path for job in jobs for path in (job.image, job.mask)), (path for each in places for path in each))
    for path in places[0]:
        check_place(path)  # the others lie beside it
    return jobs


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _images_in(folder: Path) -> list[Path]:
    """Hidden files are left out: what others are writing, or what a system says of its files."""
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}") from error
    return [path for path in found if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")]


def _masks_in(folder: Path, stems: set[str]) -> dict[str, Path]:
    """The masks of a folder by their names without endings.

    Raises:
        InputError: two are of one image, whose name is among ``stems``.
    """
    found: dict[str, Path] = {}
    for path in _images_in(folder):
        other = found.setdefault(path.stem, path)
        if other != path and path.stem in stems:
            raise InputError(
                f"{other} and {path} are both masks of the image {path.stem}; keep one of them in the folder"
            )
    return found


def run_job(job: Job, inpainter: Inpainter) -> dict[str, Any]:
    """Fills one image and writes its files; returns what ``--json`` says about it."""
    most, warnings = job.max_megapixels, list(job.warnings)
    content = read_file(job.image)
    with noise_told_to(lambda name, noise: warnings.append(damaged(name, noise))):
        image = decode_image(content, str(job.image), max_megapixels=most)
        _check_out(job.out, image)
        size = image.shape[:2]
        mask, avoid, prefer = (
            None if path is None else decode_mask(read_file(path), str(path), max_megapixels=most, size=size)
            for path in (job.mask, job.avoid, job.prefer)
        )
    metadata = read_header(content, str(job.image)).metadata
    if job.drop_gps:
        metadata = replace(metadata, exif=without_gps(metadata.exif))
    if lost := lost_profile(job.out, metadata):
        warnings.append(lost)
    result = inpainter.inpaint(image, mask, avoid=avoid, prefer=prefer)
    assert result.confidence is not None
    assert result.hole_left is not None
    hole = result.hole
    messages = sorted({*warnings, *map(str, result.warnings)})
    write_image(job.out, result.image, metadata)
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


def _check_out(out: Path, image: Pixels) -> None:
    """Before the work, what a format cannot hold."""
    try:
        check_format(out.suffix.lower(), image.shape)
    except OutputError as error:
        raise OutputError(f"cannot write {out}: {error}") from error


def try_job(job: Job, inpainter: Inpainter) -> dict[str, Any]:
    """What :func:`run_job` says of an image, or its ``image`` and ``error`` where it failed."""
    try:
        with filling_told(str(job.image)):  # decoding and encoding take memory too
            return run_job(job, inpainter)
    except IICError as error:
        return {"image": str(job.image), "error": _as_options(str(error))}


def _as_options(message: str) -> str:
    """Names of arguments as the command has them."""
    for name, option in OPTIONS.items():
        message = message.replace(name, option)
    return message


def run_remove(arguments: argparse.Namespace) -> int:
    jobs = plan_jobs(arguments)
    arguments.workers = min(arguments.workers, len(jobs))
    share_threads(arguments)
    outputs: tuple[Output, ...] = ("confidence", "hole_left")
    if arguments.iterations_strip is not None:
        outputs = (*outputs, "history")
    options = fill_options(arguments, mask_hole=arguments.mask_hole, outputs=outputs)
    done: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    settings = inpainter_settings(arguments)
    with ending(), ExitStack() as opened:
        filler: Inpainter | Workers
        if arguments.workers > 1:
            from iic_rt.cli.workers import Workers  # what runs processes is loaded where they are asked for

            filler = opened.enter_context(Workers(arguments.workers, options=options, settings=settings))
            outcomes = filler.run(jobs)
        else:
            filler = inpainter = opened.enter_context(Inpainter(options=options, **settings))
            outcomes = ((job, try_job(job, inpainter)) for job in jobs)
        for job, said in _with_progress(outcomes, len(jobs)):
            if "error" in said:
                failed.append(said)
                say(f"error: {said['error']}")
                continue
            done.append(said)
            for message in said["warnings"]:
                say(f"warning: {job.image}: {message}")
        backend = filler.backend_name
    order = {str(job.image): number for number, job in enumerate(jobs)}
    for entries in (done, failed):  # several workers are done in any order
        entries.sort(key=lambda entry: order[entry["image"]])
    if arguments.json:
        print(json_text({"backend": backend, "results": done, "failed": failed}))
    else:
        _summarise(done, failed, backend)
    return 1 if failed else 0


def _summarise(done: list[dict[str, Any]], failed: list[dict[str, Any]], backend: str | None) -> None:
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


def _with_progress(outcomes: Iterable[Outcome], count: int) -> Iterator[Outcome]:
    """The outcomes, with a bar on the terminal when there are several."""
    shown = count > 1 and sys.stderr.isatty()
    started, width = time.monotonic(), 30

    def show(done: int, tail: str) -> None:
        filled = width * done // count
        bar = "#" * filled + "-" * (width - filled)
        print(f"\r[{bar}] {done}/{count}  {tail:<43}", end="" if done < count else "\n", file=sys.stderr)

    if shown:
        show(0, "")
    for done, (job, said) in enumerate(outcomes, 1):
        if shown:
            left = (time.monotonic() - started) / done * (count - done)
            show(done, f"{left:4.0f} s left  {job.image.name[:30]}" if left else "")
        yield job, said
