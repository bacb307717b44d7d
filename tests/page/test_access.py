"""axe-core finds no violation, in no state of the page, light or dark."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.page.conftest import OpenPage
from tests.page.hand import open_image, pick, remove, stroke, until
from tests.page.standin import StandIn

AXE = Path(sys.prefix) / "npm/node_modules/axe-core/axe.min.js"
RUN = "(rules) => axe.run({ resultTypes: ['violations'], runOnly: rules })"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


Check = Callable[..., None]


@pytest.fixture
def check() -> Check:
    if not AXE.is_file():
        pytest.skip(f"axe-core of npm is missing: npm install --prefix {sys.prefix}/npm axe-core")
    source = AXE.read_text()

    def checked(page: Any, rules: Sequence[str] = RULES) -> None:
        page.evaluate(source)
        found = page.evaluate(RUN, list(rules))["violations"]
        assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == []

    return checked


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_state(open_page: OpenPage, site: StandIn, photo: Path, check: Check, scheme: str, shoot: Any) -> None:
    rules = RULES if scheme == "light" else ["color-contrast"]  # nothing else differs
    page = open_page(color_scheme=scheme, allowed="Failed to load", viewport={"width": 1280, "height": 800})
    check(page, rules)
    shoot(page, f"{scheme}-start")
    open_image(page, photo)
    pick(page, "tool", "rectangle")
    for name in ("Options", "Keys"):
        page.click(f"summary:has-text('{name}')")
    page.check("#compare")
    page.check("#wantStrip")
    check(page, rules)
    shoot(page, f"{scheme}-options")
    pick(page, "tool", "brush")
    stroke(page, [(100, 90), (140, 90)])
    site.script += ["refuse", "wait"]
    page.click("#run")
    page.wait_for_selector("#notice[data-kind=error]")
    check(page, rules)
    page.click("#action")
    page.wait_for_selector("#progress")
    check(page, rules)
    site.go.set()
    page.wait_for_selector("body[data-state=result]")
    page.click("summary:has-text('Iterations')")
    page.check("#overlay")
    page.wait_for_timeout(250)  # until the notice has faded
    check(page, rules)
    shoot(page, f"{scheme}-result")


def test_kiosk(open_page: OpenPage, site: StandIn, photo: Path, check: Check) -> None:
    site.info |= {"idle_seconds": 2}
    page = open_page("?kiosk")
    check(page)
    page.click("#camera")
    until(page, "document.querySelector('#video').videoWidth > 0")
    check(page)
    page.click("#cameraClose")
    open_image(page, photo)
    stroke(page, [(100, 90), (140, 90)])
    remove(page)
    check(page)
    page.wait_for_selector("#idleDialog[open]")
    check(page)


def test_phone(open_page: OpenPage, photo: Path, check: Check) -> None:
    page = open_page(viewport={"width": 390, "height": 780})
    open_image(page, photo)
    check(page)


def test_live(open_page: OpenPage, check: Check) -> None:
    page = open_page("live", allowed="Failed to load")
    until(page, "document.querySelector('#counts').textContent !== ''")
    check(page)


def test_the_focus_is_seen_and_nothing_moves_for_those_who_want_that(open_page: OpenPage, photo: Path) -> None:
    page = open_page(reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.querySelector('#notice')).transitionDuration") == "0s"
    open_image(page, photo)
    for _ in range(6):
        page.keyboard.press("Tab")
        width = page.evaluate(
            "getComputedStyle(document.activeElement.closest('.choice label') ?? document.activeElement).outlineWidth"
        )
        assert width == "3px"
