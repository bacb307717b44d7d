"""The training pictures: tar shards of WebP files, decoded once and kept in (device) memory."""

from __future__ import annotations

import hashlib
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from training.masks import Mask, ObjectShapes, synthesize_hole

__all__ = ["Pictures", "Plan", "StepPlans", "validation_plan"]


def read_tar(path: Path) -> list[tuple[str, bytes]]:
    """Stem and content of every file of a tar archive."""
    with tarfile.open(path) as tar:
        members = [m for m in tar if m.isfile()]
        return [(Path(m.name).stem, tar.extractfile(m).read()) for m in members]  # type: ignore[union-attr]


def decode(content: bytes, flags: int) -> NDArray[np.uint8]:
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if picture is None:
        raise ValueError("a file in the shards is not a readable picture; fetch the shards again")
    return picture if flags == cv2.IMREAD_GRAYSCALE else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


class Pictures:
    """All pictures of one data folder in one flat uint8 buffer, on ``device``.

    The folder holds ``train-*.tar`` and ``salient-masks.tar``; the masks' stems are those of their pictures.
    ``validation`` lists the held-out pictures, chosen by a hash of the name so that the choice never moves.
    """

    def __init__(self, folder: Path, *, device: str = "cpu", validation: int = 400, limit: int | None = None) -> None:
        shards = sorted(folder.glob("train-*.tar"))
        if not shards:
            raise FileNotFoundError(f"{folder} holds no train-*.tar; name the folder of the shards with --data")
        files = [file for shard in shards for file in read_tar(shard)][:limit]
        with ThreadPoolExecutor() as pool:
            arrays = list(pool.map(lambda file: decode(file[1], cv2.IMREAD_COLOR), files))
        self.names = [name for name, _content in files]
        self.shapes = np.array([a.shape[:2] for a in arrays])
        self._offsets = np.concatenate(([0], np.cumsum([a.size for a in arrays])))
        self._buffer = torch.from_numpy(np.concatenate([a.reshape(-1) for a in arrays])).to(device)
        masks = dict(read_tar(folder / "salient-masks.tar"))
        self.salient = {
            i: decode(masks[name], cv2.IMREAD_GRAYSCALE) for i, name in enumerate(self.names) if name in masks
        }
        order = sorted(range(len(files)), key=lambda i: hashlib.sha256(self.names[i].encode()).digest())
        self.validation, rest = order[:validation], order[validation:]
        self.train_salient = [i for i in rest if i in self.salient]
        self.train_general = [i for i in rest if i not in self.salient]

    def __len__(self) -> int:
        return len(self.names)

    def crops(self, plan: Plan) -> tuple[Tensor, Tensor]:
        """Pictures [B, 3, size, size] in [-1, 1] and holes [B, 1, size, size] in {0, 1}, on the device."""
        size = plan.holes.shape[-1]
        batch = []
        for index, (top, left, side), flip in zip(plan.indices, plan.boxes, plan.flips, strict=True):
            h, w = self.shapes[index]
            picture = self._buffer[self._offsets[index] : self._offsets[index + 1]].view(h, w, 3)
            crop = picture[top : top + side, left : left + side].permute(2, 0, 1)[None]
            if crop.is_cuda:  # the antialiased resize knows uint8 on the CPU only
                crop = crop.float()
            crop = F.interpolate(crop, (size, size), mode="bilinear", antialias=True)
            batch.append(crop.flip(3) if flip else crop)
        x = torch.cat(batch).float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)
        return x, torch.from_numpy(plan.holes).to(x.device).float()[:, None]


@dataclass(frozen=True)
class Plan:
    """What a batch is made of, drawn without touching a picture: cheap to make in worker processes."""

    indices: list[int]
    boxes: list[tuple[int, int, int]]  # top, left, side in pixels of the stored picture
    flips: list[bool]
    holes: NDArray[np.uint8]  # [B, size, size] in {0, 1}


def draw(rng: np.random.Generator, pictures: Pictures, shapes: ObjectShapes, indices: list[int], size: int) -> Plan:
    boxes, flips, holes = [], [], []
    for index in indices:
        h, w = (int(n) for n in pictures.shapes[index])
        side = int(min(h, w) * rng.uniform(0.65, 1.0))
        top, left = int(rng.integers(h - side + 1)), int(rng.integers(w - side + 1))
        flip = bool(rng.random() < 0.5)
        salient: Mask | None = None
        if index in pictures.salient:
            salient = pictures.salient[index][top : top + side, left : left + side]
            salient = cv2.resize(salient, (size, size), interpolation=cv2.INTER_AREA)
            salient = salient[:, ::-1] if flip else salient
        boxes.append((top, left, side))
        flips.append(flip)
        holes.append(synthesize_hole(rng, shapes, size, salient))
    return Plan(indices, boxes, flips, np.stack(holes))


class StepPlans(Dataset[Plan]):
    """The plan of every training step from ``start`` on, each from a generator seeded by (seed, step) alone.

    A run that is resumed at a step therefore sees what it would have seen without the interruption. Half of a batch
    comes from the pictures with a saliency mask, half from the others, as in the paper.
    """

    def __init__(
        self, pictures: Pictures, shapes: ObjectShapes, *, seed: int, size: int, batch: int, start: int, stop: int
    ) -> None:
        self._pictures, self._shapes = pictures, shapes
        self._seed, self._size, self._batch, self._start, self._stop = seed, size, batch, start, stop

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, offset: int) -> Plan:
        rng = np.random.default_rng((self._seed, self._start + offset))
        half = self._batch // 2
        kinds = (self._pictures.train_salient, half), (self._pictures.train_general, self._batch - half)
        indices = [int(i) for kind, count in kinds for i in rng.choice(kind, count)]
        return draw(rng, self._pictures, self._shapes, indices, self._size)


def validation_plan(pictures: Pictures, shapes: ObjectShapes, *, size: int) -> Plan:
    """The same crops and holes for every run."""
    return draw(np.random.default_rng(2020), pictures, shapes, pictures.validation, size)
