"""The command as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from iic_rt.cli.main import main
from iic_rt.image_io import read_image, write_image


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Three pictures and their masks."""
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for i in range(3):
        write_image(tmp_path / "images" / f"{i}.png", rng.integers(0, 256, (60, 70, 3), np.uint8))
        mask = np.zeros((60, 70), np.uint8)
        mask[20:40, 20:40] = 255
        write_image(tmp_path / "masks" / f"{i}.png", mask)
    return tmp_path


def test_one_picture_with_everything(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, mask, out = folder / "images" / "0.png", folder / "masks" / "0.png", folder / "out.png"
    extra = ["--confidence", str(folder / "c.png"), "--iterations-strip", str(folder / "s.png"), "--json"]
    extra += ["--backend", "onnxruntime", "--grow", "0"]
    assert main(["remove", str(image), str(mask), "-o", str(out), "--iterations", "2", *extra]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["backend"] == "onnxruntime"
    (entry,) = report["results"]
    assert entry["out"] == str(out)
    assert entry["hole_px"] == 400
    assert entry["iterations"] <= 2
    before, after = read_image(image), read_image(out)
    np.testing.assert_array_equal(after[:20], before[:20])
    assert (after[20:40, 20:40] != before[20:40, 20:40]).any()
    assert read_image(folder / "c.png").shape[1] == 70
    assert read_image(folder / "s.png").shape[1] > 2 * 70


def test_control_and_upsampling_from_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    image, mask = rng.integers(0, 256, (400, 420, 3), np.uint8), np.zeros((400, 420), np.uint8)
    mask[100:300, 100:300] = 255
    left = np.zeros_like(mask)
    left[:, :210] = 255
    for name, pixels in (("image", image), ("mask", mask), ("left", left)):
        write_image(folder / f"{name}.png", pixels)
    files = [str(folder / f"{name}.png") for name in ("image", "mask")]
    found = {}
    for name, extra in {
        "free": [],
        "avoid": ["--avoid", str(folder / "left.png")],
        "prefer": ["--prefer", str(folder / "left.png")],
        "full": ["--no-upsample"],
    }.items():
        assert main(["remove", *files, "-o", str(folder / f"{name}.png"), "--json", "--grow", "0", *extra]) == 0
        report = json.loads(capsys.readouterr().out)
        assert (report["results"][0]["timings"]["upsample_ms"] > 0) == (name != "full")
        found[name] = read_image(folder / f"{name}.png")
    for name, result in found.items():
        np.testing.assert_array_equal(result[mask == 0], image[mask == 0])
        assert all((result != other).any() for key, other in found.items() if key != name)
    assert main(["remove", *files, "-o", str(folder / "x.png"), "--avoid", str(folder / "none.png")]) == 1
    assert main(["remove", *files, "-o", str(folder / "x.png"), "--prefer", files[1]]) == 1
    assert "prefer mask lies inside the hole" in capsys.readouterr().err


def test_folders_of_control_masks(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "avoid").mkdir()
    avoid = np.zeros((60, 70), np.uint8)
    avoid[:, 45:] = 255
    write_image(folder / "avoid" / "1.png", avoid)
    folders = [str(folder / "images"), str(folder / "masks")]
    for name, extra in {"a": [], "b": ["--avoid", str(folder / "avoid")]}.items():
        assert main(["remove", *folders, "-o", str(folder / name), *extra]) == 0
    same = [
        bool((read_image(folder / "a" / f"{i}.png") == read_image(folder / "b" / f"{i}.png")).all()) for i in range(3)
    ]
    assert same == [True, False, True]
    assert capsys.readouterr().err.count("no avoid mask for") == 2
    assert main(["remove", *folders, "-o", str(folder / "c"), "--avoid", str(folder / "avoid" / "1.png")]) == 1
    assert "is no folder; with a folder of images name a folder of masks" in capsys.readouterr().err


def test_the_result_keeps_its_format(folder: Path) -> None:
    write_image(folder / "a.jpg", read_image(folder / "images" / "0.png"))
    arguments = ["remove", str(folder / "a.jpg"), str(folder / "masks" / "0.png"), "-o", str(folder / "r.jpg")]
    assert main(arguments) == 0
    assert (folder / "r.jpg").read_bytes().startswith(b"\xff\xd8")


def test_a_folder_goes_on_after_a_bad_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "images" / "1.png").write_bytes(b"no image")
    (folder / "masks" / "2.png").unlink()
    out = folder / "out"
    assert main(["remove", str(folder / "images"), str(folder / "masks"), "-o", str(out)]) == 1
    assert sorted(p.name for p in out.iterdir()) == ["0.png"]
    printed = capsys.readouterr()
    assert "1 written, 2 failed" in printed.out
    assert "1.png is not an image" in printed.err
    assert "masks/2.png does not exist" in printed.err


def test_a_good_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strips = ["--iterations-strip", str(folder / "strips"), "--confidence", str(folder / "confidence")]
    arguments = ["remove", str(folder / "images"), str(folder / "masks"), "-o", str(folder / "out"), *strips]
    assert main(arguments) == 0
    for name in ("out", "strips", "confidence"):
        assert sorted(p.name for p in (folder / name).iterdir()) == ["0.png", "1.png", "2.png"]
    assert "3 written, 0 failed" in capsys.readouterr().out


def test_warnings_name_the_commands_option(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(folder / "empty.png", np.zeros((60, 70), np.uint8))
    image = folder / "images" / "0.png"
    assert main(["remove", str(image), str(folder / "empty.png"), "-o", str(folder / "o.png")]) == 0
    assert "unchanged" in (err := capsys.readouterr().err)
    assert "--mask-hole 'black'" in err
    np.testing.assert_array_equal(read_image(folder / "o.png"), read_image(image))


def wrong_arguments(folder: Path) -> dict[str, tuple[list[str], str]]:
    image, mask = str(folder / "images" / "0.png"), str(folder / "masks" / "0.png")
    out = str(folder / "o.png")
    return {
        "no such image": ([str(folder / "x.png"), mask, "-o", out], "does not exist"),
        "no such mask": ([image, str(folder / "x.png"), "-o", out], "does not exist"),
        "another size": ([image, str(folder / "small.png"), "-o", out], "must be equal"),
        "file and folder": ([image, str(folder / "masks"), "-o", out], "both be files"),
        "no output folder": ([image, mask, "-o", str(folder / "no" / "o.png")], "cannot write"),
        "output ending": ([image, mask, "-o", str(folder / "o.gif")], "allowed"),
        "bundle": ([image, mask, "-o", out, "--bundle", "nothing"], "shipped bundle"),
        "everything": ([image, str(folder / "full.png"), "-o", out], "--mask-hole 'black'"),
        "an empty folder": ([str(folder / "none"), str(folder / "masks"), "-o", out], "no image"),
        "a file for strips": (
            [str(folder / "images"), str(folder / "masks"), "-o", out, "--iterations-strip", "s.png"],
            "name a folder",
        ),
    }


@pytest.mark.parametrize("name", wrong_arguments(Path()))
def test_errors_are_one_line_and_leave_no_file(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(folder / "small.png", np.zeros((6, 7), np.uint8))
    write_image(folder / "full.png", np.full((60, 70), 255, np.uint8))
    (folder / "none").mkdir()
    arguments, message = wrong_arguments(folder)[name]
    assert main(["remove", *arguments]) == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.startswith("iic-rt: error: ")
    assert "Traceback" not in err
    assert not (folder / "o.png").exists()


def test_a_folder_goes_on_after_an_image_that_is_too_large(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.test_image_header import BOMBS

    (folder / "images" / "0.png").write_bytes(BOMBS["png"])
    (folder / "masks" / "1.png").write_bytes(BOMBS["bmp"])
    told = ["remove", str(folder / "images"), str(folder / "masks"), "-o", str(folder / "out")]
    assert main(told) == 1
    said = capsys.readouterr()
    assert "1 written, 2 failed" in said.out
    assert "0.png is 50000x50000, 2500 megapixels; at most 200 are read" in said.err
    assert "set --max-megapixels" in said.err
    assert "Traceback" not in said.err
    assert main([*told, "--max-megapixels", "0.004"]) == 1
    assert "2.png is 70x60, 0.0042 megapixels; at most 0.004 are read" in capsys.readouterr().err


def test_an_unknown_backend_is_refused(folder: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["remove", "a.png", "b.png", "-o", "c.png", "--backend", "tensorflow"])


def test_precision(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = [str(Path(__file__).parents[2] / "examples" / name) for name in ("wren.jpg", "wren-mask.png")]
    files = [folder / f"{name}.png" for name in ("default", "fp32", "fp16")]
    for file in files:
        chosen = [] if file.stem == "default" else ["--precision", file.stem]
        assert main(["remove", *pictures, "-o", str(file), "--backend", "onnxruntime", *chosen]) == 0
    assert files[0].read_bytes() == files[1].read_bytes() != files[2].read_bytes()
    assert main(["remove", *pictures, "-o", str(files[0]), "--backend", "onnxruntime", "--precision", "bf16"]) == 1
    assert "computes in fp32 or fp16 here, not in 'bf16'" in capsys.readouterr().err


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    printed = capsys.readouterr().out
    assert "onnxruntime" in printed
    assert "bundle edge" in printed
    assert "fp32 and fp16" in printed
    assert main(["info", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["backends"]["onnxruntime"]["version"]
    assert report["bundle"]["card"].startswith("# ")


def test_info_says_why_a_bundle_or_a_backend_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["info", "--bundle", "nothing"]) == 1
    assert "does not exist" in capsys.readouterr().out
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    main(["info"])
    assert "missing: onnxruntime cannot be imported" in capsys.readouterr().out


def test_exif_orientation_of_photo_and_mask(folder: Path, rng: np.random.Generator) -> None:
    from tests.test_image_io import exif_jpeg

    small = rng.integers(0, 256, (6, 8, 3), np.uint8)
    photo = np.asarray(cv2.resize(small, (80, 60), interpolation=cv2.INTER_CUBIC), np.uint8)
    (folder / "a.jpg").write_bytes(exif_jpeg(photo, 6))
    mask = np.zeros((80, 60), np.uint8)  # drawn on the upright picture
    mask[10:20, 10:20] = 255
    write_image(folder / "m.png", mask)
    assert main(["remove", str(folder / "a.jpg"), str(folder / "m.png"), "-o", str(folder / "o.png")]) == 0
    np.testing.assert_array_equal(read_image(folder / "o.png")[30:], read_image(folder / "a.jpg")[30:])
