"""What a run spends on trying again, over all its requests."""

from __future__ import annotations

from collections import Counter

import pytest
from aiohttp import web

from kasparro_app.library import run
from kasparro_core.model import RunStatus

RETRY = {"attempts": 3, "wait_max": 0, "run_retries": 10, "circuit_failures": 0}
FEED = '<rss version="2.0"><channel><title>t</title><item><guid>{0}</guid><title>{0}</title></item></channel></rss>'


class Flaky:
    """Breaks down over each address `times` times, then answers it."""

    def __init__(self, times, answer):
        self.times, self.answer, self.seen = times, answer, Counter()

    def __call__(self, request):
        self.seen[str(request.rel_url)] += 1
        return web.Response(status=502) if self.seen[str(request.rel_url)] <= self.times else self.answer(request)


def page(request):
    number = int(request.query["page"])
    return web.json_response([{"id": f"{number}-{n}", "price": "1"} for n in range(2 if number < 30 else 1)])


def pages_of(site):
    paginate = {"type": "page", "size_param": "n", "size": 2}
    mapping = {"key": ["id"], "value": "price"}
    source = {"type": "http", "url": f"{site.url}/items", "paginate": paginate, "mapping": mapping, "retry": RETRY}
    return {"pages": {**source, "allow_private_hosts": True}}


async def test_a_long_walk_has_one_budget(site, sqlite_url):
    """Of thirty pages that each fail once, a run with ten retries reads ten and says why it stops; what it has read
    stays, and the runs after it read the rest."""
    flaky = Flaky(1, page)
    site.on("/items", flaky)
    first = (await run(pages_of(site), sqlite_url)).runs["pages"]
    assert (first.status, first.error_code, first.counters.retries) == (RunStatus.FAILED, "http_502", 10)
    assert "10 retries of its run (`retry.run_retries`)" in first.error
    assert first.counters.inserted == 20
    second = (await run(pages_of(site), sqlite_url)).runs["pages"]
    third = (await run(pages_of(site), sqlite_url)).runs["pages"]
    assert (second.counters.retries, third.status) == (10, RunStatus.SUCCEEDED)
    assert first.counters.inserted + second.counters.inserted + third.counters.inserted == 59
    assert sum(flaky.seen.values()) <= 60 + 3


@pytest.mark.parametrize("feeds", [20])
async def test_the_feeds_of_a_list_share_a_budget(site, sqlite_url, feeds):
    """Twenty feeds that are down for good cost a run one request each and ten retries in all, not forty."""
    flaky = Flaky(10**6, lambda request: web.Response(text=FEED.format(request.path)))
    for number in range(feeds):
        site.on(f"/{number}", flaky)
    site.on("/well", lambda request: web.Response(text=FEED.format("well"), content_type="application/rss+xml"))
    urls = [*(f"{site.url}/{number}" for number in range(feeds)), f"{site.url}/well"]
    source = {"type": "feed", "urls": urls, "retry": RETRY, "allow_private_hosts": True}
    found = (await run({"news": source}, sqlite_url)).runs["news"]
    assert (found.status, found.counters.inserted, found.counters.retries) == (RunStatus.DEGRADED, 1, 10)
    assert sum(flaky.seen.values()) == feeds + 10


async def test_a_file_from_the_web_has_the_budget_of_its_run(site, sqlite_url):
    """A CSV address is tried again within the same bounds."""
    flaky = Flaky(2, lambda _: web.Response(text="id,price\n1,2\n", content_type="text/csv"))
    site.on("/p.csv", flaky)
    source = {"type": "csv", "path": f"{site.url}/p.csv", "allow_private_hosts": True}
    found = (await run({"file": {**source, "retry": {**RETRY, "run_retries": 1}}}, sqlite_url)).runs["file"]
    assert (found.status, found.counters.retries) == (RunStatus.FAILED, 1)
    flaky.seen.clear()
    found = (await run({"file": {**source, "retry": RETRY}}, sqlite_url)).runs["file"]
    assert (found.status, found.counters.retries) == (RunStatus.SUCCEEDED, 2)
