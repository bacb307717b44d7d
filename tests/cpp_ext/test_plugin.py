"""The TensorRT plugins, built from NVIDIA's headers and taken by real engines, on a machine without a GPU."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest

from iic_rt.bundle.manifest import OPERATORS_VERSION, load_bundle
from iic_rt.bundle.shapes import RegionShapes
from tests.cpp_ext.builds import run, tensorrt_headers
from tests.cpp_ext.plugin_models import ATTRIBUTES, OPERATORS, SCALE, SHAPES, STEPS, TYPES, of_type, patch_model, ranks

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FIELDS = ["best:5:1:1", f"scale:1:1:{SCALE}"]
CREATORS = [f"creator: {name} {OPERATORS_VERSION} iic" for name in OPERATORS]


@pytest.fixture(scope="module")
def driver(plugin: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    program = tmp_path_factory.mktemp("driver") / "plugin_driver"
    options = ["-std=c++17", "-isystem", tensorrt_headers(), "-Xcompiler", "-Wall,-Wextra,-Werror"]
    run("nvcc", *options, HERE / "plugin_driver.cpp", "-o", program, "-ldl")
    return [str(program), str(plugin)]


def drive(driver: list[str], operator: str, *arguments: str) -> list[str]:
    """What the plugin answers and logs, line by line, after the lines about the creators."""
    lines = run(*driver, operator, *arguments).splitlines()
    assert lines[: len(CREATORS)] == CREATORS
    return lines[len(CREATORS) :]


def ask_engine(plugin: Path | None, *, engine: str = "tensorrt_rtx", **request: Any) -> dict[str, Any]:
    pytest.importorskip(engine)
    asked = json.dumps({"engine": engine, "library": plugin and str(plugin)} | request)
    command = [sys.executable, "-m", "tests.cpp_ext.plugin_engine", asked]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout), stderr=done.stderr)


def build_engine(plugin: Path | None, model: onnx.ModelProto, shapes: dict[str, Any], folder: Path) -> dict[str, Any]:
    onnx.save(model, folder / "model.onnx")
    paths = {"model": str(folder / "model.onnx"), "plan": str(folder / "model.plan")}
    answer = ask_engine(plugin, shapes=shapes, **paths)
    return answer | {"plan": (folder / "model.plan").read_bytes() if answer["built"] else b""}


def assert_holds_the_plugins(answer: dict[str, Any]) -> None:
    assert answer["layers"].count("PLUGIN_V3") == len(OPERATORS)
    assert answer["built"], answer["log"]
    names = [*OPERATORS, "iic", *(name for attributes in ATTRIBUTES.values() for name in attributes)]
    for part in (*(name.encode() for name in names), struct.pack("<f", SCALE), struct.pack("<4i", *STEPS)):
        assert part in answer["plan"], part


def messages(answer: dict[str, Any], start: str) -> list[str]:
    return [line for line in answer["log"] if line.startswith(f"ERROR iic::{start}")]


def test_two_functions_go_out_and_none_of_tensorrt_comes_in(plugin: Path) -> None:
    defined = run("nm", "-D", "--defined-only", plugin).split("\n")
    assert sorted(line.split()[-1] for line in defined if line) == ["getCreators", "setLoggerFinder"]
    undefined = [line.split() for line in run("nm", "-D", "--undefined-only", plugin).splitlines()]
    foreign = [name for kind, name in undefined if kind != "w" and not re.search(r"@(GLIBC|GLIBCXX|CXXABI|GCC)_", name)]
    assert foreign == []
    needed = re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", plugin))
    assert not [name for name in needed if "cuda" in name or "nv" in name or "tensorrt" in name]


@pytest.mark.parametrize("engine", ["tensorrt_rtx", "tensorrt_lean"])
def test_engines_find_the_creators(plugin: Path, engine: str) -> None:
    for operator in OPERATORS:
        answer = ask_engine(plugin, engine=engine, operator=operator, attributes=ATTRIBUTES.get(operator, {}))
        assert answer | {"log": 0} == {"found": OPERATORS, "created": True, "log": 0, "stderr": ""}
    assert ask_engine(None, engine=engine)["found"] == []


def test_the_message_reaches_a_logger_of_another_layout(plugin: Path) -> None:
    """TensorRT-RTX has the loggers of TensorRT 11, the headers here those of TensorRT 10."""
    answer = ask_engine(plugin, operator="PatchSearch", attributes={})
    assert not answer["created"]
    assert messages(answer, "PatchSearch: layer 'layer' has no attribute best")
    assert answer["stderr"] == ""


@pytest.mark.parametrize("dtype", ["float", "float16"])
def test_rtx_takes_the_plugins_before_the_functions(plugin: Path, dtype: str, tmp_path: Path) -> None:
    model = patch_model(of_type(dtype), ranks(SHAPES), functions=True)
    assert_holds_the_plugins(build_engine(plugin, model, SHAPES, tmp_path))
    without = build_engine(None, model, SHAPES, tmp_path)
    assert without["built"], without["log"]
    assert "PLUGIN_V3" not in without["layers"]


def test_rtx_builds_them_without_functions(plugin: Path, tmp_path: Path) -> None:
    model = patch_model(of_type("float16"), ranks(SHAPES))
    assert_holds_the_plugins(build_engine(plugin, model, SHAPES, tmp_path))
    assert not build_engine(None, model, SHAPES, tmp_path)["built"]


def test_rtx_builds_them_for_a_range_of_sizes(plugin: Path, tmp_path: Path) -> None:
    shapes = SHAPES | {
        "detail": [[1, 16, 8, 12], [1, 16, 16, 24], [1, 16, 32, 48]],
        "inside": [[1, 1, 8, 12], [1, 1, 16, 24], [1, 1, 32, 48]],
    }
    model = patch_model(of_type("float16"), ranks(shapes))
    assert_holds_the_plugins(build_engine(plugin, model, shapes, tmp_path))


@pytest.mark.parametrize(("name", "plugins"), [("search", 1), ("refine", 4), ("replace", 1)])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_rtx_builds_the_shipped_graphs(plugin: Path, name: str, plugins: int, precision: str, tmp_path: Path) -> None:
    bundle = load_bundle("edge").at(precision)
    shapes = RegionShapes(512, bundle.working_size).inputs()[name]
    model = onnx.load(bundle.graphs[name].path)
    answer = build_engine(plugin, model, {tensor: list(shape) for tensor, shape in shapes.items()}, tmp_path)
    assert answer["built"], answer["log"]
    assert answer["layers"].count("PLUGIN_V3") == plugins


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"q": "int8"}, "PatchSearch: q is int8; allowed is float32 or float16"),
        ({"hole": "float16"}, "PatchSearch: hole is float16; allowed is float32"),
        ({"valid": "float16"}, "PatchMatch: valid is float16; allowed is float32"),
        ({"inside": "float16"}, "PatchReplace: detail is float32 and inside is float16; allowed is one type"),
    ],
)
def test_rtx_is_told_of_wrong_types(plugin: Path, wrong: dict[str, str], message: str, tmp_path: Path) -> None:
    answer = build_engine(plugin, patch_model(TYPES | wrong, ranks(SHAPES)), SHAPES, tmp_path)
    assert not answer["built"]
    assert messages(answer, message), answer["log"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"weight": [1, 4, 5]}, "PatchSearch: columns is 6 in hole and 5 in weight; allowed is one columns for all"),
        ({"q": [1, 23, 76]}, "PatchSearch: N of q is 23, and hole has 4 rows and 6 columns; allowed is their product"),
        ({"q": [24, 76]}, "PatchSearch: q has 2 dimensions; allowed are 3: [B, N, D]"),
        ({"q": [1, 24, 0]}, "PatchSearch: D of q is 0; allowed is 1 to 2147483647"),
        ({"features": [1, 3, 8, 24], "valid": [1, 8, 24]}, "PatchMatch: h is 8 and there are 4 rows of patches"),
        ({"features": [1, 3, 16, 28], "valid": [1, 16, 28]}, "PatchMatch: w is 28 and there are 6 columns of patches"),
        ({"valid": [1, 16, 23]}, "PatchMatch: w is 24 in features and 23 in valid; allowed is one w for all"),
        ({"inside": [1, 2, 8, 12]}, "PatchReplace: axis 1 of inside is 2; allowed is 1"),
        ({"detail": [1, 16, 9, 12], "inside": [1, 1, 9, 12]}, "PatchReplace: h is 9 and there are 4 rows of patches"),
        ({"detail": [1, 16, 8, 18], "inside": [1, 1, 8, 18]}, "PatchReplace: a patch is 2 pixels high and 3 wide"),
    ],
)
def test_rtx_is_told_of_wrong_shapes(plugin: Path, wrong: dict[str, Any], message: str, tmp_path: Path) -> None:
    shapes = SHAPES | wrong
    answer = build_engine(plugin, patch_model(TYPES, ranks(shapes)), shapes, tmp_path)
    assert not answer["built"]
    assert messages(answer, message), answer["log"]


def test_attributes_survive_copies_and_engines(driver: list[str]) -> None:
    lines = drive(driver, "PatchSearch", "fields", "other:5:1:3", *FIELDS)
    assert lines == [f"{who}: {' '.join(FIELDS)}" for who in ("created", "cloned", "attached", "again")]
    for steps in ("steps:5:1:7", "steps:5:4:8,4,2,1", f"steps:5:16:{','.join('9' * 16)}"):
        lines = drive(driver, "PatchMatch", "fields", "other:5:1:3", steps)
        assert lines == [f"{who}: {steps}" for who in ("created", "cloned", "attached", "again")]
    lines = drive(driver, "PatchReplace", "fields", "other:5:1:3")
    assert lines == [f"{who}:" for who in ("created", "cloned", "attached", "again")]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("bests:5:1:1", "layer 'layer' has no attribute best; it must have this one: type 5 (int32), 1 value"),
        ("best:1:1:1", "attribute best of layer 'layer' has field type 1 and 1 values; allowed is type 5 (int32)"),
        ("best:5:1:5", "attribute best of layer 'layer' is 5; the kernels take 1 to 4"),
        ("best:5:1:0", "attribute best of layer 'layer' is 0; the kernels take 1 to 4"),
        ("scale:1:2:3", "attribute scale of layer 'layer' has field type 1 and 2 values; allowed is type 1 (float32)"),
        ("scale:1:1:nan", "attribute scale of layer 'layer' is nan; allowed is any finite number"),
    ],
)
def test_wrong_attributes_of_the_search_are_refused(driver: list[str], changed: str, message: str) -> None:
    kept = [field for field in FIELDS if not changed.startswith(field.split(":")[0])]
    log, answer = drive(driver, "PatchSearch", "fields", changed, *kept)
    assert log.startswith(f"log: 1 iic::PatchSearch: {message}")
    assert answer == "refused"


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("step:5:1:1", "layer 'layer' has no attribute steps; it must have this one: type 5 (int32), 1 to 16 values"),
        ("steps:1:1:1", "attribute steps of layer 'layer' has field type 1 and 1 values; allowed is type 5 (int32)"),
        (
            "steps:5:17:1",
            "attribute steps of layer 'layer' has field type 5 and 17 values; allowed is type 5 (int32), 1",
        ),
        ("steps:5:0:1", "attribute steps of layer 'layer' has field type 5 and 0 values; allowed is type 5 (int32), 1"),
        ("steps:5:3:2,0,1", "attribute steps of layer 'layer' holds 0; allowed is 1 or more"),
    ],
)
def test_wrong_steps_are_refused(driver: list[str], field: str, message: str) -> None:
    log, answer = drive(driver, "PatchMatch", "fields", field)
    assert log.startswith(f"log: 1 iic::PatchMatch: {message}")
    assert answer == "refused"


def test_without_a_logger_messages_go_to_stderr(driver: list[str]) -> None:
    done = subprocess.run([*driver, "PatchSearch", "orphan"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [*CREATORS, "refused"]
    assert done.stderr.startswith("iic::PatchSearch: layer 'layer' has no attribute best")


@pytest.mark.parametrize("t", ["f32", "f16"])
def test_types_that_are_allowed(driver: list[str], t: str) -> None:
    answer = ["outputs: i32 f32", "linear: 11111", "other: 00000"]
    assert drive(driver, "PatchSearch", "types", t, "f32", "f32") == answer
    answer = ["outputs: i32 f32", "linear: 111111", "other: 000000"]
    assert drive(driver, "PatchMatch", "types", t, "f32", "i32", "f32") == answer
    answer = [f"outputs: {t} {t}", "linear: 111111", "other: 000000"]
    assert drive(driver, "PatchReplace", "types", t, t, "i32", "f32") == answer


def test_types_that_are_not_allowed(driver: list[str]) -> None:
    log, answer, linear, _ = drive(driver, "PatchSearch", "types", "f16", "f16", "f32")
    assert log.startswith("log: 1 iic::PatchSearch: hole is float16; allowed is float32")
    assert (answer, linear) == ("refused", "linear: 10100")
    log, answer, linear, _ = drive(driver, "PatchMatch", "types", "f16", "f32", "f32", "f32")
    assert log.startswith("log: 1 iic::PatchMatch: offset is float32; allowed is int32")
    assert (answer, linear) == ("refused", "linear: 110100")
    log, answer, linear, _ = drive(driver, "PatchReplace", "types", "f16", "f32", "f32", "f32")
    assert log.startswith("log: 1 iic::PatchReplace: detail is float16 and inside is float32; allowed is one type")
    assert (answer, linear) == ("refused", "linear: 100100")


def search_shapes(
    b: str = "1", n: str = "24", rows: str = "4", columns: str = "6", d: str = "76", *, type_of_q: str = "f32"
) -> list[str]:
    return ["PatchSearch", "shapes", type_of_q, f"{b},{n},{d}", f"{b},{rows},{columns}", f"{b},{rows},{columns}"]


def match_shapes(
    b: str = "1", h: str = "16", w: str = "24", rows: str = "4", columns: str = "6", axes: str = "1,2"
) -> list[str]:
    offset, share = f"{b},{axes},{rows},{columns}", f"{b},1,{rows},{columns}"
    return ["PatchMatch", "shapes", "f32", f"{b},3,{h},{w}", f"{b},{h},{w}", offset, share]


def replace_shapes(
    b: str = "1", h: str = "8", w: str = "12", rows: str = "4", columns: str = "6", axes: str = "1,2"
) -> list[str]:
    offset, share = f"{b},{axes},{rows},{columns}", f"{b},1,{rows},{columns}"
    return ["PatchReplace", "shapes", "f32", f"{b},16,{h},{w}", f"{b},1,{h},{w}", offset, share]


def test_shapes_pass_to_the_outputs(driver: list[str]) -> None:
    good = ["configured: 0", "changed: 0"]
    outputs = ["shapes: 0", "output: 2 2 2 4 6", "output: 2 2 4 6"]  # the driver's best is 2
    assert drive(driver, *search_shapes("2"))[:-1] == outputs + good
    outputs = ["shapes: 0", "output: -1 2 2 -1 6", "output: -1 2 -1 6"]
    assert drive(driver, *search_shapes("1..2", "6..24", "1..4"))[:-1] == outputs + good
    outputs = ["shapes: 0", "output: 2 1 2 4 6", "output: 2 1 4 6"]
    assert drive(driver, *match_shapes("2")) == [*outputs, *good, "workspace: 384"]
    outputs = ["shapes: 0", "output: 1 1 2 -1 6", "output: 1 1 -1 6"]
    assert drive(driver, *match_shapes("1", "4..64", rows="1..16")) == [*outputs, *good, "workspace: 768"]
    outputs = ["shapes: 0", "output: 2 16 8 12", "output: 2 1 8 12"]
    assert drive(driver, *replace_shapes("2")) == [*outputs, *good, "workspace: 0"]
    outputs = ["shapes: 0", "output: 1 16 -1 -1", "output: 1 1 -1 -1"]
    assert drive(driver, *replace_shapes("1", "8..64", "12..96")) == [*outputs, *good, "workspace: 0"]


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            ["PatchSearch", "shapes", "f32", "1,24,76", "1,4,6", "2,4,6"],
            "B is 1 in q and 2 in weight; allowed is one B",
        ),
        (search_shapes(n="25"), "N of q is 25, and hole has 4 rows and 6 columns"),
        (search_shapes(n="1", rows="1", columns="1"), "best is 2 and N is 1; allowed is 1 to N"),
        (match_shapes(h="8"), "h is 8 and there are 4 rows of patches; allowed is 4 times as many"),
        (match_shapes(w="25"), "w is 25 and there are 6 columns of patches; allowed is 4 times as many"),
        (match_shapes(axes="2,2"), "axis 1 of offset is 2; allowed is 1 (offset is [B, 1, 2, rows, columns])"),
        (match_shapes(axes="1,1"), "axis 2 of offset is 1; allowed is 2 (offset is [B, 1, 2, rows, columns])"),
        (replace_shapes(axes="1,3"), "axis 2 of offset is 3; allowed is 2 (offset is [B, best, 2, rows, columns])"),
        (replace_shapes(axes="2,2"), "best is 2 in offset and 1 in share; allowed is one best for all inputs"),
        (replace_shapes(h="6"), "h is 6 and there are 4 rows of patches; allowed is a multiple, 2 or more"),
        (replace_shapes(h="4"), "h is 4 and there are 4 rows of patches; allowed is a multiple, 2 or more"),
        (replace_shapes(h="12"), "a patch is 3 pixels high and 2 wide; allowed is h / rows = w / columns"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_at_each_step(driver: list[str], shapes: list[str], message: str) -> None:
    lines = drive(driver, *shapes)
    assert [line for line in lines if not line.startswith("log")][:3] == ["shapes: 1", "configured: 1", "changed: 1"]
    assert len([line for line in lines if line.startswith(f"log: 1 iic::{shapes[0]}: {message}")]) == 3


def test_a_size_that_is_unknown_at_run_time_is_refused(driver: list[str]) -> None:
    lines = drive(driver, *search_shapes(d="?"))
    assert "changed: 1" in lines
    assert "log: 1 iic::PatchSearch: D of q is -1; allowed is 1 to 2147483647" in lines


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (search_shapes("70000"), "B 70000, 4 rows, 6 columns, D 76 is more than the kernels take"),
        (match_shapes("70000"), "B 70000, C 3, 4 rows, 6 columns is more than the kernel takes"),
        (replace_shapes("70000"), "B 70000, C 16, h 8, w 12 is more than the kernel takes"),
        (replace_shapes("1", "80000", "120000"), "B 1, C 16, h 80000, w 120000 is more than the kernel takes"),
    ],
)
def test_sizes_over_the_limit_are_refused(driver: list[str], shapes: list[str], message: str) -> None:
    lines = drive(driver, *shapes)
    assert "configured: 1" in lines
    assert "changed: 1" in lines
    assert [line for line in lines if message in line]


@pytest.mark.parametrize("type_of_q", ["f32", "f16"])
def test_the_workspace_is_enough_for_every_size_of_the_profile(driver: list[str], type_of_q: str) -> None:
    def workspace(b: str, n: str, rows: str, columns: str, d: str) -> int:
        last = drive(driver, *search_shapes(b, n, rows, columns, d, type_of_q=type_of_q))[-1]
        return int(last.removeprefix("workspace: "))

    whole = workspace("1..40", "64..1024", "4..32", "16..32", "76..130")
    grids = [("64", "4", "16"), ("480", "15", "32"), ("1024", "32", "32")]
    sizes = [(b, *grid, d) for b in ("1", "7", "40") for grid in grids for d in ("76", "128", "130")]
    assert whole >= max(workspace(*size) for size in sizes) > 0


def test_a_launch_that_fails_is_told(driver: list[str]) -> None:
    log, answer = drive(driver, "PatchSearch", "enqueue")
    assert log.startswith("log: 1 iic::PatchSearch: the kernels were not launched: ")
    assert log.endswith("(B 1, N 8, D 4, rows 2, columns 4)")
    assert answer == "enqueued: 1"
    log, answer = drive(driver, "PatchMatch", "enqueue")
    assert log.startswith("log: 1 iic::PatchMatch: the kernels were not launched: ")
    assert log.endswith("(B 1, C 3, h 8, w 16, rows 2, columns 4)")
    assert answer == "enqueued: 1"
    log, answer = drive(driver, "PatchReplace", "enqueue")
    assert log.startswith("log: 1 iic::PatchReplace: the kernels were not launched: ")
    assert log.endswith("(B 1, C 3, h 4, w 8, best 1, rows 2, columns 4)")
    assert answer == "enqueued: 1"
