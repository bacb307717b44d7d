"""Rivals' results are matched by name, and models of every allowed kind are driven as they want to be."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from benchmarks import peers
from benchmarks.peers import OnnxModel, as_pixels, load_folder, main, published
from iic_rt import Inpainter

TYPES = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}


@pytest.fixture
def folders(tmp_path: Path, rng: np.random.Generator) -> dict[str, Path]:
    """Two images of 64x48, their masks, and a rival that paints grey."""
    made = {name: tmp_path / name for name in ("images", "masks", "grey")}
    for folder in made.values():
        folder.mkdir()
    mask = np.zeros((48, 64), np.uint8)
    mask[10:30, 20:40] = 255
    for name in ("a", "b"):
        cv2.imwrite(str(made["images"] / f"{name}.png"), rng.integers(0, 256, (48, 64, 3), np.uint8))
        cv2.imwrite(str(made["masks"] / f"{name}.png"), mask)
        cv2.imwrite(str(made["grey"] / f"{name}.png"), np.full((48, 64, 3), 128, np.uint8))
    return made


def model(path: Path, *, kind: str, side: int | str, scale: float) -> Path:
    """A network that gives back its image times ``scale``, with the mask added."""
    size = [1, 3, side, side]
    inputs = [
        helper.make_tensor_value_info("image", TYPES[kind], size),
        helper.make_tensor_value_info("mask", TYPES[kind], [1, 1, side, side]),
    ]
    nodes = [
        helper.make_node("Cast", ["image"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["mask"], ["m"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "m"], ["sum"]),
        helper.make_node("Mul", ["sum", "scale"], ["y"]),
    ]
    weights = [helper.make_tensor("scale", TensorProto.FLOAT, [], [scale])]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, size)
    graph = helper.make_graph(nodes, "rival", inputs, [output], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def shown(image: NDArray[np.uint8], hole: NDArray[np.uint8], path: Path, **options: bool) -> int:
    filled = OnnxModel(path, **options)(image, hole)
    np.testing.assert_array_equal(filled[hole == 0], image[hole == 0])
    return int(np.median(filled[hole > 0]))


def test_models_get_what_they_want(tmp_path: Path) -> None:
    image, hole = np.full((40, 56, 3), 100, np.uint8), np.zeros((40, 56), np.uint8)
    hole[10:20, 10:20] = 1
    whole = model(tmp_path / "whole.onnx", kind="uint8", side="side", scale=0.5)
    assert shown(image, hole, whole) == pytest.approx((100 + 255) / 2, abs=1)
    assert shown(image, hole, whole, known_is_one=True) == 50
    small = model(tmp_path / "small.onnx", kind="float32", side=32, scale=0.5)  # (100 / 255 + 1) / 2
    assert shown(image, hole, small) == pytest.approx((100 + 255) / 2, abs=1)
    large = model(tmp_path / "large.onnx", kind="float32", side=32, scale=100.0)
    assert shown(image, hole, large) == pytest.approx(139, abs=1)


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.onnx"
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 5, 8, 8])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5, 8, 8])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "odd", [value], [made])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    with pytest.raises(ValueError, match=r"takes x \[1, 5, 8, 8\]; allowed are \[1, 3, H, W\]"):
        OnnxModel(path)


def test_ranges_of_outputs() -> None:
    for values, wanted in (([0.0, 1.0], 255), ([-1.0, 1.0], 255), ([0.0, 200.0], 200), ([-0.1, 0.5], 128)):
        assert as_pixels(np.array(values, np.float32).reshape(1, 2, 1)).max() == wanted


def test_files_that_do_not_fit_are_named(folders: dict[str, Path]) -> None:
    cases = load_folder(folders["images"], folders["masks"])
    assert [case.name for case in cases] == ["a", "b"]
    assert cases[0].hole.sum() == 400
    inverted = load_folder(folders["images"], folders["masks"], black_is_hole=True)
    assert (inverted[0].hole != cases[0].hole).all()
    (folders["grey"] / "b.png").unlink()
    with pytest.raises(ValueError, match="has no result of b"):
        published(folders["grey"], cases)
    cv2.imwrite(str(folders["grey"] / "b.png"), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match=r"is \(4, 4\), its original \(64, 48\)"):
        published(folders["grey"], cases)
    with pytest.raises(ValueError, match="has the name of an image"):
        load_folder(folders["images"], folders["images"].parent)


def test_the_command(
    folders: dict[str, Path],
    inpainter: Inpainter,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(peers, "Inpainter", lambda *_, **__: nullcontext(inpainter))
    rival = model(tmp_path / "rival.onnx", kind="uint8", side="side", scale=0.5)
    arguments = ["--images", str(folders["images"]), "--masks", str(folders["masks"]), "--repeats", "1"]
    arguments += ["--results", f"grey={folders['grey']}", "--model", f"rival={rival}"]
    arguments += ["--out", str(tmp_path / "peers.json"), "--sheets", str(tmp_path / "sheets")]
    assert main(arguments) == 0
    record = json.loads((tmp_path / "peers.json").read_text())
    assert record["methods"].keys() == {"iic-rt", "iic-rt, grow 0", "grey", "rival"}
    assert record["ms"].keys() == {"iic-rt", "rival"}
    sheet = cv2.imread(str(tmp_path / "sheets" / "a.jpg"))
    assert sheet.shape == (48, 64 * 6, 3)
    assert "grey" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([*arguments, "--results", "no path"])
    assert "'no path' is not NAME=PATH" in capsys.readouterr().err
