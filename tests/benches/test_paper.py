"""The paper's evaluation runs once on two images, and its holes are what they are said to be."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from benchmarks import paper, paper_tables
from benchmarks.data import Case
from benchmarks.methods import Method, exemplar_methods
from benchmarks.metrics import image_l1, image_psnr, image_ssim
from benchmarks.networks import loop_method, read_run
from benchmarks.paper_cases import HOLES, SIDE, by_kind, resized_hole, with_share
from iic_rt import Inpainter
from training.checkpoint import save_state
from training.compare import PAPER, RECIPES
from training.config import Stage, TrainConfig
from training.generator_trainer import GeneratorTrainer
from training.model.network import PRESETS, Generator


@pytest.fixture
def cases(rng: np.random.Generator) -> list[Case]:
    hole = np.zeros((90, 120), np.uint8)
    hole[30:50, 40:75] = 1
    return [Case(str(i), rng.integers(0, 256, (90, 120, 3), np.uint8), hole, {}) for i in range(2)]


def test_kinds_of_holes(cases: list[Case]) -> None:
    for kind in HOLES:
        for case in by_kind(cases, kind):
            assert case.image.shape == (SIDE, SIDE, 3)
            assert set(np.unique(case.hole)) == {0, 1}
    assert by_kind(cases, "square")[0].hole[64:192, 64:192].sum() == by_kind(cases, "square")[0].hole.sum() == 128**2
    first, again = (by_kind(cases, "irregular")[0].hole for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (first != by_kind(cases, "irregular")[1].hole).any()


def test_holes_of_a_size(cases: list[Case]) -> None:
    for share in (0.02, 0.2):
        for case in with_share(cases, share):
            assert case.hole.mean() == pytest.approx(share, rel=0.05)
    corner = np.zeros((64, 64), np.uint8)
    corner[:8, :8] = 1
    assert resized_hole(corner, 0.9) is None


def test_image_scores_by_hand() -> None:
    truth = np.full((20, 20, 3), 100, np.uint8)
    image = truth.copy()
    image[:10] += 51
    assert image_l1(image, truth) == pytest.approx(0.1)
    assert image_psnr(image, truth) == pytest.approx(10 * np.log10(255**2 / (51**2 / 2)))
    assert image_ssim(truth, truth) == pytest.approx(1)
    assert image_ssim(image, truth) < 1


def test_the_loop_in_torch_keeps_what_is_known(cases: list[Case]) -> None:
    case = by_kind(cases, "object")[0]
    image, hole = case.image[:64, :64], np.zeros((64, 64), np.uint8)
    hole[20:40, 20:40] = 1
    filled = loop_method(Generator(PRESETS["global-local-like"]).eval(), 1)(image, hole)
    np.testing.assert_array_equal(filled[hole == 0], image[hole == 0])
    assert (filled[hole > 0] != image[hole > 0]).any()


def test_the_shift_map_gets_what_opencv_asks_for(cases: list[Case], monkeypatch: pytest.MonkeyPatch) -> None:
    def inpaint(lab: np.ndarray, known: np.ndarray, filled: np.ndarray, algorithm: int) -> None:
        assert algorithm == 7
        np.testing.assert_array_equal(known == 0, case.hole > 0)
        assert lab[case.hole == 0].any()
        filled[:] = (255, 128, 128)  # white in CIELab

    case = cases[0]
    monkeypatch.setattr(cv2, "xphoto", SimpleNamespace(inpaint=inpaint, INPAINT_SHIFTMAP=7), raising=False)
    (method,) = exemplar_methods().values()
    filled = method(case.image, case.hole)
    np.testing.assert_array_equal(filled[case.hole == 0], case.image[case.hole == 0])
    assert (filled[case.hole > 0] == 255).all()


def test_a_shift_map_that_is_missing_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delattr(cv2, "xphoto", raising=False)
    assert exemplar_methods() == {}
    assert "opencv-contrib-python-headless" in capsys.readouterr().err


def test_sets_of_runs_name_presets_that_exist() -> None:
    for recipe in (RECIPES | PAPER).values():
        if "--preset" in recipe:
            assert recipe[recipe.index("--preset") + 1] in PRESETS


def test_the_sections_and_their_tables(
    cases: list[Case], inpainter: Inpainter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def network(_runs: Path, _name: str, _iterations: int) -> Method:
        return lambda image, hole: np.where(hole[..., None] > 0, image.mean((0, 1)).astype(np.uint8), image)

    monkeypatch.setattr(paper, "network", network)
    sure = {"share_sure_t1": 0.3, "psnr_sure_t1": 30.0, "psnr_unsure_t1": 20.0}  # of noise nobody is sure
    monkeypatch.setattr(paper, "confidence_scores", lambda _cases, _inpainter: sure)
    monkeypatch.setattr(paper, "perceptual_distance", lambda *_: 0.3)
    monkeypatch.setattr(paper, "Inpainter", lambda *_, **__: nullcontext(inpainter))
    monkeypatch.setattr(paper, "classical_methods", dict)
    monkeypatch.setattr(paper, "exemplar_methods", dict)
    monkeypatch.setattr(paper, "load_cases", lambda _path, *, limit: cases[:limit])
    monkeypatch.setattr(paper, "SHARES", (0.05,))
    monkeypatch.setattr(paper, "ITERATIONS", (1, 2))
    monkeypatch.setattr(paper, "LARGE", 256)
    out = tmp_path / "paper.json"
    (tmp_path / "runs").mkdir()
    arguments = ["--data", "eval.tar", "--runs", str(tmp_path / "runs"), "--out", str(out), "--limit", "1"]
    assert paper.main(arguments) == 0
    record = json.loads(out.read_text())
    assert record.keys() >= paper.SECTIONS.keys()
    for name, draw in paper_tables.PAPER_TABLES.items():
        rows = [line for line in draw(record).splitlines() if line.startswith("|")]
        assert len(rows) > 3 or name == "sizes"
        assert len({line.count("|") for line in rows}) == 1
    assert "(36.38)" in paper_tables.upsampling_table(record)
    assert "(28.20)" in paper_tables.holes_table(record)


def test_a_run_is_read(tmp_path: Path) -> None:

    trainer = GeneratorTrainer(TrainConfig(samples=1, stages=(Stage(32, 1, 1.0),), preset="global-local-like"))
    save_state(tmp_path / "state.safetensors", trainer.state(), {"samples": 7, "minutes": 1.5})
    (tmp_path / "config.json").write_text(json.dumps({"preset": "global-local-like", "seed": 3}))
    generator, facts = read_run(tmp_path)
    assert facts == {"samples": 7, "minutes": 1.5, "seed": 3}
    assert not generator.training
