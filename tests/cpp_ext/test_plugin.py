"""The TensorRT plugin, built from NVIDIA's headers and taken by real engines, on a machine without a GPU."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import onnx
import pytest

from export.patch_replace import build_patch_replace
from iic_rt.pipeline.patches import blend, windows

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SCALE = 37.625  # its bytes are found in an engine only where somebody wrote them
PATCHES, DESCRIPTOR, WIDTH = 64, 16, 40
SHAPES = {
    "q": [1, PATCHES, DESCRIPTOR],
    "k": [1, PATCHES, DESCRIPTOR],
    "v": [1, PATCHES, WIDTH],
    "hole": [1, PATCHES],
    "weight": [1, PATCHES],
}
TYPES = {"q": "float", "k": "float", "v": "float", "hole": "float", "weight": "float"}
CREATOR = "creator: 1 PatchReplace 1 iic"


def tensorrt_headers() -> Path:
    """The folder of NVIDIA's headers in the wheel kernel-lens, which is never imported."""
    try:
        distribution = importlib.metadata.distribution("kernel-lens")
    except importlib.metadata.PackageNotFoundError:
        pytest.fail("TensorRT's headers are missing: pip install --no-deps kernel-lens==2.0.1 (`make test` does)")
    return Path(str(distribution.locate_file("kernel_lens/include/tensorrt")))


def run(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for tool in ("nvcc", "cmake"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not on PATH")
    cache = tmp_path_factory.mktemp("plugin")
    options = ["75-virtual", "-DCMAKE_CXX_FLAGS=-Werror", f"-DTENSORRT_INCLUDE_DIR={tensorrt_headers()}"]  # PTX alone
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IIC_RT_CACHE", str(cache))
        run(ROOT / "cpp_ext" / "plugin" / "install.sh", *options)
    return cache / "plugin" / "libiic_rt_plugin.so"


@pytest.fixture(scope="module")
def driver(library: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    program = tmp_path_factory.mktemp("driver") / "plugin_driver"
    options = ["-std=c++17", "-isystem", tensorrt_headers(), "-Xcompiler", "-Wall,-Wextra,-Werror"]
    run("nvcc", *options, HERE / "plugin_driver.cpp", "-o", program, "-ldl")
    return [str(program), str(library)]


def drive(driver: list[str], *arguments: str) -> list[str]:
    """What the plugin answers and logs, line by line, after the line about its creator."""
    first, *lines = run(*driver, *arguments).splitlines()
    assert first == CREATOR
    return lines


def ask_engine(library: Path | None, *, engine: str = "tensorrt_rtx", **request: Any) -> dict[str, Any]:
    pytest.importorskip(engine)
    asked = json.dumps({"engine": engine, "library": library and str(library)} | request)
    command = [sys.executable, "-m", "tests.cpp_ext.plugin_engine", asked]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout), stderr=done.stderr)


def build_engine(library: Path | None, model: onnx.ModelProto, shapes: dict[str, Any], folder: Path) -> dict[str, Any]:
    onnx.save(model, folder / "model.onnx")
    paths = {"model": str(folder / "model.onnx"), "plan": str(folder / "model.plan")}
    answer = ask_engine(library, shapes=shapes, **paths)
    return answer | {"plan": (folder / "model.plan").read_bytes() if answer["built"] else b""}


def assert_holds_the_plugin(answer: dict[str, Any], scale: float) -> None:
    assert answer["layers"].count("PLUGIN_V3") == 1
    assert answer["built"], answer["log"]
    for part in (b"PatchReplace", b"iic", b"scale", struct.pack("<f", scale)):
        assert part in answer["plan"], part


def single_node(types: dict[str, str], ranks: dict[str, int]) -> onnx.ModelProto:
    """The node with any types and ranks, and with no function to fall back to."""
    inputs = ", ".join(f"{types[name]}[{', '.join('?' * ranks[name])}] {name}" for name in types)
    return onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 20, "iic" : 1]> wrong ({inputs}) => (float[?, ?, ?] out, float[?, ?] r)'
        '{ out, r = iic.PatchReplace <scale = 1.0, plugin_namespace = "iic", plugin_version = "1">'
        " (q, k, v, hole, weight) }"
    )


def test_two_functions_go_out_and_none_of_tensorrt_comes_in(library: Path) -> None:
    defined = run("nm", "-D", "--defined-only", library).split("\n")
    assert sorted(line.split()[-1] for line in defined if line) == ["getCreators", "setLoggerFinder"]
    undefined = [line.split() for line in run("nm", "-D", "--undefined-only", library).splitlines()]
    foreign = [name for kind, name in undefined if kind != "w" and not re.search(r"@(GLIBC|GLIBCXX|CXXABI|GCC)_", name)]
    assert foreign == []
    needed = re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", library))
    assert not [name for name in needed if "cuda" in name or "nv" in name or "tensorrt" in name]


@pytest.mark.parametrize("engine", ["tensorrt_rtx", "tensorrt_lean"])
def test_engines_find_the_creator(library: Path, engine: str) -> None:
    assert ask_engine(library, engine=engine, scale=SCALE) | {"log": 0} == {
        "found": True,
        "created": True,
        "log": 0,
        "stderr": "",
    }
    assert not ask_engine(None, engine=engine)["found"]


def test_the_message_reaches_a_logger_of_another_layout(library: Path) -> None:
    """TensorRT-RTX has the loggers of TensorRT 11, the headers here those of TensorRT 10."""
    answer = ask_engine(library, scale=None)
    assert not answer["created"]
    assert [
        line for line in answer["log"] if line.startswith("ERROR iic::PatchReplace: layer 'layer' has no attribute")
    ]
    assert answer["stderr"] == ""


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_rtx_builds_the_node_from_the_plugin(library: Path, dtype: str, tmp_path: Path) -> None:
    model = build_patch_replace(SCALE, dtype)
    assert_holds_the_plugin(build_engine(library, model, SHAPES, tmp_path), SCALE)
    without = build_engine(None, model, SHAPES, tmp_path)
    assert "PLUGIN_V3" not in without["layers"]
    assert not without["built"]  # the function has NonZero


def test_rtx_builds_it_for_a_range_of_sizes(library: Path, tmp_path: Path) -> None:
    shapes = {name: [[1, 4, *rest], [1, 64, *rest], [2, 256, *rest]] for name, (_, _, *rest) in SHAPES.items()}
    assert_holds_the_plugin(build_engine(library, build_patch_replace(SCALE, "float16"), shapes, tmp_path), SCALE)


def test_rtx_builds_the_shipped_graph(library: Path, tmp_path: Path) -> None:
    model = onnx.load(ROOT / "iic_rt" / "bundles" / "edge" / "replace.onnx")
    (node,) = [n for n in model.graph.node if n.op_type == "PatchReplace"]
    (scale,) = [a.f for a in node.attribute if a.name == "scale"]
    groups, p, channels, descriptor = 16, 8, 16, 76
    cells = groups * p // 2
    shapes = {
        "q": [1, groups**2, descriptor],
        "features": [1, channels, cells, cells],
        "inside": [1, 1, cells, cells],
        "hole": [1, groups, groups],
        "weight": [1, groups, groups],
        "windows": list(windows(groups, p).shape),
    } | {name: list(value.shape) for name, value in blend(groups, p)._asdict().items()}
    assert_holds_the_plugin(build_engine(library, model, shapes, tmp_path), scale)
    assert "PLUGIN_V3" not in build_engine(None, model, shapes, tmp_path)["layers"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"q": "int8", "k": "int8", "v": "int8"}, "q is int8, k is int8, v is int8; allowed is one type"),
        ({"q": "float16", "k": "float16"}, "q is float16, k is float16, v is float32; allowed is one type"),
        ({"hole": "float16"}, "hole is float16; allowed is float32"),
    ],
)
def test_rtx_is_told_of_wrong_types(library: Path, wrong: dict[str, str], message: str, tmp_path: Path) -> None:
    model = single_node(TYPES | wrong, {name: len(shape) for name, shape in SHAPES.items()})
    answer = build_engine(library, model, SHAPES, tmp_path)
    assert not answer["built"]
    assert [line for line in answer["log"] if line.startswith(f"ERROR iic::PatchReplace: {message}")], answer["log"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"v": [1, 63, WIDTH]}, "N is 64 in q and 63 in v; allowed is one N for all inputs"),
        ({"q": [64, 16], "k": [64, 16]}, "q has 2 dimensions; allowed are 3: [B, N, D]"),
        ({"q": [1, 64, 0], "k": [1, 64, 0]}, "D of q is 0; allowed is 1 to 2147483647"),
    ],
)
def test_rtx_is_told_of_wrong_shapes(library: Path, wrong: dict[str, Any], message: str, tmp_path: Path) -> None:
    shapes = SHAPES | wrong
    answer = build_engine(library, single_node(TYPES, {n: len(s) for n, s in shapes.items()}), shapes, tmp_path)
    assert not answer["built"]
    assert [line for line in answer["log"] if line.startswith(f"ERROR iic::PatchReplace: {message}")], answer["log"]


def test_scale_survives_copies_and_engines(driver: list[str]) -> None:
    lines = drive(driver, "fields", "other:5:1:3", f"scale:1:1:{SCALE}")
    assert lines == [f"{who}: scale 1 1 {SCALE}" for who in ("created", "cloned", "attached", "again")]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([], "layer 'layer' has no attribute scale"),
        (["scales:1:1:3"], "layer 'layer' has no attribute scale"),
        (
            ["scale:5:1:3"],
            "attribute scale of layer 'layer' has field type 5 and 1 values; allowed is type 1 (float32)",
        ),
        (["scale:1:2:3"], "attribute scale of layer 'layer' has field type 1 and 2 values"),
        (["scale:1:1:nan"], "attribute scale of layer 'layer' is nan; allowed is any finite number"),
    ],
)
def test_wrong_attributes_are_refused(driver: list[str], fields: list[str], message: str) -> None:
    log, answer = drive(driver, "fields", *fields)
    assert log.startswith(f"log: 1 iic::PatchReplace: {message}")
    assert answer == "refused"


def test_without_a_logger_messages_go_to_stderr(driver: list[str]) -> None:
    done = subprocess.run([*driver, "orphan"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [CREATOR, "refused"]
    assert done.stderr.startswith("iic::PatchReplace: layer 'layer' has no attribute scale")


@pytest.mark.parametrize("t", ["f32", "f16"])
def test_types_that_are_allowed(driver: list[str], t: str) -> None:
    assert drive(driver, "types", t, t, t, "f32", "f32") == [f"outputs: {t} f32", "linear: 1111111", "other: 0000000"]


def test_types_that_are_not_allowed(driver: list[str]) -> None:
    log, answer, linear, _ = drive(driver, "types", "f16", "f16", "f32", "f16", "f32")
    assert log.startswith("log: 1 iic::PatchReplace: q is float16, k is float16, v is float32")
    assert (answer, linear) == ("refused", "linear: 1100101")  # out is of the type of q


def shape_arguments(b: str, n: str, d: str = "76", width: str = "640", *, type_of_q: str = "f32") -> list[str]:
    return ["shapes", type_of_q, f"{b},{n},{d}", f"{b},{n},{d}", f"{b},{n},{width}", f"{b},{n}", f"{b},{n}"]


def test_shapes_pass_to_the_outputs(driver: list[str]) -> None:
    answer = ["shapes: 0", "output: 2 64 640", "output: 2 64", "configured: 0", "changed: 0"]
    assert drive(driver, *shape_arguments("2", "64"))[:-1] == answer
    answer[1:3] = ["output: -1 -1 640", "output: -1 -1"]
    assert drive(driver, *shape_arguments("1..4", "8..64"))[:-1] == answer


def test_shapes_that_differ_are_refused_at_each_step(driver: list[str]) -> None:
    lines = drive(driver, "shapes", "f32", "1,64,16", "1,64,16", "1,64,40", "1,64", "2,64")
    assert [line for line in lines if not line.startswith("log")][:3] == ["shapes: 1", "configured: 1", "changed: 1"]
    message = "log: 1 iic::PatchReplace: B is 1 in q and 2 in weight; allowed is one B for all inputs"
    assert len([line for line in lines if line.startswith(message)]) == 3


def test_a_size_that_is_unknown_at_run_time_is_refused(driver: list[str]) -> None:
    lines = drive(driver, *shape_arguments("1", "?"))
    assert "changed: 1" in lines
    assert "log: 1 iic::PatchReplace: N of q is -1; allowed is 1 to 2147483647" in lines


def test_sizes_over_the_limit_are_refused(driver: list[str]) -> None:
    lines = drive(driver, *shape_arguments("70000", "64"))
    assert "configured: 1" in lines
    assert [line for line in lines if "B 70000, N 64, D 76, Dv 640 is more than the kernels take" in line]


@pytest.mark.parametrize("type_of_q", ["f32", "f16"])
def test_the_workspace_is_enough_for_every_size_of_the_profile(driver: list[str], type_of_q: str) -> None:
    """One picture of a batch may be cut into more parts than each of forty."""

    def workspace(b: str, n: str, d: str) -> int:
        last = drive(driver, *shape_arguments(b, n, d, type_of_q=type_of_q))[-1]
        return int(last.removeprefix("workspace: "))

    whole = workspace("1..40", "64..1024", "76..130")
    sizes = [(b, n, d) for b in ("1", "7", "32", "40") for n in ("64", "500", "1024") for d in ("76", "128", "130")]
    assert whole >= max(workspace(*size) for size in sizes) > 0


def test_a_launch_that_fails_is_told(driver: list[str]) -> None:
    log, answer = drive(driver, "enqueue")
    assert log.startswith("log: 1 iic::PatchReplace: the kernels were not launched: ")
    assert log.endswith("(B 1, N 8, D 4, Dv 4)")
    assert answer == "enqueued: 1"
