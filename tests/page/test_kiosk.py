"""Kiosk mode: from the camera to the result with nothing else in reach, and nothing left for the next person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.page.conftest import OpenPage
from tests.page.hand import layer, marked, message, open_image, remove, stroke, until
from tests.page.standin import StandIn

# Counts what is made and what is let go of.
COUNT = """
window.alive = { bitmaps: 0, addresses: new Set(), tracks: [] };
const make = window.createImageBitmap;
window.createImageBitmap = async (...how) => {
    const bitmap = await make(...how);
    alive.bitmaps++;
    const close = bitmap.close.bind(bitmap);
    bitmap.close = () => { alive.bitmaps--; bitmap.close = close; close(); };
    return bitmap;
};
const { createObjectURL, revokeObjectURL } = URL;
URL.createObjectURL = (file) => {
    const made = createObjectURL.call(URL, file);
    alive.addresses.add(made);
    return made;
};
URL.revokeObjectURL = (made) => {
    alive.addresses.delete(made);
    revokeObjectURL.call(URL, made);
};
"""
PREVENTED = """(name) => {
    const event = new Event(name, { bubbles: true, cancelable: true });
    document.querySelector("h1").dispatchEvent(event);
    return event.defaultPrevented;
}"""
LARGE = {"viewport": {"width": 1280, "height": 800}}


def is_wiped(page: Any) -> None:
    assert page.get_attribute("body", "data-state") == "start"
    assert not layer(page, "imageLayer").any()
    assert not layer(page, "marksLayer").any()
    assert page.evaluate("alive.bitmaps") == 0
    assert page.evaluate("alive.addresses.size") == 0
    assert page.evaluate("document.querySelector('#video').srcObject") is None
    scene = page.evaluate("import('/page/stage.js').then(({ scene }) => [scene.image, scene.original, scene.after])")
    assert scene == [None] * 3
    assert page.input_value("#file") == ""
    assert message(page).inner_text() == ""
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0


def test_camera_snap_paint_done(open_page: OpenPage, site: StandIn, shoot: Any, tmp_path: Path) -> None:
    page = open_page("?kiosk", **LARGE)
    page.evaluate(COUNT)
    shoot(page, "kiosk-start")
    page.click("#camera")
    until(page, "document.querySelector('#video').videoWidth > 0")
    shoot(page, "kiosk-camera")
    page.click("#snap")
    page.wait_for_selector("body[data-state=mark]")
    size = page.evaluate("import('/page/stage.js').then(({ scene }) => [scene.image.width, scene.image.height])")
    x, y = size[0] / 2, size[1] / 2
    stroke(page, [(x - 40, y), (x + 40, y)])
    shoot(page, "kiosk-mark")
    remove(page)
    shoot(page, "kiosk-result")
    assert site.asked[-1].fields == {"iterations": "2", "grow": "0"}
    assert site.asked[-1].image().shape[:2] == (size[1], size[0])
    with page.expect_download():
        page.click("#save")
    page.click("#done")
    is_wiped(page)


def test_outside_the_kiosk(page: Any, photo: Path) -> None:
    page.click("#full")
    until(page, "document.fullscreenElement !== null")
    page.click("#full")
    until(page, "document.fullscreenElement === null")
    page.evaluate("() => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException(); }; }")
    page.click("#camera")
    page.wait_for_selector("#notice[data-kind=error]")
    assert "no camera" in message(page).inner_text()
    open_image(page, photo)
    page.click("summary:has-text('Options')")
    page.check("#compare")
    for target in page.locator("button:visible, label:visible, select:visible, summary:visible").all():
        box = target.bounding_box()
        assert min(box["width"], box["height"]) >= 44, target


def test_targets_are_large_and_nothing_leads_out(open_page: OpenPage, photo: Path) -> None:
    page = open_page("?kiosk", viewport={"width": 1024, "height": 768})

    def check() -> None:
        assert page.locator("a[href]").count() == 0
        targets = page.locator("button:visible, .choice label:visible, input[type=range]:visible")
        assert targets.count() > 2
        for target in targets.all():
            box = target.bounding_box()
            assert box["height"] >= 64, target
            assert box["width"] >= 64, target

    check()
    for name in ("contextmenu", "selectstart", "dragstart", "drop", "dragover"):
        assert page.evaluate(PREVENTED, name), name
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).userSelect") == "none"
    assert page.is_hidden("#open")  # a file dialog would show the machine's files
    open_image(page, photo)
    stroke(page, [(100, 90), (140, 90)])
    check()
    remove(page)
    check()


def test_idle_wipes_everything_unless_somebody_is_there(
    open_page: OpenPage, site: StandIn, photo: Path, shoot: Any
) -> None:
    site.info |= {"kiosk": True, "idle_seconds": 2}
    page = open_page()
    page.evaluate(COUNT)
    page.click("#language")
    open_image(page, photo)
    stroke(page, [(100, 90), (140, 90)])
    before = marked(page)
    page.wait_for_selector("#idleDialog[open]")
    assert page.inner_text("#idleText") == "Noch da? In 1 s wird alles gelöscht."
    shoot(page, "kiosk-idle")
    page.keyboard.press("Enter")  # on the button that has the focus
    assert page.locator("#idleDialog[open]").count() == 0
    assert marked(page) == before
    remove(page)
    page.wait_for_selector("body[data-state=start]")
    assert page.locator("#idleDialog[open]").count() == 0
    is_wiped(page)


def test_idle_closes_the_camera(open_page: OpenPage, site: StandIn) -> None:
    site.info |= {"kiosk": True, "idle_seconds": 3}
    page = open_page()
    page.evaluate(COUNT)
    for way in ("button", "idle"):
        page.click("#camera")
        until(page, "document.querySelector('#video').videoWidth > 0")
        if way == "button":
            page.click("#cameraClose")
        until(page, "document.querySelector('#video').srcObject === null")
        is_wiped(page)


def test_waiting_for_the_server_is_not_idling_and_a_new_image_ends_it(
    open_page: OpenPage, site: StandIn, photo: Path
) -> None:
    site.info |= {"kiosk": True, "idle_seconds": 1}
    page = open_page()
    page.evaluate(COUNT)
    open_image(page, photo)
    stroke(page, [(100, 90), (140, 90)])
    site.script.append("wait")
    page.click("#run")
    assert site.got.wait(5)
    page.wait_for_timeout(1300)
    assert page.locator("#idleDialog[open]").count() == 0
    assert page.is_visible("#progress")
    page.click("#again")
    assert site.gone.wait(5)
    is_wiped(page)
