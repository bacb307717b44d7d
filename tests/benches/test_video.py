"""The measures of video on cases worked out by hand, and a run on small clips."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import video
from benchmarks.methods import classical_methods
from benchmarks.video_clips import Clip, clip, davis_clips, drawn_clips, ellipse
from benchmarks.video_metrics import flows_of, moved_change, warp_error
from benchmarks.video_tables import video_clips_table, video_table
from tests.conftest import add, png
from tests.video.scenes import background, with_object

SHAPE = (200, 240)
HOLE = ellipse(SHAPE, 120, 100, 3000)


def panned(count: int, step: float) -> list[np.ndarray]:
    wide = background(3, (SHAPE[0], SHAPE[1] + 60))
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return [
        np.asarray(cv2.warpAffine(wide, np.array([[1, 0, step * n], [0, 1.0, 0]]), SHAPE[::-1], flags=flags), np.uint8)
        for n in range(count)
    ]


def small_clip(name: str, step: float) -> Clip:
    rng = np.random.default_rng(0)
    frames = [np.clip(frame + rng.normal(0, 2, frame.shape), 0, 255).astype(np.uint8) for frame in panned(4, step)]
    return clip(name, frames, [(120, 100)] * 4, 0.05)


def test_warp_error_by_hand() -> None:
    truth = panned(4, 3)
    flows, holes = flows_of(truth), [HOLE] * 4
    assert warp_error(truth, holes, flows) < 2
    stays = [np.where(HOLE[..., None] > 0, truth[0], frame) for frame in truth]
    assert warp_error(stays, holes, flows) > 4 * warp_error(truth, holes, flows)


def test_the_change_of_a_moved_mask() -> None:
    still = small_clip("still", 0)
    assert moved_change(still, lambda c: ((frame, 0.0) for frame in c.frames)) == 0
    assert moved_change(still, lambda c: ((f + np.uint8(n % 2), 0.0) for n, f in enumerate(c.frames))) == 1


def test_clips_differ_from_the_truth_under_the_mask_alone(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "video.tar", "w") as tar:
        for i in range(3):
            frame, mask = with_object(background(), 100 + 2 * i, 60)
            add(tar, f"walk/frames/{i:05}.jpg", png(frame, ".jpg"))
            add(tar, f"walk/masks/{i:05}.png", png(mask))
    found = [*drawn_clips(2), *davis_clips(tmp_path / "video.tar", 3)]
    assert [c.name for c in found[-2:]] == ["walk, crossing", "walk, on the lens"]
    for c in found:
        for truth, frame, mask, scored in zip(c.truth, c.frames, c.masks, c.scored, strict=True):
            assert ((truth != frame).any(2) <= (mask > 0)).all()
            assert (scored <= mask).all()
    assert not found[-1].is_drawn


def test_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = [small_clip("still", 0), small_clip("pan, passer-by", 1.5), small_clip("passer-by", 0)]
    monkeypatch.setattr(video, "drawn_clips", lambda count: iter(small))
    monkeypatch.setattr(
        video, "davis_clips", lambda path, count: iter([replace(small[2], name="dog, crossing", is_drawn=False)])
    )
    telea = {"OpenCV Telea": classical_methods()["OpenCV Telea"]}
    monkeypatch.setattr(video, "classical_methods", lambda: telea)
    monkeypatch.setattr(video, "SHOWN", (1, 3))
    monkeypatch.setattr(video, "WINDOW", 100)
    out, picture = tmp_path / "video.json", tmp_path / "strip.png"
    arguments = [
        "--video",
        "video.tar",
        "--backend",
        "onnxruntime",
        "--frames",
        "4",
        "--out",
        str(out),
        "--strip",
        str(picture),
    ]
    assert video.main(arguments) == 0
    record = json.loads(out.read_text())
    rows = record["clips"]["still"]
    assert rows["iic-rt"]["known"] == 0.75
    assert rows["iic-rt, every frame on its own"]["known"] == 0
    assert record["mask_moved_by_a_pixel"]["iic-rt"] < 0.5
    assert record["left_out"] == {"PyPatchMatch": "not installed"}
    strip = cv2.imread(str(picture))
    assert strip is not None
    assert strip.shape == (2 * 100 + 8, 3 * 100 + 16, 3)
    assert video_table(record).count("\n| ") == 4 * 6
    assert video_clips_table(record).count("\n| ") == 4
