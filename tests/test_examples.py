"""The programs in examples/ run as they stand."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from tests.conftest import has_gpu
from tests.video.clips import content, make_clip, write_mask

ROOT = Path(__file__).parent.parent
PROGRAMS = sorted((ROOT / "examples").glob("*.py"))
DEBIAN = Path("/usr/lib/python3/dist-packages/gi")
MOST_LINES = 60


def run(name: str, *arguments: object, path: Path = ROOT) -> str:
    command = [sys.executable, str(ROOT / "examples" / name), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{path}"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_examples_are_short_and_compile(path: Path) -> None:
    text = path.read_text()
    compile(text, path.name, "exec")
    assert len(text.splitlines()) < MOST_LINES


def test_opencv(tmp_path: Path) -> None:
    pytest.importorskip("av")
    said = run("opencv_loop.py", make_clip(tmp_path / "a.mp4", sound=None), write_mask(tmp_path), tmp_path / "o.mp4")
    assert said.count("filled") == 12
    assert len(content(tmp_path / "o.mp4").seconds) == 12


def test_asyncio(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), cv2.imread(str(ROOT / "examples/wren.jpg"))[:64, :96])
    said = run("asyncio_stream.py", tmp_path / "a.png", write_mask(tmp_path))
    assert "4 frames, 4 filled" in said


def test_gstreamer(tmp_path: Path) -> None:
    if importlib.util.find_spec("gi") is None:
        if not DEBIAN.is_dir():
            pytest.skip("GStreamer's Python module is missing: apt-get install python3-gi gir1.2-gstreamer-1.0")
        (tmp_path / "gi").symlink_to(DEBIAN)  # this package alone of Debian's
    check = "import gi; gi.require_version('Gst', '1.0'); from gi.repository import Gst; Gst.init(None); "
    check += "assert Gst.ElementFactory.find('appsink') and Gst.ElementFactory.find('pngenc'), 'no plugins'"
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    found = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, env=environment, check=False)
    if found.returncode:
        reason = found.stderr.strip().splitlines()[-1]
        pytest.skip(f"GStreamer cannot be used from this Python: {reason}; apt-get install gstreamer1.0-plugins-good")
    source = "videotestsrc num-buffers=5 pattern=smpte"
    run("gstreamer_appsink.py", source, f"pngenc ! multifilesink location={tmp_path}/%d.png", path=tmp_path)
    pictures = [cv2.imread(str(tmp_path / f"{i}.png")) for i in range(5)]
    assert {picture.shape for picture in pictures} == {(240, 320, 3)}
    run("gstreamer_appsink.py", source, f"filesink location={tmp_path}/raw", path=tmp_path)
    assert (tmp_path / "raw").stat().st_size == 5 * 320 * 240 * 3
    for picture in pictures:  # bars from top to bottom, which hold nothing else where they were not filled
        assert (picture[140, :100] == picture[20, :100]).all()


@pytest.mark.gpu
def test_pycuda(tmp_path: Path) -> None:
    assert has_gpu()
    pytest.importorskip("pycuda", reason="pycuda is not installed: pip install '.[pycuda]'")
    said = run("pycuda_stream.py", ROOT / "examples/wren.jpg", ROOT / "examples/wren-mask.png")
    assert said.count("on the") == 8 or "dropped" in said
