"""Every benchmark runs once on small inputs, and its scores are right on cases worked out by hand."""

from __future__ import annotations

import importlib
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks import against, contenders, evaluate, factors, overhead, pictures, scaling, tables, wires
from benchmarks.data import Case, load_cases, squared
from benchmarks.methods import RINGS, fill_in_rings, rings
from benchmarks.metrics import hole_l1, hole_sharpness, hole_ssim
from iic_rt import Inpainter, InpaintOptions
from tests.conftest import add, png

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures with holes, in the layout of the evaluation sets."""
    rng = np.random.default_rng(1)
    path = tmp_path_factory.mktemp("data") / "eval.tar"
    rows = []
    with tarfile.open(path, "w") as tar:
        for i in range(2):
            mask = np.zeros((70, 90), np.uint8)
            mask[20:50, 30 + i : 60] = 255
            add(tar, f"images/{i:04d}.jpg", png(rng.integers(0, 256, (70, 90, 3), np.uint8), ".jpg"))
            add(tar, f"masks/{i:04d}.png", png(mask))
            rows.append(json.dumps({"id": f"{i:04d}", "mask_type": ("random", "avoid_salient")[i]}))
        add(tar, "meta.jsonl", "\n".join(rows).encode())
    return path


def test_cases(archive: Path) -> None:
    cases = load_cases(archive)
    assert [c.name for c in cases] == ["0000", "0001"]
    assert cases[0].hole.sum() == 30 * 30
    assert len(load_cases(archive, limit=1)) == 1


def test_metrics_by_hand() -> None:
    truth = np.full((20, 20, 3), 100, np.uint8)
    hole = np.zeros((20, 20), bool)
    hole[5:15, 5:15] = True
    image = truth.copy()
    image[hole] = 151  # a fifth of the range
    image[~hole] = 0  # outside the hole nothing counts
    assert hole_l1(image, truth, hole) == pytest.approx(0.2)
    assert hole_ssim(truth, truth, hole) == pytest.approx(1)
    assert hole_ssim(image, truth, hole) < 0.9


def test_rings_cut_the_depth_evenly() -> None:
    hole = np.zeros((60, 120), np.uint8)
    hole[10:50, 10:50] = 1
    hole[20:36, 80:96] = 1  # a smaller hole has its own four rings
    number = rings(hole, RINGS)
    assert ((number > 0) == (hole > 0)).all()
    assert number[30, 10:30:5].tolist() == [1, 2, 3, 4]
    assert number[10:50, 10:50].max() == number[20:36, 80:96].max() == RINGS
    whole = rings(np.ones((20, 20), np.uint8), RINGS)
    assert whole.min() == 1


def test_the_ring_baseline_fills_the_hole_and_nothing_else(inpainter: Inpainter, rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (80, 80, 3), np.uint8)
    hole = np.zeros((80, 80), np.uint8)
    hole[20:60, 20:60] = 1
    options = InpaintOptions(iterations=1, upsample=False, grow=0)
    filled = fill_in_rings(lambda *given: inpainter.inpaint(*given, options=options).image, image, hole)
    np.testing.assert_array_equal(filled[hole == 0], image[hole == 0])
    assert (filled[hole > 0] != image[hole > 0]).mean() > 0.9


def test_evaluate(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "eval.json"
    sheets = ["--pictures", str(tmp_path / "sheets")]
    assert evaluate.main(["--data", str(archive), "--out", str(out), *sheets]) == 0
    record = json.loads(out.read_text())
    assert record["pictures"] == 2
    assert {"OpenCV Telea", "iic-rt", "loop alone, T = 1", "IT baseline, 4 rings"} <= record["methods"].keys()
    scores = {"psnr", "distance", "l1", "ssim", "sharpness", "psnr_random", "psnr_avoid_salient"}
    for row in record["methods"].values():
        assert row.keys() - {"mesh_4", "mesh_8"} == scores
    assert {"device", "commit", "bundle", "onnxruntime", "schema"} <= record.keys()
    assert len(list((tmp_path / "sheets").iterdir())) == 2


def test_overhead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contenders, "WARM_UP", 0)
    out = tmp_path / "overhead.json"
    assert overhead.main(["--out", str(out), "--repeats", "1", "--threads", "1"]) == 0
    record = json.loads(out.read_text())
    assert {"iic_rt / sessions", "iic_rt / torch_eager"} <= record["ratios"].keys()
    assert record["import_seconds"].keys() == {"base", "with_iic_rt"}


def test_squares(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "square.json"
    assert evaluate.main(["--data", str(archive), "--out", str(out), "--side", "128", "--no-classical"]) == 0
    record = json.loads(out.read_text())
    assert record["side"] == 128
    assert [name.split(":")[0] for name in record["methods"]] == ["Ours*", "Ours", "loop at 256, bicubic"]


def test_squared_keeps_the_hole_in_view(archive: Path) -> None:
    case = squared(load_cases(archive)[0], 64)
    assert case.image.shape == (64, 64, 3)
    assert case.hole.shape == (64, 64)
    assert case.hole.sum() > 400


def test_sharpness_by_hand() -> None:
    truth = np.zeros((20, 20, 3), np.uint8)
    truth[::2] = 200
    hole = np.ones((20, 20), bool)
    assert hole_sharpness(truth, truth, hole) == pytest.approx(1)
    assert hole_sharpness(truth // 2, truth, hole) == pytest.approx(0.5, abs=0.01)
    assert hole_sharpness(np.full_like(truth, 90), truth, hole) == 0


def test_scaling(tmp_path: Path) -> None:
    record = scaling.measure_call(300, 320, 0.25, repeats=1)
    upsampling = {"similarity", "search", "refine", "detail", "replace", "add_detail"}
    assert record["graphs"].keys() == {"prepare", "step", "seam"} | upsampling
    assert record["peak_mib"] > 50
    rows = scaling.measure_replace(repeats=1)
    assert [row["hole"] for row in rows] == list(scaling.SHARES)
    scaling.plot({"squares": [record], "replace": rows}, tmp_path / "scaling.png")
    assert (tmp_path / "scaling.png").stat().st_size > 5000


def test_against_a_tree(tmp_path: Path) -> None:
    case = {"small": ("onnxruntime", 96, 96, 0.1)}
    found = against.compare({"this": ROOT, "that": ROOT}, case, rounds=1)["small"]
    assert found["seconds"].keys() == found["peak_mib"].keys() == {"this", "that"}
    assert found["ratio"]["least"] == found["ratio"]["most"] > 0


def test_factors(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "factors.json"
    cases = load_cases(archive)
    assert factors.cut_square(cases[0], 500, np.random.default_rng(0)) is None
    image, hole = factors.cut_square(cases[0], 20, np.random.default_rng(0)) or pytest.fail("no room found")
    assert image.shape == (20, 20, 3)
    assert 0.05 < hole.mean() < 0.4
    assert factors.main(["--data", str(archive), "--out", str(out), "--factors", "0.09375"]) == 0
    assert json.loads(out.read_text())["rows"][0]["pictures"] == 2


def test_wires(archive: Path, tmp_path: Path) -> None:
    hole = wires.draw_wires(np.random.default_rng(0), 200, 600)
    assert 0.002 < hole.mean() < 0.1
    assert hole.any(0).all()  # from edge to edge
    out = tmp_path / "wires.json"
    assert wires.main(["--data", str(archive), "--out", str(out)]) == 0
    assert json.loads(out.read_text())["methods"].keys() == {"OpenCV Telea", "iic-rt"}


def test_squared_finds_one_of_two_holes_far_apart() -> None:
    hole = np.zeros((40, 400), np.uint8)
    hole[10:20, :10] = hole[10:20, -10:] = 1
    assert squared(Case("two", np.zeros((40, 400, 3), np.uint8), hole, {}), 40).hole.any()


def test_pictures(tmp_path: Path) -> None:
    assert pictures.main(["--out", str(tmp_path)]) == 0
    assert (tmp_path / "before-after.jpg").stat().st_size > 10_000


def test_readme_and_card_show_the_recorded_tables() -> None:
    assert tables.main(["--check"]) == 0


def test_a_table_that_was_edited_by_hand_is_found(tmp_path: Path) -> None:
    readme = tmp_path / "quality.md"
    text = (ROOT / "docs" / "quality.md").read_text()
    start = text.index("| method |")
    readme.write_text(text[:start] + text[start:].replace("1", "9", 1))
    assert tables.main(["--check", "--document", str(readme)]) == 1
    assert tables.main(["--document", str(readme)]) == 0
    assert readme.read_text() == text


def test_tables_need_their_markers(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("no marker")
    with pytest.raises(ValueError, match="no marker"):
        tables.main(["--document", str(tmp_path / "README.md")])


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_every_module_can_be_imported(path: Path) -> None:
    importlib.import_module(f"benchmarks.{path.stem}")
