"""One browser for all tests of the page, a tab for each; none may log an error or break the content policy."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from iic_rt import Inpainter
from tests.page.standin import StandIn

OUTPUT = Path(__file__).parent.parent.parent / "test-output/page"  # screenshots, to be looked at
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-component-update",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
BROKEN_POLICY = "addEventListener('securitypolicyviolation', (event) => console.error(event.violatedDirective))"
LONGEST_WAIT = 20_000  # milliseconds

OpenPage = Callable[..., Any]


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is missing: pip install playwright")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("chromium is missing: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def site(inpainter: Inpainter) -> Iterator[StandIn]:
    standin = StandIn(inpainter)
    standin.start()
    yield standin
    standin.go.set()
    standin.stop()


@pytest.fixture(scope="package")
def contexts(browser: Any) -> Callable[..., Any]:
    """A context for each set of settings; tests share them, since the page stores nothing and a new one takes long."""
    made: dict[str, Any] = {}

    def context(**settings: Any) -> Any:
        key = repr(sorted(settings.items()))
        if key not in made:
            made[key] = browser.new_context(**settings)
            made[key].set_default_timeout(LONGEST_WAIT)
            made[key].add_init_script(BROKEN_POLICY)
        return made[key]

    return context


@pytest.fixture
def open_page(contexts: Callable[..., Any], site: StandIn) -> Iterator[OpenPage]:
    """Opens the page in a tab of its own: ``open_page(path="", allowed=None, **context)``; a path or an address.

    ``allowed`` is a pattern of what the browser may log about requests that are meant to fail.
    """
    problems: list[str] = []
    with ExitStack() as tabs:

        def opened(path: str = "", *, allowed: str | None = None, **settings: Any) -> Any:
            page = contexts(**{"viewport": {"width": 1000, "height": 700}, "locale": "en-GB"} | settings).new_page()
            tabs.callback(page.close)

            def note(said: Any) -> None:
                if said.type in ("error", "warning") and not (allowed and re.search(allowed, said.text)):
                    problems.append(f"{said.type}: {said.text}")

            page.on("console", note)
            page.on("pageerror", lambda error: problems.append(f"{error}\n{error.stack}"))
            page.goto(path if path.startswith("http:") else site.url + path)
            if not path.endswith("live"):
                page.wait_for_selector("body[data-ready]", state="attached")
            return page

        yield opened
    assert problems == []


@pytest.fixture
def page(open_page: OpenPage) -> Any:
    return open_page()


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PNG of 240×180: a soft ground, a red thing in the middle, a blue one at the right."""
    rng = np.random.default_rng(5)
    small = rng.integers(90, 170, (6, 8, 3), np.uint8)
    image = cv2.resize(small, (240, 180), interpolation=cv2.INTER_CUBIC)
    cv2.circle(image, (120, 90), 18, (30, 30, 220), -1)
    cv2.rectangle(image, (190, 60), (225, 120), (220, 60, 30), -1)
    path = tmp_path_factory.mktemp("page") / "things.png"
    cv2.imwrite(str(path), image)
    return path


@pytest.fixture(scope="session")
def shoot() -> Callable[[Any, str], None]:
    """Keeps a screenshot."""
    OUTPUT.mkdir(parents=True, exist_ok=True)

    def shot(page: Any, name: str) -> None:
        page.screenshot(path=str(OUTPUT / f"{name}.png"))

    return shot
