"""Where an engine comes from: a bundle's own, the cache, or a build that is announced."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from iic_rt.bundle.manifest import OPERATORS_VERSION, Bundle, EngineFile, load_bundle
from iic_rt.engines import store as store_module
from iic_rt.engines.build import BuildOptions
from iic_rt.engines.cache import EngineCache
from iic_rt.engines.store import EngineStore
from iic_rt.errors import BackendError, BundleError

SHAPES = {"y": (1, 3, 64, 64), "m": (1, 1, 64, 64), "c": (1, 1, 64, 64), "first": (1,)}


class Library:
    """Has a version and a plugin, builds nothing itself."""

    def __init__(self, target: str = "tensorrt", version: str = "10.3.0") -> None:
        self.target, self.version, self.plugin = target, version, "1" * 64

    def load_plugin(self) -> str:
        return self.plugin


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was built, in place of building it."""
    calls: list[Any] = []

    def build(library: Any, graph: Any, shapes: Any, *, options: BuildOptions, timing_cache: Path) -> bytes:
        calls.append(SimpleNamespace(graph=graph.path.stem, shapes=shapes, options=options, timing=timing_cache))
        return f"engine {len(calls)}".encode()

    monkeypatch.setattr(store_module, "build_engine", build)
    return calls


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "cache")


def with_engine(tmp_path: Path, **changes: Any) -> Bundle:
    path = tmp_path / "step.engine"
    path.write_bytes(b"prebuilt")
    facts = {
        "path": path,
        "sha256": "",
        "graph": "step",
        "precision": "fp32",
        "shapes": SHAPES,
        "target": "tensorrt",
        "version": "10.3.0",
        "compute_capability": "8.7",
        "plugin": None,
    }
    return replace(load_bundle("edge"), engines=(EngineFile(**{**facts, **changes}),))


def test_an_engine_is_built_once_with_a_word_before(
    cache: EngineCache, built: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "iic_rt")
    options = BuildOptions(workspace_mib=64)
    made = EngineStore(load_bundle("edge"), Library(), compute_capability="8.7", cache=cache, options=options)
    assert made.engine("step", SHAPES) == made.engine("step", SHAPES) == b"engine 1"
    (call,) = built
    assert (call.graph, call.shapes, call.options) == ("step", SHAPES, options)
    assert call.timing == cache.folder / "timing-tensorrt-10.3.0-8.7.bin"
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    for word in ("tensorrt engine of step", "fp32", "y 1x3x64x64", str(cache.folder)):
        assert word in record.getMessage()


def test_what_an_engine_in_the_cache_depends_on(cache: EngineCache, built: list[Any]) -> None:
    bundle = load_bundle("edge")
    usual: dict[str, Any] = {"library": Library(), "compute_capability": "8.7", "options": BuildOptions()}
    for changes in (
        {},
        {"library": Library(version="10.4.0")},
        {"compute_capability": "8.9"},
        {"options": BuildOptions(optimization_level=5)},
        {"options": BuildOptions(hardware_compatible=True)},
        {"library": Library("tensorrt-rtx", "10.3.0")},
    ):
        before = len(built)
        for _ in range(2):
            arguments = usual | changes
            EngineStore(bundle, arguments.pop("library"), cache=cache, **arguments).engine("step", SHAPES)
        assert len(built) == before + 1, changes


def test_the_plugin_counts_where_it_is_needed(cache: EngineCache, built: list[Any]) -> None:
    library = Library()
    store = EngineStore(load_bundle("edge"), library, compute_capability="8.7", cache=cache)
    for graph in ("step", "search", "replace"):
        store.engine(graph, SHAPES)
    library.plugin = "2" * 64  # the plugin was built again
    for graph in ("step", "search", "replace"):
        store.engine(graph, SHAPES)
    assert [call.graph for call in built] == ["step", "search", "replace", "search", "replace"]


def test_engines_of_rtx_are_one_for_all_devices(cache: EngineCache, built: list[Any]) -> None:
    for device in (None, "8.6", "12.0"):
        EngineStore(load_bundle("edge"), Library("tensorrt-rtx"), compute_capability=device, cache=cache).engine(
            "step", SHAPES
        )
    assert len(built) == 1
    with pytest.raises(BackendError, match=r"8\.0 or newer"):
        EngineStore(load_bundle("edge"), Library("tensorrt-rtx"), compute_capability="7.5", cache=cache).engine(
            "step", SHAPES
        )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"compute_capability": "8.0+"},
        {"compute_capability": "any"},
        {"version": "10.1.0+"},
        {"plugin": str(OPERATORS_VERSION)},
    ],
)
def test_an_engine_of_the_bundle_is_taken(
    changes: dict[str, Any], tmp_path: Path, cache: EngineCache, built: list[Any]
) -> None:
    store = EngineStore(with_engine(tmp_path, **changes), Library(), compute_capability="8.7", cache=cache)
    assert store.engine("step", SHAPES) == b"prebuilt"
    assert not built


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"graph": "prepare"}, "'step' is needed for graph step, and they are for prepare"),
        ({"precision": "fp16"}, "needed for precision fp32, and they are for fp16"),
        ({"shapes": SHAPES | {"y": (1, 3, 96, 96)}}, r"for shapes .*64, 64.* and they are for .*96, 96"),
        ({"version": "10.13.0"}, r"for version 10\.3\.0, and they are for 10\.13\.0"),
        ({"compute_capability": "8.9"}, r"for compute capability 8\.7, and they are for 8\.9"),
        ({"plugin": "1"}, f"for plugin {OPERATORS_VERSION}, and they are for 1"),
    ],
)
def test_an_engine_of_the_bundle_that_does_not_fit_is_an_error(
    changes: dict[str, Any], message: str, tmp_path: Path, cache: EngineCache, built: list[Any]
) -> None:
    store = EngineStore(with_engine(tmp_path, **changes), Library(), compute_capability="8.7", cache=cache)
    with pytest.raises(BundleError, match=rf"{message}.*python -m export engine --bundle .* --target tensorrt"):
        store.engine("step", SHAPES)
    assert not built  # nobody waits minutes for what was meant to be shipped


def test_engines_for_another_target_are_nobodys_business(tmp_path: Path, cache: EngineCache, built: list[Any]) -> None:
    bundle = with_engine(tmp_path, target="tensorrt-rtx", compute_capability="any")
    store = EngineStore(bundle, Library(), compute_capability="8.7", cache=cache)
    assert store.engine("step", SHAPES) == b"engine 1"
