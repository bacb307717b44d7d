"""OpenVINO computes what ONNX Runtime does: in float32 to the last digits, in bf16 nearly, and without side effects."""

from __future__ import annotations

import dataclasses
import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.backends.onnxruntime import OnnxRuntimeBackend
from iic_rt.backends.openvino import OpenVinoBackend
from iic_rt.backends.registry import open_backend
from iic_rt.bench.metrics import hole_difference, hole_psnr
from iic_rt.bundle.manifest import load_bundle
from iic_rt.bundle.shapes import DESCRIPTOR
from iic_rt.errors import BackendError
from iic_rt.pipeline.loop import Loop

openvino = pytest.importorskip("openvino")

EXAMPLES = Path(__file__).parents[2] / "examples"
BF16 = "bf16" in OpenVinoBackend.precisions()
needs_bf16 = pytest.mark.skipif(not BF16, reason="needs a CPU with bf16")
precisions = pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=needs_bf16)])


@pytest.fixture(scope="module")
def opened() -> Iterator[dict[str, OpenVinoBackend]]:
    found = {}
    for precision in OpenVinoBackend.precisions():
        found[precision] = OpenVinoBackend(load_bundle("edge"), precision=precision, threads=2, stream=None)
    yield found
    for backend in found.values():
        backend.close()


def example(name: str) -> tuple[np.ndarray, np.ndarray]:
    image = cv2.cvtColor(cv2.imread(str(EXAMPLES / f"{name}.jpg")), cv2.COLOR_BGR2RGB)
    return image, cv2.imread(str(EXAMPLES / f"{name}-mask.png"), cv2.IMREAD_GRAYSCALE)


@pytest.mark.parametrize("name", ["dune", "otters", "wren"])
@pytest.mark.parametrize(
    ("precision", "psnr", "steps", "flips"),
    [("fp32", 70, 0.01, 0.001), pytest.param("bf16", 42, 0.6, 0.05, marks=needs_bf16)],
)
def test_pictures_are_those_of_onnxruntime(name: str, precision: str, psnr: float, steps: float, flips: float) -> None:
    """In 16 bits another of two alike patches may be copied, and what one iteration trusts decides over the next.

    So the first iteration is compared closely, and the last one by its look. Patches are chosen and copied by the same
    code in every precision.
    """
    image, mask = example(name)
    results = []
    for settings in ({"backend": "onnxruntime"}, {"backend": "openvino", "precision": precision}):
        with Inpainter(threads=2, **settings) as inpainter:
            results.append(inpainter.inpaint(image, mask, options=InpaintOptions(outputs=("confidence", "history"))))
    first, second = results
    inside = first.hole > 0
    np.testing.assert_array_equal(second.image[~inside], image[~inside])
    images = [first.image, second.image]
    if precision == "bf16":
        assert hole_psnr(*(result.history[-1].image for result in results), inside) > 30
        images = [result.history[0].image for result in results]
    assert hole_psnr(*images, inside) > psnr
    assert hole_difference(*images, inside) < steps
    assert ((first.confidence > 0.5) != (second.confidence > 0.5))[inside].mean() < flips


@pytest.mark.parametrize(("precision", "most"), [("fp32", 1e-6), pytest.param("bf16", 1e-3, marks=needs_bf16)])
def test_descriptors_are_those_of_onnxruntime(
    opened: dict, rng: np.random.Generator, precision: str, most: float
) -> None:
    """The choice of patches hangs on them; of a descriptor the numbers are 0.09 on average."""
    low = cv2.GaussianBlur(rng.uniform(-1, 1, (76, 76, 3)).astype(np.float32), (0, 0), 1.5).transpose(2, 0, 1)[None]
    m = np.zeros((1, 1, 64, 64), np.float32)
    m[..., 15:45, 20:50] = 1
    found = []
    for backend in (
        OnnxRuntimeBackend(load_bundle("edge"), precision="fp32", threads=2, stream=None),
        opened[precision],
    ):
        buffers = {name: backend.allocate(array.shape, "float32") for name, array in (("low", low), ("m", m))}
        buffers["low"].write(low)
        buffers["m"].write(m)
        q = backend.allocate((1, 256, DESCRIPTOR), "float32")
        backend.bind("similarity", buffers, {"q": q}).enqueue()
        found.append(q.read())
    assert np.abs(found[0]).mean() > 0.05
    assert np.abs(found[0] - found[1]).mean() < most


@precisions
def test_known_pixels_of_the_loop_are_kept_bit_for_bit(opened: dict, rng: np.random.Generator, precision: str) -> None:
    loop = Loop(opened[precision], working_size=64)
    m = np.zeros((1, 1, 64, 64), np.float32)
    m[..., 15:45, 20:50] = 1
    y = rng.uniform(-1, 1, (1, 3, 64, 64)).astype(np.float32) * (1 - m)
    loop.y.write(y)
    loop.hole.write(m)
    loop.start()
    for _ in range(3):
        loop.enqueue_step()
        loop.download()
        assert (loop.state().c[m[0, 0] == 0] == 1).all()
    loop.enqueue_seam()
    inner = loop.low.read()[:, :, 6:-6, 6:-6]
    np.testing.assert_array_equal(inner[(m == 0).repeat(3, 1)], y[(m == 0).repeat(3, 1)])
    assert np.abs(inner[(m > 0).repeat(3, 1)]).max() > 0.01


def test_bindings_share_models_and_give_them_back(opened: dict) -> None:
    backend = opened["fp32"]
    gc.collect()
    before = len(backend._compiled)
    loop = Loop(backend, working_size=96)
    gc.collect()
    assert len(backend._compiled) == before + 1  # three bindings of step
    del loop
    gc.collect()
    assert len(backend._compiled) == before


def test_threads_are_as_many_as_asked_for_and_free_to_move() -> None:
    backend = OpenVinoBackend(load_bundle("edge"), precision=None, threads=1, stream=None)
    loop = Loop(backend, working_size=64)
    for model in list(backend._compiled.values()):
        assert model.get_property("INFERENCE_NUM_THREADS") == 1
        assert not model.get_property("ENABLE_CPU_PINNING")
    del loop


def test_it_is_named_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendError, match=r"pip install 'iic-rt\[openvino\]'"):
        open_backend("openvino", load_bundle("edge"))
    with Inpainter(working_size=64) as inpainter:
        assert inpainter.backend_name == "onnxruntime"


def test_auto_takes_it_before_onnxruntime() -> None:
    with Inpainter(working_size=64) as inpainter:
        assert inpainter.backend_name == "openvino"
        assert inpainter.precision == next(iter(OpenVinoBackend.precisions()))


def test_a_cpu_without_bf16_says_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OpenVinoBackend, "precisions", staticmethod(lambda: {"fp32": "fp32"}))
    with pytest.raises(BackendError, match=r"fp32 on this CPU, not in 'bf16'.*FP32"):
        open_backend("openvino", load_bundle("edge"), precision="bf16")
    monkeypatch.undo()
    with pytest.raises(BackendError, match="int4"):
        open_backend("openvino", load_bundle("edge"), precision="int4")


@pytest.mark.parametrize("graph", ["step", "similarity"])
def test_a_graph_it_cannot_read_is_named(tmp_path: Path, graph: str) -> None:
    bundle = load_bundle("edge")
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    broken = dataclasses.replace(bundle.graphs[graph], path=tmp_path / "broken.onnx")
    spoilt = dataclasses.replace(bundle, precisions={"fp32": {**bundle.graphs, graph: broken}})
    with pytest.raises(BackendError, match=r"refuses .*broken\.onnx"):
        open_backend("openvino", spoilt)


def test_a_closed_backend_binds_nothing() -> None:
    backend = OpenVinoBackend(load_bundle("edge"), precision=None, threads=1, stream=None)
    backend.close()
    backend.close()
    with pytest.raises(BackendError, match="is closed"):
        backend.bind("step", {}, {})
