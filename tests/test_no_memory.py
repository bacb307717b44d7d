from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from iic_rt import Inpainter
from iic_rt.backends.onnxruntime import OnnxRuntimeBinding
from iic_rt.backends.openvino import OpenVinoBackend
from iic_rt.cli import remove
from iic_rt.cli.main import main
from iic_rt.errors import BackendError
from iic_rt.image_io import write_image
from iic_rt.no_memory import engine_error, filling_told

ARENA = (
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv node. Status "
    "Message: bfc_arena.cc:376 Failed to allocate memory for requested buffer of size 3221225472"
)
OPENVINO = "Exception from core.cpp:117: Check 'ptr' failed at cpu_memory.cpp:257: Failed to allocate 20643840 bytes"


@pytest.mark.parametrize("said", [ARENA, OPENVINO, "std::bad_alloc", "bad allocation", "Cannot allocate memory"])
def test_what_engines_say_when_memory_runs_out(said: str) -> None:
    assert isinstance(engine_error(RuntimeError(said), "the graph is refused"), MemoryError)
    assert isinstance(engine_error(MemoryError(), "the graph is refused"), MemoryError)


def test_other_errors_stay_what_they_are() -> None:
    refused = engine_error(RuntimeError("unknown operator"), "the graph is refused")
    assert isinstance(refused, BackendError)
    assert str(refused) == "the graph is refused"
    with pytest.raises(cv2.error), filling_told("an image"):
        cv2.resize(np.zeros((0, 0), np.uint8), (5, 5))


def fail(*_: Any, **__: Any) -> None:
    raise RuntimeError(ARENA)


def test_a_graph_that_has_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    real = OnnxRuntimeBinding.__init__

    def without_memory(self: Any, _session: Any, *buffers: Any) -> None:
        real(self, _session, *buffers)
        self._session = SimpleNamespace(run_with_iobinding=fail)

    monkeypatch.setattr(OnnxRuntimeBinding, "__init__", without_memory)
    image, mask = np.zeros((50, 40, 3), np.uint8), np.zeros((50, 40), np.uint8)
    mask[20:30, 10:40] = 1
    with (
        Inpainter(backend="onnxruntime", working_size=64) as inpainter,
        pytest.raises(BackendError, match=r"^memory ran out while an image of 40x50 pixels was filled; give smaller"),
    ):
        inpainter.inpaint(image, mask)


def test_networks_that_have_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "InferenceSession", fail)
    with pytest.raises(
        BackendError, match=r"^memory ran out while the networks were loaded; fill fewer at once, or cl"
    ):
        Inpainter(backend="onnxruntime")


def test_auto_passes_a_backend_over_that_has_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setattr(OpenVinoBackend, "_read", lambda *_: (_ for _ in ()).throw(MemoryError))
    with Inpainter(working_size=64) as inpainter:
        assert inpainter.backend_name == "onnxruntime"


def test_of_a_folder_the_other_images_are_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        for name in "ab":
            write_image(tmp_path / kind / f"{name}.png", np.full((40, 50), 0, np.uint8))
    real = remove.decode_image

    def decode_image(content: bytes, name: str, **more: Any) -> Any:
        if name.endswith("a.png"):
            raise MemoryError(f"{name} needs more memory than there is")
        return real(content, name, **more)

    monkeypatch.setattr(remove, "Inpainter", partial(Inpainter, working_size=64))
    monkeypatch.setattr(remove, "decode_image", decode_image)
    arguments = ["remove", str(tmp_path / "images"), str(tmp_path / "masks"), "-o", str(tmp_path / "out"), "--json"]
    assert main(arguments) == 1
    said = capsys.readouterr()
    image = tmp_path / "images" / "a.png"
    assert f"error: memory ran out while {image} was filled; give smaller images, take fewer --workers" in said.err
    assert [entry["image"] for entry in json.loads(said.out)["failed"]] == [str(image)]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.png"]
