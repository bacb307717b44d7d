"""The training pictures: tar shards of WebP files, decoded once into one file that every run maps."""

from __future__ import annotations

import hashlib
import json
import tarfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from iic_rt.files import replacing, write_bytes
from training.drawn import draw_picture
from training.masks import Mask, ObjectShapes, classic_hole, synthesize_hole

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


def decode_shards(
    shards: list[Path], cache: Path, limit: int | None
) -> tuple[NDArray[np.uint8], list[str], list[list[int]]]:
    """All pixels in one flat array that is mapped from a file in ``cache``, names, and height and width of each.

    The pixels take gigabytes: mapped, they are shared by runs side by side, and given back when memory runs short.
    """
    described = [[shard.name, shard.stat().st_size] for shard in shards]
    key = hashlib.sha256(json.dumps([described, limit]).encode()).hexdigest()[:16]
    pixels, facts = cache / f"pictures-{key}.rgb", cache / f"pictures-{key}.json"
    if not facts.exists():
        cache.mkdir(parents=True, exist_ok=True)
        files = [file for shard in shards for file in read_tar(shard)][:limit]
        shapes = []
        with replacing(pixels) as partial, partial.open("wb") as file, ThreadPoolExecutor() as pool:
            for start in range(0, len(files), 256):
                for array in pool.map(lambda f: decode(f[1], cv2.IMREAD_COLOR), files[start : start + 256]):
                    shapes.append(list(array.shape[:2]))
                    file.write(array.tobytes())
        write_bytes(facts, json.dumps({"names": [name for name, _ in files], "shapes": shapes}).encode())
    found = json.loads(facts.read_text())
    return np.memmap(pixels, np.uint8, "r"), found["names"], found["shapes"]


class Pictures:
    """All pictures of one data folder in one flat uint8 buffer: on ``device``, or mapped from ``cache`` on the CPU.

    The folder holds ``train-*.tar`` and ``salient-masks.tar``; the masks' stems are those of their pictures.
    ``validation`` lists the held-out pictures, chosen by a hash of the name so that the choice never moves.
    """

    def __init__(
        self, folder: Path, *, cache: Path, device: str = "cpu", validation: int = 400, limit: int | None = None
    ) -> None:
        shards = sorted(folder.glob("train-*.tar"))
        if not shards:
            raise FileNotFoundError(f"{folder} holds no train-*.tar; name the folder of the shards with --data")
        pixels, self.names, shapes = decode_shards(shards, cache, limit)
        self.shapes = np.array(shapes)
        self._offsets = np.concatenate(([0], np.cumsum(self.shapes.prod(1) * 3)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the map is read-only, and nothing writes to it
            self._buffer = torch.from_numpy(pixels)
        self.device = torch.device(device)
        if self.device.type != "cpu":
            self._buffer = F.pad(self._buffer.to(device), (0, 3 * int(self.shapes.max())))  # see `resized_crops`
        masks = dict(read_tar(folder / "salient-masks.tar"))
        self.salient = {
            i: decode(masks[name], cv2.IMREAD_GRAYSCALE) for i, name in enumerate(self.names) if name in masks
        }
        order = sorted(range(len(self.names)), key=lambda i: hashlib.sha256(self.names[i].encode()).digest())
        self.validation, rest = order[:validation], order[validation:]
        self.train_salient = [i for i in rest if i in self.salient]
        self.train_general = [i for i in rest if i not in self.salient]

    def __len__(self) -> int:
        return len(self.names)

    def crops(self, plan: Plan) -> tuple[Tensor, Tensor]:
        """Photographs, then drawn pictures [B, 3, size, size] in [-1, 1], and holes [B, 1, size, size] in {0, 1}."""
        size = plan.holes.shape[-1]
        parts = self._one_by_one(plan, size) if self.device.type == "cpu" else self._at_once(plan, size)
        if len(plan.drawn):
            parts.append(placed(plan.drawn, self.device).permute(0, 3, 1, 2))
        x = torch.cat([part.float() for part in parts]).div_(127.5).sub_(1)
        if plan.gammas is not None:
            gammas = placed(plan.gammas, self.device)
            x = x.add_(1).div_(2).clamp_(1e-4, 1).pow(gammas[:, :, None, None]).mul_(2).sub_(1)
        x = x.contiguous(memory_format=torch.channels_last)
        return x, placed(plan.holes, self.device).float()[:, None]

    def _one_by_one(self, plan: Plan, size: int) -> list[Tensor]:
        """The photographs, uint8 [1, 3, size, size] each: the CPU resizes fastest in whole numbers."""
        parts = []
        for index, (top, left, side), flip in zip(plan.indices, plan.boxes, plan.flips, strict=True):
            h, w = self.shapes[index]
            picture = self._buffer[self._offsets[index] : self._offsets[index + 1]].view(h, w, 3)
            crop = picture[top : top + side, left : left + side].permute(2, 0, 1)[None]
            crop = F.interpolate(crop, (size, size), mode="bilinear", antialias=True)
            parts.append(crop.flip(3) if flip else crop)
        return parts

    def _at_once(self, plan: Plan, size: int) -> list[Tensor]:
        """The photographs, float32 [n, 3, size, size], in one entry; none without photographs."""
        if not plan.indices:
            return []
        windows = placed(self.windows(plan), self.device)
        return [resized_crops(self._buffer, windows, size, longest=max(side for _, _, side in plan.boxes))]

    def windows(self, plan: Plan) -> NDArray[np.int64]:
        """Where the plan's photographs lie in the flat buffer, as :func:`resized_crops` takes it."""
        top, left, side = np.array(plan.boxes).T
        pitch = 3 * self.shapes[plan.indices, 1]
        return np.stack((self._offsets[plan.indices] + top * pitch + 3 * left, pitch, side, np.array(plan.flips)))


def placed(array: NDArray[Any], device: torch.device) -> Tensor:
    """The array on ``device``; a GPU is not waited for, since a copy from pinned memory only has to be enqueued."""
    tensor = torch.from_numpy(array)
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def resized_crops(pixels: Tensor, windows: Tensor, size: int, *, longest: int) -> Tensor:
    """Square crops of pictures of any size, resized as by ``F.interpolate`` (bilinear, antialiased), in a few kernels.

    Each resize is two products with a matrix of weights, so that crops of all sides fit into two batched products.

    Args:
        pixels: uint8 [P], pictures [h, w, 3] one behind another, and 3 * ``longest`` bytes or more behind the last.
        windows: int64 [4, B]: the byte at which a crop begins, the bytes of a row of its picture, its side in pixels,
            and 1 where it is to be flipped.
        size: side of the results in pixels.
        longest: the largest of the sides, which the host would have to wait for.

    Returns:
        float32 [B, 3, size, size] in [0, 255].
    """
    start, pitch, side, flip = windows[:, :, None]  # [B, 1] each
    cells = torch.arange(longest, device=pixels.device)
    # Rows and columns beyond a crop's side have no weight; such rows repeat its last, to stay within the buffer.
    rows = start + pitch * torch.minimum(cells, side - 1)
    crops = pixels.unfold(0, 3 * longest, 1)[rows].float()  # [B, longest, 3 * longest]
    scale = side[:, None] / size
    centres = scale * (torch.arange(size, device=pixels.device)[:, None] + 0.5)
    weights = (1 - (cells + 0.5 - centres).abs() / scale.clamp_min(1)).clamp_min(0) * (cells < side)[:, None]
    weights = weights / weights.sum(2, keepdim=True)  # [B, size, longest]
    low = torch.bmm(weights, crops).unflatten(2, (longest, 3))
    across = low.transpose(1, 2).flatten(2)  # [B, longest, size * 3]
    weights = torch.where(flip[:, None] > 0, weights.flip(1), weights)
    return torch.bmm(weights, across).unflatten(2, (size, 3)).permute(0, 3, 2, 1)


def no_pictures() -> NDArray[np.uint8]:
    return np.empty((0, 0, 0, 3), np.uint8)


@dataclass(frozen=True)
class Plan:
    """What a batch is made of, drawn without touching a photograph: cheap to make in worker processes."""

    indices: list[int]
    boxes: list[tuple[int, int, int]]  # top, left, side in pixels of the stored photograph
    flips: list[bool]
    holes: NDArray[np.uint8]  # [B, size, size] in {0, 1}: of the photographs, then of the drawn pictures
    drawn: NDArray[np.uint8] = field(default_factory=no_pictures)  # [n, size, size, 3]
    gammas: NDArray[np.float32] | None = None  # [B, 3], the exponent of each colour, for training


SMALLEST_CROP = 0.5  # of the short side


def draw(
    rng: np.random.Generator,
    pictures: Pictures,
    shapes: ObjectShapes,
    indices: list[int],
    size: int,
    *,
    drawn: int = 0,
    augment: bool = False,
    classic: bool = False,
) -> Plan:
    """A plan of crops of these photographs and of ``drawn`` drawn pictures.

    ``augment`` takes smaller crops, as far as they need not be enlarged, and varies brightness and white balance.
    ``classic`` holes lie anywhere, on salient objects too.
    """

    def hole(salient: Mask | None = None) -> Mask:
        return classic_hole(rng, size) if classic else synthesize_hole(rng, shapes, size, salient)

    boxes, flips, holes = [], [], []
    for index in indices:
        h, w = (int(n) for n in pictures.shapes[index])
        smallest = min(0.65, max(SMALLEST_CROP, size / min(h, w))) if augment else 0.65
        side = int(min(h, w) * rng.uniform(smallest, 1.0))
        top, left = int(rng.integers(h - side + 1)), int(rng.integers(w - side + 1))
        flip = bool(rng.random() < 0.5)
        salient: Mask | None = None
        if index in pictures.salient:
            salient = pictures.salient[index][top : top + side, left : left + side]
            salient = cv2.resize(salient, (size, size), interpolation=cv2.INTER_AREA)
            salient = salient[:, ::-1] if flip else salient
        boxes.append((top, left, side))
        flips.append(flip)
        holes.append(hole(salient))
    plan = Plan(indices, boxes, flips, np.stack(holes))
    if not drawn and not augment:
        return plan
    pictures_drawn = [draw_picture(rng, size) for _ in range(drawn)]
    holes += [hole() for _ in range(drawn)]
    gammas = np.exp(rng.normal(0, 0.2, (len(holes), 1)) + rng.normal(0, 0.04, (len(holes), 3)))
    return Plan(
        indices,
        boxes,
        flips,
        np.stack(holes),
        np.stack(pictures_drawn) if drawn else no_pictures(),
        gammas.astype(np.float32),
    )


class StepPlans(Dataset[Plan]):
    """The plan of every training step from ``start`` on, each from a generator seeded by (seed, step, rank) alone.

    A run that is resumed at a step therefore sees what it would have seen without the interruption. ``drawn`` is the
    share of drawn pictures, ``classic`` as in :func:`draw`. Half of the photographs are those with a saliency mask,
    half the others, as in the paper.
    """

    def __init__(
        self,
        pictures: Pictures,
        shapes: ObjectShapes,
        *,
        seed: int,
        size: int,
        batch: int,
        start: int,
        drawn: float = 0.0,
        classic: bool = False,
        rank: int = 0,
    ) -> None:
        self._pictures, self._shapes = pictures, shapes
        self._seed, self._size, self._batch, self._start, self._rank = seed, size, batch, start, rank
        self._drawn, self._classic = round(drawn * batch), classic

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, offset: int) -> Plan:
        rng = np.random.default_rng((self._seed, self._start + offset, self._rank))
        photographs = self._batch - self._drawn
        half = photographs // 2
        kinds = (self._pictures.train_salient, half), (self._pictures.train_general, photographs - half)
        indices = [int(i) for kind, count in kinds for i in rng.choice(kind, count)]
        options = {"drawn": self._drawn, "augment": True, "classic": self._classic}
        return draw(rng, self._pictures, self._shapes, indices, self._size, **options)


ENDLESS = 10**9  # steps: a stage ends by the clock of the run


def validation_plan(pictures: Pictures, shapes: ObjectShapes, *, size: int) -> Plan:
    """The same crops and holes for every run."""
    return draw(np.random.default_rng(2020), pictures, shapes, pictures.validation, size)
