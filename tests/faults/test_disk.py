"""A disk that is full, damaged or read-only: one line, and nothing that is half written."""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from iic_rt import Inpainter
from iic_rt.cli import remove
from iic_rt.cli.main import main
from tests.faults.command import ended_with_one_line, one_image
from tests.kill.calls import Call, can_trace
from tests.kill.scenarios import FILL, SCENARIOS, Workshop

needs_strace = pytest.mark.skipif(not can_trace(), reason="needs strace, and the right to use it")


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """No file can be written beyond a byte."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_at_any_byte(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(remove, "Inpainter", partial(Inpainter, working_size=64))
    out = tmp_path / "o.png"
    assert main(one_image(folder, out)) == 0
    capsys.readouterr()
    whole = out.read_bytes()
    for there in (whole, None):
        for size in (0, 1, 4096, len(whole) - 1):
            if there is None:
                out.unlink(missing_ok=True)
            with files_end_at(size):
                assert main(one_image(folder, out)) == 1
            said = capsys.readouterr()
            assert (len(said.err.splitlines()), said.out) == (1, "")
            assert said.err.startswith(f"iic-rt: error: cannot write {out}: File too large. Check that ")
            assert [path.read_bytes() for path in tmp_path.iterdir()] == ([] if there is None else [there])
    with files_end_at(len(whole)):
        assert main(one_image(folder, out)) == 0
    assert out.read_bytes() == whole


def test_a_folder_of_images_goes_on_where_one_does_not_fit(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(remove, "Inpainter", partial(Inpainter, working_size=64))
    arguments = ["remove", *FILL, f"{folder}/images", f"{folder}/masks", "-o"]
    assert main([*arguments, str(tmp_path / "all")]) == 0
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "all").iterdir()}
    most = sorted(sizes.values())[1]
    capsys.readouterr()
    with files_end_at(most):
        assert main([*arguments, str(tmp_path / "some")]) == 1
    too_large = [name for name, size in sizes.items() if size > most]
    assert len(capsys.readouterr().err.splitlines()) == len(too_large) > 0
    assert sorted(path.name for path in (tmp_path / "some").iterdir()) == sorted(sizes.keys() - set(too_large))


@needs_strace
def test_any_call_may_fail(tmp_path: Path) -> None:
    """Of one output of three: the others are old or new."""
    workshop = Workshop(SCENARIOS["image that is there"], tmp_path / "fail")
    second = [call for call in workshop.calls if re.match("openat|write|fsync|rename|chmod", call.name)]
    second = second[len(second) // 3 : len(second) * 2 // 3]

    def fail(call: Call) -> list[str]:
        done, wrong = workshop.fail(call, f"error={'ENOSPC' if call.name == 'write' else 'EIO'}")
        if not ended_with_one_line(done):
            wrong.append(f"{call}: {done.returncode}, {done.stderr}")
        return wrong

    assert {"write", "fsync", "rename"} <= {call.name for call in second}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        assert [each for wrong in pool.map(fail, second) for each in wrong] == []


@needs_strace
def test_a_video_whose_last_step_fails_keeps_its_parts(tmp_path: Path) -> None:
    pytest.importorskip("av")
    workshop = Workshop(SCENARIOS["video"], tmp_path / "fail")
    last = [call for call in workshop.calls if call.name == "write" and call.paths[0].name.startswith(".iic-rt-")][-1]
    done, wrong = workshop.fail(last, "error=ENOSPC")
    assert wrong == ["o.part0.mp4.json is left", "o.part1.mp4 is left"]
    assert ended_with_one_line(done)
    assert "No space left on device; the whole video is in " in done.stderr
