"""What a listing says about records, step by step, over the in-memory store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from shelf import Bench, Unheard
from yarl import URL

from kasparro_adapters.memory import MemoryStore
from kasparro_adapters.memory.ledger import MemoryRaw
from kasparro_adapters.memory.records import MemoryRecords
from kasparro_core.model import Checkpoint, Departed, EventType, RunStatus
from kasparro_core.ports import FetchRequest, FetchResponse
from kasparro_core.services.gone import Compared, judged
from kasparro_core.services.outcome import Verdict


def rows(*names: str) -> list[dict[str, Any]]:
    return [{"id": name, "t": "x"} for name in names]


@pytest.fixture
def bench() -> Bench:
    bench = Bench(MemoryStore())
    bench.shelf.things = rows(*"abcdefg")
    return bench


def _watched(monkeypatch: pytest.MonkeyPatch, owner: type, method: str) -> list[str]:
    """Which calls of a repository's method there are."""
    calls: list[str] = []
    original = getattr(owner, method)

    async def watched(self: Any, *args: Any, **options: Any) -> Any:
        calls.append(method)
        return await original(self, *args, **options)

    monkeypatch.setattr(owner, method, watched)
    return calls


@pytest.mark.parametrize("etags", [True, False])
async def test_the_same_listing_again_costs_no_look(monkeypatch: pytest.MonkeyPatch, *, etags: bool) -> None:
    """Neither records nor payloads are read where every page is as it was, by a 304 or by its bytes. Where contents
    change and keys do not, the records are counted; keys are looked at when something is missing."""
    bench = Bench(MemoryStore(), etags=etags, size=7)
    bench.shelf.things = rows(*"abcdefg")
    looks = [_watched(monkeypatch, MemoryRecords, name) for name in ("count", "present")]
    decoded = [_watched(monkeypatch, MemoryRaw, name) for name in ("find", "get")]
    await bench.run()
    assert list(map(len, looks)) == [1, 0]
    for _ in range(3):
        run = await bench.run()
        assert run is not None
        assert run.status is RunStatus.UNCHANGED
    assert list(map(len, looks)) == [1, 0]
    bench.shelf.things[0]["t"] = "changed"
    await bench.run()
    assert list(map(len, looks)) == [2, 0]
    bench.shelf.things.pop()
    await bench.run()
    assert list(map(len, looks)) == [3, 1]
    assert decoded == [[], []]
    assert await bench.keys(gone=True) == {"g"}


async def test_pages_that_did_not_come_again_are_looked_up(bench: Bench) -> None:
    """One page of three changed: what the two 304s stand for is still there."""
    await bench.run()
    bench.shelf.things.pop()
    await bench.run()
    assert bench.shelf.statuses == [304, 304, 200]
    assert await bench.keys(gone=True) == {"g"}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("fuse", range(1, 8))
async def test_whoever_dies_leaves_it_to_the_next(bench: Bench, fuse: int, *, late: bool) -> None:
    """Killed around any commit of the run, that of the mark and those before and after it too: the next run that comes
    to its end has marked it, and there is one event for it."""
    await bench.run()
    bench.shelf.things.pop(3)
    died = await bench.run(fuse=fuse, late=late) is None
    assert died == (fuse <= 6)  # the beginning, three pages, the mark, the end
    last = await bench.run()
    assert last is not None
    assert last.status in (RunStatus.SUCCEEDED, RunStatus.UNCHANGED)
    assert await bench.keys(gone=True) == {"d"}
    async with bench.store.begin(write=False) as work:
        told = [event for event in await work.events.after(0, limit=1000) if event.type is EventType.RECORDS_GONE]
    assert [event.data["count"] for event in told] == [1]


async def test_a_walk_that_goes_on_where_another_died_knows_what_that_one_saw(bench: Bench) -> None:
    """Killed after the second of three pages: the third is all that is asked for, and nothing of the others is gone."""
    await bench.run()
    bench.shelf.things[:] = rows(*"abcdeX")
    assert await bench.run(fuse=3, late=True) is None
    await bench.run()
    assert bench.shelf.statuses == [200]
    assert await bench.keys(gone=True) == {"f", "g"}


async def test_a_page_that_is_read_a_second_time_is_no_sign_of_movement(bench: Bench) -> None:
    """Broken off for long, a walk goes one page back. That page as it was: its rows came twice, and nothing moved."""
    await bench.run()
    bench.shelf.things[:] = rows(*"abcdeX")
    assert await bench.run(fuse=3, late=True) is None
    bench.calm = 0.0
    await bench.run()
    assert bench.shelf.statuses == [304, 200]
    assert await bench.keys(gone=True) == {"f", "g"}


async def test_what_was_not_kept_is_not_guessed() -> None:
    """With raw = "none" a 304 stands for nobody knows what: nothing is marked. With all pages whole it is."""
    bench = Bench(MemoryStore(), keep_raw=False)
    bench.shelf.things = rows(*"abcdefg")
    await bench.run()
    bench.shelf.things.pop()
    await bench.run()
    assert await bench.keys(gone=True) == set()
    await bench.run(full=True)
    assert await bench.keys(gone=True) == {"g"}


async def test_a_row_on_two_pages_shows_that_others_may_be_missed(bench: Bench) -> None:
    """Nothing is marked by a list that moved under the walk; the next walk, over a quiet one, marks it."""
    await bench.run()
    bench.shelf.things[:] = rows(*"abcaef")
    await bench.run()
    assert await bench.keys(gone=True) == set()
    bench.shelf.things[:] = rows(*"abcef")
    await bench.run()
    assert await bench.keys(gone=True) == {"d", "g"}


@pytest.mark.parametrize("paging", [{"type": "page", "size": 3}, {"type": "link_header"}])
async def test_rows_that_move_are_noticed_whatever_leads_from_page_to_page(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, paging: dict[str, Any]
) -> None:
    """Two neighbours swap places between two pages: one comes twice, the other not at all, and it is not marked. A link
    may be a page number, too."""
    bench = Bench(MemoryStore(), paginate=paging)
    bench.shelf.things = rows(*"abcdefgh")
    plain = bench.shelf.fetch

    async def linked(request: FetchRequest, /, *, sink: Any = None) -> FetchResponse:
        page = int(URL(request.url).update_query(request.params).query.get("page", 1))
        answer = await plain(replace(request, params={**request.params, "page": str(page)}), sink=sink)
        link = {"link": f'</things?page={page + 1}>; rel="next"'} if page < 3 else {}
        return replace(answer, headers={**answer.headers, **link})

    monkeypatch.setattr(bench.shelf, "fetch", linked)
    await bench.run()
    moved = rows(*"abdcefgh")

    async def moving(request: FetchRequest, /, *, sink: Any = None) -> FetchResponse:
        answer = await linked(request, sink=sink)
        bench.shelf.things = moved
        return answer

    monkeypatch.setattr(bench.shelf, "fetch", moving)
    await bench.run()
    assert await bench.keys(gone=False) == set("abcdefgh")


@pytest.mark.parametrize("etags", [True, False])
@pytest.mark.parametrize("unheard", [False, True])
async def test_what_a_page_without_a_body_holds_is_there_again(*, etags: bool, unheard: bool) -> None:
    """The list shrinks while a walk is carried on, and is then whole again: what is known of its last page still holds,
    by 304 or by its bytes, and has what is marked. It is brought back and counted once, also where the answer to that
    commit is lost, and the run after it has nothing to do."""
    bench = Bench(MemoryStore(), etags=etags)
    bench.shelf.things = whole = rows(*"abcdefghijkl")
    await bench.run()
    bench.shelf.things = rows(*"abcXe")
    bench.shelf.fails_at = 2
    await bench.run()
    bench.shelf.fails_at = 0
    await bench.run()
    assert await bench.keys(gone=True) == set("dfghijkl")
    bench.shelf.things = whole
    bench.store = Unheard(bench.store, 7 if unheard else 0)  # the beginning, five pages, what is brought back
    run = await bench.run()
    assert run is not None
    assert await bench.keys(gone=True) == {"X"}
    assert (run.status, run.counters.updated, run.counters.add_up) == (RunStatus.SUCCEEDED, 8, True)
    async with bench.store.begin(write=False) as work:
        told = [event for event in await work.events.after(0, limit=1000) if event.run_id == run.run_id]
    assert sum(event.data["updated"] for event in told if event.type is EventType.BATCH_COMMITTED) == 8
    heard = [event[3].updated for event in bench.told.events if event[:2] == ("committed", run.run_id)]
    assert sum(heard) == 8
    again = await bench.run()
    assert again is not None
    assert again.status is RunStatus.UNCHANGED


async def test_a_short_page_in_the_middle_does_not_end_the_listing(bench: Bench) -> None:
    """A row that is hidden for a moment makes a page short: the pages behind it are read, and it alone is marked."""
    bench.shelf.things = rows(*"abcdefghijkl")
    await bench.run()
    bench.shelf.hidden = {"e"}
    await bench.run()
    assert await bench.keys(gone=True) == {"e"}
    bench.shelf.hidden = set()
    await bench.run()
    assert await bench.keys(gone=True) == set()


async def test_a_refused_item_is_listed_and_brings_nothing_back(bench: Bench) -> None:
    """Refused with a key that is known: it does not go, and one that is gone stays so until it loads."""
    await bench.run()
    bench.shelf.things[1]["e"] = {}
    bench.shelf.things.pop()
    await bench.run()
    assert await bench.keys(gone=True) == {"g"}
    bench.shelf.things.append({"id": "g", "t": "x", "e": {}})
    await bench.run()
    assert await bench.keys(gone=True) == {"g"}
    bench.shelf.things[-1] = {"id": "g", "t": "x"}
    await bench.run()
    assert await bench.keys(gone=True) == set()


async def test_an_item_without_a_key_may_be_any(bench: Bench) -> None:
    """While one is there nothing is marked."""
    await bench.run()
    bench.shelf.things[6] = {"t": "who am I"}
    await bench.run()
    assert await bench.keys(gone=True) == set()
    del bench.shelf.things[6]
    await bench.run()
    assert await bench.keys(gone=True) == {"g"}


async def test_a_replay_neither_brings_back_nor_hides(bench: Bench) -> None:
    """What is gone stays gone when the payloads that had it are read again. Afterwards the same listing is compared
    once more, for the replay may have written anything."""
    await bench.run()
    bench.shelf.things.pop()
    await bench.run()
    await bench.replay()
    assert await bench.keys(gone=True) == {"g"}
    async with bench.store.begin(write=False) as work:
        assert [state.listing for state in await work.partitions.list()] == [None]
    await bench.run()
    async with bench.store.begin(write=False) as work:
        assert all(state.listing for state in await work.partitions.list())


async def test_a_listing_that_went_back_is_compared_again(bench: Bench) -> None:
    """A walk that failed half-way brought in something new; the next one finds the list as it was before both."""
    await bench.run()
    quiet = list(bench.shelf.things)
    bench.shelf.things[:] = rows(*"newabcd")
    bench.shelf.fails_at = 2
    await bench.run()
    bench.shelf.fails_at = 0
    bench.shelf.things[:] = quiet
    await bench.run(full=True)
    assert await bench.keys(gone=False) == set("abcdefg")


async def test_the_same_payloads_under_another_mapping_are_another_listing(bench: Bench) -> None:
    """With another `key` every record is a new one, and none of those that stood is listed: refused, since it is all of
    them, and marked where that is allowed."""
    await bench.run()
    bench.shelf.things[:] = [{**thing, "n": number} for number, thing in enumerate(bench.shelf.things)]
    await bench.run()
    bench.mapping = {"key": "n", "title": "t"}
    bench.most = 0.9
    run = await bench.run()
    assert run is not None
    assert (run.status, run.error_code) == (RunStatus.DEGRADED, "too_many_gone")
    assert "7 of the 7 records" in (run.error or "")
    assert "mark_gone = false" in (run.error or "")
    bench.most = 1.0
    await bench.run()
    assert await bench.keys(gone=True) == set("abcdefg")
    assert await bench.keys(gone=False) == set("0123456")


async def test_many_go_in_several_units_of_work(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    """More of them than one takes: the records are looked through in parts, all are marked, each unit tells its own."""
    monkeypatch.setattr("kasparro_core.services.gone.SLICE_ROWS", 10)
    bench.shelf.things = rows(*(f"k{number}" for number in range(40)))
    await bench.run()
    del bench.shelf.things[5:28]
    await bench.run()
    assert await bench.keys(gone=True) == {f"k{number}" for number in range(5, 28)}
    assert [event[3]["count"] for event in bench.told.events if event[0] == "noted"] == [10, 10, 3]


def test_the_guard_is_about_more_than_the_share() -> None:
    """Exactly the share is marked, one more is not; with 1 everything may go, and of nothing nothing is refused."""
    assert not Departed(5, 10, 5, 0.5).refused
    assert Departed(6, 10, 0, 0.5).refused
    assert not Departed(10, 10, 10, 1.0).refused
    assert Departed(1, 10, 0, 0.0).refused
    assert not Departed(0, 0, 0, 0.0).refused


def test_what_was_compared_holds_until_something_is_committed() -> None:
    """Its text says at which version of the checkpoint; at another one, and where it was never written, it says
    nothing."""
    at_seven = Checkpoint("s", "", {}, 7, 1, Bench(MemoryStore()).clock.now())
    for known in (Compared(7, "digest"), Compared(7, None)):
        assert Compared.before(str(known), at_seven) == known
        assert Compared.before(str(known), None) is None
    assert Compared.before(str(Compared(6, "digest")), at_seven) is None
    assert Compared.before(None, None) is None


@pytest.mark.parametrize("status", list(RunStatus))
def test_a_worse_end_stays(status: RunStatus) -> None:
    """What a listing told makes a good run degraded or an unchanged one succeeded, and leaves every other end alone."""
    end = Verdict(status)
    good = status in (RunStatus.SUCCEEDED, RunStatus.UNCHANGED)
    assert judged(end, Departed(9, 10, 0, 0.5), "s").status == (RunStatus.DEGRADED if good else status)
    assert judged(end, Departed(1, 10, 1, 0.5), "s").status == (RunStatus.SUCCEEDED if good else status)
    assert judged(end, Departed(0, 10, 0, 0.5), "s") == end
    assert judged(end, None, "s") == end
