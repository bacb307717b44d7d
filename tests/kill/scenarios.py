"""What is killed, what it writes, and what must be true then."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from iic_rt.files import PART_BEGIN, PART_END
from tests.engines.cache_worker import key
from tests.kill.calls import KILL, ROOT, Call, record, run_with

__all__ = ["PART", "SCENARIOS", "Scenario", "Workshop"]

HERE = "HERE"  # in a program, the folder that it writes to
PART = re.compile(re.escape(PART_BEGIN) + r"\d+-.*" + re.escape(PART_END))
LONG_AGO = 3 * 86_400  # seconds, after which what a kill left is stale


def nothing(_: Path) -> None:
    """Nothing is there before."""


@dataclass(frozen=True)
class Scenario:
    """A program that is killed.

    Attributes:
        program: arguments of Python.
        outputs: names of what is whole or not there at all, files or folders.
        prepare: makes inputs, and outputs of an earlier run.
        again: arguments of the run after the kill; those of ``program`` by default.
        begins: name of what is there once there is something to go on with; before that the run after the kill may
            leave everything as it was.
        read: what of an output counts; all of it by default.
        part: names of what may be left.
    """

    program: Sequence[str]
    outputs: Sequence[str]
    prepare: Callable[[Path], None] = nothing
    again: Sequence[str] = ()
    begins: str = ""
    read: Callable[[Path], object] = field(default=lambda path: content(path))
    part: re.Pattern[str] = PART


def content(path: Path) -> object:
    """The bytes of a file, or of all files of a folder by their names."""
    if path.is_dir():
        return {str(each.relative_to(path)): each.read_bytes() for each in path.rglob("*") if each.is_file()}
    return path.read_bytes()


class Workshop:
    """Runs one scenario, again and again, each time from the same beginning.

    Args:
        scenario: to run.
        place: an empty folder for all that.

    Attributes:
        calls: by which an undisturbed run changes the folder.
    """

    def __init__(self, scenario: Scenario, place: Path) -> None:
        self._scenario, self._place, self._runs = scenario, place, itertools.count()
        self._first = place / "first"
        self._first.mkdir(parents=True)
        scenario.prepare(self._first)
        self._before = self._outputs(self._first)
        whole = self._new_folder()
        self.calls = record(self._program(scenario.program, whole), whole)
        self._after, self._names = self._outputs(whole), names(whole) | names(self._first)

    def kill(self, call: Call) -> tuple[list[str], bool]:
        """Kills a run before a call, looks at what is left, and runs it again.

        Returns:
            What is wrong, and whether it was killed: it may have written in fewer pieces, and ended.
        """
        folder = self._new_folder()
        done, met = run_with(self._program(self._scenario.program, folder), call, KILL, folder)
        if done.returncode != (-9 if met else 0):
            return [f"{call}: {done.returncode}, {done.stderr[-500:]}"], met
        wrong = [f"{call}: {each}" for each in self._complaints(folder, (self._before, self._after))]
        begun = (folder / self._scenario.begins).exists()
        self._age(folder)
        again = [sys.executable, *self._program(self._scenario.again or self._scenario.program, folder)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(again, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            wrong.append(f"{call}: the run after it failed: {done.stderr[-500:]}")
        states = (self._after,) if begun else (self._before, self._after)
        wrong += [f"{call}, run again: {each}" for each in self._complaints(folder, states, may_leave=False)]
        shutil.rmtree(folder)
        return wrong, met

    def fail(self, call: Call, what: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """Has a call of a run fail, as :func:`tests.kill.calls.run_with` does.

        Returns:
            The run, and what is wrong with the folder: an output is neither the old nor the new one, or more is left.
        """
        folder = self._new_folder()
        done, met = run_with(self._program(self._scenario.program, folder), call, what, folder)
        wrong = [*self._complaints(folder, (self._before, self._after), may_leave=False)]
        return done, wrong if met else [f"{call} was not met"]

    def _complaints(
        self, folder: Path, states: Sequence[dict[str, object]], *, may_leave: bool = True
    ) -> Iterator[str]:
        for name, found in self._outputs(folder).items():
            if found not in [state[name] for state in states]:
                yield f"{name} is {'gone' if found is None else 'neither the old one nor the new one'}"
        for name in sorted(names(folder) - self._names):
            is_part = any(self._scenario.part.fullmatch(each) for each in Path(name).parts)
            if not (is_part and may_leave):
                yield f"{name} is left"

    def _outputs(self, folder: Path) -> dict[str, object]:
        found: dict[str, object] = {}
        for name in self._scenario.outputs:
            path = folder / name
            try:
                found[name] = self._scenario.read(path) if path.exists() else None
            except Exception as error:
                found[name] = error  # damaged, and equal to nothing
        return found

    def _new_folder(self) -> Path:
        folder = self._place / f"run-{next(self._runs):05d}"
        shutil.copytree(self._first, folder)
        return folder

    @staticmethod
    def _program(program: Sequence[str], folder: Path) -> list[str]:
        return [part.replace(HERE, str(folder)) for part in program]

    @staticmethod
    def _age(folder: Path) -> None:
        then = time.time() - LONG_AGO
        for path in folder.rglob(f"{PART_BEGIN}*{PART_END}"):
            os.utime(path, (then, then))


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# What is prepared


def old_file(folder: Path) -> None:
    (folder / "file").write_bytes(b"old")


def old_bundle(folder: Path) -> None:
    (folder / "bundle" / "more").mkdir(parents=True)
    (folder / "bundle" / "graph").write_bytes(b"old")
    (folder / "bundle" / "more" / "gone").write_bytes(b"old")


def old_weights(folder: Path) -> None:
    (folder / "state").write_bytes(b"old")


def images(folder: Path) -> None:
    """Three, with masks."""
    rng = np.random.default_rng(4)
    mask = np.zeros((60, 70), np.uint8)
    mask[20:40, 20:40] = 255
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
        for name in "abc":
            pixels = mask if kind == "masks" else rng.integers(0, 256, (60, 70, 3), np.uint8)
            cv2.imwrite(str(folder / kind / f"{name}.png"), pixels)


def images_and_results(folder: Path) -> None:
    images(folder)
    for name in ("a.png", "c.png", "s.png"):
        shutil.copyfile(folder / "images" / "b.png", folder / name)


def clip(folder: Path) -> None:
    from tests.video.clips import make_clip, write_mask

    make_clip(folder / "a.mp4")
    write_mask(folder)


def clip_and_result(folder: Path) -> None:
    """What is there was made of more frames."""
    from tests.video.clips import make_clip

    clip(folder)
    make_clip(folder / "o.mp4", frames=15)


def begun_clip(folder: Path) -> None:
    """A run that was killed has left its part."""
    clip(folder)
    trial = folder.with_name("trial")
    shutil.copytree(folder, trial)
    program = Workshop._program(VIDEO, trial)
    writes = [call for call in record(program, trial) if call.name == "write" and ".part1" in call.paths[0].name]
    shutil.rmtree(trial)
    done, _ = run_with(Workshop._program(VIDEO, folder), writes[len(writes) * 2 // 3], KILL, folder)
    assert done.returncode == -9
    assert (folder / "o.part1.mp4").exists()


# What is read


def engine(path: Path) -> object:
    """Without the times."""
    if path.suffix == ".engine":
        return path.read_bytes()
    facts = json.loads(path.read_bytes())
    return facts["key"], facts["sha256"]


def frames(path: Path) -> object:
    """Times of the frames, and the sound."""
    from tests.video.clips import content

    found = content(path)
    return found.seconds, found.sound


def small(name: str) -> list[str]:
    return ["-m", "tests.kill.programs", name, HERE]


FILL = ["--backend", "onnxruntime", "--threads", "1", "--iterations", "1", "--no-upsample"]
REMOVE = ["-m", "iic_rt", "remove", *FILL]
ONE = [*REMOVE, f"{HERE}/images/a.png", f"{HERE}/masks/a.png", "-o", f"{HERE}/a.png", "--json"]
ONE += ["--confidence", f"{HERE}/c.png", "--iterations-strip", f"{HERE}/s.png"]
VIDEO = ["-m", "iic_rt", "video", *FILL, f"{HERE}/a.mp4", "--mask", f"{HERE}/mask.png", "-o", f"{HERE}/o.mp4"]
NAME = key().name
VIDEO_PART = re.compile(PART.pattern + r"|o\.part\d+\.mp4(\.json)?")

SCENARIOS = {
    "file": Scenario(small("file"), ["file"]),
    "file that is there": Scenario(small("file"), ["file"], old_file),
    "engine": Scenario(small("engine"), [f"cache/{NAME}.engine", f"cache/{NAME}.json"], read=engine),
    "bundle": Scenario(small("bundle"), ["bundle"]),
    "bundle that is there": Scenario(small("bundle"), ["bundle"], old_bundle),
    "weights": Scenario(small("weights"), ["state"], old_weights),
    "image": Scenario(ONE, ["a.png", "c.png", "s.png"], images),
    "image that is there": Scenario(ONE, ["a.png", "c.png", "s.png"], images_and_results),
    "folder": Scenario(
        [*REMOVE, f"{HERE}/images", f"{HERE}/masks", "-o", f"{HERE}/out/inner"],
        [f"out/inner/{name}.png" for name in "abc"],
        images,
    ),
    "video": Scenario(VIDEO, ["o.mp4"], clip, [*VIDEO, "--resume"], read=frames, part=VIDEO_PART),
    "video that is there": Scenario(
        VIDEO,
        ["o.mp4"],
        clip_and_result,
        [*VIDEO, "--resume"],
        begins="o.part0.mp4.json",
        read=frames,
        part=VIDEO_PART,
    ),
    "video that goes on": Scenario([*VIDEO, "--resume"], ["o.mp4"], begun_clip, read=frames, part=VIDEO_PART),
}
