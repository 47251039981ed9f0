"""Both presets in full against the replay server with its nasty rows; skipped where that is absent."""

from __future__ import annotations

import json
import re
from contextlib import aclosing

import aiohttp
import pytest
from replaying import replaying

from kasparro_adapters.clock import SystemClock
from kasparro_adapters.http import AiohttpFetcher, HttpSource, HttpSourceConfig
from kasparro_core.errors import PagingLoopError, PermanentSourceError, TransientSourceError
from kasparro_core.ports import ReadContext

RECORDS = 1200
PATHS = {"coingecko.markets": "/api/v3/coins/markets", "coinpaprika.tickers": "/v1/tickers"}


@pytest.fixture(scope="module")
def server(shared_data):
    """The address of a replay server of 1,200 records."""
    tool, data = shared_data("tools", "replay_server.py"), shared_data("data")
    with replaying(tool, data, "--nasty", "--compress", f"--records={RECORDS}") as base:
        yield base


@pytest.fixture
async def replay(server):
    """The address of the replay server, as if fresh, and a function that sends it a command."""

    async def post(path, body):
        async with aiohttp.ClientSession() as session, session.post(server + path, json=body) as answer:
            assert answer.status == 200

    await post("/_reset", {})
    await post("/_control", {"auth": "optional"})
    return server, lambda **body: post("/_control", body)


class Sourced:
    """One preset on the replay server, read as the runner reads: cursor and validators are kept."""

    def __init__(self, preset, address, fetcher, **config):
        given = {"type": "http", "preset": preset, "url": address + PATHS[preset], "allow_private_hosts": True}
        given["limit"] = {"requests": 10_000, "per": "second"}
        clock = SystemClock()
        self.source = HttpSource(preset, HttpSourceConfig.model_validate({**given, **config}), fetcher, clock)
        self.clock, self.cursor, self.validators = clock, None, {}

    async def read(self):
        items, facts = [], []
        context = ReadContext(now=self.clock.now(), cursor=self.cursor, validators=dict(self.validators))
        async with aclosing(self.source.read("", context)) as batches:
            async for batch in batches:
                self.cursor = batch.cursor
                self.validators.update({each.request_hash: each for each in batch.validators})
                items += batch.items
                facts.append(batch.fetch)
                if batch.raw is not None:
                    assert len(json.loads(batch.raw.payload)) == len(batch.items)
        return items, facts


@pytest.fixture
async def fetcher():
    """A fetcher on the machine's clock without jitter."""
    async with AiohttpFetcher(SystemClock(), draw=lambda: 0.0) as opened:
        yield opened


async def test_coingecko_in_full_then_304s_then_what_moved(replay, fetcher):
    """All ids are read although rows repeat at page borders; the second run is all 304; after a tick pages change."""
    address, control = replay
    sourced = Sourced("coingecko.markets", address, fetcher)
    items, facts = await sourced.read()
    assert [fact.status for fact in facts] == [200] * 5
    assert len({item.data["id"] for item in items}) == RECORDS
    assert len(items) == RECORDS + 4
    items, facts = await sourced.read()
    assert (items, [fact.status for fact in facts]) == ([], [304] * 5)
    assert sum(fact.bytes_fetched for fact in facts) == 0
    await control(tick=1)
    items, _ = await sourced.read()
    assert len({item.data["id"] for item in items}) == RECORDS


async def test_coinpaprika_in_full_then_a_304(replay, fetcher):
    """One array by Last-Modified alone."""
    sourced = Sourced("coinpaprika.tickers", replay[0], fetcher)
    items, (fact,) = await sourced.read()
    assert len({item.data["id"] for item in items}) == len(items) == RECORDS
    assert fact.bytes_fetched > 0
    items, (fact,) = await sourced.read()
    assert (items, fact.status, fact.bytes_fetched) == ([], 304, 0)


async def test_numbers_are_the_payloads_own(replay, fetcher):
    """Every price is, as text, a literal of the payload: nothing went through a float."""
    sourced = Sourced("coingecko.markets", replay[0], fetcher)
    async with aclosing(sourced.source.read("", ReadContext(now=sourced.clock.now()))) as batches:
        async for batch in batches:
            literals = re.findall(rb'"current_price":([^,]+),', batch.raw.payload)
            expected = [None if text == b"null" else text.decode().lower() for text in literals]
            found = [item.data["current_price"] for item in batch.items]
            assert len(found) == len(expected)
            for value, text in zip(found, expected, strict=True):
                assert (value is None) == (text is None)
                assert value is None or value == type(value)(text)


@pytest.mark.parametrize("preset", PATHS)
@pytest.mark.parametrize("fault", ["status:503", "status:429", "reset", "cut"])
async def test_faults_that_pass_cost_no_row(replay, fetcher, preset, fault):
    """A 503, a 429, a reset or a cut body in the middle is tried again; every row arrives once."""
    address, control = replay
    await control(path=PATHS[preset], fault=fault, times=1, skip=0 if "paprika" in preset else 2, retry_after=0)
    items, facts = await Sourced(preset, address, fetcher).read()
    assert len({item.data["id"] for item in items}) == RECORDS
    assert sum(fact.retries for fact in facts) == 1
    assert sum(fact.throttled for fact in facts) == (fault == "status:429")
    assert sum(fact.requests for fact in facts) == len(facts) + 1


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("html", "html_for_json"),
        ("html:403", "http_403"),
        ("empty", "empty_body"),
        ("garbage", "not_utf8"),
        ("truncate", "json_truncated"),
        ("gzip-bomb:300", "compression_ratio"),
        ("redirect-loop", "too_many_redirects"),
        ("status:404", "http_404"),
    ],
)
async def test_faults_that_stay_are_named(replay, fetcher, fault, code):
    """What will not pass fails at once with its own code, and is not asked for again."""
    address, control = replay
    await control(path=PATHS["coinpaprika.tickers"], fault=fault, times=-1)
    with pytest.raises(PermanentSourceError) as caught:
        await Sourced("coinpaprika.tickers", address, fetcher).read()
    assert caught.value.code == code
    assert caught.value.source == "coinpaprika.tickers"
    assert not isinstance(caught.value, PagingLoopError)


async def test_keys_are_sent_and_refusals_shown(replay, fetcher):
    """With keys required: none and wrong ones show the upstream's message and where to look, right ones read."""
    address, control = replay
    await control(auth="required")
    for preset, key in (("coingecko.markets", "CG-demo"), ("coinpaprika.tickers", "paprika-key")):
        for auth in (None, {"key": "wrong-key"}):
            with pytest.raises(PermanentSourceError, match=r"(?i)key.*`auth`") as caught:
                await Sourced(preset, address, fetcher, auth=auth).read()
            assert caught.value.code in ("http_401", "http_403")
            assert "wrong-key" not in str(caught.value)
        items, _ = await Sourced(preset, address, fetcher, auth={"key": key}).read()
        assert len({item.data["id"] for item in items}) == RECORDS


async def test_a_drip_is_ended(replay, fetcher):
    """A body that trickles ends at the timeout of the attempt."""
    address, control = replay
    await control(path=PATHS["coinpaprika.tickers"], fault="slow:100", times=-1)
    sourced = Sourced("coinpaprika.tickers", address, fetcher, timeout=0.5, retry={"attempts": 1})
    with pytest.raises(TransientSourceError) as caught:
        await sourced.read()
    assert caught.value.code == "timeout"
