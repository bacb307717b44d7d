"""Fixtures of every test: a seeded generator, an inpainter, small training data, and the GPU switch."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from iic_rt import Inpainter, InpaintOptions
from iic_rt.backends.registry import open_backend
from iic_rt.bundle.manifest import load_bundle
from iic_rt.contract import Backend


def pytest_configure() -> None:
    # Told to keep no bytecode, every program that a test starts would compile the package anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # A process a core runs tests: a thread of torch that spins while it waits takes the core from another process.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # Programs that tests start hear SIGINT and SIGHUP, also where a shell has the tests ignore them.
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def has_gpu() -> bool:
    return Path("/dev/nvidiactl").exists() or Path("/dev/nvhost-gpu").exists()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not has_gpu():
        if os.environ.get("IIC_RT_REQUIRE_GPU") == "1":
            pytest.fail("IIC_RT_REQUIRE_GPU=1, and this machine has no NVIDIA GPU")
        pytest.skip("needs an NVIDIA GPU")


TOOLS = re.compile(
    "nvcc|cmake|cuobjdump|tensorrt|openvino|pynvml|gstreamer|chromium|playwright|axe-core|hadolint|strace|systemd|triton"
    "|atheris|pyright|cyclonedx",
    re.IGNORECASE,
)


def _require_tools(report: pytest.TestReport | pytest.CollectReport) -> None:
    """With IIC_RT_REQUIRE_TOOLS=1, a test that is skipped because a tool is missing fails."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    if report.skipped and os.environ.get("IIC_RT_REQUIRE_TOOLS") == "1" and TOOLS.search(reason):
        report.outcome = "failed"
        report.longrepr = f"IIC_RT_REQUIRE_TOOLS=1: {reason}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    if not item.get_closest_marker("gpu"):
        _require_tools(outcome.get_result())


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    outcome = yield
    _require_tools(outcome.get_result())


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(scope="session")
def inpainter() -> Iterator[Inpainter]:
    """The shipped bundle at a small working size, so that a call takes milliseconds; the mask is the hole."""
    options = InpaintOptions(grow=0, outputs=("confidence", "hole_left"))
    with Inpainter(backend="onnxruntime", threads=1, working_size=64, options=options) as shared:
        yield shared


@pytest.fixture(scope="session", params=["onnxruntime", "openvino"])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Each backend on the CPU in float32: to all of them the reference is the same."""
    pytest.importorskip(request.param)
    opened = open_backend(request.param, load_bundle("edge"), precision="fp32", threads=2)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    command = [sys.executable, str(Path(__file__).parents[1] / "packaging/wheel.py"), "."]
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return folder / done.stdout.strip()


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the TensorRT plugin."""
    from tests.cpp_ext.builds import build_plugin, built_once

    return built_once(tmp_path_factory, "plugin", build_plugin) / "plugin" / "libiic_rt_plugin.so"


def png(pixels: NDArray[np.uint8], suffix: str = ".png") -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, BytesIO(content))


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder as the training reads it: 24 pictures, 10 saliency masks, 5 object shapes."""
    rng = np.random.default_rng(3)
    folder = tmp_path_factory.mktemp("shards")
    with tarfile.open(folder / "train-00.tar", "w") as tar:
        for i in range(24):
            small = rng.integers(0, 256, (5, 6, 3), np.uint8)
            picture = cv2.resize(small, (96 + i, 80), interpolation=cv2.INTER_CUBIC)
            add(tar, f"src-{i:02d}.webp", png(np.asarray(picture, np.uint8), ".webp"))
    with tarfile.open(folder / "salient-masks.tar", "w") as tar:
        for i in range(10):
            mask = np.zeros((80, 96 + i), np.uint8)
            mask[20:50, 30:60] = 255
            add(tar, f"src-{i:02d}.png", png(mask))
    yy, xx = np.mgrid[:64, :64]
    shapes = [((yy - 32) ** 2 / (20 + 2 * k) ** 2 + (xx - 32) ** 2 / 30**2 < 1).astype(np.uint8) for k in range(5)]
    packed = [np.packbits(shape) for shape in shapes]
    np.savez(
        folder / "objects.npz",
        bits=np.concatenate(packed),
        offsets=np.concatenate(([0], np.cumsum([len(p) for p in packed]))),
        shapes=np.array([s.shape for s in shapes], np.int32),
    )
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the shards are decoded to."""
    return tmp_path_factory.mktemp("decoded")
