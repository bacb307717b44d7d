"""The page and the real server: from opening an image to saving the result, and a token."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from iic_rt.server import worker
from iic_rt.server.app import create_app
from tests.page.conftest import OpenPage
from tests.page.hand import message, open_image, pick, pixel, remove, saved, stroke, until
from tests.server.conftest import OPTIONS, open_small, serving, settings
from tests.server.test_live import view
from tests.video.clips import GREY

TOKEN = "a token of 20 letters"


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """The address of a server with a small inpainter, for people who know the token."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "WARM_SIDES", ())
        app = create_app(open_small, settings(token=TOKEN, kiosk=False), options=OPTIONS)
        with serving(app) as url:
            yield f"{url}/"


def test_from_opening_to_saving(open_page: OpenPage, served: str, photo: Path, tmp_path: Path) -> None:
    page = open_page(f"{served}#token={TOKEN.replace(' ', '+')}")
    assert page.input_value("#iterations") == "1"
    open_image(page, photo)
    pick(page, "tool", "rectangle")
    stroke(page, [(92, 62), (148, 118)])
    page.click("#findObject")
    until(page, "document.querySelector('#message').textContent === 'Marked.'")
    pick(page, "kind", "avoid")
    stroke(page, [(200, 20), (200, 160)])
    page.click("summary:has-text('Options')")
    page.check("#wantStrip")
    page.check("#compare")
    page.select_option("#growB", "16")
    remove(page)
    assert message(page).inner_text() == "Done"
    assert "% sure" in page.inner_text("#facts")
    page.check("#overlay")
    page.click("#stripBox summary")
    until(page, "document.querySelector('#strip').naturalWidth > 240")
    image = cv2.imread(str(photo))
    holes = []
    for sides in ("a-b", "before-a"):
        pick(page, "sides", sides)
        name, result = saved(page, tmp_path)
        assert name == "things-removed.png"
        holes.append((result != image).any(2))
        assert (result[90, 120].astype(int) - image[90, 120])[2] < -40  # no longer red
        np.testing.assert_array_equal(result[:, :60], image[:, :60])
    assert holes[0].sum() > holes[1].sum()


def test_live_view(open_page: OpenPage) -> None:
    with serving(create_app(open_small, settings(), live=view())) as url:
        page = open_page(f"{url}/live")
        until(page, "import('/page/stage.js').then(({ scene }) => scene.image?.width === 64)")
        until(page, "document.querySelector('#counts').textContent.includes(', 0 failed')")
        stroke(page, [(20, 24), (44, 24)])
        page.click("#run")
        until(page, "document.querySelector('#message').textContent === 'Done'")
        for shade in (GREY, None):
            for _ in range(100):  # until a frame comes that was filled, or is as the camera gave it
                seen = int(pixel(page, (32, 24))[0])
                if abs(seen - GREY) <= 2 if shade else abs(seen - GREY) > 8:
                    break
            else:
                raise AssertionError(f"the middle of the frame is {seen}")
            page.click("#stop")
        page.close()  # or the server would wait for the end of its stream


def test_the_server_says_what_is_wrong(open_page: OpenPage, served: str, tmp_path: Path) -> None:
    deep = np.zeros((60, 80), np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    page = open_page(served, allowed="Failed to load resource")
    page.on("dialog", lambda dialog: dialog.accept(TOKEN))
    open_image(page, tmp_path / "deep.png")
    stroke(page, [(20, 30), (60, 30)])
    page.click("#run")
    page.wait_for_selector("#notice[data-kind=error]")
    assert "16 bits" in page.inner_text("#detail")
