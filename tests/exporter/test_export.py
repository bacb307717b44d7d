"""Weights in, a bundle out that the runtime loads; anything wrong leaves what was there."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from export.__main__ import main
from export.accuracy import EXAMPLES, load_pictures
from export.bundle import SHARED_GRAPHS, ParityError, write_bundle
from export.graphs import OPSET
from export.parity import check_parity, parity_masks
from export.upsample_parity import FACTORS, check_upsample_parity
from iic_rt import Inpainter
from iic_rt.bundle.manifest import SHIPPED, file_sha256, load_bundle
from training.model.network import EncoderConfig, Generator, GeneratorConfig
from training.model.upsampler import GuidedUpsampler
from training.model.weights import WeightsError, load_generator, load_upsampler, save_generator, save_upsampler

WEIGHTS = Path(__file__).parents[2] / "training" / "weights" / "edge.safetensors"
TINY = GeneratorConfig(
    coarse=EncoderConfig((8, 8, 8), (1,), 1),
    fine=EncoderConfig((8, 8, 8), (1, 2), 1),
    detail_channels=4,
    confidence_channels=16,
    head_channels=4,
)


@pytest.fixture(scope="module")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A preset of its own, so that an export takes seconds."""
    from training.model import network

    torch.manual_seed(5)
    network.PRESETS.setdefault("tiny", TINY)
    folder = tmp_path_factory.mktemp("weights")
    generator = Generator(TINY)
    for parameter in generator.parameters():
        if not parameter.any():  # attention starts from zeros, which hide what is wrong
            torch.nn.init.normal_(parameter, std=0.1)
    save_generator(folder / "tiny.safetensors", generator, preset="tiny", training={})
    save_upsampler(folder / "upsampler.safetensors", GuidedUpsampler(), training={})
    (folder / "tiny.md").write_text("# tiny\n")
    return folder / "tiny.safetensors"


def upsampler_of(weights: Path) -> Path:
    return weights.with_name("upsampler.safetensors")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small picture, so that the accuracy gate takes a second."""
    folder = tmp_path_factory.mktemp("pictures")
    cv2.imwrite(str(folder / "wren.png"), cv2.imread(str(EXAMPLES / "wren.jpg"))[160:560, 300:700])
    mask = np.zeros((400, 400), np.uint8)
    mask[120:290, 120:290] = 255  # takes a region of 384 pixels, which is upsampled
    cv2.imwrite(str(folder / "wren-mask.png"), mask)
    return folder


CHECKS = ("export.bundle.check_parity", "export.bundle.check_upsample_parity", "export.bundle.check_accuracy")


def leave_out(check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that a test is not about passes at once."""
    monkeypatch.setattr(check, lambda *_, **__: {"passed": True})


@pytest.fixture
def quick_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """One mask and one factor: with all of them the graphs have passed when ``bundle`` was written."""
    monkeypatch.setattr("export.parity.parity_masks", lambda *given: islice(parity_masks(*given), 1))
    monkeypatch.setattr("export.upsample_parity.FACTORS", FACTORS[:1])


@pytest.fixture
def exported(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graphs of ``bundle`` in place of an export, which takes most of the time."""

    def graphs(_generator: object, _upsampler: object, precision: str) -> dict[str, onnx.ModelProto]:
        entries = load_bundle(bundle).precisions[precision]
        return {name: onnx.load(graph.path) for name, graph in entries.items() if name not in SHARED_GRAPHS}

    monkeypatch.setattr("export.bundle.build_graphs", graphs)


def write(weights: Path, out: Path, pictures: Path) -> None:
    card = weights.with_suffix(".md")
    write_bundle(weights, upsampler_of(weights), card, out, seed=1, pictures=load_pictures(pictures))


@pytest.fixture(scope="module")
def bundle(tiny_weights: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundles") / "tiny"
    assert main(["--weights", str(tiny_weights), "--out", str(out), "--pictures", str(pictures)]) == 0
    return out


def test_the_runtime_loads_what_the_command_wrote(bundle: Path, rng: np.random.Generator) -> None:
    assert load_bundle(bundle).preset == "tiny"
    with Inpainter(bundle, backend="onnxruntime", working_size=64) as inpainter:
        mask = np.zeros((50, 60), bool)
        mask[10:30, 10:30] = True
        assert inpainter.inpaint(rng.integers(0, 256, (50, 60, 3), np.uint8), mask).regions == 1


def test_the_report_covers_every_kind_of_mask_and_every_factor(bundle: Path) -> None:
    report = json.loads((bundle / "parity.json").read_text())
    assert report["passed"]
    assert report["iterations"] == 6
    assert len(report["rows"]) == len(list(parity_masks(np.random.default_rng(0), 64))) == 9
    assert report["upsample"]["passed"]
    assert tuple(row["factor"] for row in report["upsample"]["factors"]) == FACTORS


@pytest.mark.usefixtures("quick_checks")
def test_parity_sees_a_wrong_graph(tiny_weights: Path, bundle: Path) -> None:
    generator, _ = load_generator(tiny_weights)
    assert check_parity(generator, bundle, seed=1)["passed"]
    with torch.no_grad():
        generator.fine_decoder.to_rgb.conv.bias[0] += 0.01
    assert not check_parity(generator, bundle, seed=1)["passed"]


@pytest.mark.usefixtures("quick_checks")
def test_upsample_parity_sees_a_wrong_graph(tiny_weights: Path, bundle: Path) -> None:
    upsampler, _ = load_upsampler(upsampler_of(tiny_weights))
    assert check_upsample_parity(upsampler, bundle, seed=1)["passed"]
    with torch.no_grad():
        upsampler.similarity.to_descriptor.bias += 0.01
    assert not check_upsample_parity(upsampler, bundle, seed=1)["passed"]


@pytest.mark.usefixtures("exported", "quick_checks")
@pytest.mark.parametrize(
    ("check", "limit", "impossible"),
    [
        (CHECKS[0], "export.parity.TOLERANCE", 0.0),
        (CHECKS[1], "export.upsample_parity.TOLERANCES", {"q": 0.0}),
        (CHECKS[2], "export.accuracy.MAX_FLIPS", -1.0),
    ],
)
def test_a_failed_parity_leaves_the_old_bundle(
    tiny_weights: Path,
    bundle: Path,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    check: str,
    limit: str,
    impossible: object,
) -> None:
    before = {p.name: file_sha256(p) for p in bundle.iterdir()}
    for other in set(CHECKS) - {check}:
        leave_out(other, monkeypatch)
    monkeypatch.setattr(limit, impossible)
    with pytest.raises(ParityError, match="nothing was written"):
        write(tiny_weights, bundle, pictures)
    assert {p.name: file_sha256(p) for p in bundle.iterdir()} == before
    assert [p.name for p in bundle.parent.iterdir()] == [bundle.name]


@pytest.mark.usefixtures("exported")
def test_an_export_replaces_a_bundle_whole(
    tiny_weights: Path, bundle: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "bundle"
    out.mkdir()
    (out / "leftover.onnx").write_bytes(b"x")
    for check in CHECKS:
        leave_out(check, monkeypatch)
    write(tiny_weights, out, pictures)
    names = [
        "add_detail.fp16.onnx",
        "add_detail.onnx",
        "card.md",
        "composite.onnx",
        "detail.fp16.onnx",
        "detail.onnx",
        "manifest.json",
        "parity.json",
        "prepare.onnx",
        "refine.onnx",
        "replace.fp16.onnx",
        "replace.onnx",
        "seam.onnx",
        "search.fp16.onnx",
        "search.onnx",
        "similarity.fp16.onnx",
        "similarity.onnx",
        "step.fp16.onnx",
        "step.onnx",
    ]
    for folder in (out, bundle):
        assert sorted(p.name for p in folder.iterdir()) == names


def test_graphs_say_nothing_of_the_machine(bundle: Path) -> None:
    graphs = list(bundle.glob("*.onnx"))
    assert graphs
    for path in graphs:
        content = path.read_bytes()
        assert b"site-packages" not in content
        assert b"/home" not in content
        assert b".py" not in content
        assert [o.version for o in onnx.load(path).opset_import if o.domain == ""] == [OPSET]


def test_weights_are_stored_in_fp16_without_loss(tiny_weights: Path, bundle: Path) -> None:
    generator, _ = load_generator(tiny_weights)
    large = [t for t in onnx.load(bundle / "step.onnx").graph.initializer if np.prod(t.dims) >= 64]
    assert large
    assert all(t.data_type == onnx.TensorProto.FLOAT16 for t in large)
    stored = np.sort(np.concatenate([numpy_helper.to_array(t).ravel() for t in large]).astype(np.float32))
    tensors = [*generator.parameters(), *generator.buffers()]
    original = np.concatenate([t.detach().numpy().ravel() for t in tensors if t.numel() >= 64])
    np.testing.assert_array_equal(stored, np.sort(original))


def test_weights_round_trip(tmp_path: Path) -> None:
    from training.model.network import PRESETS

    torch.manual_seed(2)
    generator = Generator(PRESETS["edge"])
    save_generator(tmp_path / "w.safetensors", generator, preset="edge", training={"steps": "7"})
    loaded, header = load_generator(tmp_path / "w.safetensors")
    assert (header["preset"], header["steps"]) == ("edge", "7")
    for a, b in zip(generator.parameters(), loaded.parameters(), strict=True):
        torch.testing.assert_close(a.half().float(), b, rtol=0, atol=0)


def test_bad_weights(tmp_path: Path, tiny_weights: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(WeightsError, match="cannot be read"):
        load_generator(path)
    path.write_bytes(tiny_weights.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="cannot be read"):
        load_generator(path)
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match=r"format None.*training\.release"):
        load_generator(path)
    save_generator(path, Generator(TINY), preset="edge", training={})
    with pytest.raises(WeightsError, match="does not fit preset 'edge'"):
        load_generator(path)
    broken = Generator(TINY)
    with torch.no_grad():
        broken.fine_decoder.squeeze.bias[0] = float("nan")
    save_generator(path, broken, preset="tiny", training={})
    with pytest.raises(WeightsError, match="NaN"):
        load_generator(path)


def test_the_command_says_what_is_missing(
    tmp_path: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--weights", str(tmp_path / "no.safetensors"), "--out", str(tmp_path / "out")])
    assert "--card" in capsys.readouterr().err
    card = ["--card", str(tiny_weights.with_suffix(".md"))]
    assert main(["--weights", str(tmp_path / "no.safetensors"), "--out", str(tmp_path / "out"), *card]) == 1
    assert "error:" in capsys.readouterr().err


def test_the_shipped_bundle_is_made_from_the_shipped_weights() -> None:
    manifest = json.loads((SHIPPED / "edge" / "manifest.json").read_text())
    hashes = {"generator": file_sha256(WEIGHTS), "upsampler": file_sha256(upsampler_of(WEIGHTS))}
    assert manifest["weights_sha256"] == hashes
    assert WEIGHTS.stat().st_size <= 6 * 2**20
    assert (SHIPPED / "edge" / "card.md").read_text() == WEIGHTS.with_suffix(".md").read_text()
