"""The study's page, in the browser: pairs are blind, the keyboard answers them, and the count knows who won."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.data import Case
from benchmarks.study import count, main, make, table


@pytest.fixture
def study(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Two images; the good method leaves them alone, the bad one paints the hole black, the odd one white."""
    hole = np.zeros((40, 60), np.uint8)
    hole[10:30, 20:40] = 1
    cases = [Case(f"{i}", rng.integers(60, 200, (40, 60, 3), np.uint8), hole, {}) for i in range(2)]
    methods = {
        "good": lambda image, hole: image,
        "bad": lambda image, hole: np.where(hole[..., None] > 0, np.uint8(0), image),
        "odd": lambda image, hole: np.where(hole[..., None] > 0, np.uint8(255), image),
    }
    make(cases, methods, tmp_path / "study")
    return tmp_path / "study"


def test_the_page_does_not_know_whose_results_it_shows(study: Path) -> None:
    page, key = (study / "index.html").read_text(), json.loads((study / "key.json").read_text())
    assert len(list((study / "images").iterdir())) == 2 * (3 + 1)
    assert not any(f'"{method}"' in page for method in key["methods"])
    assert all(name in page for name in key["shown"])


def test_the_keyboard_answers_all_pairs(study: Path, contexts: Callable[..., Any], tmp_path: Path) -> None:
    key = json.loads((study / "key.json").read_text())
    page = contexts(viewport={"width": 900, "height": 600}).new_page()
    page.goto((study / "index.html").as_uri())
    assert page.inner_text("#progress") == "0 of 12"
    page.keyboard.press("Space")
    assert page.is_visible("#given-image")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Backspace")
    assert page.inner_text("#progress") == "0 of 12"
    for answered in range(12):
        if answered == 5:
            page.reload()  # answers are kept
        sides = [page.get_attribute(f"#{side}-image", "src") for side in ("left", "right")]
        ranks = [("bad", "odd", "good").index(key["shown"][side]["method"]) for side in sides]
        page.keyboard.press("ArrowLeft" if ranks[0] > ranks[1] else "ArrowRight")
    with page.expect_download() as saved:
        page.keyboard.press("Enter")
    saved.value.save_as(tmp_path / "answers.json")
    page.close()
    found = count(key, [json.loads((tmp_path / "answers.json").read_text())])
    assert (found["asked"], found["valid"]) == (6, 6)
    assert found["won"] == {"good": 4, "bad": 0, "odd": 2}
    assert "| good | 4 |  | 100 % | 100 % |" in table(found)


def test_a_vote_counts_only_when_it_is_given_twice() -> None:
    key = {"study": "s", "methods": ["a", "b"], "shown": {"x": {"method": "a"}, "y": {"method": "b"}}}

    def answer(*chosen: str) -> dict[str, Any]:
        return {"study": "s", "votes": [{"pair": "p", "shown": ["x", "y"], "chosen": c} for c in chosen]}

    found = count(key, [answer("x", "x"), answer("x", "y"), answer("y", "y"), answer("x")])
    assert found["people"] == found["asked"] == 4
    assert (found["valid"], found["won"]) == (2, {"a": 1, "b": 1})
    with pytest.raises(ValueError, match="answers of study 't' do not fit the key of 's'"):
        count(key, [answer() | {"study": "t"}])


def test_nothing_to_compare_with(tmp_path: Path, photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "masks" / photo.name), np.zeros((180, 240), np.uint8))
    folders = ["--images", str(photo.parent), "--masks", str(tmp_path / "masks"), "--out", str(tmp_path / "study")]
    with pytest.raises(SystemExit):
        main(["make", *folders])
    assert "give --results or --classical" in capsys.readouterr().err
