"""A walk that was begun with `full`, broken off, and brought to its end by a run that knows nothing of that."""

from __future__ import annotations

import json
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

from yarl import URL

from kasparro_adapters.http import HttpSource, HttpSourceConfig
from kasparro_core.model import FetchFacts
from kasparro_core.ports import FetchResponse, ReadContext

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)


class Lying:
    """An upstream that answers 304 to whoever remembers anything, although its rows change."""

    prices = "old"

    def __init__(self):
        self.remembered = []

    def now(self):
        return NOW

    async def fetch(self, request, /, *, sink=None):
        url = URL(request.url).update_query(request.params)
        page = int(url.query["page"])
        same = request.validator is not None
        self.remembered.append(same)
        rows = [{"id": 2 * page + n, "price": self.prices} for n in range(2)] if page < 4 else []
        facts = FetchFacts(observed_at=NOW, url=str(url), status=304 if same else 200, requests=1)
        body = b"" if same else json.dumps(rows).encode()
        return FetchResponse(facts.status, str(url), {"etag": '"always"'}, body, facts)


class Reader:
    """Keeps cursor and validators as the runner does."""

    def __init__(self):
        self.upstream = Lying()
        config = {
            "type": "http",
            "url": "https://api.example/x",
            "paginate": {"type": "page", "size_param": "n", "size": 2},
        }
        self.source = HttpSource("api", HttpSourceConfig.model_validate(config), self.upstream, self.upstream)
        self.cursor, self.validators = None, {}

    async def read(self, *, batches=99, full=False, later=0.0):
        self.upstream.remembered.clear()
        known = {} if full else dict(self.validators)
        prices = {}
        async with aclosing(
            self.source.read("", ReadContext(NOW + timedelta(seconds=later), self.cursor, known, full=full))
        ) as found:
            async for batch in found:
                self.cursor = json.loads(json.dumps(batch.cursor))
                self.validators.update({each.request_hash: each for each in batch.validators})
                prices |= {item.data["id"]: item.data["price"] for item in batch.items}
                if (batches := batches - 1) == 0:
                    break
        return prices


async def test_what_full_began_is_read_to_its_end_without_asking_whether_it_changed():
    """The pages that are left are fetched whole; the walk after that asks with what it remembers again."""
    reader = Reader()
    await reader.read()
    reader.upstream.prices = "new"
    assert await reader.read() == {}
    assert await reader.read(batches=1, full=True) == {2: "new", 3: "new"}
    assert await reader.read() == {4: "new", 5: "new", 6: "new", 7: "new"}
    assert not any(reader.upstream.remembered)
    assert await reader.read() == {}
    assert all(reader.upstream.remembered)


async def test_a_full_walk_that_is_too_old_to_go_on_is_begun_anew_as_one():
    """What was wished for is not forgotten: every page is fetched again, from the first."""
    reader = Reader()
    await reader.read()
    await reader.read(batches=1, full=True)
    assert list(await reader.read(later=7200)) == [2, 3, 4, 5, 6, 7]
    assert not any(reader.upstream.remembered)
