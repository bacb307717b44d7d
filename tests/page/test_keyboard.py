"""The keyboard alone does the whole job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.page.hand import marked, message, open_image, until
from tests.page.standin import StandIn


def tab_to(page: Any, selector: str) -> None:
    for _ in range(40):
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {selector}")


def test_from_opening_to_saving(page: Any, site: StandIn, photo: Path, tmp_path: Path, shoot: Any) -> None:
    page.on("filechooser", lambda chooser: chooser.set_files(str(photo)))  # takes effect a moment later
    tab_to(page, "#open")
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-state=mark]")
    assert page.evaluate("document.activeElement.id") == "stage"
    page.keyboard.press("r")
    for _ in range(4):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowDown")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Control+ArrowLeft")
    page.keyboard.press("Shift+Control+ArrowDown")
    said = message(page).inner_text()
    width, height, x, y = (int(part) for part in said.replace(" × ", " ").replace(" at ", " ").replace(",", "").split())
    shoot(page, "keyboard")
    page.keyboard.press("Enter")
    assert message(page).inner_text() == "Marked."
    tab_to(page, "#run")
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-state=result]")
    mask = site.asked[-1].mask()
    assert mask.sum() == width * height
    assert mask[y : y + height, x : x + width].all()
    assert page.evaluate("document.activeElement.id") == "resultTitle"
    tab_to(page, "#divider")
    page.keyboard.press("ArrowRight")
    assert page.input_value("#divider") == "51"
    tab_to(page, "#save")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "things-removed.png"


def test_kinds_tools_and_object_by_keyboard(page: Any, site: StandIn, photo: Path) -> None:
    open_image(page, photo)
    tab_to(page, "[name=kind]")
    page.keyboard.press("ArrowRight")
    tab_to(page, "[name=tool]")
    page.keyboard.press("ArrowRight")
    assert page.is_visible("#box")
    tab_to(page, "#findObject")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('#message').textContent === 'Marked.'")
    assert marked(page) > 0
    assert page.is_hidden("#box")
    page.keyboard.press("Control+z")
    assert marked(page) == 0


def test_moving_with_keys_and_no_trap(page: Any, photo: Path) -> None:
    view = "import('/page/stage.js').then(({ view }) => [view.scale, view.left])"
    open_image(page, photo)
    scale, left = page.evaluate(view)
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(view) == [scale, left + 48]
    page.keyboard.press("+")
    assert page.evaluate(view)[0] == pytest.approx(1.25 * scale)
    page.keyboard.press("0")
    assert page.evaluate(view) == [scale, left]
    tab_to(page, "#undo")
    page.keyboard.press("r")  # is for the stage and not for buttons
    assert page.is_hidden("#box")
    page.focus("#stage")
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.id"))
    assert {"stage", "undo", "run", "nearer", "size", "language"} <= seen


def test_the_rectangle_stays_in_the_image_and_can_be_left(page: Any, photo: Path) -> None:
    open_image(page, photo)
    page.keyboard.press("r")
    for _ in range(24):
        page.keyboard.press("ArrowLeft")
    for _ in range(14):
        page.keyboard.press("Shift+ArrowUp")
    assert message(page).inner_text().startswith("60 × 2 at 0, ")
    page.keyboard.press("Escape")
    assert page.is_hidden("#box")
    assert page.locator("[name=tool]:checked").input_value() == "brush"
