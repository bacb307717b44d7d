"""What goes wrong is said in plain words, and the work is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.page.conftest import OpenPage
from tests.page.hand import marked, message, open_image, stroke, until
from tests.page.standin import StandIn

FAILED = "Failed to load resource"  # what the browser itself logs of an answer that is an error
RED = [(100, 90), (140, 90)]


def painted(open_page: OpenPage, photo: Path) -> Any:
    page = open_page(allowed=FAILED)
    open_image(page, photo)
    stroke(page, RED)
    return page


def test_a_busy_server_is_asked_again(open_page: OpenPage, site: StandIn, photo: Path, shoot: Any) -> None:
    page = painted(open_page, photo)
    site.script.append("busy")
    page.click("#run")
    until(page, "document.querySelector('#message').textContent.includes('attempt 1')")
    assert message(page).inner_text() == "The server is busy. Again in 1 s (attempt 1)."
    assert page.is_visible("#progress")
    shoot(page, "busy")
    page.wait_for_selector("body[data-state=result]")
    assert len(site.asked) == 2
    assert site.asked[0].files == site.asked[1].files
    page.click("#back")
    site.script.append("busy")
    page.click("#run")
    until(page, "document.querySelector('#message').textContent.includes('attempt 1')")
    page.click("#action")
    until(page, "document.querySelector('#message').textContent.includes('Cancelled')")
    assert len(site.asked) == 3


def test_cancel_closes_the_connection_and_nothing_changes_before(page: Any, site: StandIn, photo: Path) -> None:
    open_image(page, photo)
    stroke(page, RED)
    before = marked(page)
    for way in ("#action", "Escape"):
        site.gone.clear()
        site.script.append("wait")
        page.click("#run")
        page.wait_for_selector("#progress")
        assert page.inner_text("#action") == "Cancel"
        assert site.got.wait(5)
        stroke(page, [(30, 30), (60, 60)])
        page.keyboard.press("Control+z")
        if way == "Escape":
            page.keyboard.press(way)
        else:
            page.click(way)
        assert site.gone.wait(5)
        assert message(page).inner_text() == "Cancelled. The marks are kept."
        assert marked(page) == pytest.approx(before, rel=5e-3)
        assert page.is_hidden("#progress")


def test_a_server_that_refuses_and_one_that_dies(open_page: OpenPage, site: StandIn, photo: Path, shoot: Any) -> None:
    page = painted(open_page, photo)
    before = marked(page)
    site.script += ["refuse", "die"]
    page.click("#run")
    page.wait_for_selector("#notice[data-kind=error]")
    assert page.inner_text("#detail") == "the mask marks nothing that could be removed"
    page.click("#action")  # again; and this time it dies in the middle of the answer
    until(page, "document.querySelector('#detail').textContent === ''")
    page.wait_for_selector("#notice[data-kind=error]")
    assert message(page).inner_text() == "The server does not answer. Image and marks are kept."
    shoot(page, "dead")
    site.stop()
    page.click("#action")
    page.wait_for_selector("#notice[data-kind=error]")
    assert marked(page) == before
    site.start()
    page.click("#action")
    page.wait_for_selector("body[data-state=result]")
    assert site.asked[-1].mask()[90, 120]


def test_a_server_that_is_gone_from_the_start(open_page: OpenPage, site: StandIn, photo: Path) -> None:
    page = open_page(allowed=FAILED)
    page.route("**/v1/info", lambda route: route.abort())
    page.reload()
    page.wait_for_selector("#notice[data-kind=error]")
    open_image(page, photo)
    stroke(page, RED)
    page.click("#run")
    page.wait_for_selector("body[data-state=result]")


def test_a_token_is_asked_for_once(open_page: OpenPage, site: StandIn, photo: Path) -> None:
    site.token = "open sesame"
    page = painted(open_page, photo)
    asked = []

    def answer(dialog: Any) -> None:
        asked.append(dialog.message)
        dialog.accept(["wrong", "open sesame"][len(asked) - 1])

    page.on("dialog", answer)
    for _ in range(2):
        page.click("#run")
        page.wait_for_selector("body[data-state=result]")
        page.click("#back")
    assert asked == ["This server asks for a token:"] * 2


def test_a_token_in_the_address_is_used_and_taken_out(open_page: OpenPage, site: StandIn, photo: Path) -> None:
    site.token = "open sesame"
    page = open_page("?a=1#token=open+sesame")
    assert page.url == f"{site.url}?a=1"
    open_image(page, photo)
    stroke(page, RED)
    page.click("#run")
    page.wait_for_selector("body[data-state=result]")
    assert site.asked[-1].authorization == "Bearer open sesame"


def test_what_cannot_be_used(open_page: OpenPage, site: StandIn, photo: Path, tmp_path: Path) -> None:
    site.info["limits"] = {"megapixels": 0.5, "bytes": 1_000_000}
    page = open_page()
    (tmp_path / "no.png").write_bytes(b"no image")
    cv2.imwrite(str(tmp_path / "large.png"), np.zeros((800, 1000), np.uint8))
    expected = {
        "no.png": "The browser cannot open this as an image.",
        "large.png": "Too large: at most 0.5 megapixels and 1 MB.",
    }
    for name, text in expected.items():
        page.set_input_files("#file", str(tmp_path / name))
        until(page, f"document.querySelector('#message').textContent === '{text}'")
        assert page.get_attribute("body", "data-state") == "start"
    open_image(page, photo)
    page.focus("#run")
    page.keyboard.press("Enter")
    assert message(page).inner_text() == "Paint over what should go."
    assert site.asked == []
