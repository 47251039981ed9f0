"""/docs and /redoc in a real browser, which may ask no other host and run no script that stands in the page."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from live import serving_api
from playwright.async_api import Browser, Page, async_playwright


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Chromium from PATH; skips where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on PATH")
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        await chromium.close()


def watched(page: Page) -> tuple[list[str], list[str]]:
    """The addresses that a page got an answer from, and what it complained of."""
    answered: list[str] = []
    complaints: list[str] = []
    page.on("response", lambda response: answered.append(response.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    return answered, complaints


@pytest.mark.parametrize(
    ("path", "shown"), [("/docs", "[id$=post_trigger_etl]"), ("/redoc", "[data-section-id='/runs']")]
)
async def test_the_pages_work_offline(browser: Browser, sqlite_url: str, tmp_path: Path, path: str, shown: str) -> None:
    """The page shows the operations, nothing came from another host, and the only complaint is of what the policy has
    kept from being asked for elsewhere (ReDoc's logo)."""
    async with serving_api(sqlite_url, tmp_path) as live:
        page = await browser.new_page()
        answered, complaints = watched(page)
        await page.goto(live.url + path)
        await page.wait_for_selector(shown, state="attached", timeout=30_000)
        assert answered
        assert {url for url in answered if not url.startswith((live.url, "data:", "blob:"))} == set()
        assert [text for text in complaints if "cdn.redoc.ly" not in text] == []
        await page.close()


async def test_an_unknown_file_of_the_pages_is_404(sqlite_url: str, tmp_path: Path) -> None:
    """Only the files of the pages are served; a name that leads elsewhere is not."""
    async with serving_api(sqlite_url, tmp_path) as live:
        for name in ("nothing.js", "..%2f..%2fkeys.py", "__init__.py"):
            assert (await live.get(f"/docs/assets/{name}")).status == 404
        asset = await live.get("/docs/assets/swagger.js")
        assert (asset.status, asset.headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
