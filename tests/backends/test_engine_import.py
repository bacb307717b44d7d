"""The import of an engine changes nothing that outlasts it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from iic_rt.backends.engine_import import REPORTER, SWITCH, import_engine


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that says what it saw when it was imported."""
    source = f"import os, sys\nsaw = os.environ.get({SWITCH!r}), sys.modules.get({REPORTER!r}, 0)\n"
    (tmp_path / "fake_engine_library.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "fake_engine_library", raising=False)
    return "fake_engine_library"


@pytest.mark.parametrize("said", [None, "0"])
def test_both_switches_are_off_during_the_import_alone(
    engine: str, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    reporter = object()
    monkeypatch.setitem(sys.modules, REPORTER, reporter)
    monkeypatch.delenv(SWITCH, raising=False)
    if said is not None:
        monkeypatch.setenv(SWITCH, said)
    assert import_engine(engine).saw == ("1", None)
    assert os.environ.get(SWITCH) == said
    assert sys.modules[REPORTER] is reporter


def test_a_failed_import_leaves_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, REPORTER, raising=False)
    monkeypatch.delenv(SWITCH, raising=False)
    with pytest.raises(ImportError):
        import_engine("no_engine_of_that_name")
    assert REPORTER not in sys.modules
    assert SWITCH not in os.environ


def test_what_was_imported_before_is_left_as_it_is(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    before = __import__(engine)
    assert import_engine(engine) is before
    assert before.saw[0] is None
