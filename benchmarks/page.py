"""How soon the page can be used, and how smoothly strokes are drawn on an image of 12 megapixels.

``python -m benchmarks.page --out benchmarks/results/x86-2-cores/page.json``

Starts ``iic-rt serve`` and Chromium (Debian's package, driven by playwright) on this machine. The page marks the moment
from which everything on it works; that is measured from the start of the navigation by the browser's own clock, with an
empty cache each time. Frames are the intervals between animation frames while the mouse draws without a pause.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import cv2
import numpy as np

from benchmarks.record import environment, write_record
from iic_rt.bundle.manifest import DEFAULT_BUNDLE, load_bundle

__all__ = ["main"]

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-component-update"]
WINDOW = {"width": 1280, "height": 800}
SIZE = (4000, 3000)  # 12 megapixels
LONGEST_START = 60.0  # seconds
EVENTS_A_SECOND = 120  # of the mouse
INTERACTIVE = "performance.getEntriesByName('interactive')[0]?.startTime"
RECORD = """() => {
    window.frames_ms = [];
    let before = performance.now();
    const note = (now) => {
        frames_ms.push(now - before);
        before = now;
        window.noting = requestAnimationFrame(note);
    };
    window.noting = requestAnimationFrame(note);
}"""
STOP = "() => { cancelAnimationFrame(noting); return frames_ms.slice(2); }"
MASK = """async () => {
    const [{ maskFile }, { scene }] = await Promise.all([import("/page/marks.js"), import("/page/stage.js")]);
    const started = performance.now();
    await maskFile("remove", scene.image);
    return performance.now() - started;
}"""


@contextmanager
def server() -> Iterator[str]:
    """Runs the command; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "iic_rt", "serve", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/"
    try:
        wait_for(f"{url}readyz", process)
        yield url
    finally:
        process.terminate()
        process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + LONGEST_START
    while process.poll() is None and time.monotonic() < ends:
        try:
            with urlopen(url, timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"the server did not answer at {url}")


def percentiles(values: list[float]) -> dict[str, float]:
    shares = {f"p{share}": round(float(np.percentile(values, share)), 1) for share in (50, 90, 99)}
    return shares | {"most": round(max(values), 1), "n": len(values)}


def loads(browser: Any, url: str, repeats: int) -> dict[str, Any]:
    """Milliseconds from the start of the navigation to the page's mark, with an empty cache and with a full one."""
    found: dict[str, list[float]] = {"empty_cache": [], "full_cache": []}
    for _ in range(repeats):
        context = browser.new_context(viewport=WINDOW)
        page = context.new_page()
        for name, times in found.items():
            if name == "empty_cache":
                page.goto(url)
            else:
                page.reload()
            page.wait_for_function(INTERACTIVE)
            times.append(page.evaluate(INTERACTIVE))
        context.close()
    return {name: percentiles(times) for name, times in found.items()}


def strokes(browser: Any, url: str, seconds: float, folder: Path) -> dict[str, Any]:
    """Intervals of frames while nothing and while strokes are drawn, on the image seen whole and enlarged."""
    rng = np.random.default_rng(1)
    path = folder / "large.jpg"
    cv2.imwrite(str(path), cv2.resize(rng.integers(0, 256, (60, 80, 3), np.uint8), SIZE, interpolation=cv2.INTER_CUBIC))
    page = browser.new_context(viewport=WINDOW).new_page()
    page.goto(url)
    page.wait_for_function(INTERACTIVE)
    started = time.perf_counter()
    page.set_input_files("#file", str(path))
    page.wait_for_selector("body[data-state=mark]")
    opened_ms = 1e3 * (time.perf_counter() - started)
    session = page.context.new_cdp_session(page)
    found: dict[str, Any] = {
        "opened_ms": round(opened_ms),
        "still_ms": percentiles(frames(page, session, seconds, "none")),
    }
    found["whole_ms"] = percentiles(frames(page, session, seconds, "left"))
    for _ in range(4):
        page.click("#nearer")
    found["enlarged_ms"] = percentiles(frames(page, session, seconds, "left"))
    found["mask_ms"] = round(page.evaluate(MASK))
    return found


def frames(page: Any, session: Any, seconds: float, button: str) -> list[float]:
    """Intervals in milliseconds while the mouse goes to and fro over the stage."""
    box = page.locator("#stage").bounding_box()

    def send(kind: str, share: float) -> None:
        x = box["x"] + box["width"] * (0.5 + 0.4 * np.sin(7 * share))
        y = box["y"] + box["height"] * (0.5 + 0.4 * np.sin(11 * share))
        event = {"type": kind, "x": float(x), "y": float(y), "button": button, "clickCount": 1}
        session.send("Input.dispatchMouseEvent", event | {"buttons": int(button == "left")})

    if button == "left":
        send("mousePressed", 0.0)
    page.evaluate(RECORD)
    started = time.perf_counter()
    step = 0
    while (now := time.perf_counter() - started) < seconds:
        send("mouseMoved", now)
        step += 1
        time.sleep(max(0.0, step / EVENTS_A_SECOND - (time.perf_counter() - started)))
    intervals: list[float] = page.evaluate(STOP)
    if button == "left":
        send("mouseReleased", seconds)
    return intervals


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument("--repeats", type=int, default=20, help="loads of the page (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of strokes (default %(default)g)")
    options = parser.parse_args(argv)
    from playwright.sync_api import sync_playwright  # not part of any extra that others need

    path = shutil.which("chromium")
    if path is None:
        raise SystemExit("chromium is missing: apt-get install chromium")
    with server() as url, sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        loads(browser, url, 2)  # until the server and the browser have warmed up
        record = {
            **environment(load_bundle(DEFAULT_BUNDLE)),
            "command": f"python -m benchmarks.page --repeats {options.repeats} --seconds {options.seconds:g}",
            "chromium": browser.version,
            "window": WINDOW,
            "image": SIZE,
            "interactive_ms": loads(browser, url, options.repeats),
            "strokes": strokes(browser, url, options.seconds, Path(folder)),
        }
        browser.close()
    write_record(options.out, record)
    print(record["interactive_ms"], record["strokes"], sep="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
