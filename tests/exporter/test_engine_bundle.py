"""``python -m export engine``: what a recipe asks for is built whole, behind the gate, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.__main__ import main
from export.bundle import ParityError
from export.engine_bundle import LAYERS, wanted_engines, write_engine_bundle
from export.recipes import Recipe, RecipeError, read_recipe
from iic_rt import Inpainter, InpaintOptions
from iic_rt.backends import tensorrt
from iic_rt.bundle.manifest import OPERATORS_VERSION, SHIPPED, Bundle, file_sha256, load_bundle
from iic_rt.bundle.shapes import Limits
from iic_rt.engines.build import build_engine, describe_network
from iic_rt.engines.engine_library import EngineLibrary, open_library
from iic_rt.engines.shapes import graph_shapes
from iic_rt.engines.store import EngineStore
from iic_rt.geometry import ladder_side
from tests.cuda.conftest import install  # noqa: F401  # a fixture
from tests.cuda.fake_driver import FakeApi
from tests.cuda.fake_engine import FakeLibrary, FakeStore

ENGINES = Path(__file__).parents[2] / "engines"
RECIPES = sorted(ENGINES.glob("*.json"))
SMALL = Recipe(target="tensorrt-rtx", sides=(64, 128), channels=(3,), working_size=64)
HALF = load_bundle("edge").at("fp16")


@pytest.fixture(scope="module")
def rtx() -> EngineLibrary:
    pytest.importorskip("tensorrt_rtx")
    return open_library("tensorrt-rtx")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IIC_RT_CACHE", str(tmp_path_factory.mktemp("cache")))


def gate(monkeypatch: pytest.MonkeyPatch, *, passes: bool) -> None:
    report = {"passed": passes, "rows": [], "limits": {"psnr": 0, "difference": 0, "step": 0, "flips": 0}}
    monkeypatch.setattr("export.engine_bundle.check_accuracy", lambda *_: report)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_have_every_side_up_to_the_largest(path: Path) -> None:
    recipe = read_recipe(path, {}).at(256)
    sides = [256]
    while sides[-1] < max(recipe.sides):
        sides.append(ladder_side(sides[-1] + 1, 256))
    assert list(recipe.sides) == sides
    assert recipe.comment
    assert (recipe.precision, recipe.working_size) == ("fp16", 256)


def test_there_is_a_recipe_for_every_kind_of_device() -> None:
    assert {path.stem for path in RECIPES} == {"data-centre", "orin-agx", "orin-nano", "rtx", "thor"}
    readme = (ENGINES / "README.md").read_text()
    for path in RECIPES:
        recipe = read_recipe(path, {})
        assert f"| [`{path.stem}`]({path.name}) | `{recipe.target}` | {max(recipe.sides)} |" in readme


def test_values_of_a_recipe_may_be_changed() -> None:
    recipe = read_recipe(ENGINES / "orin-nano.json", {"sides": [256], "version_compatible": True})
    assert (recipe.target, recipe.sides, recipe.options.workspace_mib) == ("tensorrt", (256,), 512)
    assert recipe.options.version_compatible
    assert not recipe.options.hardware_compatible


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no recipe"),
        ("{}", "no target"),
        ('{"target": "cuda"}', "target is 'cuda'; allowed: tensorrt, tensorrt-rtx"),
        ('{"target": "tensorrt", "precision": "int8"}', "precision is 'int8'; allowed: fp16, fp32"),
        ('{"target": "tensorrt", "side": 256}', "has side, which there is not; there are: target,"),
        ('{"target": "tensorrt", "sides": 256}', "sides is 256; give a list"),
        ('{"target": "tensorrt", "sides": []}', r"sides is \[\]; name whole numbers"),
        ('{"target": "tensorrt", "sides": ["a"]}', r"sides is \['a'\]; name whole numbers"),
        ('{"target": "tensorrt", "workspace_mib": "512"}', "workspace_mib is '512'; give a whole number from 1 up"),
        ('{"target": "tensorrt", "optimization_level": 9}', "optimization_level is 9; give a whole number from 0 to 5"),
        ('{"target": "tensorrt", "version_compatible": 1}', "version_compatible is 1; allowed: true, false"),
    ],
)
def test_bad_recipes(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(content)
    with pytest.raises(RecipeError, match=message):
        read_recipe(path, {})


def test_a_side_off_the_ladder() -> None:
    with pytest.raises(RecipeError, match="no region has 300 pixels; the next larger one has 384"):
        Recipe(target="tensorrt", sides=(256, 300)).at(256)


def test_every_number_of_channels_has_its_engines() -> None:
    recipe = Recipe(target="tensorrt-rtx", sides=(256,))
    wanted = wanted_engines(HALF, recipe.at(256)).values()
    for graph in ("prepare", "detail", "composite", "add_detail"):
        assert [shapes["image"][2] for name, shapes in wanted if name == graph] == [1, 3, 4]
    assert sum(name == "step" for name, _ in wanted) == 1
    with pytest.raises(RecipeError, match=r"channels is \[2\]; allowed: some of \[1, 3, 4\]"):
        Recipe(target="tensorrt", channels=(2,))


def test_engines_are_named_and_wanted_once() -> None:
    wanted = wanted_engines(HALF, Recipe(target="tensorrt-rtx", sides=(384, 256), channels=(3,)).at(256))
    assert list(wanted) == [
        "prepare-fp16-256",
        "step-fp16-256",
        "seam-fp16-256",
        "composite-fp16-256",
        "similarity-fp16-256",
        "search-fp16-256",
        "refine-fp16-256",
        "detail-fp16-256",
        "replace-fp16-256",
        "add_detail-fp16-256",
        "prepare-fp16-384",
        "composite-fp16-384",
        "detail-fp16-384",
        "replace-fp16-384",
        "add_detail-fp16-384",
    ]
    assert wanted["replace-fp16-384"][1]["detail"] == (1, 3, 384, 384)


# The prefill of both networks' input sums over all scales, in float32.
@pytest.mark.parametrize(("name", "in_float32"), [("step", 4), ("similarity", 0)])
def test_fp16_graphs_build_in_fp16(name: str, in_float32: int, rtx: EngineLibrary) -> None:
    pairs = graph_shapes(HALF, 128, 64, Limits(1 << 22, 1 << 22))
    shapes = next(shapes for graph, shapes in pairs if graph == name)
    assert len(build_engine(rtx, HALF.graphs[name], shapes)) > 100_000
    layers = describe_network(rtx, HALF.graphs[name], shapes)
    types = [layer["precision"] for layer in layers if layer["type"] == "CONVOLUTION"]
    assert types.count("FLOAT") == in_float32
    assert types.count("HALF") >= 2


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_the_bundle_is_whole(
    precision: str,
    plugin: Path,
    rtx: EngineLibrary,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IIC_RT_PLUGIN", str(plugin))
    gate(monkeypatch, passes=precision == "fp16")  # there is nothing to compare FP32 with
    recipe = Recipe(target="tensorrt-rtx", precision=precision, sides=(64, 128), channels=(3,), working_size=64)
    out = tmp_path / "built"
    out.mkdir()
    (out / "old.engine").write_bytes(b"x")
    said: list[str] = []
    made = write_engine_bundle(
        SHIPPED / "edge", out, recipe, rtx, compute_capability=None, pictures=[], say=said.append
    )
    assert [path.name for path in tmp_path.iterdir()] == ["built"]
    assert not (out / "old.engine").exists()
    assert made.name == "built"
    assert len(made.engines) == 15
    assert {engine.graph for engine in made.engines} == set(HALF.graphs)
    for engine in made.engines:
        facts = engine.target, engine.version, engine.compute_capability, engine.precision
        assert facts == ("tensorrt-rtx", rtx.version, "any", precision)
        with_operators = engine.graph in ("search", "refine", "replace")
        assert engine.plugin == (str(OPERATORS_VERSION) if with_operators else None)
        assert (b"Patch" in engine.path.read_bytes()) == with_operators
    for original in (SHIPPED / "edge").glob("*.onnx"):
        assert file_sha256(out / original.name) == file_sha256(original)
    layers = json.loads((out / LAYERS).read_text())["engines"]
    assert layers.keys() == {engine.path.name for engine in made.engines}
    assert all(entry["network"] and entry["engine"] is None for entry in layers.values())
    assert "no device here" in said[-1]
    assert made.working_size == 64  # of the recipe: the graphs take any, the engines this one
    # The runtime finds every engine that a region takes.
    store = EngineStore(made.at(precision), rtx, compute_capability=None)
    for graph, shapes in wanted_engines(made.at(precision), recipe).values():
        assert store.engine(graph, shapes)


def test_a_bundle_of_another_working_size_asks_for_its_own_engines(
    plugin: Path,
    install: Callable[[FakeApi], dict[str, FakeLibrary]],  # noqa: F811
    rtx: EngineLibrary,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a device opens it, with engines for regions of 128 pixels at the size of 128 alone."""
    monkeypatch.setenv("IIC_RT_PLUGIN", str(plugin))
    gate(monkeypatch, passes=True)
    monkeypatch.setattr("export.engine_bundle.build_engine", lambda *_, **__: b"engine")
    monkeypatch.setattr("export.engine_bundle.describe_network", lambda *_: [])
    recipe = Recipe(target="tensorrt-rtx", sides=(128,), channels=(3,), working_size=128)
    write_engine_bundle(SHIPPED / "edge", tmp_path / "built", recipe, rtx, compute_capability=None, pictures=[])
    install(FakeApi())
    asked = []

    class Store(FakeStore):
        def __init__(self, bundle: Bundle, library: FakeLibrary, compute_capability: str) -> None:
            super().__init__(bundle)
            self._real = EngineStore(bundle, rtx, compute_capability=compute_capability)

        def engine(self, graph: str, shapes: Mapping[str, tuple[int, ...]]) -> bytes:
            assert self._real.engine(graph, shapes) == b"engine"
            asked.append((graph, shapes))
            return super().engine(graph, shapes)

    monkeypatch.setattr(tensorrt, "_open_store", Store)
    image, mask = np.zeros((128, 128, 3), np.uint8), np.zeros((128, 128), np.uint8)
    mask[25:80, 25:80] = 255
    options = InpaintOptions(grow=0, iterations=1)
    with Inpainter(tmp_path / "built", backend="tensorrt-rtx", options=options) as ours:
        assert ours.working_size == 128
        assert ours.inpaint(image, mask).regions == 1
    assert {shapes["y"] for graph, shapes in asked if graph == "step"} == {(1, 3, 128, 128)}


def test_nothing_is_built_behind_a_closed_gate(
    rtx: EngineLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate(monkeypatch, passes=False)
    monkeypatch.setattr("export.engine_bundle.build_engine", lambda *_, **__: pytest.fail("it was built"))
    with pytest.raises(ParityError, match="nothing was written"):
        write_engine_bundle(SHIPPED / "edge", tmp_path / "out", SMALL, rtx, compute_capability=None, pictures=[])
    assert not list(tmp_path.iterdir())


def test_a_build_that_fails_leaves_the_old_bundle(
    rtx: EngineLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate(monkeypatch, passes=True)
    built: list[Any] = []

    def build(*arguments: Any, **_options: Any) -> bytes:
        built.append(arguments)
        if len(built) == 3:
            raise KeyboardInterrupt
        return b"engine"

    monkeypatch.setattr("export.engine_bundle.build_engine", build)
    out = tmp_path / "out"
    out.mkdir()
    (out / "old").write_bytes(b"x")
    with pytest.raises(KeyboardInterrupt):
        write_engine_bundle(SHIPPED / "edge", out, SMALL, rtx, compute_capability=None, pictures=[])
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in out.iterdir()] == ["old"]


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert main(["engine", *out]) == 1
    assert "no target; give --target or --recipe" in capsys.readouterr().err
    assert main(["engine", *out, "--recipe", str(tmp_path / "none.json")]) == 1
    assert "is no recipe" in capsys.readouterr().err
    assert main(["engine", *out, "--target", "tensorrt-rtx", "--bundle", "none"]) == 1
    assert "no bundle at 'none'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
