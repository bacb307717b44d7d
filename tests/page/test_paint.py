"""Painting: what was drawn is what is sent, at the size of the image, and what comes back is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.page.conftest import OpenPage
from tests.page.hand import layer, marked, message, on_screen, open_image, pick, remove, saved, settle, stroke, until
from tests.page.standin import StandIn

RED = [(100, 84), (140, 84), (140, 96), (100, 96)]  # a stroke over the red thing
HELD = "() => document.querySelector('#stage').classList.contains('panning')"


def test_paint_and_remove(page: Any, site: StandIn, photo: Path, tmp_path: Path, shoot: Any) -> None:
    open_image(page, photo)
    assert page.get_attribute("#run", "aria-disabled") == "true"
    stroke(page, RED)
    assert page.get_attribute("#run", "aria-disabled") == "false"
    shoot(page, "mark")
    remove(page)
    shoot(page, "result")
    asked = site.asked[-1]
    assert asked.path == "/v1/remove"
    assert asked.files["image"] == photo.read_bytes()
    assert asked.fields == {"iterations": "2", "grow": "0", "outputs": "confidence"}
    mask = asked.mask()
    assert mask.shape == (180, 240)
    assert mask[78:102, 104:137].all()
    assert not mask[:60].any()
    assert not mask[:, :80].any()
    name, result = saved(page, tmp_path)
    image = cv2.imread(str(photo))
    assert name == "things-removed.png"
    np.testing.assert_array_equal(result[~mask], image[~mask])
    assert (result[90, 120].astype(int) - image[90, 120])[2] < -40  # no longer red


def test_avoid_and_prefer_are_sent_and_change_the_result(page: Any, site: StandIn, photo: Path, tmp_path: Path) -> None:
    open_image(page, photo)
    stroke(page, RED)
    remove(page)
    plain = saved(page, tmp_path)[1]
    page.click("#back")
    pick(page, "kind", "avoid")
    assert "copied" in page.inner_text("#kindHelp")
    stroke(page, [(200, 20), (200, 160)])
    stroke(page, [(215, 20), (215, 160)])
    pick(page, "kind", "prefer")
    stroke(page, [(30, 20), (30, 160)])
    assert marked(page) > 0
    remove(page)
    asked = site.asked[-1]
    assert asked.mask("avoid")[90, 208]
    assert not asked.mask("avoid")[90, 120]
    assert asked.mask("prefer")[90, 30]
    assert asked.mask()[90, 120]
    assert (saved(page, tmp_path)[1] != plain).any()
    page.click("#back")
    page.click("#clear")
    pick(page, "kind", "remove")
    stroke(page, RED)
    pick(page, "kind", "avoid")
    stroke(page, [(140, 84), (140, 96)])  # takes the place of what is below
    remove(page)
    asked = site.asked[-1]
    assert not (asked.mask() & asked.mask("avoid")).any()
    assert asked.mask("avoid")[90, 140]
    assert "prefer" not in asked.files


def test_kinds_are_told_apart_by_hatching(page: Any, photo: Path) -> None:
    open_image(page, photo)
    found = {}
    for kind in ("remove", "avoid", "prefer"):
        pick(page, "kind", kind)
        if kind != "remove":
            page.click("#clear")
        page.locator("#size").fill("160")
        stroke(page, [(60, 90), (180, 90)])
        pixels = layer(page, "marksLayer")
        middle = pixels[330:370, 330:370, 1].astype(int)
        found[kind] = middle > np.median(middle)  # lines and dots, whatever their colours
        assert middle.std() > 5
    assert (found["remove"] != found["avoid"]).mean() > 0.02
    assert (found["avoid"] != found["prefer"]).mean() > 0.02


def test_undo_and_redo(page: Any, photo: Path) -> None:
    open_image(page, photo)
    counts = [marked(page)]
    for y in (40, 90, 140):
        stroke(page, [(60, y), (180, y)])
        counts.append(marked(page))
    page.click("#clear")
    assert marked(page) == 0
    for expected in reversed(counts):
        page.keyboard.press("Control+z")
        assert marked(page) == pytest.approx(expected, rel=2e-3)  # drawn as one path, not as it grew
    assert page.get_attribute("#undo", "aria-disabled") == "true"
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+Shift+z")
    page.keyboard.press("Control+y")
    assert marked(page) == pytest.approx(counts[2], rel=2e-3)
    page.click("#redo")
    page.click("#undo")
    assert marked(page) == pytest.approx(counts[2], rel=2e-3)
    stroke(page, [(60, 10), (180, 10)])
    assert page.get_attribute("#redo", "aria-disabled") == "true"


def test_keys_change_the_size(page: Any, photo: Path) -> None:
    open_image(page, photo)
    before = int(page.input_value("#size"))
    for _ in range(3):
        page.keyboard.press("]")
    assert int(page.input_value("#size")) > 1.5 * before
    page.keyboard.press("[")
    page.locator("label:has([name=kind][value=remove])").click()  # with the mouse: keys go on working
    for _ in range(3):
        page.keyboard.press("[")
    assert int(page.input_value("#size")) < before
    stroke(page, RED)
    page.keyboard.press("Tab")
    page.focus("#clear")
    page.keyboard.press(" ")  # presses the button, since that was reached with a key
    assert marked(page) == 0
    assert page.evaluate("getComputedStyle(document.querySelector('#ring')).width") == f"{page.input_value('#size')}px"


def test_space_pans_and_the_wheel_zooms(page: Any, site: StandIn, photo: Path) -> None:
    open_image(page, photo)
    [before] = on_screen(page, [(120, 90)])
    page.mouse.move(*before)
    page.keyboard.down(" ")
    assert page.evaluate(HELD)
    page.mouse.down()
    page.mouse.move(before[0] + 60, before[1] + 25, steps=3)
    page.mouse.up()
    page.keyboard.up(" ")
    [after] = on_screen(page, [(120, 90)])
    assert after == pytest.approx((before[0] + 60, before[1] + 25))
    assert marked(page) == 0
    page.mouse.move(*after)
    page.mouse.wheel(0, -300)
    settle(page)
    assert on_screen(page, [(120, 90)])[0] == pytest.approx(after)
    left, right = on_screen(page, [(110, 90), (130, 90)])
    stroke(page, [(110, 90), (130, 90)])  # where it is seen is where it is marked
    assert right[0] - left[0] > 60
    remove(page)
    assert site.asked[-1].mask()[90, 108:132].all()
    page.keyboard.press("0")


def test_tab_goes_on_and_shows_the_original_while_it_is_held(page: Any, photo: Path) -> None:
    open_image(page, photo)
    stroke(page, RED)
    remove(page)
    result = layer(page, "imageLayer")
    page.focus("#divider")
    page.keyboard.down("Tab")
    page.keyboard.down("Tab")  # a key that is held repeats
    original = layer(page, "imageLayer")
    assert (original != result).any()
    page.keyboard.up("Tab")
    np.testing.assert_array_equal(layer(page, "imageLayer"), result)
    assert page.evaluate("document.activeElement.id") == "divider"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "overlay"


def test_box_to_object(page: Any, site: StandIn, photo: Path, shoot: Any) -> None:
    open_image(page, photo)
    pick(page, "tool", "rectangle")
    stroke(page, [(92, 62), (148, 118)])
    shoot(page, "rectangle")
    page.click("#findObject")
    until(page, "document.querySelector('#message').textContent === 'Marked.'")
    assert site.asked[-1].fields == {"box": "92,62,148,118"}
    shoot(page, "object")
    remove(page)
    mask = site.asked[-1].mask()
    yy, xx = np.mgrid[:180, :240]
    disk = (yy - 90) ** 2 + (xx - 120) ** 2 <= 18**2
    assert (mask & disk).sum() / (mask | disk).sum() > 0.85


def test_large_images_are_painted_small_and_sent_whole(open_page: OpenPage, site: StandIn, tmp_path: Path) -> None:
    page = open_page(allowed="Failed to load resource")
    image = np.full((1500, 2600, 3), 120, np.uint8)
    cv2.imwrite(str(tmp_path / "large.png"), image)
    site.script.append("refuse")
    open_image(page, tmp_path / "large.png")
    stroke(page, [(1300, 700), (1500, 700)])
    page.click("#run")
    page.wait_for_selector("#notice[data-kind=error]")
    mask = site.asked[-1].mask()
    assert mask.shape == (1500, 2600)
    scale = page.evaluate("import('/page/stage.js').then(({ view }) => view.scale)")
    assert mask[:, 1400].sum() == pytest.approx(float(page.input_value("#size")) / scale, abs=3)
    assert layer(page, "marksLayer").shape[1] < 1000


def test_dropped_and_pasted(open_page: OpenPage, photo: Path) -> None:
    page = open_page()
    content = list(photo.read_bytes())
    give = """([content, type, name, kind]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(content)], name, { type }));
        const made = kind === "drop"
            ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
        document.body.dispatchEvent(made);
        return made.defaultPrevented;
    }"""
    assert page.evaluate(give, [content, "image/png", "a.png", "drop"])  # or the browser would leave the page
    page.wait_for_selector("body[data-state=mark]")
    page.evaluate("import('/page/marks.js').then((marks) => marks.add({ kind: 'remove', box: [0, 0, 9, 9] }))")
    page.evaluate(give, [content, "image/png", "b.png", "paste"])
    until(page, "document.querySelector('#undo').ariaDisabled === 'true'")
    page.evaluate(give, [[1, 2, 3], "text/plain", "c.txt", "drop"])
    page.wait_for_selector("#notice[data-kind=error]")
    assert "cannot open" in message(page).inner_text()
    assert page.get_attribute("body", "data-state") == "mark"


def test_unpaint(page: Any, site: StandIn, photo: Path) -> None:
    open_image(page, photo)
    stroke(page, RED)
    before = marked(page)
    stroke(page, [(140, 70), (140, 110)], button="right")
    assert 0 < marked(page) < before
    pick(page, "tool", "erase")
    stroke(page, [(100, 70), (100, 110)])
    remove(page)
    mask = site.asked[-1].mask()
    assert [bool(mask[90, x]) for x in (100, 120, 140)] == [False, True, False]
