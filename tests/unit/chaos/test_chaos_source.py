"""A source that fails on purpose: after how many items, with which error, and at which position."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from scripted import EPOCH, LinesDecoder, ScriptedSource, SteppingClock

from kasparro_adapters.chaos import ChaosSource, Faults, Point
from kasparro_adapters.feeds import FeedDecoder
from kasparro_adapters.files import CsvDecoder, CsvSource, CsvSourceConfig
from kasparro_adapters.http import JsonDecoder
from kasparro_core.errors import PermanentSourceError, SourceError, TransientSourceError
from kasparro_core.model import Batch, Cursor, FetchFacts, RawPayload, RawRecord, Validator
from kasparro_core.ports import ReadContext, Source

PAGES = [[{"id": str(number)}, {"id": f"{number}b"}] for number in range(5)]
FEED = b'<rss version="2.0"><channel><title>t</title><item><guid>1</guid><title>x</title></item></channel></rss>'


class Read:
    """What a read yielded, and how it ended."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.error: SourceError | None = None

    @property
    def items(self) -> int:
        return sum(len(batch.items) for batch in self.batches)


async def read(source: Source, cursor: Cursor | None = None) -> Read:
    found = Read()
    try:
        async with aclosing(source.read("", ReadContext(EPOCH, cursor))) as batches:
            async for batch in batches:
                found.batches.append(batch)
    except SourceError as error:
        found.error = error
    return found


def chaotic(inner: Source | None = None, clock: SteppingClock | None = None, **given: Any) -> ChaosSource:
    rules = {"rate": 1.0, "latency": 0.0, "seed": 1, **given}
    faults = Faults(clock or SteppingClock(), **rules)
    decoders = {"lines": _Strict(), "csv": CsvDecoder(), "json": JsonDecoder(), "feed": FeedDecoder()}
    return ChaosSource(inner or ScriptedSource({"": PAGES}), faults, decoders)


class _Strict(LinesDecoder):
    """Refuses what is not JSON in the way of a decoder."""

    def decode(self, raw: RawPayload, /):
        try:
            return super().decode(raw)
        except ValueError as error:
            raise PermanentSourceError("Expected JSON.", code="not_json") from error


class _One:
    """A source of one batch, of given bytes."""

    name = "one"

    def __init__(self, payload: bytes, facts: Mapping[str, Any]) -> None:
        fetch = FetchFacts(EPOCH, requests=1, bytes_fetched=len(payload))
        raw = RawPayload(payload, facts)
        self.batch = Batch({"after": 1}, fetch, raw, [RawRecord(0, {})], validators=[Validator("h", etag="e")])

    async def partitions(self):
        return ("",)

    async def read(self, partition: str, context: ReadContext, /):
        yield self.batch


async def test_a_cut_connection_is_a_passing_fault_that_names_itself() -> None:
    """The error is transient, of the source, with the code `injected`, the point and its number."""
    found = await read(chaotic(points=[Point.SOURCE_CUT]))
    assert found.batches == []
    assert isinstance(found.error, TransientSourceError)
    assert (found.error.source, found.error.code) == ("scripted", "injected")
    assert "source.cut, number 1" in str(found.error)
    assert "chaos.enabled" in str(found.error)


async def test_at_random_what_came_before_the_cut_is_yielded() -> None:
    """Batches in front of the fault arrive as they are; the read ends at the fault, and is taken up behind them."""
    whole = await read(ScriptedSource({"": PAGES}))
    ends = set()
    for seed in range(20):
        found = await read(chaotic(points=[Point.SOURCE_CUT], rate=0.3, seed=seed))
        got = [batch.items for batch in found.batches]
        assert got == [batch.items for batch in whole.batches][: len(got)]
        ends.add(len(got) if found.error else -1)
    assert len(ends) > 3


@pytest.mark.parametrize(("after", "items"), [(0, 0), (1, 2), (2, 2), (3, 4), (9, 10), (10, 10)])
async def test_fails_after_so_many_items(after: int, items: int) -> None:
    """The batch that reaches the number is the last one, whatever rate and points say."""
    found = await read(chaotic(rate=0, points=[], fail_after=after))
    assert found.items == items
    assert isinstance(found.error, TransientSourceError)
    assert f"after {items} items" in str(found.error)


async def test_the_number_is_counted_anew_in_each_read() -> None:
    """Taken up behind what was read, a source gets as far again: it comes through in the end."""
    source = chaotic(rate=0, fail_after=4)
    first = await read(source)
    second = await read(source, first.batches[-1].cursor)
    third = await read(source, second.batches[-1].cursor)
    assert [first.items, second.items, third.items] == [4, 4, 2]
    assert third.error is None


async def test_a_longer_read_than_there_are_items_does_not_fail() -> None:
    """A number that is not reached changes nothing."""
    assert (await read(chaotic(rate=0, fail_after=11))).error is None


async def test_latency_is_waited_in_front_of_each_batch() -> None:
    """A slow origin delays each batch, and the look for one more."""
    clock = SteppingClock()
    found = await read(chaotic(clock=clock, points=[Point.SOURCE_SLOW], latency=0.25))
    assert (found.items, found.error) == (10, None)
    assert clock.slept == [0.25] * 6


@pytest.mark.parametrize(
    ("payload", "facts"),
    [
        (b'[{"id": "1"}]', {"format": "json", "records": None}),
        (b"[\n1,\r\n2]\n", {"format": "json", "records": None}),
        (FEED, {"format": "feed", "url": "", "content_type": ""}),
    ],
)
async def test_a_damaged_document_is_refused_as_a_whole(payload: bytes, facts: Mapping[str, Any]) -> None:
    """JSON and feeds: nothing is yielded, the decoder's reason is told, and what the read cost is on its account."""
    inner = _One(payload, facts)
    found = await read(chaotic(inner, points=[Point.SOURCE_CORRUPT]))
    assert found.batches == []
    assert isinstance(found.error, PermanentSourceError)
    assert found.error.code == "injected"
    assert "source.corrupt, number 1" in str(found.error)
    assert isinstance(found.error.__cause__, PermanentSourceError)
    assert found.error.__cause__.message in str(found.error)
    assert found.error.fetch == inner.batch.fetch


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
async def test_the_rows_of_a_damaged_file_are_rejections(tmp_path: Path, encoding: str) -> None:
    """CSV: every row is there as a rejection and none as an item, at the position before them; then the read ends, and
    the next one, from there, reads the sound rows."""
    (tmp_path / "p.csv").write_bytes("\n".join(["id,price", *(f"{n},{n}.5" for n in range(9))]).encode(encoding))
    inner = CsvSource("rows", CsvSourceConfig(path="p.csv", batch_rows=3), tmp_path, SteppingClock())
    seed = _seed_that_spares_the_first()
    found = await read(chaotic(inner, points=[Point.SOURCE_CORRUPT], rate=0.5, seed=seed))
    sound, damaged = found.batches
    assert (len(sound.items), len(damaged.items), len(damaged.rejections)) == (3, 0, 3)
    assert damaged.cursor == sound.cursor
    assert isinstance(found.error, PermanentSourceError)
    assert found.error.fetch is None
    rest = await read(inner, damaged.cursor)
    assert [item.data["id"] for batch in rest.batches for item in batch.items] == ["3", "4", "5", "6", "7", "8"]


async def test_damage_in_the_first_batch_leaves_the_source_unread(tmp_path: Path) -> None:
    """Its cursor is the empty one, from which a run reads everything; no validator says that nothing changed."""
    (tmp_path / "p.csv").write_text("id\n1\n")
    inner = CsvSource("rows", CsvSourceConfig(path="p.csv"), tmp_path, SteppingClock())
    (damaged,) = (await read(chaotic(inner, points=[Point.SOURCE_CORRUPT]))).batches
    assert damaged.cursor == {}
    assert damaged.validators == ()
    assert damaged.raw is not None
    decoded = CsvDecoder().decode(damaged.raw)
    assert (decoded.items, decoded.rejections) == (damaged.items, damaged.rejections)


async def test_nothing_is_damaged_where_nothing_came() -> None:
    """A batch without payload (304, an unchanged file) passes."""
    inner = _One(b"[]", {"format": "json"})
    inner.batch = Batch({"after": 1}, FetchFacts(EPOCH, status=304))
    found = await read(chaotic(inner, points=[Point.SOURCE_CORRUPT]))
    assert (found.batches, found.error) == ([inner.batch], None)


async def test_partitions_fail_each_for_itself() -> None:
    """Each partition has numbers of its own, and the same fate in whatever order they are read."""

    async def fates(order: list[str]) -> dict[str, int]:
        inner = ScriptedSource(dict.fromkeys(order, PAGES))
        source = chaotic(inner, points=[Point.SOURCE_CUT], rate=0.3, seed=5)
        found = {}
        for name in order:
            yielded = 0
            try:
                async with aclosing(source.read(name, ReadContext(EPOCH))) as batches:
                    async for _ in batches:
                        yielded += 1
            except TransientSourceError:
                found[name] = yielded
        return found

    names = ["a", "b", "c", "d", "e", "f"]
    assert await fates(names) == await fates(names[::-1])
    assert len(set((await fates(names)).values())) > 1


def _seed_that_spares_the_first() -> int:
    """A seed whose first two damaged payloads are: not the first, but the second."""
    for seed in range(100):
        faults = Faults(SteppingClock(), rate=0.5, latency=0, seed=seed)
        fates = [faults.decided(Point.SOURCE_CORRUPT, "rows") is not None for _ in range(2)]
        if fates == [False, True]:
            return seed
    raise AssertionError("no such seed")
