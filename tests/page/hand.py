"""What people do on the page: open an image, paint, press, look."""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

Point = tuple[float, float]
LONGEST_WAIT = 5.0  # seconds

VIEW = "async () => { const { view } = await import('/page/stage.js'); return view; }"
PIXELS = "(id) => document.getElementById(id).toDataURL().split(',')[1]"

PIXEL = """([x, y]) => {
    const pen = new OffscreenCanvas(1, 1).getContext("2d");
    pen.drawImage(document.querySelector("#imageLayer"), -Math.round(x), -Math.round(y));
    return Array.from(pen.getImageData(0, 0, 1, 1).data).slice(0, 3);
}"""


def settle(page: Page) -> None:
    """Waits until what was asked to be drawn is drawn."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def until(page: Page, expression: str) -> None:
    """Waits for something to become true; the browser's own way to wait would need what the content policy forbids."""
    ends = time.monotonic() + LONGEST_WAIT
    while not page.evaluate(expression):
        assert time.monotonic() < ends, f"{expression} did not become true"
        time.sleep(0.01)


def open_image(page: Page, path: Path) -> None:
    page.set_input_files("#file", str(path))
    page.wait_for_selector("body[data-state=mark]")
    settle(page)


def on_screen(page: Page, points: Sequence[Point]) -> list[Point]:
    """Where pixels of the image lie in the window."""
    view, box = page.evaluate(VIEW), page.locator("#stage").bounding_box()
    assert box is not None
    return [
        (box["x"] + view["left"] + view["scale"] * x, box["y"] + view["top"] + view["scale"] * y) for x, y in points
    ]


def stroke(page: Page, points: Sequence[Point], *, button: Any = "left") -> None:
    """Drags the mouse along pixels of the image."""
    first, *rest = on_screen(page, points)
    page.mouse.move(*first)
    page.mouse.down(button=button)
    for point in rest:
        page.mouse.move(*point, steps=4)
    page.mouse.up(button=button)


def pick(page: Page, name: str, value: str) -> None:
    """Takes one of the choices with that name."""
    page.locator(f"label:has([name={name}][value={value}])").click()


def layer(page: Page, name: str) -> np.ndarray:
    """The pixels of a layer of the stage, uint8 [H, W, 4], RGBA."""
    settle(page)
    png = np.frombuffer(b64decode(page.evaluate(PIXELS, name)), np.uint8)
    return np.asarray(cv2.cvtColor(cv2.imdecode(png, cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA))


def pixel(page: Page, point: Point) -> np.ndarray:
    """What is seen of a pixel of the image, uint8 [3], RGB."""
    settle(page)
    [(x, y)] = on_screen(page, [point])
    box = page.locator("#stage").bounding_box()
    assert box is not None
    return np.array(page.evaluate(PIXEL, [x - box["x"], y - box["y"]]), np.uint8)


def marked(page: Page) -> int:
    """How many pixels of the screen are marked."""
    return int((layer(page, "marksLayer")[..., 3] > 127).sum())


def message(page: Page) -> Locator:
    return page.locator("#message")


def remove(page: Page) -> None:
    """Presses the button and waits for the result."""
    page.click("#run")
    page.wait_for_selector("body[data-state=result]")
    settle(page)


def saved(page: Page, folder: Path) -> tuple[str, np.ndarray]:
    """Saves the result; the name of the file, and its pixels, uint8 [H, W, 3], BGR."""
    with page.expect_download() as download:
        page.click("#save")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path.name, np.asarray(cv2.imread(str(path)))
