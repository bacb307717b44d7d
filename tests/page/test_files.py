"""The files of the page: small, short, with nothing from elsewhere and nothing that the content policy forbids."""

from __future__ import annotations

import re

import pytest

from tests.page.standin import PAGE

FILES = sorted(PAGE.iterdir())
MOST_BYTES = 60_000
MOST_LINES = 400


def test_size() -> None:
    assert sum(path.stat().st_size for path in FILES) < MOST_BYTES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_files_are_short(path: object) -> None:
    assert isinstance(path, type(PAGE))
    text = path.read_text()
    assert len(text.splitlines()) < MOST_LINES
    assert max(map(len, text.splitlines())) <= 400
    if path.suffix == ".js":
        assert text.startswith("// ")
        assert max(len(line.expandtabs(2)) for line in text.splitlines()) <= 128


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_from_elsewhere(path: object) -> None:
    assert isinstance(path, type(PAGE))
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//\w+\.\w", text)
    names = re.findall(r'(?:href|src)="page/([^"]+)"|from "\./([^"]+)"', text)
    for name in filter(None, sum(names, ())):
        assert (PAGE / name).is_file(), name


def test_no_inline_script_or_style() -> None:
    text = (PAGE / "index.html").read_text()
    assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:", text)
    assert re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL) == [""]


def test_no_code_is_made_from_text() -> None:
    for path in FILES:
        if path.suffix == ".js":
            assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|\beval\b|document\.write", path.read_text())


def test_elements_that_modules_name_exist() -> None:
    ids = set(re.findall(r'\bid="(\w+)"', (PAGE / "index.html").read_text()))
    for path in FILES:
        if path.suffix == ".js":
            text = path.read_text()
            named = set(re.findall(r"\$\.(\w+)", text))
            for group in re.findall(r"const \{([^}]+)\} = \$;", text):
                named |= {part.partition(":")[0].strip() for part in group.split(",")}
            assert named - {"name"} <= ids, path.name
