"""The live page: frames are shown, a mask is drawn over them, and an interruption is survived."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from tests.page.conftest import OpenPage
from tests.page.hand import layer, marked, message, on_screen, settle, stroke, until
from tests.page.standin import StandIn


def live(open_page: OpenPage) -> Any:
    page = open_page("live", allowed="Failed to load resource")
    until(page, "import('/page/stage.js').then(({ scene }) => scene.image?.width === 160)")
    settle(page)
    return page


def test_frames_counts_and_a_mask(open_page: OpenPage, site: StandIn, shoot: Any) -> None:
    page = live(open_page)
    first = layer(page, "imageLayer")
    page.wait_for_timeout(200)
    assert (layer(page, "imageLayer") != first).any()
    until(page, "document.querySelector('#counts').textContent !== ''")
    assert page.inner_text("#counts") == "24.5 frames/s, 31 ms; 7 filled, 1 late, 0 failed, 1 dropped"
    shoot(page, "live")
    stroke(page, [(40, 60), (80, 60)])
    stroke(page, [(80, 40), (80, 80)], button="right")
    assert marked(page) > 0
    page.click("#run")
    until(page, "document.querySelector('#message').textContent === 'Done'")
    content = site.asked[-1].files["mask"]
    mask = np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE))
    assert mask.shape == (120, 160)
    assert mask[60, 40:70].all()
    assert not mask[60, 80]
    assert marked(page) == 0
    page.click("#stop")
    page.wait_for_timeout(100)
    assert site.asked[-1].path == "/live/mask"
    assert site.asked[-1].files["mask"] == b""


def test_an_interruption(open_page: OpenPage, site: StandIn) -> None:
    page = live(open_page)
    site.stop()
    page.wait_for_selector("#notice[data-kind=error]")
    assert message(page).inner_text() == "The stream is interrupted. Trying again …"
    site.start()
    until(page, "!document.querySelector('#notice').classList.contains('shown')")
    assert site.streams > 1
    [(x, y)] = on_screen(page, [(80, 60)])
    assert x > 0
    assert y > 0


def test_keyboard_alone(open_page: OpenPage, site: StandIn) -> None:
    page = live(open_page)
    page.focus("#stage")
    page.keyboard.press("r")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    assert marked(page) > 0
    page.focus("#run")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('#message').textContent === 'Done'")
    assert len(site.asked) == 1
