"""TensorRT-RTX compiles an engine's kernels once a machine, not once a process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.engines.cache import EngineCache
from tests.cuda.conftest import SIZE, is_empty
from tests.cuda.fake_driver import FakeApi
from tests.cuda.fake_engine import FakeLibrary, FakeRuntimeCache, FakeRuntimeConfig
from tests.pipeline.test_runner import scene

Run = Callable[..., tuple[int, np.ndarray]]


@pytest.fixture
def run(install: Callable[[FakeApi], dict[str, FakeLibrary]]) -> Run:
    """A process: opens, fills one image, closes; returns how many engines had to be compiled, and the image."""

    def run(*, close: bool = True, driver: int = 13000) -> tuple[int, np.ndarray]:
        api = FakeApi()
        api.version = driver
        library = install(api)["tensorrt-rtx"]
        options = InpaintOptions(grow=0)
        ours = Inpainter(backend="tensorrt-rtx", precision="fp32", working_size=SIZE, options=options)
        image = ours.inpaint(*scene(320, np.random.default_rng(4))).image
        if close:
            ours.close()
        del ours
        assert is_empty(api)
        return len(library.compiled), image

    return run


def only_file() -> Path:
    (entry,) = EngineCache().runtime_entries()
    return entry.path


@pytest.mark.parametrize("close", [True, False])
def test_the_second_process_compiles_nothing(run: Run, close: bool) -> None:
    compiled, image = run(close=close)
    assert compiled > 5
    again, same = run()
    assert again == 0
    np.testing.assert_array_equal(image, same)
    assert only_file().is_file()


def test_nothing_new_is_not_written_again(run: Run) -> None:
    run()
    before = only_file().stat().st_ino
    run()
    assert only_file().stat().st_ino == before


@pytest.mark.parametrize("content", [b"", b"damaged", b'{"schema": 1}\nother'])
def test_a_damaged_file_costs_compiling_and_nothing_else(run: Run, content: bytes) -> None:
    compiled, image = run()
    only_file().write_bytes(content)
    again, same = run()
    assert again == compiled
    np.testing.assert_array_equal(image, same)
    assert run()[0] == 0


def test_a_file_that_the_library_refuses(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    compiled, _ = run()
    file = EngineCache().runtime_cache(EngineCache().runtime_entries()[0].key)
    file.write(b"of another version of the library")
    assert run()[0] == compiled
    assert "refuses the kernels in" in caplog.text
    assert run()[0] == 0


def test_another_driver_has_a_file_of_its_own(run: Run) -> None:
    compiled, _ = run()
    assert run(driver=13010)[0] == compiled
    assert len(EngineCache().runtime_entries()) == 2
    assert run()[0] == 0


def test_a_cache_that_cannot_be_written_to(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("IIC_RT_CACHE", str(tmp_path / "file"))
    first, image = run()
    second, same = run()
    assert first == second > 0
    np.testing.assert_array_equal(image, same)


@pytest.mark.parametrize("lacking", ["create", "serialize"])
def test_a_library_that_cannot_keep_kernels(run: Run, lacking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if lacking == "create":
        monkeypatch.setattr(FakeRuntimeConfig, "create_runtime_cache", lambda self: None)
    else:
        monkeypatch.setattr(FakeRuntimeCache, "serialize", lambda self: None)
    assert run()[0] > 0
    assert EngineCache().runtime_entries() == []
