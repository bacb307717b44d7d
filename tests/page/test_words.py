"""Every word is there in every language, and the browser's is used."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.page.conftest import OpenPage
from tests.page.hand import open_image, remove, stroke
from tests.page.standin import PAGE

WORDS = json.loads((PAGE / "words.json").read_text())
OWN = {"codes", "names"}


def used() -> set[str]:
    """Names of words in the files."""
    text = "".join((PAGE / path).read_text() for path in sorted(PAGE.iterdir()) if path.suffix in (".html", ".js"))
    found = set(re.findall(r'data-(?:word|label)="(\w+)"', text))
    quoted = set(re.findall(r'"([a-z]+(?:_[a-z]+)*)"', text))
    return found | (quoted & set(WORDS)) | {f"help_{kind}" for kind in ("remove", "avoid", "prefer")}


def test_every_word_is_there_and_used() -> None:
    assert used() == set(WORDS) - OWN


@pytest.mark.parametrize("key", sorted(set(WORDS) - OWN))
def test_each_language_has_it(key: str) -> None:
    assert len(WORDS[key]) == len(WORDS["codes"]) == len(WORDS["names"])
    gaps = [set(re.findall(r"\{(\w+)\}", text)) for text in WORDS[key]]
    assert all(WORDS[key])
    assert gaps[0] == gaps[1]


def test_german(open_page: OpenPage, photo: Path, shoot: Any) -> None:
    page = open_page(locale="de-AT", viewport={"width": 1280, "height": 800})
    assert page.evaluate("document.documentElement.lang") == "de"
    assert page.title() == "Objekte entfernen"
    assert page.inner_text("#start h2") == "Dinge aus einem Bild entfernen"
    shoot(page, "german-start")
    open_image(page, photo)
    assert page.inner_text("#message") == "Übermalen, was weg soll."
    stroke(page, [(100, 90), (140, 90)])
    shoot(page, "german-mark")
    remove(page)
    assert "0 s, zu" in page.inner_text("#facts")
    assert page.get_attribute("#farther", "aria-label") == "Kleiner"
    page.click("#language")
    assert page.evaluate("document.documentElement.lang") == "en"
    assert "0 s, " in page.inner_text("#facts")
    assert "% sure" in page.inner_text("#facts")
    assert page.inner_text("#message") == "Done"
    assert page.inner_text("#language") == "Deutsch"


def test_other_languages_are_shown_english(open_page: OpenPage) -> None:
    assert open_page(locale="fr-FR").inner_text("#start h2") == "Remove things from an image"
