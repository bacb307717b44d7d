"""Fingers and pens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.page.conftest import OpenPage
from tests.page.hand import Point, marked, on_screen, open_image, remove, settle
from tests.page.standin import StandIn

PHONE = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
SCALE = "import('/page/stage.js').then(({ view }) => view.scale)"
# The browser's protocol knows no pen with an eraser.
ERASE = """(path) => {
    const stage = document.querySelector("#stage");
    stage.setPointerCapture = () => {};
    const [[x0, y0], [x1, y1]] = path;
    const pen = { pointerType: "pen", pointerId: 7, button: 5, buttons: 32, pressure: 0.9 };
    stage.dispatchEvent(new PointerEvent("pointerdown", { ...pen, clientX: x0, clientY: y0 }));
    stage.dispatchEvent(new PointerEvent("pointermove", { ...pen, clientX: x1, clientY: y1, button: -1 }));
    stage.dispatchEvent(new PointerEvent("pointerup", { ...pen, clientX: x1, clientY: y1, buttons: 0 }));
}"""


class Fingers:
    """Touches of the screen, as the browser's protocol sends them."""

    def __init__(self, page: Any) -> None:
        self._session = page.context.new_cdp_session(page)

    def touch(self, kind: str, *points: Point) -> None:
        where = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        self._session.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": where})

    def pen(self, kind: str, point: Point, *, force: float) -> None:
        event = {"type": f"mouse{kind}", "x": point[0], "y": point[1], "force": force, "pointerType": "pen"}
        pressed = {"button": "none" if kind == "Moved" else "left", "buttons": 1, "clickCount": 1}
        self._session.send("Input.dispatchMouseEvent", event | pressed)


def test_a_finger_paints(open_page: OpenPage, site: StandIn, photo: Path, shoot: Any) -> None:
    page = open_page(**PHONE)
    shoot(page, "phone-start")
    open_image(page, photo)
    fingers = Fingers(page)
    path = on_screen(page, [(100, 90), (110, 90), (125, 90), (140, 90)])
    fingers.touch("Start", path[0])
    for point in path[1:]:
        fingers.touch("Move", point)
    fingers.touch("End")
    assert marked(page) > 0
    assert page.is_hidden("#ring")
    shoot(page, "phone-mark")
    remove(page)
    shoot(page, "phone-result")
    assert site.asked[-1].mask()[90, 100:140].all()


def test_two_fingers_pinch_and_move_and_paint_nothing(open_page: OpenPage, photo: Path) -> None:
    page = open_page(**PHONE)
    open_image(page, photo)
    before = page.evaluate(SCALE)
    [(x, y)] = on_screen(page, [(120, 90)])
    fingers = Fingers(page)
    fingers.touch("Start", (x - 30, y))
    fingers.touch("Move", (x - 34, y))
    fingers.touch("Start", (x - 34, y), (x + 34, y))
    for reach in (50, 70, 102):
        fingers.touch("Move", (x - reach, y), (x + reach, y))
    settle(page)
    fingers.touch("End")
    assert page.evaluate(SCALE) == pytest.approx(3 * before, rel=0.02)
    assert on_screen(page, [(120, 90)])[0] == pytest.approx((x, y), abs=1)
    assert marked(page) == 0
    assert page.get_attribute("#undo", "aria-disabled") == "true"
    assert page.evaluate("visualViewport.scale") == 1  # the page itself is not enlarged
    fingers.touch("Start", (x - 30, y), (x + 30, y))
    fingers.touch("Move", (x - 10, y + 20), (x + 50, y + 20))
    fingers.touch("End")
    settle(page)
    assert on_screen(page, [(120, 90)])[0] == pytest.approx((x + 20, y + 20), abs=2)


def test_a_pen_draws_wider_under_pressure_and_erases_with_its_end(page: Any, photo: Path) -> None:
    open_image(page, photo)
    pen = Fingers(page)
    counts = []
    for force in (0.1, 0.9):
        if counts:
            page.click("#clear")
        path = on_screen(page, [(80, 90), (160, 90)])
        pen.pen("Pressed", path[0], force=force)
        pen.pen("Moved", path[1], force=force)
        pen.pen("Released", path[1], force=0)
        counts.append(marked(page))
    assert counts[1] > 1.8 * counts[0] > 0
    page.evaluate(ERASE, path)
    assert marked(page) < 0.2 * counts[1]
