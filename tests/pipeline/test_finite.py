"""NaN and infinity never become an image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.backends.onnxruntime import OnnxRuntimeBackend
from iic_rt.backends.registry import BACKENDS
from iic_rt.cli.main import main
from iic_rt.errors import BackendError
from tests.bundle.damage import damaged_bundle


class AheadBackend(OnnxRuntimeBackend):
    """Says of itself that it runs ahead of the host, so that nothing is looked at before the end."""

    synchronous: ClassVar[bool] = False


@pytest.fixture
def image(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (160, 160, 3), np.uint8)


@pytest.fixture
def mask(image: np.ndarray) -> np.ndarray:
    mask = np.zeros(image.shape[:2], np.uint8)
    mask[50:90, 60:110] = 255
    return mask


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("factor", [float("nan"), 1e30])
@pytest.mark.parametrize("graph", ["step", "similarity"])
def test_damaged_weights(
    tmp_path: Path, image: np.ndarray, mask: np.ndarray, graph: str, factor: float, backend: str
) -> None:
    pytest.importorskip(backend)
    bundle = damaged_bundle(tmp_path / "bundle", graph, factor)
    with Inpainter(bundle, backend=backend, precision="fp32", working_size=64) as inpainter:
        for options in (InpaintOptions(), InpaintOptions(outputs=("history",))):
            with pytest.raises(BackendError, match=r"NaN or infinity in fp32: .*another bundle"):
                inpainter.inpaint(image, mask, options=options)


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "ahead", AheadBackend)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # this one computes with numpy what a GPU does in silence
@pytest.mark.usefixtures("ahead")
def test_a_backend_that_runs_ahead_is_looked_at_first(tmp_path: Path, image: np.ndarray, mask: np.ndarray) -> None:
    """Damaged weights never give an image, although later calls are not looked at."""
    bundle = damaged_bundle(tmp_path / "bundle", "step", float("nan"))
    with Inpainter(bundle, backend="ahead", working_size=64) as inpainter:
        for _ in range(2):
            with pytest.raises(BackendError, match="NaN or infinity"):
                inpainter.inpaint(image, mask)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.usefixtures("ahead")
def test_of_a_backend_that_runs_ahead_what_is_read_anyway(image: np.ndarray, mask: np.ndarray) -> None:
    options = InpaintOptions(outputs=("confidence",))
    with Inpainter(backend="ahead", working_size=64, options=options) as inpainter:
        inpainter.inpaint(image, mask)
        loop = inpainter._filling._runners._loop
        step = loop._later_steps[1].enqueue

        def overflow() -> None:
            step()
            loop.outputs()[1][...] = np.inf

        loop._later_steps[1].enqueue = loop._later_steps[0].enqueue = overflow
        with pytest.raises(BackendError, match="NaN or infinity"):
            inpainter.inpaint(image, mask)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("values", [[3e38, 3e38], [np.inf, -np.inf]])
def test_what_is_too_large_is_an_error_and_no_warning(inpainter: Inpainter, values: list[float]) -> None:
    runner = inpainter._filling._runners.runner(64, channels=3, options=InpaintOptions(), slot=0)
    with pytest.raises(BackendError, match="NaN or infinity"):
        runner._check_finite(np.zeros(2, np.float32), np.float32(values))


def test_the_next_image_is_as_if_nothing_had_been(image: np.ndarray, mask: np.ndarray) -> None:
    """A value too large for the precision is one image's fault."""
    with Inpainter(backend="onnxruntime", working_size=64) as inpainter:
        before = inpainter.inpaint(image, mask).image
        for buffers in inpainter._filling._runners._loop._sets:
            for buffer in buffers.values():
                buffer.host[...] = np.nan
        np.testing.assert_array_equal(inpainter.inpaint(image, mask).image, before)


def test_the_command_writes_nothing_and_says_no_nan(
    tmp_path: Path, image: np.ndarray, mask: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = damaged_bundle(tmp_path / "bundle", "step", float("nan"))
    files = [str(tmp_path / name) for name in ("image.png", "mask.png", "out.png")]
    cv2.imwrite(files[0], image)
    cv2.imwrite(files[1], mask)
    arguments = ["--bundle", str(bundle), "--backend", "onnxruntime", "--json"]
    assert main(["remove", *files[:2], "-o", files[2], *arguments]) == 1
    assert not Path(files[2]).exists()

    def refuse(number: str) -> None:
        raise AssertionError(number)

    (failed,) = json.loads(capsys.readouterr().out, parse_constant=refuse)["failed"]
    assert "NaN or infinity" in failed["error"]
