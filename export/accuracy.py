"""Does a bundle fill real pictures in FP16 as it does in FP32? The gate in front of every bundle and every engine."""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from export.rounding import rounded
from iic_rt import Inpainter, InpaintOptions
from iic_rt.bench.metrics import hole_difference, hole_psnr, low_passed
from iic_rt.bundle.manifest import MANIFEST, Bundle, file_sha256, load_bundle
from iic_rt.errors import BackendError
from iic_rt.image_io import IMAGE_SUFFIXES, read_image, read_mask
from iic_rt.masks import Masks
from iic_rt.pipeline.regions import crop, find_regions
from iic_rt.reference.algorithm import prepare
from iic_rt.resampling import area_weights

__all__ = ["EXAMPLES", "Picture", "check_accuracy", "load_pictures", "show_accuracy"]

EXAMPLES = Path(__file__).parent.parent / "examples"
ITERATIONS = 4
TIE = 1e-3  # confidences nearer than this have neither grown nor shrunk: rounding may decide either way
# What the loop made is compared as it is. The filled image is compared under a Gaussian (`low_passed`), and with less:
# another choice among patches that are alike shows even then.
MIN_PSNR = 38.0
MAX_DIFFERENCE = {"fp16": 1.0, "bf16": 1.5}
MIN_FILLED_PSNR = 30.0
MAX_STEP = 0.1
MAX_FLIPS = 1e-3

Picture = tuple[str, NDArray[np.uint8], NDArray[np.uint8]]  # name, RGB [H, W, 3], mask [H, W] in {0, 1}


def check_accuracy(folder: Path, pictures: Sequence[Picture]) -> dict[str, Any]:
    """Fills pictures with the FP32 and the FP16 graphs of a bundle in ONNX Runtime, and in bf16 in OpenVINO.

    The FP16 graphs run with every result rounded to FP16, see ``export.rounding``.

    Args:
        folder: of the bundle, with graphs in both precisions.
        pictures: of :func:`load_pictures`.

    Returns:
        ``limits``, ``rows``, one a picture, ``bf16``, the same for bf16 or why it was not checked, and ``passed``. In
        a row, ``psnr``: of what the loop made against FP32 in the hole, dB. ``difference``: mean absolute difference
        there, in steps of 8 bits. ``filled_psnr``: of the filled image, both under a Gaussian, dB. For FP16 alone,
        ``step``: the difference after one iteration from the same state, at working resolution, where both take a
        pixel or leave it. ``flips``: share of the hole where only one of the two takes a pixel in an iteration from
        the same state, although its confidence clearly grew or shrank.
    """
    options = InpaintOptions(grow=0, iterations=ITERATIONS, outputs=("history",))
    with (
        tempfile.TemporaryDirectory() as scratch,
        Inpainter(folder, backend="onnxruntime", precision="fp32", options=options) as exact,
    ):
        rounded_folder = _rounded_bundle(load_bundle(folder), Path(scratch) / "rounded")
        with Inpainter(rounded_folder, backend="onnxruntime", precision="fp16", options=options) as half:
            rows = _compare(exact, half, pictures)
            steps = [_session(inpainter.bundle) for inpainter in (exact, half)]
        for row, (_, image, mask) in zip(rows, pictures, strict=True):
            row |= _compare_steps(steps, image, mask, exact.working_size)
        limits = _limits("fp16") | {"step": MAX_STEP, "flips": MAX_FLIPS}
        passed = _within(rows, limits)
        bf16: dict[str, Any]
        try:
            with Inpainter(folder, backend="openvino", precision="bf16", options=options) as half:
                bf16 = {"limits": _limits("bf16"), "rows": _compare(exact, half, pictures)}
        except BackendError as error:
            bf16 = {"absent": str(error)}
        else:
            bf16["passed"] = _within(bf16["rows"], bf16["limits"])
    passed = passed and bf16.get("passed", True)
    return {"iterations": ITERATIONS, "limits": limits, "rows": rows, "bf16": bf16, "passed": passed}


def _limits(precision: str) -> dict[str, float]:
    return {"psnr": MIN_PSNR, "difference": MAX_DIFFERENCE[precision], "filled_psnr": MIN_FILLED_PSNR}


def _within(rows: Sequence[dict[str, Any]], limits: dict[str, float]) -> bool:
    """Whether there are rows and all of them keep to the limits: least decibels, and the most of everything else."""
    return bool(rows) and all(
        row[name] >= limit if name.endswith("psnr") else row[name] <= limit
        for row in rows
        for name, limit in limits.items()
    )


def _compare(exact: Inpainter, half: Inpainter, pictures: Sequence[Picture]) -> list[dict[str, Any]]:
    rows = []
    for name, image, mask in pictures:
        hole, results = mask > 0, [inpainter.inpaint(image, mask) for inpainter in (exact, half)]
        loops = [result.history[-1].image for result in results]
        row = {"psnr": hole_psnr(*loops, hole), "difference": hole_difference(*loops, hole)}
        filled = hole_psnr(*(low_passed(result.image) for result in results), hole)
        rows.append({"picture": name} | row | {"filled_psnr": filled})
    return rows


def show_accuracy(report: dict[str, Any]) -> None:
    """Prints a report of :func:`check_accuracy` as a table."""
    bf16 = report["bf16"]
    print(f"{'against FP32':<22}{'hole PSNR':>10}{'of 255':>9}{'filled':>10}{'one step':>10}{'flips':>9}")
    for precision, part in (("FP16", report), ("bf16", bf16)):
        for row in (*part.get("rows", ()), {"picture": "allowed", **part.get("limits", {})}):
            if "psnr" not in row:
                continue
            name = f"{precision}, {row['picture']}"
            line = f"{name:<22}{row['psnr']:>7.1f} dB{row['difference']:>9.3f}{row['filled_psnr']:>7.1f} dB"
            print(line + (f"{row['step']:>10.3f}{100 * row['flips']:>8.3f}%" if "step" in row else ""))
    if "absent" in bf16:
        print(f"bf16 not checked: {bf16['absent']}")


def _compare_steps(
    steps: list[onnxruntime.InferenceSession], image: NDArray[np.uint8], mask: NDArray[np.uint8], size: int
) -> dict[str, float]:
    region = max(find_regions(Masks(mask), working_size=size, context=2.0), key=lambda r: r.side)
    weights = area_weights(region.side / size)
    y, m = prepare(crop(image, region), 1 - crop(mask, region), weights, np.eye(3, dtype=np.float32))
    state, hole = (y, m, np.ones_like(m)), m[0, 0] > 0
    flips, differences = [], []
    for t in range(ITERATIONS):
        feeds = dict(zip(("y", "m", "c", "first"), (*state, np.full(1, t == 0, np.float32)), strict=True))
        exact, half = (step.run(None, feeds) for step in steps)
        clear = np.abs(exact[2] - (0.5 if t == 0 else state[2])) > TIE
        differ = (exact[1] != half[1])[0, 0]
        flips.append(float((differ & clear[0, 0]).sum() / hole.sum()))
        compared = hole & ~(differ & ~clear[0, 0])
        differences.append(float(np.abs(exact[0] - half[0])[0][:, compared].mean() * 127.5))
        state = tuple(exact)
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
