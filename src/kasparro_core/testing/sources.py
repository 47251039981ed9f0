"""The contracts of Source and Decoder: reading, resuming, and understanding bytes again without the origin."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any, ClassVar, TypeAlias, cast

import pytest

from kasparro_core.errors import CheckpointError, PermanentSourceError
from kasparro_core.model import Batch, Cursor, Decoded, Extent, RawPayload, Stage
from kasparro_core.ports import Decoder, ReadContext, Source
from kasparro_core.testing.build import START

MakeSource: TypeAlias = Callable[[], Source]
Expected: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]
Decoders: TypeAlias = Mapping[str, Decoder]


class SourceContract:
    """Reading. Needs the fixtures `make_source`, `expected` and `decoders`.

    `make_source()` makes a new Source of the same configuration over the same, unchanging origin; `expected` is the
    data of all items by partition, in order; `decoders` holds the decoder of each format the source names. An origin
    that yields more than two batches in some partition proves the most. A source that resumes one page back sets
    `repeats_a_batch`.
    """

    repeats_a_batch: ClassVar[bool] = False

    async def test_names_its_partitions(self, make_source: MakeSource, expected: Expected) -> None:
        """The partitions are those expected, each once, and the same each time."""
        source = make_source()
        partitions = await source.partitions()
        assert sorted(partitions) == sorted(expected)
        assert list(await source.partitions()) == list(partitions)
        assert source.name == make_source().name != ""

    async def test_reads_everything_in_order(self, make_source: MakeSource, expected: Expected) -> None:
        """A first read yields all items of each partition, once, in the order of the origin."""
        source = make_source()
        for partition, items in expected.items():
            assert _data(await read(source, partition)) == list(items)

    async def test_may_be_read_many_times(self, make_source: MakeSource, expected: Expected) -> None:
        """A source holds no position: reading it again from nothing yields the same again."""
        source = make_source()
        for partition, items in expected.items():
            await read(source, partition)
            assert _data(await read(source, partition)) == list(items)

    async def test_resuming_from_any_cursor_yields_exactly_the_rest(
        self, make_source: MakeSource, expected: Expected
    ) -> None:
        """Killed after any batch but the last, a new process goes on from the committed cursor: none lost, none again.

        (The cursor of the last batch is where the next run starts, not the rest of this one.)
        """
        for partition, items in expected.items():
            batches = await read(make_source(), partition)
            done = 0
            for batch in batches[:-1]:
                done += len(batch.items)
                again = len(batch.items) if self.repeats_a_batch else 0
                rest = _data(await read(make_source(), partition, _stored(batch.cursor)))
                assert rest in [list(items)[start:] for start in {done, done - again}]

    async def test_says_of_a_whole_read_or_of_none_that_it_lists_everything(
        self, make_source: MakeSource, expected: Expected
    ) -> None:
        """Where a first read begins a listing, its first batch alone does, and its last one alone ends it; one that
        goes on from a cursor begins none, and ends the one that it goes on with."""
        for partition in expected:
            batches = await read(make_source(), partition)
            lists = Extent.FIRST in batches[0].extent
            assert [Extent.FIRST in batch.extent for batch in batches] == [lists, *[False] * (len(batches) - 1)]
            assert [Extent.LAST in batch.extent for batch in batches] == [*[False] * (len(batches) - 1), lists]
            for batch in batches[:-1]:
                rest = await read(make_source(), partition, _stored(batch.cursor))
                assert not any(Extent.FIRST in further.extent for further in rest)
                assert [Extent.LAST in further.extent for further in rest] == [*[False] * (len(rest) - 1), lists]

    async def test_the_last_cursor_is_readable(self, make_source: MakeSource, expected: Expected) -> None:
        """The next run starts from the last cursor, and so does the one after it."""
        for partition in expected:
            batches = await read(make_source(), partition)
            again = await read(make_source(), partition, _stored(batches[-1].cursor))
            if again:
                await read(make_source(), partition, _stored(again[-1].cursor))

    async def test_a_full_read_ignores_what_is_remembered(self, make_source: MakeSource, expected: Expected) -> None:
        """After a completed read, `full` yields everything again, whatever cursor and validators say."""
        for partition, items in expected.items():
            batches = await read(make_source(), partition)
            again = ReadContext(now=START, cursor=_stored(batches[-1].cursor), full=True)
            async with aclosing(_iterate(make_source(), partition, again)) as all_over:
                assert _data([batch async for batch in all_over]) == list(items)

    async def test_cursors_and_facts_survive_the_store(self, make_source: MakeSource, expected: Expected) -> None:
        """Cursors and decode facts are JSON objects that come back equal."""
        for partition in expected:
            for batch in await read(make_source(), partition):
                assert _stored(batch.cursor) == batch.cursor
                assert batch.raw is None or _stored(batch.raw.decode_facts) == batch.raw.decode_facts

    async def test_yields_what_its_decoder_makes_of_the_payload(
        self, make_source: MakeSource, expected: Expected, decoders: Decoders
    ) -> None:
        """Items and rejections are exactly those of the decoder over the stored bytes and facts: replay is the same."""
        for partition in expected:
            for batch in await read(make_source(), partition):
                if batch.raw is None:
                    assert not batch.items
                    assert not batch.rejections
                    continue
                raw = RawPayload(batch.raw.payload, _stored(batch.raw.decode_facts))
                decoded = decoders[raw.decode_facts["format"]].decode(raw)
                assert _content(Decoded(batch.items, batch.rejections)) == _content(decoded)

    async def test_tells_how_each_read_went(self, make_source: MakeSource, expected: Expected) -> None:
        """Every batch says when it was observed (aware, UTC, never going back); no counter is negative."""
        for partition in expected:
            batches = await read(make_source(), partition)
            moments = [batch.fetch.observed_at for batch in batches]
            assert moments == sorted(moments)
            assert all(moment.utcoffset() == timedelta(0) for moment in moments)
            for batch in batches:
                facts = batch.fetch
                assert min(facts.bytes_fetched, facts.requests, facts.retries, facts.throttled) >= 0
                hashes = [validator.request_hash for validator in batch.validators]
                assert len(hashes) == len(set(hashes))

    async def test_may_be_left_after_any_batch(self, make_source: MakeSource, expected: Expected) -> None:
        """A reader that stops early and closes the iterator leaves the source fit to be read in full."""
        source = make_source()
        for partition, items in expected.items():
            async with aclosing(_iterate(source, partition, ReadContext(now=START))) as batches:
                async for _ in batches:
                    break
            assert _data(await read(source, partition)) == list(items)

    async def test_refuses_a_cursor_that_it_does_not_understand(
        self, make_source: MakeSource, expected: Expected
    ) -> None:
        """A foreign cursor is a CheckpointError, never a silent start from somewhere."""
        for partition in expected:
            with pytest.raises(CheckpointError):
                await read(make_source(), partition, {"no source writes this": [{"v": None}]})


class DecoderContract:
    """Understanding bytes. Needs the fixtures `decoder`, `payloads`, and `bad_payloads` where there are some.

    `payloads` are good ones, with and without refused rows; `bad_payloads` are not at all what their facts say.
    """

    @pytest.fixture
    def bad_payloads(self) -> Sequence[RawPayload]:
        """Override with payloads that cannot be decoded at all."""
        return ()

    def test_is_pure(self, decoder: Decoder, payloads: Sequence[RawPayload]) -> None:
        """The same bytes and facts give the same items and rejections, whatever was decoded in between."""
        first = [_content(decoder.decode(raw)) for raw in payloads]
        again = [_content(decoder.decode(raw)) for raw in reversed(payloads)]
        assert first == again[::-1]

    def test_needs_only_what_the_store_keeps(self, decoder: Decoder, payloads: Sequence[RawPayload]) -> None:
        """Facts that went through JSON decode to the same."""
        for raw in payloads:
            stored = RawPayload(raw.payload, _stored(raw.decode_facts))
            assert _content(decoder.decode(stored)) == _content(decoder.decode(raw))

    def test_counts_every_row_once(self, decoder: Decoder, payloads: Sequence[RawPayload]) -> None:
        """Indexes of items and rejections together are 0..n-1, each once, items in ascending order."""
        for raw in payloads:
            decoded = decoder.decode(raw)
            places = [item.index for item in decoded.items]
            assert places == sorted(places)
            everything = [*places, *(refused.index for refused in decoded.rejections)]
            assert sorted(everything) == list(range(len(everything)))

    def test_says_what_could_not_be_decoded(self, decoder: Decoder, payloads: Sequence[RawPayload]) -> None:
        """Rejections are of the stage `decode`, with code, path and message."""
        for raw in payloads:
            for refused in decoder.decode(raw).rejections:
                assert refused.stage is Stage.DECODE
                assert refused.code
                assert refused.path
                assert refused.message

    def test_refuses_what_is_not_its_format(self, decoder: Decoder, bad_payloads: Sequence[RawPayload]) -> None:
        """Bytes that are something else altogether are a PermanentSourceError, not an empty result."""
        for raw in bad_payloads:
            with pytest.raises(PermanentSourceError):
                decoder.decode(raw)


async def read(source: Source, partition: str, cursor: Cursor | None = None) -> list[Batch]:
    """All batches of one read."""
    async with aclosing(_iterate(source, partition, ReadContext(now=START, cursor=cursor))) as batches:
        return [batch async for batch in batches]


def _iterate(source: Source, partition: str, context: ReadContext) -> AsyncGenerator[Batch, None]:
    """The iterator of a read; that it can be closed is part of the contract."""
    return cast("AsyncGenerator[Batch, None]", source.read(partition, context))


def _data(batches: Sequence[Batch]) -> list[Mapping[str, Any]]:
    return [item.data for batch in batches for item in batch.items]


def _content(decoded: Decoded) -> tuple[list[Any], list[Any]]:
    return [(item.index, dict(item.data)) for item in decoded.items], list(decoded.rejections)


def _stored(value: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object after a trip through the store."""
    return cast("dict[str, Any]", json.loads(json.dumps(dict(value))))
