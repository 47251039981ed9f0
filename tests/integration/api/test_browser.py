"""The pages as a real browser shows them: no request to anywhere else, no error, the facts on the screen."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from live import Live
from playwright.async_api import Browser, Page, async_playwright

_DRAWN = "() => document.body.innerText.replaceAll('\\u200b', '').includes('/health')"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """The browser of this machine, headless; skips where there is none."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser on this machine (looked for {', '.join(BROWSERS)})")
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        await running.close()


@pytest.fixture
def document(tmp_path: Any) -> dict[str, Any]:
    """A source whose name and error try to be markup."""
    (tmp_path / "prices.csv").write_text("id,price\na,1\n", encoding="utf-8")
    mapping = {"key": "id", "value": "price"}
    return {
        "sources": {
            "prices": {"type": "csv", "path": "prices.csv", "mapping": mapping},
            "broken": {"type": "csv", "path": "<script>alert(1)</script>.csv", "mapping": mapping},
        }
    }


class Watched:
    """A page, where it went and what went wrong in it."""

    def __init__(self, page: Page, live: Live) -> None:
        self.page = page
        self.live = live
        self.outside: list[str] = []
        self.errors: list[str] = []
        page.on("request", lambda request: self._asked(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.netloc != urlsplit(self.live.url).netloc:
            self.outside.append(url)

    async def open(self, path: str) -> None:
        await self.page.goto(self.live.url + path, wait_until="networkidle")


@pytest.fixture
async def watched(browser: Browser, live: Live) -> Watched:
    """A fresh page."""
    return Watched(await browser.new_page(), live)


async def test_the_status_page_says_how_it_is(watched: Watched) -> None:
    """Both sources stand on `/` with how they did; a hostile name stays text."""
    for source in ("prices", "broken"):
        assert (await watched.live.post(f"/runs?source={source}")).status == 202
    while watched.live.service.desk.running:
        await asyncio.sleep(0.01)
    await watched.open("/")
    text = await watched.page.inner_text("body")
    assert "prices" in text
    assert "succeeded" in text
    assert "failed" in text
    assert await watched.page.evaluate("document.querySelectorAll('main script, table script').length") == 0
    assert (watched.outside, watched.errors) == ([], [])


@pytest.mark.parametrize(
    ("path", "selector"), [("/docs", ".opblock-summary-path"), ("/redoc", "[role=navigation], .menu-content")]
)
async def test_the_documentation_opens_offline(watched: Watched, path: str, selector: str) -> None:
    """Swagger UI and ReDoc draw the operations, from this server alone."""
    await watched.open(path)
    await watched.page.wait_for_selector(selector, timeout=20_000)
    await watched.page.wait_for_function(_DRAWN, timeout=20_000)  # ReDoc draws them one by one, after its menu
    assert (watched.outside, watched.errors) == ([], [])
