"""A bundle is loaded whole and unchanged, or refused with what to run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

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


def test_a_graph_the_engine_refuses(copy: Path) -> None:
    (copy / "step.onnx").write_bytes(b"no graph")
    edit(copy, lambda m: m["precisions"]["fp32"]["step"].update(sha256=file_sha256(copy / "step.onnx")))
    with pytest.raises(BackendError, match=r"refuses .*step\.onnx"):
        open_backend("auto", load_bundle(copy))
