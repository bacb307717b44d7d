"""Imports run one way, the runtime stays light, files stay short."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALLOWED = {  # what each part may import of the project itself
    "iic_rt": {"iic_rt"},
    "training": {"training", "iic_rt"},
    "export": {"export", "iic_rt", "training.model"},
    "benchmarks": {"benchmarks", "iic_rt", "training"},
    "cpp_ext": {"cpp_ext", "iic_rt"},
    "engines": {"engines", "iic_rt"},
}
PARTS = set(ALLOWED) | {"tests"}
MAX_LINES = 400


def imported_modules(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return names


def forbidden(part: str, names: set[str]) -> set[str]:
    own = {name for name in names if name.split(".")[0] in PARTS}
    return {n for n in own if not any(n == allowed or n.startswith(f"{allowed}.") for allowed in ALLOWED[part])}


@pytest.mark.parametrize("part", ALLOWED)
def test_imports_run_one_way(part: str) -> None:
    files = list((ROOT / part).rglob("*.py"))
    assert files
    wrong = {str(f.relative_to(ROOT)): bad for f in files if (bad := forbidden(part, imported_modules(f)))}
    assert not wrong


# Inside the runtime a part imports what stands above it here, and nothing below. `reference` is for tests and export.
ORDER = (
    ("_version", "errors", "exif", "geometry", "resampling"),
    (
        "checks",
        "components",
        "decoder_noise",
        "files",
        "image_header",
        "mask_colours",
        "no_memory",
        "patches",
        "pixels",
    ),
    ("image_metadata", "masks", "one_call"),
    ("image_io",),
    ("options", "result"),
    ("bundle", "figures"),
    ("contract",),
    ("cuda", "engines"),
    ("backends",),
    ("pipeline",),
    ("video",),
    ("inpainter",),
    ("pool",),
    ("server",),
    ("bench", "cli"),
)
LEVEL = {part: level for level, parts in enumerate(ORDER) for part in parts} | {"reference": 1}


def part_of(path: Path) -> str:
    return path.relative_to(ROOT / "iic_rt").parts[0].removesuffix(".py")


def test_imports_inside_the_runtime_run_one_way() -> None:
    wrong = []
    for path in (ROOT / "iic_rt").rglob("*.py"):
        own = part_of(path)
        if own in ("__init__", "__main__"):
            continue
        for name in imported_modules(path):
            part = name.split(".")[1] if name.startswith("iic_rt.") else ""
            lower = part in LEVEL and (part == own or LEVEL[part] < LEVEL[own])
            if part and (not lower or (part == "reference" and own != part)):
                wrong.append((str(path.relative_to(ROOT)), name))
    assert wrong == []


def test_the_arrow_check_sees_a_wrong_arrow() -> None:
    assert forbidden("export", {"training.losses", "training.model.network", "numpy"}) == {"training.losses"}
    assert forbidden("iic_rt", {"export"}) == {"export"}


@pytest.mark.parametrize("module", ["torch", "onnx", "safetensors", "matplotlib"])
def test_runtime_files_never_name_the_training_stack(module: str) -> None:
    for path in (ROOT / "iic_rt").rglob("*.py"):
        if (path.name, module) != ("plot.py", "matplotlib"):  # the plot of the bench, an extra
            assert module not in {name.split(".")[0] for name in imported_modules(path)}, path


@pytest.mark.parametrize(("module", "more"), [("iic_rt", ", 'iic_rt.video'"), ("iic_rt.video", "")])
def test_import_is_light(module: str, more: str) -> None:
    heavy = "'torch', 'onnx', 'onnxruntime', 'openvino', 'cuda', 'tensorrt', 'tensorrt_rtx', 'pycuda', 'filelock', 'av'"
    heavy += ", 'fastapi', 'pydantic'"
    code = f"import sys, {module}; print(' '.join(m for m in ({heavy}{more}) if m in sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == ""


def test_the_whole_command_runs_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['onnx'] = None\n"
        "from iic_rt.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    pictures = [str(ROOT / "examples" / name) for name in ("wren.jpg", "wren-mask.png")]
    out = tmp_path / "wren.png"
    done = subprocess.run([sys.executable, "-c", code, "remove", *pictures, "-o", str(out)], check=False)
    assert done.returncode == 0
    assert out.stat().st_size > 0


def test_files_stay_short() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    code = [ROOT / name for name in tracked if Path(name).suffix in {".py", ".cu", ".cuh", ".cpp", ".h"}]
    assert code
    long = {p.name: n for p in code if p.exists() and (n := len(p.read_text().splitlines())) >= MAX_LINES}
    assert not long
