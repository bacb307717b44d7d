"""What is locked and what is tested as the oldest is what pyproject.toml says."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
LOCKS = sorted((ROOT / "requirements").glob("dev-*.lock"))
HERE = ROOT / f"requirements/dev-cp{sys.version_info[0]}{sys.version_info[1]}-{sysconfig.get_platform()}.lock"
tomllib = pytest.importorskip("tomllib", reason="Python 3.10 reads no TOML")


def declared(*extras: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)]
    return [Requirement(text) for items in lists for text in items]


def pinned(path: Path) -> dict[str, Version]:
    lines = (re.match(r"([\w.-]+)==([\w.+!]+)", line) for line in path.read_text().splitlines())
    return {canonicalize_name(line[1]): Version(line[2]) for line in lines if line}


def test_the_oldest_are_the_least_that_are_allowed() -> None:
    oldest = pinned(ROOT / "requirements" / "oldest.txt")
    least = {
        canonicalize_name(requirement.name): Version(specifier.version)
        for requirement in declared("server", "video")
        for specifier in requirement.specifier
    }
    assert oldest.keys() == least.keys()
    for name, version in oldest.items():
        assert version.release[: len(least[name].release)] == least[name].release, name


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_every_line_of_a_lock_has_a_hash_and_nothing_else(path: Path) -> None:
    for line in path.read_text().splitlines()[1:]:
        assert re.fullmatch(r"[a-z0-9.-]+==[\w.+!]+ --hash=sha256:[0-9a-f]{64}", line), line
    locked = pinned(path)
    for requirement in declared("train", "export", "bench", "openvino", "cuda", "video", "server"):
        if requirement.name != "torch":  # its hash depends on where it comes from
            assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)]), requirement.name
    alone = pinned(ROOT / "requirements" / "alone.txt")
    assert {name: locked.get(name) for name in alone} == alone


@pytest.mark.skipif(not HERE.exists(), reason=f"{HERE.name} does not exist: nothing is locked here")
def test_the_lock_has_all_that_is_needed() -> None:
    code = "import sbom; print(*sbom.installed({'dev'}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "packaging", capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) - pinned(HERE).keys() == {"iic-rt", "torch"}
