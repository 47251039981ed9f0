"""The rate limit of the API: per caller, true for all workers, and never what takes the service down."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from live import Live, serving_api
from starlette.responses import Response

from kasparro_app.api.answers import json_answer
from kasparro_app.api.limits import rate_item
from kasparro_app.api.operation import Answer, Call, Operation
from kasparro_app.api.windows import Windows
from kasparro_core.config import LimitOptions
from kasparro_core.model import Scope

THREE = {"api": {"rate_limit": {"requests": 3, "per": "hour"}}}


async def answer(call: Call) -> Response:
    """Anything."""
    return json_answer(call, {})


PROBES = (
    Operation("GET", "/x", "", answer, {200: Answer("")}, "t"),
    Operation("GET", "/open", "", answer, {200: Answer("")}, "t", open=True),
)


async def statuses(live: Live, times: int, path: str = "/x", *, key: str | None = None) -> list[int]:
    """The statuses of so many requests, one after the other."""
    return [(await live.get(path, key=key)).status for _ in range(times)]


async def test_above_the_limit_it_is_429(sqlite_url: str, tmp_path: Path) -> None:
    """Each answer says what is left; the one above the limit is a problem with Retry-After; open paths go on."""
    async with serving_api(sqlite_url, tmp_path, THREE, operations=PROBES) as live:
        replies = [await live.get("/x") for _ in range(4)]
        assert [reply.status for reply in replies] == [200, 200, 200, 429]
        assert [reply.headers["RateLimit-Remaining"] for reply in replies] == ["2", "1", "0", "0"]
        assert 3500 < int(replies[3].headers["Retry-After"]) <= 3600
        assert replies[3].headers["Content-Type"] == "application/problem+json"
        assert await statuses(live, 5, "/open") == [200] * 5


async def test_each_key_has_its_own_budget_and_a_wrong_one_has_none(sqlite_url: str, tmp_path: Path) -> None:
    """A key that works is a caller of its own; guessed keys share the budget of their address."""
    async with serving_api(sqlite_url, tmp_path, THREE, operations=PROBES) as live:
        reader = await live.add_key("reader", Scope.READ)
        assert await statuses(live, 4, key=reader) == [200, 200, 200, 429]
        assert await statuses(live, 1, key=live.key) == [200]
        guesses = [(await live.ask("POST", "/x", key=f"kasp_{guess}")).status for guess in range(4)]
        assert guesses == [401, 401, 401, 429]
        assert await statuses(live, 1) == [429]


async def test_workers_count_together(sqlite_url: str, tmp_path: Path) -> None:
    """Two apps with one runtime directory give a caller one budget, and without one a budget each."""
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    async with (
        serving_api(sqlite_url, tmp_path, THREE, operations=PROBES, runtime=runtime) as one,
        serving_api(sqlite_url, tmp_path, THREE, operations=PROBES, runtime=runtime) as other,
    ):
        assert await statuses(one, 2) + await statuses(other, 2) == [200, 200, 200, 429]
    async with serving_api(sqlite_url, tmp_path, THREE, operations=PROBES) as alone:
        assert await statuses(alone, 3) == [200] * 3


async def test_a_store_that_fails_stops_nobody(
    sqlite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """When requests cannot be counted they are answered, and the log says so."""
    nowhere = tmp_path / "gone"
    async with serving_api(sqlite_url, tmp_path, THREE, operations=PROBES, runtime=nowhere) as live:
        assert await statuses(live, 4) == [200] * 4
    assert "the rate limit does not count" in caplog.text


async def test_concurrent_hits_are_all_counted(tmp_path: Path) -> None:
    """Hits of two storages on one file, at the same time, are each counted once."""
    first, second = Windows(tmp_path / "w.db"), Windows(tmp_path / "w.db")
    counted = await asyncio.gather(*(storage.incr("k", 3600) for storage in (first, second) for _ in range(50)))
    assert sorted(counted) == list(range(1, 101))
    first.close()
    second.close()


async def test_a_window_ends(tmp_path: Path) -> None:
    """A window that is over counts for nothing, a new one begins at one, and old ones are not kept."""
    file = tmp_path / "w.db"
    windows = Windows(file)
    assert [await windows.incr("a", -1), await windows.incr("a", -1)] == [1, 1]
    assert await windows.get("a") == 0
    assert [await windows.incr("b", 3600), await windows.incr("b", 3600), await windows.get("b")] == [1, 2, 2]
    await windows.clear("b")
    assert (await windows.get("b"), await windows.check(), await windows.reset()) == (0, True, 0)
    windows.close()
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM windows").fetchone() == (0,)
    connection.close()


@pytest.mark.parametrize(
    ("requests", "per", "amount", "seconds"),
    [(300, "minute", 300, 60), (2.5, "minute", 5, 120), (0.5, "second", 1, 2), (10, "day", 10, 86400)],
)
def test_a_limit_is_counted_in_whole_requests(requests: float, per: str, amount: int, seconds: int) -> None:
    """A share of a request becomes whole requests in a longer window."""
    item = rate_item(LimitOptions.model_validate({"requests": requests, "per": per}))
    assert (item.amount, item.get_expiry()) == (amount, seconds)
