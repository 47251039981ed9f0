"""A source stops listing something: what the service shows of it, from a real upstream on both databases."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live import Live
from shop import csv_source, ran, write_prices
from upstream import Upstream, serving

from kasparro_core.model import EventType, RunStatus


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving(Upstream([{"id": f"c{n}", "price": str(n)} for n in range(7)])) as served:
        yield served


@pytest.fixture
def document(upstream: Upstream) -> dict[str, Any]:
    http = {
        "type": "http",
        "url": upstream.url,
        "allow_private_hosts": True,
        "kind": "quote",
        "paginate": {"type": "page", "size": 3, "size_param": "per_page"},
        "mapping": {"key": "id", "value": "price"},
    }
    return {
        "sources": {
            "coins": http,
            "kept": {**http, "mark_gone": False},
            "strict": {**http, "mark_gone_max": 0.1},
            "candles": {**http, "kind": "candle"},
            "prices": csv_source(),
            "files": csv_source(path="day-*.csv"),
            "packed": csv_source(path="prices.csv.gz"),
        }
    }


async def _keys(live: Live, source: str, gone: str) -> list[str]:
    reply = await live.get(f"/data?source={source}&gone={gone}&fields=key")
    return sorted(row["key"] for row in reply.json["data"])


async def test_what_is_not_listed_any_more_is_shown_as_gone(live: Live, upstream: Upstream) -> None:
    """It has gone_at, the filter and the change feed tell it, an event says how many; the run has succeeded although no
    item changed. When it is listed again it is there again, and both runs show as such."""
    first = await ran(live, "coins")
    feed = (await live.get("/data?source=coins&after_seq=0")).json["pagination"]["next_seq"]
    lost = upstream.rows.pop(2)
    run = await ran(live, "coins")
    assert (run.status, run.counters.updated) == (RunStatus.SUCCEEDED, 0)
    assert await _keys(live, "coins", "true") == ["c2"]
    assert len(await _keys(live, "coins", "false")) == 6
    (row,) = (await live.get(f"/data?source=coins&after_seq={feed}")).json["data"]
    assert (row["key"], row["revision"], row["run_id"]) == ("c2", 1, first.run_id)
    assert first.started_at.isoformat() < row["gone_at"]
    async with live.store.begin(write=False) as work:
        told = [event for event in await work.events.after(0) if event.type is EventType.RECORDS_GONE]
    assert [(event.run_id, event.data["count"]) for event in told] == [(run.run_id, 1)]
    upstream.rows.append(lost)
    back = await ran(live, "coins")
    assert (back.status, back.counters.updated) == (RunStatus.SUCCEEDED, 1)
    assert await _keys(live, "coins", "true") == []
    assert (await ran(live, "coins")).status is RunStatus.UNCHANGED


async def test_an_upstream_that_answers_nothing_erases_nothing(live: Live, upstream: Upstream) -> None:
    """More than mark_gone_max is missing: nothing is marked, the run is degraded and says what and which setting, an
    event tells it, and so does each further run until the list is back."""
    await ran(live, "coins")
    rows, upstream.rows = upstream.rows, []
    for _ in range(2):
        run = await ran(live, "coins")
        assert (run.status, run.error_code) == (RunStatus.DEGRADED, "too_many_gone")
        assert "7 of the 7 records of source 'coins' (100.0%)" in (run.error or "")
        assert "mark_gone_max = 0.5" in (run.error or "")
        assert await _keys(live, "coins", "true") == []
    async with live.store.begin(write=False) as work:
        told = [event.data for event in await work.events.after(0) if event.type is EventType.GONE_REFUSED]
    assert told == 2 * [{"missing": 7, "stood": 7, "max": 0.5}]
    upstream.rows = rows
    assert (await ran(live, "coins")).status is RunStatus.UNCHANGED


@pytest.mark.parametrize("source", ["kept", "candles"])
async def test_who_does_not_want_it_does_not_get_it(live: Live, upstream: Upstream, source: str) -> None:
    """With `mark_gone = false`, and for kinds of which a list holds the newest, what is missing says nothing."""
    await ran(live, source)
    upstream.rows.pop()
    assert (await ran(live, source)).status is RunStatus.UNCHANGED
    assert await _keys(live, source, "true") == []


async def test_the_share_is_of_what_stood_before(live: Live, upstream: Upstream) -> None:
    """New things in the same list do not dilute it: 1 of 7 is more than a tenth, whatever came in besides."""
    await ran(live, "strict")
    upstream.rows[0:1] = [{"id": f"n{n}", "price": "1"} for n in range(20)]
    run = await ran(live, "strict")
    assert (run.error_code, run.counters.inserted) == ("too_many_gone", 20)
    assert "1 of the 7 records" in (run.error or "")


async def test_a_file_that_is_read_whole_is_a_list(live: Live, tmp_path: Path) -> None:
    """A rewritten file without a row: gone. An appended one: nothing has gone, also not by the next whole reading, and
    rewritten as it was before, what had been appended is gone."""
    write_prices(tmp_path, "a,1", "b,2", "c,3")
    await ran(live, "prices")
    write_prices(tmp_path, "a,1", "c,3")
    assert (await ran(live, "prices")).status is RunStatus.SUCCEEDED
    assert await _keys(live, "prices", "true") == ["b"]
    with (tmp_path / "prices.csv").open("a") as file:
        file.write("d,4\n")
    await ran(live, "prices")
    assert await _keys(live, "prices", "false") == ["a", "c", "d"]
    assert (await ran(live, "prices")).status is RunStatus.UNCHANGED
    assert await _keys(live, "prices", "true") == ["b"]
    write_prices(tmp_path, "a,1", "c,3")
    await ran(live, "prices")
    assert await _keys(live, "prices", "true") == ["b", "d"]


async def test_a_row_that_cannot_be_read_may_be_any(live: Live, tmp_path: Path) -> None:
    """While a row has no key that could be read nothing is marked; once none is left, what is missing is."""
    write_prices(tmp_path, "a,1", "b,2", "c,3", "d,4")
    await ran(live, "prices")
    write_prices(tmp_path, "a,1", "c,3", "b,2,surplus")
    await ran(live, "prices")
    assert await _keys(live, "prices", "true") == []
    write_prices(tmp_path, "a,1", "c,3")
    await ran(live, "prices")
    assert await _keys(live, "prices", "true") == ["b", "d"]


async def test_a_folder_of_files_is_no_list(live: Live, tmp_path: Path) -> None:
    """Files come and go as days do: neither a row nor a whole file that is missing says that anything is gone."""
    (tmp_path / "day-1.csv").write_text("id,price\na,1\nb,2\n")
    (tmp_path / "day-2.csv").write_text("id,price\nc,3\n")
    await ran(live, "files")
    (tmp_path / "day-1.csv").write_text("id,price\na,10\n")
    (tmp_path / "day-2.csv").unlink()
    await ran(live, "files")
    assert await _keys(live, "files", "true") == []


async def test_a_compressed_file_is_a_list_too(live: Live, tmp_path: Path) -> None:
    """It is read from its start whenever it changed in the middle."""
    file = tmp_path / "prices.csv.gz"
    file.write_bytes(gzip.compress(b"id,price\na,1\nb,2\nc,3\n"))
    await ran(live, "packed")
    file.write_bytes(gzip.compress(b"id,price\na,1\nc,3\n"))
    await ran(live, "packed")
    assert await _keys(live, "packed", "true") == ["b"]
