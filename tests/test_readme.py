"""The examples of README and embedding page run as they stand, and the links of all pages lead somewhere."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iic_rt import Inpainter
from iic_rt.bench.__main__ import build_parser as build_bench_parser
from iic_rt.cli.main import build_parser, main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *(p for d in ("docs", "examples", "cpp_ext", "engines") for p in ROOT.glob(f"{d}/**/*.md")),
]


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", ["README.md", "docs/embedding.md"])
def test_python_blocks(checkout: Path, page: str) -> None:
    found = blocks("python", (ROOT / page).read_text())
    assert found
    for block in found:
        names: dict[str, Any] = {}
        exec(compile(block, page, "exec"), names)
        if "filled" in names:
            image, mask = np.zeros((80, 90, 3), np.uint8), np.ones((80, 90), np.uint8)
            mask[20:] = 0
            with Inpainter(working_size=64) as inpainter:
                assert len(list(names["filled"](inpainter, [(image, mask)] * 4))) == 4
        else:
            assert repr(names["result"]).startswith("InpaintResult(image=uint8[")


@pytest.mark.parametrize("number", [0, 1])
def test_python_blocks_of_streams(checkout: Path, number: int) -> None:
    names: dict[str, Any] = {}
    exec(compile(blocks("python", (ROOT / "docs/video.md").read_text())[number], "docs/video.md", "exec"), names)
    assert len(names["shown"]) == [3, 10][number]
    assert {image.shape for image, *_ in names["shown"]} == {names["image"].shape}


def test_python_block_of_the_memory(checkout: Path) -> None:
    names: dict[str, Any] = {}
    exec(compile(blocks("python", (ROOT / "docs/video.md").read_text())[2], "docs/video.md", "exec"), names)
    assert (names["remembered"], names["alone"]) == ([0, 1, 1], [0, 0, 0])


def test_python_block_of_the_server() -> None:
    names: dict[str, Any] = {}
    (block,) = blocks("python", (ROOT / "docs/server.md").read_text())
    exec(compile(block, "docs/server.md", "exec"), names)
    assert names["app"].asgi is not None
    assert names["app"].pool.inpainter is None  # nothing is opened before a server runs


def test_commands(checkout: Path) -> None:
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    assert lines.pop(0) == "mkdir -p demo-output"
    (checkout / "demo-output").mkdir()
    assert len(lines) == 4
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "iic-rt"
        assert main(arguments) == 0, line


def test_links() -> None:
    assert len(DOCUMENTS) > 8
    for document in DOCUMENTS:
        for target in re.findall(r"\]\((?!https:)([^)#]+)[^)]*\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def commands(program: str) -> list[list[str]]:
    """Arguments of every command of a program in an indented line of the pages."""
    lines = [line for document in DOCUMENTS for line in document.read_text().splitlines()]
    found = [re.match(rf"    (?:\w+=\S+ )*{re.escape(program)}( .*)?$", line) for line in lines]
    return [shlex.split(match[1] or "", comments=True) for match in found if match]


@pytest.mark.parametrize(
    ("program", "parser"), [("iic-rt", build_parser()), ("python -m iic_rt.bench", build_bench_parser())]
)
def test_commands_of_the_pages_are_understood(program: str, parser: argparse.ArgumentParser) -> None:
    assert len(commands(program)) > 4
    for arguments in commands(program):
        parser.parse_args(arguments)


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^    make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_modules_named_in_the_readme_exist() -> None:
    for module in set(re.findall(r"python -m ([\w.]+)", README)):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module
