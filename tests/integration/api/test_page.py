"""The status page, as it comes over the wire."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from live import Live
from shop import csv_source, ran, write_prices

from kasparro_core.errors import PermanentStorageError
from kasparro_core.model import RunStatus, ScheduleState, Trigger
from kasparro_core.model.entity import Decision
from kasparro_core.testing.entities import BITCOIN, candidate, known, write

HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>\"'&"


@pytest.fixture
def document() -> dict[str, Any]:
    """A source that works, one that is switched off."""
    return {"sources": {"prices": csv_source(), "off": csv_source(enabled=False)}}


class Tags(HTMLParser):
    """Collects tags, attributes and texts; complains about what is not closed."""

    VOID = frozenset({"meta", "link", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.texts: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


async def test_the_page_shows_sources_runs_and_rejections(live: Live, tmp_path: Path) -> None:
    """One page of well-formed HTML with status, newest run, schedule, runs and open rejections."""
    write_prices(tmp_path, "a,1", "b,no-number")
    run = await ran(live, "prices")
    at = live.service.clock.now()
    async with live.store.begin() as work:
        await work.schedules.add(ScheduleState("prices", "every 3600s", at, at))
        await work.schedules.pause("prices", at)
        await work.commit()
    reply = await live.get("/")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    page = Tags(reply.body.decode())
    text = " ".join(page.texts)
    for word in ("prices", "succeeded", str(run.run_id), "paused since", "switched off", "decimal", "never"):
        assert word in text, word


async def test_the_cards_say_the_sums(live: Live, tmp_path: Path) -> None:
    """On top stand the figures of /stats and when the next slot of any source is due."""
    write_prices(tmp_path, "a,1", "b,no-number", "c,3")
    await ran(live, "prices")
    at = live.service.clock.now() + timedelta(hours=3, minutes=1)
    async with live.store.begin() as work:
        await work.schedules.add(ScheduleState("prices", "every 3600s", at, at))
        await work.commit()
    texts = [text for text in Tags((await live.get("/")).body.decode()).texts if text.strip()]
    cards = {name: texts[texts.index(name) + 1 :][:2] for name in ("records processed", "next slot")}
    total = (await live.get("/stats")).json["total"]["records"]
    new = f"{total['inserted']} new, {total['updated']} changed"
    assert cards["records processed"] == [str(total["processed"]), new]
    assert cards["next slot"] == ["in 3 h", "0 overdue"]


async def test_hostile_texts_stay_texts(live: Live) -> None:
    """Markup in a source's name or a run's error is shown as text: no element and no attribute comes of it."""
    async with live.store.begin() as work:
        run = await work.runs.start(HOSTILE, Trigger.CLI, live.service.clock.now())
        await work.runs.finish(run.run_id, RunStatus.FAILED, live.service.clock.now(), error_code="x", error=HOSTILE)
        await work.commit()
    reply = await live.get("/")
    page = Tags(reply.body.decode())
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert HOSTILE in page.texts


async def test_nothing_inline_and_nothing_from_elsewhere(live: Live) -> None:
    """The page works without script, has no inline style, and refers to this service alone; the policy says so too."""
    reply = await live.get("/")
    page = Tags(reply.body.decode())
    assert not {"script", "style"} & set(page.tags)
    assert not [name for _, name, _ in page.attributes if name == "style"]
    links = [value for _, name, value in page.attributes if name in {"href", "src"} and value]
    assert links
    assert not [link for link in links if "//" in link]
    assert "script-src" not in reply.headers["Content-Security-Policy"]
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    for link in links:
        if not link.startswith(("data:", "#")):
            assert (await live.get(f"/{link}")).status in {200, 404}, link


async def test_the_style_sheet(live: Live) -> None:
    """It is served as CSS, knows dark and light, and is not sent again while it is the same."""
    reply = await live.get("/static/kasparro.css")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/css; charset=utf-8")
    assert b"prefers-color-scheme: dark" in reply.body
    again = await live.get("/static/kasparro.css", headers={"If-None-Match": reply.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")
    assert (await live.get("/static/other.css")).status == 404


async def test_the_page_without_database(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person sees a page that says what is wrong, with 503, and it comes back by itself."""

    def begin(*, write: bool = True) -> Any:
        raise PermanentStorageError("The database secret-host cannot be reached.")

    monkeypatch.setattr(live.service.store, "begin", begin)
    reply = await live.get("/")
    assert (reply.status, reply.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
    assert b"The database does not answer" in reply.body
    assert b"secret-host" not in reply.body
    assert b'http-equiv="refresh"' in reply.body


async def test_the_panel_of_entities(live: Live) -> None:
    """How many entities there are, how their links were found, and how many pairs wait, with the way to them."""
    nothing = " ".join(Tags((await live.get("/")).body.decode()).texts)
    assert "None yet." in nothing
    links = [known("a", str(n), "btc-bitcoin", method="exact" if n else "own") for n in range(3)]
    pairs = [candidate(1, "0.5")]
    made = [BITCOIN, replace(BITCOIN, entity_id="old", merged_into="btc-bitcoin")]
    await write(live.store, Decision(made=made, known=links, decided=[pairs[0].a], candidates=pairs))
    page = Tags((await live.get("/")).body.decode())
    text = " ".join(" ".join(page.texts).split())
    assert "1 entity ; links by how they were found: exact 2, own 1." in text
    assert "1 pair waits for a look" in text
    assert "entities/candidates" in [value for _, name, value in page.attributes if name == "href"]
