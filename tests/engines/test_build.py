"""Engines are built for real by TensorRT-RTX, which needs no device for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnx
import pytest

from iic_rt.bundle.manifest import Graph, load_bundle
from iic_rt.bundle.shapes import Limits, Shapes
from iic_rt.engines.build import BuildOptions, build_engine, describe_network
from iic_rt.engines.engine_library import EngineLibrary, open_library
from iic_rt.engines.shapes import graph_shapes
from iic_rt.errors import BackendError

GRAPHS = load_bundle("edge").graphs
SHAPES = graph_shapes(load_bundle("edge"), 128, 64, Limits(), (3,))


@pytest.fixture(scope="module")
def rtx() -> EngineLibrary:
    pytest.importorskip("tensorrt_rtx")
    return open_library("tensorrt-rtx")


def shapes_of(name: str) -> Shapes:
    return next(shapes for graph, shapes in SHAPES if graph == name)


@pytest.mark.parametrize("name", ["prepare", "step", "similarity", "detail", "add_detail"])
def test_every_graph_builds(name: str, rtx: EngineLibrary) -> None:
    """uint8 goes in and out of some of them."""
    assert len(build_engine(rtx, GRAPHS[name], shapes_of(name))) > 100_000


@pytest.mark.parametrize(
    ("name", "operators"),
    [
        ("search", {"PatchSearch": 1}),
        ("refine", {"PatchMatch": 2, "PatchReplace": 2}),
        ("replace", {"PatchReplace": 1}),
    ],
)
def test_a_graph_with_the_plugin_builds(
    plugin: Path,
    rtx: EngineLibrary,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    operators: dict[str, int],
) -> None:
    monkeypatch.setenv("IIC_RT_PLUGIN", str(plugin))
    engine = build_engine(rtx, GRAPHS[name], shapes_of(name))
    assert all(operator.encode() in engine for operator in operators)
    another = EngineLibrary("tensorrt-rtx", rtx.trt)  # in the same process
    layers = describe_network(another, GRAPHS[name], shapes_of(name))
    assert [layer["type"] for layer in layers].count("PLUGIN_V3") == sum(operators.values())


def test_a_missing_plugin_is_an_error(rtx: EngineLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IIC_RT_PLUGIN", str(tmp_path / "none.so"))
    with pytest.raises(BackendError, match=r"none\.so; build it with"):
        build_engine(EngineLibrary("tensorrt-rtx", rtx.trt), GRAPHS["replace"], shapes_of("replace"))


def test_the_layer_report_is_of_the_graph(rtx: EngineLibrary) -> None:
    layers = describe_network(rtx, GRAPHS["step"], shapes_of("step"))
    assert all(set(layer) == {"name", "type", "precision"} for layer in layers)
    convolutions = [node for node in onnx.load(GRAPHS["step"].path).graph.node if node.op_type == "Conv"]
    found = [layer for layer in layers if layer["type"] == "CONVOLUTION"]
    assert len(found) == len(convolutions) > 0
    assert {layer["precision"] for layer in found} == {"FLOAT"}


def test_precision_is_that_of_the_graph(rtx: EngineLibrary, tmp_path: Path) -> None:
    half = tmp_path / "half.onnx"
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Mul", ["x", "x"], ["y"])
    sides = ["n", "n"]
    names = [value(name, onnx.TensorProto.FLOAT16, sides) for name in ("x", "y")]
    graph = onnx.helper.make_graph([node], "half", names[:1], names[1:])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10), half)
    (layer,) = describe_network(rtx, Graph(half, "", (), ()), {"x": (8, 8)})
    assert (layer["type"], layer["precision"]) == ("ELEMENTWISE", "HALF")


def test_progress_is_told(rtx: EngineLibrary) -> None:
    told: list[tuple[str, int, int]] = []
    build_engine(rtx, GRAPHS["prepare"], shapes_of("prepare"), progress=lambda *step: told.append(step))
    assert told
    assert all(0 <= done <= steps for _phase, done, steps in told)
    phase, _done, steps = told[0]
    assert (phase, steps, steps) in told  # the outermost phase ended


@pytest.mark.parametrize(
    "changes",
    [{"first": None}, {"more": (1,)}, {"y": (3, 64, 64)}, {"y": (1, 4, 64, 64)}],
    ids=["missing", "unknown", "rank", "channels"],
)
def test_wrong_shapes_are_refused_with_the_right_ones(changes: dict[str, Any], rtx: EngineLibrary) -> None:
    shapes = {name: shape for name, shape in {**shapes_of("step"), **changes}.items() if shape is not None}
    with pytest.raises(BackendError, match=r"takes y 1x3x-1x-1, .* first 1 \(-1 is any size\), not "):
        build_engine(rtx, GRAPHS["step"], shapes)


def test_sizes_that_do_not_go_together_are_refused(rtx: EngineLibrary) -> None:
    shapes = {**shapes_of("step"), "c": (1, 1, 32, 32)}
    with pytest.raises(
        BackendError, match=r"cannot build an engine of step\.onnx for .*c 1x1x32x32.*: .*(?i:dim|shape)"
    ):
        build_engine(rtx, GRAPHS["step"], shapes)


def test_a_graph_that_cannot_be_read_is_named(rtx: EngineLibrary, tmp_path: Path) -> None:
    model = onnx.load(GRAPHS["prepare"].path)
    next(node for node in model.graph.node if node.op_type == "Cast").op_type = "Cats"
    onnx.save(model, tmp_path / "odd.onnx")
    with pytest.raises(BackendError, match=r"cannot read .*odd\.onnx: .*Cats.* python -m export|python -m export"):
        build_engine(rtx, replace(GRAPHS["prepare"], path=tmp_path / "odd.onnx"), shapes_of("prepare"))


def test_options_reach_the_library(rtx: EngineLibrary) -> None:
    assert build_engine(rtx, GRAPHS["prepare"], shapes_of("prepare"), options=BuildOptions(workspace_mib=256))
    with pytest.raises(BackendError, match=r"within workspace limit.*lower the size or raise workspace_mib"):
        build_engine(rtx, GRAPHS["prepare"], shapes_of("prepare"), options=BuildOptions(workspace_mib=1))
    for option in ("hardware_compatible", "version_compatible"):
        with pytest.raises(BackendError, match="Ampere"):
            build_engine(rtx, GRAPHS["prepare"], shapes_of("prepare"), options=BuildOptions(**{option: True}))


@pytest.mark.parametrize(("flags", "expected"), [({"STRONGLY_TYPED": 1}, 2), ({}, 0)])
def test_networks_are_strongly_typed_and_without_functions(flags: dict[str, int], expected: int) -> None:
    """TensorRT 10 must be asked for the first, 11 may not know the word; before 10.7 a function beats the plugin."""
    made: list[int] = []
    parsed: list[bytes] = []
    network = SimpleNamespace(num_inputs=0, num_layers=0)
    builder = SimpleNamespace(create_network=lambda flags: made.append(flags) or network)
    trt = SimpleNamespace(
        Builder=lambda logger: builder,
        NetworkDefinitionCreationFlag=SimpleNamespace(**flags),
        OnnxParser=lambda network, logger: SimpleNamespace(parse=lambda model: parsed.append(model) or True),
    )
    library: Any = SimpleNamespace(trt=trt, logger=None, errors=lambda: "", load_plugin=lambda: "")
    assert describe_network(library, GRAPHS["replace"], {}) == []
    assert made == [expected]
    assert not onnx.load_from_string(parsed[0]).functions


class Timings:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def serialize(self) -> bytes:
        return self.content


class Config:
    """A builder's configuration of classic TensorRT that notes what it is told."""

    def __init__(self, accepts: bytes) -> None:
        self.accepts, self.flags, self.cleared, self.limits = accepts, [], [], {}
        self.timings: Timings | None = None

    def create_timing_cache(self, content: bytes) -> Timings:
        return Timings(content)

    def set_timing_cache(self, timings: Timings, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        if timings.content not in (b"", self.accepts):
            return False
        self.timings = timings
        return True

    def get_timing_cache(self) -> Timings:
        assert self.timings is not None
        return Timings(self.timings.content + b"+measured")

    def set_flag(self, flag: str) -> None:
        self.flags.append(flag)

    def clear_flag(self, flag: str) -> None:
        self.cleared.append(flag)

    def set_memory_pool_limit(self, pool: str, limit: int) -> None:
        self.limits[pool] = limit


@pytest.fixture
def classic(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Classic TensorRT as far as the configuration of a build goes: there is none without a device."""
    config = Config(b"old")
    network = SimpleNamespace()
    builder = SimpleNamespace(create_builder_config=lambda: config, build_serialized_network=lambda *_: b"engine")
    monkeypatch.setattr("iic_rt.engines.build._parse", lambda *_: (builder, network, None))
    trt = SimpleNamespace(
        MemoryPoolType=SimpleNamespace(WORKSPACE="workspace"),
        HardwareCompatibilityLevel=SimpleNamespace(AMPERE_PLUS="ampere+"),
        ProfilingVerbosity=SimpleNamespace(DETAILED="detailed"),
        BuilderFlag=SimpleNamespace(VERSION_COMPATIBLE="versions", TF32="tf32", REQUIRE_USER_ALLOCATION="user"),
    )
    library = SimpleNamespace(target="tensorrt", version="10.3.0", trt=trt, errors=lambda: "")
    return SimpleNamespace(opened=library, config=config)


def test_options_of_classic_tensorrt(classic: Any) -> None:
    options = BuildOptions(workspace_mib=64, optimization_level=4, hardware_compatible=True, version_compatible=True)
    assert build_engine(classic.opened, GRAPHS["step"], {}, options=options) == b"engine"
    config = classic.config
    assert config.limits == {"workspace": 64 << 20}
    assert config.builder_optimization_level == 4
    assert config.hardware_compatibility_level == "ampere+"
    assert config.flags == ["versions"]
    assert config.cleared == ["tf32"]
    assert config.profiling_verbosity == "detailed"


def test_engines_of_rtx_can_be_captured(classic: Any) -> None:
    """They take scratch memory from their user alone: one that allocates while it runs is refused by a capture."""
    classic.opened.target = "tensorrt-rtx"
    build_engine(classic.opened, GRAPHS["step"], {})
    assert classic.config.flags == ["user"]


@pytest.mark.parametrize(
    ("before", "after"), [(None, b"+measured"), (b"old", b"old+measured"), (b"of another device", b"+measured")]
)
def test_measurements_are_kept(before: bytes | None, after: bytes, classic: Any, tmp_path: Path) -> None:
    path = tmp_path / "timing.bin"
    if before is not None:
        path.write_bytes(before)
    build_engine(classic.opened, GRAPHS["step"], {}, timing_cache=path)
    assert path.read_bytes() == after
