"""A bundle is loaded whole and unchanged, or refused with what to run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import onnx
import pytest

from iic_rt.backends.registry import open_backend
from iic_rt.bundle.manifest import DEFAULT_BUNDLE, MANIFEST, SHIPPED, file_sha256, load_bundle
from iic_rt.errors import BackendError, BundleError


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED / DEFAULT_BUNDLE, tmp_path / "copy"))


def edit(folder: Path, change) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_the_shipped_bundle_loads_by_name_and_by_path(copy: Path) -> None:
    bundle = load_bundle("edge")
    assert bundle.sha256 == load_bundle(copy).sha256
    assert bundle.preset == "edge"
    assert bundle.working_size == 256
    assert [s.name for s in bundle.graphs["step"].inputs] == ["y", "m", "c", "first"]
    assert [s.name for s in bundle.graphs["prepare"].outputs] == ["y", "m"]
    assert bundle.card.startswith("# ")


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"shipped bundle \(edge\)"):
        load_bundle("nothing-of-that-name")
    with pytest.raises(BundleError, match="does not exist"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("name", ["step.onnx", "prepare.onnx", "card.md"])
def test_a_missing_file(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleError, match=rf"{name} is missing; .*python -m export"):
        load_bundle(copy)


@pytest.mark.parametrize("name", ["step.onnx", "prepare.onnx", "card.md"])
def test_a_changed_file(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name} is not the file .* sha256"):
        load_bundle(copy)


def test_another_schema(copy: Path) -> None:
    edit(copy, lambda m: m.update(schema=99))
    with pytest.raises(BundleError, match="schema 99, this version reads 7"):
        load_bundle(copy)


@pytest.mark.parametrize("key", ["schema", "precisions", "card", "preset", "working_size", "search"])
def test_a_missing_key(copy: Path, key: str) -> None:
    edit(copy, lambda m: m.pop(key))
    with pytest.raises(BundleError, match=f"not a manifest .*{key}"):
        load_bundle(copy)


def test_more_patches_than_refine_takes(copy: Path) -> None:
    edit(copy, lambda m: m["search"].update(best=4))
    with pytest.raises(BundleError, match="keeps 4 patches in search, refine takes 1; write the bundle again"):
        load_bundle(copy)


def test_a_missing_graph(copy: Path) -> None:
    edit(copy, lambda m: m["precisions"]["fp32"].pop("step"))
    with pytest.raises(BundleError, match="names no fp32 graph step"):
        load_bundle(copy)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe"])
def test_a_manifest_that_is_none(copy: Path, content: bytes) -> None:
    (copy / MANIFEST).write_bytes(content)
    with pytest.raises(BundleError, match="not a manifest"):
        load_bundle(copy)


def test_a_file_outside_the_folder(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "step.onnx").write_bytes(b"x")
    edit(copy, lambda m: m["precisions"]["fp32"]["step"].update(file="../step.onnx"))
    with pytest.raises(BundleError, match="outside its folder"):
        load_bundle(copy)


def put(folder: Path, graph: str, content: bytes) -> None:
    """Replaces a graph's file, with the right hash."""
    path = folder / f"{graph}.onnx"
    path.write_bytes(content)

    def change(manifest) -> None:
        for entries in manifest["precisions"].values():
            if entries[graph]["file"] == path.name:
                entries[graph].update(sha256=file_sha256(path))

    edit(folder, change)


def test_a_graph_the_engine_refuses(copy: Path) -> None:
    content = (copy / "step.onnx").read_bytes()
    put(copy, "step", content.replace(b"Sigmoid", b"Si\x1b[moi"))  # an operator that there is not
    with pytest.raises(BackendError, match=r"refuses .*step\.onnx") as caught:
        open_backend("auto", load_bundle(copy))
    assert str(caught.value).isprintable()


def one_line(copy: Path, match: str) -> None:
    with pytest.raises(BundleError, match=match) as caught:
        load_bundle(copy)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("size", [0, -64, 1, 100, 10**9, 1056, "256", 256.0, True, None, [256]])
def test_a_working_size_that_is_none(copy: Path, size: object) -> None:
    edit(copy, lambda m: m.update(working_size=size))
    one_line(copy, "working_size .*, not a multiple of 32 from 64 to 1024; write the bundle again")


@pytest.mark.parametrize("scale", [0, -1, "180", None, pytest.param(10**400, id="huge")])
def test_a_scale_that_is_none(copy: Path, scale: object) -> None:
    edit(copy, lambda m: m["search"].update(scale=scale))
    one_line(copy, "has the scale .* in search")


def test_two_entries_that_are_swapped(copy: Path) -> None:
    def swap(manifest) -> None:
        graphs = manifest["precisions"]["fp32"]
        graphs["step"], graphs["refine"] = graphs["refine"], graphs["step"]

    edit(copy, swap)
    one_line(copy, r"has the inputs .*'step' takes|has the inputs .*'refine' takes")


def test_two_files_that_are_swapped(copy: Path) -> None:
    def swap(manifest) -> None:
        graphs = manifest["precisions"]["fp32"]
        files = [{key: graphs[name][key] for key in ("file", "sha256")} for name in ("refine", "step")]
        graphs["step"].update(files[0])
        graphs["refine"].update(files[1])

    edit(copy, swap)
    one_line(copy, "is another graph than the manifest says: ")


@pytest.mark.parametrize("shape", [[1, 4, "height", "width"], [3, "height", "width"], []])
def test_a_manifest_with_other_shapes(copy: Path, shape: list[object]) -> None:
    edit(copy, lambda m: m["precisions"]["fp32"]["step"]["inputs"][0].update(shape=shape))
    one_line(copy, "has the input y float32.*for example|another graph")


def test_a_file_that_is_no_graph(copy: Path) -> None:
    put(copy, "step", b"no graph")
    one_line(copy, r"step\.onnx is not an ONNX graph")


def test_values_of_another_file(copy: Path) -> None:
    model = onnx.load(copy / "similarity.onnx")
    onnx.save(model, copy / "similarity.onnx", save_as_external_data=True, location="values", size_threshold=0)
    put(copy, "similarity", (copy / "similarity.onnx").read_bytes())
    one_line(copy, r"similarity\.onnx takes tensors from other files")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"[" * 100_000, "RecursionError"),
        (b'{"schema":' * 20_000 + b"7" + b"}" * 20_000, "RecursionError"),
        (b'{"schema": NaN}', "NaN is not JSON"),
        (b'{"schema": 7, "name": "\\u001b]0;title\\u0007"}', "cannot be printed"),
        (b'{"schema": 7, "\\u202e": 1}', "cannot be printed"),
        (b"9" * 10_000, "not a manifest"),
    ],
)
def test_a_hostile_manifest(copy: Path, content: bytes, match: str) -> None:
    (copy / MANIFEST).write_bytes(content)
    one_line(copy, match)


@pytest.mark.parametrize("name", ["x" * 300, "step.onnx/x", "", "..", 5, None, ["step.onnx"]])
def test_names_of_files_that_are_none(copy: Path, name: object) -> None:
    edit(copy, lambda m: m["precisions"]["fp32"]["step"].update(file=name))
    one_line(copy, "File name too long|outside its folder|is missing|not a manifest")


@pytest.mark.parametrize("source", ["x" * 300, "x" * 5000, "a\0b", ""])
def test_names_of_bundles_that_are_none(source: str) -> None:
    with pytest.raises(BundleError, match=r"cannot be read|no bundle at"):
        load_bundle(source)


@pytest.mark.parametrize("name", [MANIFEST, "step.onnx", "card.md"])
def test_a_file_that_cannot_be_read(copy: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_bytes

    def refuse(path: Path) -> bytes:  # permissions say nothing to root
        if path.name == name:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    one_line(copy, "cannot be read: Permission denied")


def test_a_manifest_that_is_a_folder(copy: Path) -> None:
    (copy / MANIFEST).unlink()
    (copy / MANIFEST).mkdir()
    one_line(copy, "no bundle at")


def test_nothing_of_the_card_reaches_the_terminal(copy: Path) -> None:
    card = "# Card\n\ttext\x1b[2J\x1b]0;title\x07\x9b31m\u202e \u00fc\n"
    (copy / "card.md").write_text(card)
    edit(copy, lambda m: m["card"].update(sha256=file_sha256(copy / "card.md")))
    assert load_bundle(copy).card == "# Card\n\ttext[2J]0;title31m \u00fc\n"


@pytest.mark.parametrize("key", ["name", "preset"])
def test_texts_that_are_none(copy: Path, key: str) -> None:
    edit(copy, lambda m: m.update({key: ["edge"]}))
    one_line(copy, f"{key} is .*, no text")


@pytest.mark.parametrize(
    "engines", [5, [5], [{}], [{"file": "step.onnx", "sha256": 5, "shapes": {}, "plugin": None}], [{"shapes": 5}]]
)
def test_engines_that_are_none(copy: Path, engines: object) -> None:
    edit(copy, lambda m: m.update(engines=engines))
    one_line(copy, "not a manifest")
