"""The check before any timing: is the backend's picture the one that the graphs stand for?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iic_rt import Inpainter, InpaintOptions, InpaintResult
from iic_rt.bench.cases import Case, Scene
from iic_rt.bench.metrics import hole_difference, hole_psnr, low_passed
from iic_rt.errors import BackendError

__all__ = ["REFERENCE", "TOLERANCES", "Reference", "Tolerance", "check", "reference"]

REFERENCE = "onnxruntime"  # in fp32: the plain CPU, which every export is compared with too


@dataclass(frozen=True)
class Tolerance:
    """How far a result may be from the reference, inside the hole.

    Attributes:
        psnr: least, in dB.
        difference: most, mean absolute, in grey levels of 255.
        confidence: most, mean absolute.
    """

    psnr: float
    difference: float
    confidence: float


TOLERANCES = {
    "fp32": Tolerance(psnr=60, difference=0.1, confidence=0.005),
    "fp16": Tolerance(psnr=33, difference=3, confidence=0.05),
    "bf16": Tolerance(psnr=31, difference=4.5, confidence=0.1),
}
"""By precision. In fp32 only the order of sums differs; 16 bits round, now and then an iteration trusts another pixel
and another patch is copied, so there images are compared under a Gaussian. The fill of any other method is outside all
of them."""


@dataclass(frozen=True)
class Reference:
    """What the reference backend makes of a scene: arrays as in ``InpaintResult``."""

    image: NDArray[np.uint8]
    confidence: NDArray[np.float32]


def reference(case: Case, scene: Scene) -> Reference:
    """The result of :data:`REFERENCE` in fp32 for the case's bundle, iterations and working size.

    Raises:
        IICError: it cannot be made, so nothing can be checked.
    """
    options = InpaintOptions(grow=0, iterations=case.iterations, outputs=("confidence",))
    with Inpainter(
        case.bundle,
        backend=REFERENCE,
        precision="fp32",
        threads=case.threads,
        working_size=case.working_size,
        options=options,
    ) as inpainter:
        result = inpainter.inpaint(scene.image, scene.hole)
    assert result.confidence is not None
    return Reference(result.image, result.confidence)


def check(result: InpaintResult, expected: Reference, scene: Scene, precision: str) -> dict[str, Any]:
    """Compares a result with the reference; returns the figures.

    Raises:
        BackendError: the output is wrong; the message says in what and by how much.
    """
    if precision not in TOLERANCES:
        raise BackendError(f"nobody has measured a tolerance for {precision}; known: {', '.join(TOLERANCES)}")
    allowed, hole = TOLERANCES[precision], scene.hole > 0
    if result.image.shape != scene.image.shape or result.image.dtype != np.uint8:
        raise BackendError(f"wrong output: {result.image.dtype}{result.image.shape} for uint8{scene.image.shape}")
    changed = int((result.image != scene.image).any(-1)[~hole].sum())
    if changed:
        raise BackendError(f"wrong output: {changed} known pixels are not those of the picture")
    if result.confidence is None or not np.isfinite(result.confidence).all():
        raise BackendError("wrong output: the confidence is not finite everywhere")
    if result.confidence.min() < 0 or result.confidence.max() > 1:
        raise BackendError("wrong output: the confidence is not in [0, 1] everywhere")
    images: tuple[NDArray[Any], NDArray[Any]] = (result.image, expected.image)
    if precision != "fp32":
        images = low_passed(result.image), low_passed(expected.image)
    psnr, difference = hole_psnr(*images, hole), hole_difference(*images, hole)
    confidence = float(np.abs(result.confidence - expected.confidence)[hole].mean())
    for name, found, limit, right in (
        ("PSNR (dB)", psnr, f"at least {allowed.psnr:g}", psnr >= allowed.psnr),
        ("mean difference (of 255)", difference, f"at most {allowed.difference:g}", difference <= allowed.difference),
        (
            "confidence's mean difference",
            confidence,
            f"at most {allowed.confidence:g}",
            confidence <= allowed.confidence,
        ),
    ):
        if not right:
            raise BackendError(
                f"wrong output: {name} in the hole, against {REFERENCE} in fp32, is {found:.3g}; "
                f"for {precision} {limit} is right"
            )
    return {"psnr_db": round(psnr, 2), "difference": round(difference, 4), "confidence": round(confidence, 5)}
