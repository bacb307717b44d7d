"""The wheel holds the runtime with its bundle and nothing else, and comes out the same again; its parts are listed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from iic_rt import __version__

ROOT = Path(__file__).parent.parent


def test_contents(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"iic_rt", f"iic_rt-{__version__}.dist-info"}
    for name in ("bundles/edge/step.onnx", "bundles/edge/manifest.json", "py.typed", "cli/main.py"):
        assert f"iic_rt/{name}" in names
    page = {str(p.relative_to(ROOT)) for p in (ROOT / "iic_rt/server/page").iterdir()}
    assert page
    assert page <= set(names)
    modules = {str(p.relative_to(ROOT)) for p in (ROOT / "iic_rt").rglob("*.py")}
    assert modules <= set(names)


def test_metadata(wheel: Path) -> None:
    text = zipfile.ZipFile(wheel).read(f"iic_rt-{__version__}.dist-info/METADATA").decode()
    assert "Name: iic-rt" in text
    base = [line for line in text.splitlines() if line.startswith("Requires-Dist") and "extra" not in line]
    assert {line.split()[1].split(">")[0] for line in base} == {"numpy", "onnxruntime", "opencv-python-headless"}
    assert "torch==2.13.0" in text


def test_the_same_files_give_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "5", "TMPDIR": str(tmp_path)}
    command = [sys.executable, str(ROOT / "packaging/wheel.py"), str(tmp_path / "again")]
    before = os.umask(0o077)
    try:
        subprocess.run(command, env=environment, cwd=tmp_path, check=True, capture_output=True)
    finally:
        os.umask(before)
    (again,) = (tmp_path / "again").iterdir()
    assert again.read_bytes() == wheel.read_bytes()
    modes = {info.external_attr >> 16 & 0o777 for info in zipfile.ZipFile(wheel).infolist()}
    assert modes <= {0o644, 0o664}


def bill(*extras: str) -> str:
    command = [sys.executable, "packaging/sbom.py", *(part for extra in extras for part in ("--extra", extra))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_bill_of_materials() -> None:
    text = bill("openvino", "server")
    said = json.loads(text)
    assert (said["metadata"]["component"]["name"], said["metadata"]["component"]["version"]) == ("iic-rt", __version__)
    by_name = {component["name"]: component for component in said["components"]}
    assert {"numpy", "onnxruntime", "opencv-python-headless", "openvino", "fastapi", "starlette"} <= set(by_name)
    assert not {"torch", "pytest", "av"} & set(by_name)
    assert by_name["numpy"]["purl"].startswith("pkg:pypi/numpy@")
    assert all("licenses" in by_name[name] for name in ("numpy", "onnxruntime", "openvino"))
    listed = {part["name"]: part["hashes"][0]["content"] for part in by_name["edge"]["components"]}
    manifest = json.loads((ROOT / "iic_rt/bundles/edge/manifest.json").read_text())
    graphs = [graph for graphs in manifest["precisions"].values() for graph in graphs.values()]
    assert graphs
    assert all(listed[f"edge/{graph['file']}"] == graph["sha256"] for graph in graphs)
    assert listed["weights of the generator"] == manifest["weights_sha256"]["generator"]
    references = {component["bom-ref"] for component in (said["metadata"]["component"], *said["components"])}
    assert {item["ref"] for item in said["dependencies"]} | {"bundle/edge"} == references
    assert {other for item in said["dependencies"] for other in item["dependsOn"]} <= references
    assert bill("server", "openvino") == text


def test_the_bill_of_materials_is_cyclonedx() -> None:
    validation = pytest.importorskip("cyclonedx.validation.json", reason="cyclonedx-python-lib is missing")
    schema = pytest.importorskip("cyclonedx.schema")
    checker = validation.JsonStrictValidator(schema.SchemaVersion.V1_6)
    assert checker.validate_str(bill()) is None
    assert checker.validate_str(bill().replace("CycloneDX", "Other")) is not None


def test_what_is_installed_fits_together() -> None:
    """But for the packages that are installed without their dependencies."""
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    alone = re.findall(r"^([\w-]+)==", (ROOT / "requirements/alone.txt").read_text(), re.MULTILINE)
    assert alone
    assert [line for line in done.stdout.splitlines() if line.split()[0] not in {*alone, "No"}] == []
