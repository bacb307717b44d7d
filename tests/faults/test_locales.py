"""Where letters, encodings and decimal points are others, the results are the same."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.faults.command import ended_well, one_image, run


def there() -> set[str]:
    if shutil.which("locale") is None:
        return set()
    return set(subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout.split())


ASCII = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize(
    ("name", "more"), [("C", {}), ("C", ASCII), ("tr_TR.utf8", {}), ("de_DE.utf8", {})], ids=lambda value: str(value)
)
def test_the_result_is_the_same(folder: Path, right: bytes, tmp_path: Path, name: str, more: dict[str, str]) -> None:
    if name not in {"C", *there()}:
        pytest.skip(f"the system does not have the locale {name}")
    done = run(one_image(folder, tmp_path / "ä.PNG"), env={"LC_ALL": name, **more})
    assert ended_well(done)
    assert (tmp_path / "ä.PNG").read_bytes() == right
