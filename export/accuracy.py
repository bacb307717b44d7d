"""Does a bundle fill real pictures in FP16 as it does in FP32? The gate in front of every bundle and every engine."""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from export.rounding import rounded
from iic_rt import Inpainter, InpaintOptions
from iic_rt.backends.registry import open_backend
from iic_rt.bench.metrics import hole_difference, hole_psnr, low_passed
from iic_rt.bundle.manifest import MANIFEST, Bundle, file_sha256, load_bundle
from iic_rt.bundle.shapes import DESCRIPTOR
from iic_rt.contract import Backend
from iic_rt.errors import BackendError
from iic_rt.image_io import IMAGE_SUFFIXES, read_image, read_mask
from iic_rt.masks import Masks
from iic_rt.pipeline.regions import crop, find_regions
from iic_rt.reference.algorithm import SURER, prepare
from iic_rt.resampling import BASE_REACH, PATCH, area_weights

__all__ = ["EXAMPLES", "Picture", "check_accuracy", "load_pictures", "show_accuracy"]

EXAMPLES = Path(__file__).parent.parent / "examples"
ITERATIONS = 4
TIE = 1e-3  # confidences nearer than this to what decides may be kept or left: rounding may decide either way
# What the loop made is compared as it is, and so are the descriptors by which patches are chosen. The filled image only
# shows that nothing is grossly wrong, under a Gaussian (`low_passed`): of patches that are alike another may be copied.
MIN_PSNR = 38.0
MAX_DIFFERENCE = {"fp16": 1.0, "bf16": 1.5}
MAX_DESCRIPTOR = 1e-3
MIN_FILLED_PSNR = 25.0
MAX_STEP = 0.1
MAX_FLIPS = 1e-3

Picture = tuple[str, NDArray[np.uint8], NDArray[np.uint8]]  # name, RGB [H, W, 3], mask [H, W] in {0, 1}
State = tuple[NDArray[np.float32], ...]  # y, m and c of Algorithm 1


def check_accuracy(folder: Path, pictures: Sequence[Picture]) -> dict[str, Any]:
    """Fills pictures with the FP32 and the FP16 graphs of a bundle in ONNX Runtime, and in bf16 in OpenVINO.

    The FP16 graphs run with every result rounded to FP16, see ``export.rounding``.

    Args:
        folder: of the bundle, with graphs in both precisions.
        pictures: of :func:`load_pictures`.

    Returns:
        ``limits``, ``rows``, one a picture, ``bf16``, the same for bf16 or why it was not checked, and ``passed``. In
        a row, ``psnr``: of what the loop made against FP32 in the hole, dB. ``difference``: mean absolute difference
        there, in steps of 8 bits. ``filled_psnr``: of the filled image, both under a Gaussian, dB. ``descriptor``: mean
        absolute difference of the descriptors of what FP32 made, whose numbers are 0.09 on average. For FP16 alone,
        ``step``: the difference after one iteration from the same state, at working resolution, where both take a
        pixel or leave it. ``flips``: share of the hole where only one of the two takes a pixel in an iteration from
        the same state, although its confidence clearly decides.
    """
    options = InpaintOptions(grow=0, iterations=ITERATIONS, outputs=("history",))
    with (
        tempfile.TemporaryDirectory() as scratch,
        Inpainter(folder, backend="onnxruntime", precision="fp32", options=options) as exact,
    ):
        steps = [_session(exact.bundle)]
        states = [_states(steps[0], image, mask, exact.working_size) for _, image, mask in pictures]
        rounded_folder = _rounded_bundle(load_bundle(folder), Path(scratch) / "rounded")
        with Inpainter(rounded_folder, backend="onnxruntime", precision="fp16", options=options) as half:
            rows = _compare(exact, half, pictures, states)
            steps.append(_session(half.bundle))
        for row, of_picture in zip(rows, states, strict=True):
            row |= _compare_steps(steps[1], of_picture)
        limits = _limits("fp16") | {"step": MAX_STEP, "flips": MAX_FLIPS}
        passed = _within(rows, limits)
        bf16: dict[str, Any]
        try:
            with Inpainter(folder, backend="openvino", precision="bf16", options=options) as half:
                bf16 = {"limits": _limits("bf16"), "rows": _compare(exact, half, pictures, states)}
        except BackendError as error:
            bf16 = {"absent": str(error)}
        else:
            bf16["passed"] = _within(bf16["rows"], bf16["limits"])
    passed = passed and bf16.get("passed", True)
    return {"iterations": ITERATIONS, "limits": limits, "rows": rows, "bf16": bf16, "passed": passed}


def _limits(precision: str) -> dict[str, float]:
    looks = {"psnr": MIN_PSNR, "difference": MAX_DIFFERENCE[precision], "filled_psnr": MIN_FILLED_PSNR}
    return looks | {"descriptor": MAX_DESCRIPTOR}


def _within(rows: Sequence[dict[str, Any]], limits: dict[str, float]) -> bool:
    """Whether there are rows and all of them keep to the limits: least decibels, and the most of everything else."""
    return bool(rows) and all(
        row[name] >= limit if name.endswith("psnr") else row[name] <= limit
        for row in rows
        for name, limit in limits.items()
    )


def _compare(
    exact: Inpainter, half: Inpainter, pictures: Sequence[Picture], states: Sequence[Sequence[State]]
) -> list[dict[str, Any]]:
    rows = []
    backends = [open_backend(i.backend_name, i.bundle, precision=i.precision) for i in (exact, half)]
    for (name, image, mask), of_picture in zip(pictures, states, strict=True):
        hole, results = mask > 0, [inpainter.inpaint(image, mask) for inpainter in (exact, half)]
        loops = [result.history[-1].image for result in results]
        row = {"psnr": hole_psnr(*loops, hole), "difference": hole_difference(*loops, hole)}
        row["filled_psnr"] = hole_psnr(*(low_passed(result.image) for result in results), hole)
        found, wanted = (_descriptors(backend, of_picture[-1][0], of_picture[0][1]) for backend in backends)
        rows.append({"picture": name} | row | {"descriptor": float(np.abs(found - wanted).mean())})
    return rows


def _descriptors(backend: Backend, y: NDArray[np.float32], hole: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of the patches of a loop's result y [1, 3, s, s] and its hole [1, 1, s, s]: [1, N, DESCRIPTOR]."""
    graph, reach = backend.bundle.graphs["similarity"], BASE_REACH
    low = np.pad(y, ((0, 0), (0, 0), (reach, reach), (reach, reach)), mode="edge")
    inputs = {"low": low, "m": hole}
    buffers = {name: backend.allocate(a.shape, graph.tensor(name).dtype) for name, a in inputs.items()}
    for name, buffer in buffers.items():
        buffer.write(inputs[name].astype(buffer.dtype))
    q = backend.allocate((1, (y.shape[2] // PATCH) ** 2, DESCRIPTOR), graph.tensor("q").dtype)
    backend.bind("similarity", buffers, {"q": q}).enqueue()
    return q.read().astype(np.float32)


def show_accuracy(report: dict[str, Any]) -> None:
    """Prints a report of :func:`check_accuracy` as a table."""
    bf16 = report["bf16"]
    print(f"{'against FP32':<22}{'hole PSNR':>10}{'of 255':>9}{'filled':>10}{'descr.':>9}{'one step':>10}{'flips':>9}")
    for precision, part in (("FP16", report), ("bf16", bf16)):
        for row in (*part.get("rows", ()), {"picture": "allowed", **part.get("limits", {})}):
            if "psnr" not in row:
                continue
            name = f"{precision}, {row['picture']}"
            line = f"{name:<22}{row['psnr']:>7.1f} dB{row['difference']:>9.3f}{row['filled_psnr']:>7.1f} dB"
            line += f"{row['descriptor']:>9.1e}"
            print(line + (f"{row['step']:>10.3f}{100 * row['flips']:>8.3f}%" if "step" in row else ""))
    if "absent" in bf16:
        print(f"bf16 not checked: {bf16['absent']}")


def _states(
    step: onnxruntime.InferenceSession, image: NDArray[np.uint8], mask: NDArray[np.uint8], size: int
) -> list[State]:
    """The loop's y, m and c before each iteration and after the last, in the largest region of a picture."""
    region = max(find_regions(Masks(mask), working_size=size, context=2.0), key=lambda r: r.side)
    weights = area_weights(region.side / size)
    y, m = prepare(crop(image, region), 1 - crop(mask, region), weights, np.eye(3, dtype=np.float32))
    states = [(y, m, np.ones_like(m))]
    for t in range(ITERATIONS):
        states.append(_iterate(step, states[-1], t))
    return states


def _iterate(step: onnxruntime.InferenceSession, state: State, t: int) -> State:
    feeds = dict(zip(("y", "m", "c", "first"), (*state, np.full(1, t == 0, np.float32)), strict=True))
    return tuple(step.run(None, feeds))


def _compare_steps(step: onnxruntime.InferenceSession, states: Sequence[State]) -> dict[str, float]:
    """What one iteration of ``step`` from each of the states makes, against the state that followed it."""
    hole = states[0][1][0, 0] > 0
    flips, differences = [], []
    for t, (before, exact) in enumerate(pairwise(states)):
        half = _iterate(step, before, t)
        clear = np.abs(exact[2] - (before[2] + SURER if t else 0.5)) > TIE
        differ = (exact[1] != half[1])[0, 0]
        flips.append(float((differ & clear[0, 0]).sum() / hole.sum()))
        compared = hole & ~(differ & ~clear[0, 0])
        differences.append(float(np.abs(exact[0] - half[0])[0][:, compared].mean() * 127.5))
    return {"step": max(differences), "flips": max(flips)}


def _session(bundle: Bundle) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(bundle.graphs["step"].path), providers=["CPUExecutionProvider"])


def _rounded_bundle(bundle: Bundle, folder: Path) -> Path:
    """A copy of the bundle whose FP16 graphs round every result."""
    shutil.copytree(bundle.folder, folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    for entry in manifest["precisions"]["fp16"].values():
        path = folder / entry["file"]
        onnx.save(rounded(onnx.load(path)), path)
        entry["sha256"] = file_sha256(path)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


def load_pictures(source: Path = EXAMPLES) -> list[Picture]:
    """Pictures with holes.

    Args:
        source: a folder of pictures with ``NAME-mask.png`` beside each, as ``examples/``, or a tar of ``images/NAME.*``
            and ``masks/NAME.png``; pictures without a mask are left out.
    """
    return list(_from_tar(source) if source.is_file() else _from_folder(source))


def _from_folder(folder: Path) -> Iterator[Picture]:
    for path in sorted(folder.iterdir()):
        mask = path.with_name(f"{path.stem}-mask.png")
        if path.suffix.lower() in IMAGE_SUFFIXES and mask.is_file():
            image = np.ascontiguousarray(read_image(path)[..., 2::-1])
            yield path.stem, image, (read_mask(mask) > 127).astype(np.uint8)


def _from_tar(path: Path) -> Iterator[Picture]:
    with tarfile.open(path) as tar:

        def decode(name: str, flags: int) -> NDArray[np.uint8]:
            file = tar.extractfile(name)
            assert file is not None
            return np.asarray(cv2.imdecode(np.frombuffer(file.read(), np.uint8), flags), np.uint8)

        names = tar.getnames()
        for name in names:
            mask = f"masks/{PurePosixPath(name).stem}.png"
            if name.startswith("images/") and mask in names:
                image = np.ascontiguousarray(decode(name, cv2.IMREAD_COLOR)[..., ::-1])
                yield PurePosixPath(name).stem, image, (decode(mask, cv2.IMREAD_GRAYSCALE) > 127).astype(np.uint8)
