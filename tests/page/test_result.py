"""The result: divider, confidence, iterations, comparison, and what can be done next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.page.conftest import OpenPage
from tests.page.hand import layer, on_screen, open_image, pick, remove, saved, stroke, until
from tests.page.standin import StandIn


@pytest.fixture
def result(page: Any, photo: Path) -> Any:
    open_image(page, photo)
    stroke(page, [(100, 84), (140, 84), (140, 96), (100, 96)])
    remove(page)
    return page


def hole(page: Any) -> np.ndarray:
    """The pixels of the screen where the red thing was, inside what was painted."""
    (left, top), (right, bottom) = on_screen(page, [(108, 84), (134, 98)])
    box = page.locator("#stage").bounding_box()
    x, y = box["x"], box["y"]
    return layer(page, "imageLayer")[int(top - y) : int(bottom - y), int(left - x) : int(right - x), :3].astype(int)


def redness(pixels: np.ndarray) -> float:
    return float((pixels[..., 0] - pixels[..., 2]).mean())


def test_divider_facts_and_confidence(result: Any, shoot: Any) -> None:
    page = result
    assert page.inner_text("#facts").startswith(("1 iterations, 0 s, ", "2 iterations, 0 s, "))
    page.focus("#divider")
    page.keyboard.press("Home")
    assert redness(hole(page)) < 110
    assert page.is_hidden("#leftTag")
    assert page.is_visible("#rightTag")
    page.keyboard.press("End")
    assert redness(hole(page)) > 150
    assert page.is_hidden("#rightTag")
    [(x, y)] = on_screen(page, [(24, 90)])
    page.mouse.move(x + 50, y)
    page.mouse.down()
    page.mouse.move(x, y)
    page.mouse.up()
    assert page.input_value("#divider") == "10"
    assert redness(hole(page)) < 110
    plain = hole(page)
    page.check("#overlay")
    tinted = hole(page)
    shoot(page, "unsure")
    assert (tinted - plain)[..., 1].mean() < -2  # towards magenta
    page.uncheck("#overlay")
    np.testing.assert_array_equal(hole(page), plain)


def test_options(page: Any, site: StandIn, photo: Path, tmp_path: Path) -> None:
    open_image(page, photo)
    stroke(page, [(100, 90), (140, 90)])
    page.click("summary:has-text('Options')")
    page.check("#wantStrip")
    page.select_option("#iterations", "3")
    page.select_option("#grow", "8")
    page.select_option("#format", "webp")
    remove(page)
    assert site.asked[-1].fields == {
        "iterations": "3",
        "grow": "8",
        "format": "webp",
        "outputs": "confidence,iterations",
    }
    page.click("summary:has-text('Iterations')")
    until(page, "document.querySelector('#strip').naturalWidth === 480")
    assert page.is_visible("#strip")
    name, image = saved(page, tmp_path)
    assert name == "things-removed.webp"
    assert image.shape == (180, 240, 3)


def test_defaults_are_those_of_the_server(open_page: OpenPage, site: StandIn) -> None:
    site.info["defaults"] = {"iterations": 7, "grow": 5}
    page = open_page()
    assert (page.input_value("#iterations"), page.input_value("#grow")) == ("7", "5")


def test_compare(page: Any, site: StandIn, photo: Path, tmp_path: Path, shoot: Any) -> None:
    open_image(page, photo)
    stroke(page, [(112, 90), (128, 90)])
    page.click("summary:has-text('Options')")
    assert page.is_hidden("#second")
    page.check("#compare")
    page.select_option("#growB", "32")
    remove(page)
    shoot(page, "compare")
    first, second = site.asked[-2:]
    assert (first.fields["grow"], second.fields["grow"]) == ("0", "32")
    assert (first.fields["iterations"], second.fields["iterations"]) == ("2", "1")
    assert first.files == second.files
    assert (page.inner_text("#leftTag"), page.inner_text("#rightTag")) == ("A", "B")
    shown = layer(page, "imageLayer")
    _, b = saved(page, tmp_path)
    pick(page, "sides", "before-a")
    assert page.inner_text("#leftTag") == "Before"
    assert (layer(page, "imageLayer") != shown).any()
    _, a = saved(page, tmp_path)
    assert (a != b).any()
    image = cv2.imread(str(photo))
    assert (a != image).any(2).sum() < (b != image).any(2).sum()  # the hole of B was grown


def test_go_on(result: Any, site: StandIn, tmp_path: Path) -> None:
    page = result
    first = saved(page, tmp_path)[1]
    page.click("#goOn")
    assert page.get_attribute("body", "data-state") == "mark"
    assert page.get_attribute("#undo", "aria-disabled") == "true"
    assert redness(hole(page)) < 110
    page.keyboard.down("Tab")
    page.keyboard.down("Tab")
    assert redness(hole(page)) > 150  # the original
    page.keyboard.up("Tab")
    stroke(page, [(200, 60), (200, 120)])
    remove(page)
    np.testing.assert_array_equal(site.asked[-1].image(), first)
    assert not site.asked[-1].mask()[90, 120]
    page.click("#goOn")
    stroke(page, [(200, 60), (200, 120)])
    remove(page)
    assert len(site.asked) == 3


def test_back_keeps_the_marks_and_another_image_does_not(result: Any, photo: Path) -> None:
    page = result
    page.keyboard.press("Escape")
    assert page.get_attribute("body", "data-state") == "mark"
    assert page.get_attribute("#run", "aria-disabled") == "false"
    page.keyboard.press("Control+z")
    assert page.get_attribute("#run", "aria-disabled") == "true"
    page.keyboard.press("Control+Shift+z")
    remove(page)
    open_image(page, photo)
    assert page.get_attribute("#undo", "aria-disabled") == "true"
    assert page.is_hidden("#rightTag")
