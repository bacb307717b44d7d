"""Clips whose truth is known: something is put over frames, and the frames without it are what should come back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.track import sequences
from iic_rt.image_io import read_image

__all__ = ["Clip", "davis_clips", "drawn_clips"]

Pixels = NDArray[np.uint8]
ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT = 640, 480  # pixels of a drawn clip
NOISE = 2.0  # grey levels, of a camera's sensor in good light
PHOTO = "dune"  # of the examples, CC0


@dataclass(frozen=True)
class Clip:
    """Frames uint8 [H, W, 3] as a camera would see them without the object, and with it.

    Attributes:
        masks: uint8 [H, W] in {0, 1}, where the object is.
        scored: uint8 [H, W] in {0, 1}, of that, where the background is known: other things that move are left out.
        is_drawn: made from a photo.
    """

    name: str
    truth: list[Pixels]
    frames: list[Pixels]
    masks: list[Pixels]
    scored: list[Pixels]
    is_drawn: bool = True


def ellipse(shape: tuple[int, ...], x: float, y: float, area: float) -> Pixels:
    """A mask of an upright ellipse, as tall as twice its width; uint8 [H, W] in {0, 1}."""
    mask = np.zeros(shape[:2], np.uint8)
    width = math.sqrt(area / (math.pi * 2))
    cv2.ellipse(mask, ((x, y), (2 * width, 4 * width), 0), 1, -1)
    return mask


def cover(frame: Pixels, mask: Pixels, x: float, y: float) -> Pixels:
    """A striped thing over a frame where the mask is, that moves along with its place."""
    yy, xx = np.mgrid[: frame.shape[0], : frame.shape[1]]
    stripes = 40 + 60 * (((xx - x) // 9 + (yy - y) // 13) % 2)
    cloth = np.stack([stripes, stripes * 0.6, stripes + 110], 2)
    return np.where(mask[..., None] > 0, cloth, frame).astype(np.uint8)


def clip(
    name: str,
    truth: list[Pixels],
    places: list[tuple[float, float]],
    share: float,
    others: list[Pixels] | None = None,
) -> Clip:
    """With an object of a share of the frame at a place x, y in each; ``others`` are masks of what else moves."""
    area = share * truth[0].shape[0] * truth[0].shape[1]
    masks = [ellipse(t.shape, *place, area) for t, place in zip(truth, places, strict=True)]
    frames = [cover(t, m, *place) for t, m, place in zip(truth, masks, places, strict=True)]
    if others is None:
        return Clip(name, truth, frames, masks, masks)
    near = np.ones((13, 13), np.uint8)
    scored = [mask & (1 - cv2.dilate(other, near)) for mask, other in zip(masks, others, strict=True)]
    return Clip(name, truth, frames, masks, scored, is_drawn=False)


def view(photo: Pixels, x: float, y: float, scale: float = 1.0) -> Pixels:
    """What a camera sees whose picture has its middle at x, y of a photo; float32 [H, W, 3]."""
    matrix = np.array([[scale, 0, x - scale * WIDTH / 2], [0, scale, y - scale * HEIGHT / 2]], np.float64)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(photo.astype(np.float32), matrix, (WIDTH, HEIGHT), flags=flags, borderMode=cv2.BORDER_REFLECT)
    )


def seen(picture: NDArray[np.float32], rng: np.random.Generator, noise: float) -> Pixels:
    return (picture + rng.normal(0, noise, picture.shape)).round().clip(0, 255).astype(np.uint8)


def drawn_clips(count: int) -> Iterator[Clip]:
    """From a photo of the examples: a camera that stands still, one that pans, one in changing light."""
    photo = read_image(ROOT / "examples" / f"{PHOTO}.jpg")
    height, width = photo.shape[:2]
    middle = width / 2, height / 2
    rng = np.random.default_rng(3)
    steps = np.linspace(0, 1, count)
    still = view(photo, *middle)
    here = (0.5 * WIDTH, 0.55 * HEIGHT)
    across = [(WIDTH * (0.2 + 0.6 * s), 0.55 * HEIGHT) for s in steps]
    yield clip("still", [seen(still, rng, NOISE) for _ in steps], [here] * count, 0.05)
    yield clip("passer-by", [seen(still, rng, NOISE) for _ in steps], across, 0.05)
    lit = [seen(still * (1 + 0.15 * math.sin(6 * s)), rng, NOISE) for s in steps]
    yield clip("passer-by, light changes", lit, across, 0.05)
    panned = [view(photo, middle[0] + 90 * (s - 0.5), middle[1] + 15 * math.sin(5 * s), 1 - 0.04 * s) for s in steps]
    yield clip("pan, passer-by", [seen(p, rng, NOISE) for p in panned], across, 0.05)
    yield clip("pan, mark on the lens", [seen(p, rng, NOISE) for p in panned], [here] * count, 0.05)


def davis_clips(path: Path, count: int) -> Iterator[Clip]:
    """The sequences of DAVIS with an object over them that crosses the frame, and with one at a fixed place."""
    for name, pairs in sequences(path):
        truth, others = (list(items) for items in zip(*pairs[:count], strict=True))
        height, width = truth[0].shape[:2]
        steps = np.linspace(0, 1, len(truth))
        crossing = [(width * (0.15 + 0.7 * s), 0.5 * height) for s in steps]
        yield clip(f"{name}, crossing", truth, crossing, 0.05, others)
        places = [(x * width, 0.5 * height) for x in (0.15, 0.85)]
        x, y = min(
            places,
            key=lambda p: sum(int((ellipse(truth[0].shape, *p, 0.05 * width * height) & o).sum()) for o in others),
        )
        yield clip(f"{name}, on the lens", truth, [(x, y)] * len(truth), 0.05, others)
