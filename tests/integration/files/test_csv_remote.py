"""CSV behind an address: fetched whole, read like a file, and not fetched again when nothing changed."""

from __future__ import annotations

import errno
import gzip
import io
import tempfile
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from scripted import SteppingClock

from kasparro_adapters.files import CsvSource, CsvSourceConfig
from kasparro_core.errors import PermanentSourceError, TransientSourceError
from kasparro_core.model import Batch, FetchFacts, Validator
from kasparro_core.ports import FetchRequest, FetchResponse, ReadContext

CLOCK = SteppingClock()
URL = "https://data.example/prices.csv?day=1"


@dataclass
class Upstream:
    """A Fetcher that serves one body with an ETag, and answers 304 while the ETag holds."""

    body: bytes
    etag: str | None = '"1"'
    requests: list[FetchRequest] = field(default_factory=list)

    async def fetch(self, request: FetchRequest, /, *, sink: BinaryIO | None = None) -> FetchResponse:
        self.requests.append(request)
        fresh = self.etag is None or request.validator is None or request.validator.etag != self.etag
        if fresh and sink is not None:
            sink.write(self.body)
        facts = FetchFacts(CLOCK.now(), request.url, 200 if fresh else 304, len(self.body) if fresh else 0, requests=1)
        headers = {"etag": self.etag} if self.etag else {}
        return FetchResponse(200 if fresh else 304, request.url, headers, b"", facts)


class Remote:
    """Runs over one address, each with the cursor and validators that the one before left."""

    def __init__(self, upstream: Upstream, root: Path, **options: Any) -> None:
        self.upstream = upstream
        self.source = CsvSource("remote", CsvSourceConfig(path=URL, **options), root, CLOCK, upstream)
        self.cursor: Any = None
        self.validators: dict[str, Validator] = {}

    async def run(self) -> list[Batch]:
        context = ReadContext(now=CLOCK.now(), cursor=self.cursor, validators=self.validators)
        reading = cast(Any, self.source.read("", context))
        async with aclosing(reading):
            batches = [batch async for batch in reading]
        for batch in batches:
            self.cursor = batch.cursor
            self.validators |= {validator.request_hash: validator for validator in batch.validators}
        return batches


def values(batches: list[Batch]) -> list[str]:
    return [item.data["a"] for batch in batches for item in batch.items]


async def test_an_address_is_one_partition_and_reads_like_a_file(tmp_path: Path) -> None:
    """Rows, costs of the exchange on the first batch, the validator on the last one only."""
    remote = Remote(Upstream(gzip.compress(b"a,b\n1,2\n3,4\n5,6")), tmp_path, batch_rows=2)
    assert list(await remote.source.partitions()) == [""]
    batches = await remote.run()
    assert values(batches) == ["1", "3", "5"]
    assert [batch.fetch.requests for batch in batches] == [1, *[0] * (len(batches) - 1)]
    assert [bool(batch.validators) for batch in batches] == [*[False] * (len(batches) - 1), True]


async def test_an_unchanged_address_costs_a_304_and_one_itemless_batch(tmp_path: Path) -> None:
    """The exchange is on record, the position stays."""
    remote = Remote(Upstream(b"a,b\n1,2\n"), tmp_path)
    await remote.run()
    before = remote.cursor
    (batch,) = await remote.run()
    assert (batch.fetch.status, batch.raw, batch.cursor) == (304, None, before)


async def test_the_same_bytes_without_validators_yield_no_rows(tmp_path: Path) -> None:
    """An upstream that knows no ETag is fetched again, but what was read is not read again."""
    remote = Remote(Upstream(b"a,b\n1,2\n", etag=None), tmp_path)
    assert values(await remote.run()) == ["1"]
    (batch,) = await remote.run()
    assert (batch.fetch.status, batch.fetch.requests, batch.raw) == (200, 1, None)


async def test_growth_is_read_on_and_other_content_from_the_start(tmp_path: Path) -> None:
    """The copy is compared with what was read before, to the last byte."""
    remote = Remote(Upstream(b"a,b\n1,2\n"), tmp_path)
    await remote.run()
    remote.upstream.body, remote.upstream.etag = b"a,b\n1,2\n3,4\n", '"2"'
    assert values(await remote.run()) == ["3"]
    remote.upstream.body, remote.upstream.etag = b"a,b\n1,9\n3,4\n", '"3"'
    assert values(await remote.run()) == ["1", "3"]


async def test_a_read_that_was_cut_short_asks_without_validator(tmp_path: Path) -> None:
    """A 304 would leave the rest of the file unread."""
    remote = Remote(Upstream(b"a,b\n1,2\n3,4\n5,6\n"), tmp_path, batch_rows=1)
    batches = await remote.run()
    remote.cursor = batches[0].cursor
    assert values(await remote.run()) == ["3", "5"]
    assert remote.upstream.requests[-1].validator is None


async def test_other_rules_do_not_use_the_validator(tmp_path: Path) -> None:
    """A changed mapping makes the same bytes worth reading again."""
    first = Remote(Upstream(b"a,b\n1,2\n"), tmp_path)
    await first.run()
    second = Remote(first.upstream, tmp_path, kind="candle", mapping={"key": ["a"], "value": "b"})
    second.cursor, second.validators = first.cursor, first.validators
    assert values(await second.run()) == ["1"]


async def test_without_http_an_address_is_a_clear_error(tmp_path: Path) -> None:
    """A source built without a fetcher cannot reach anything."""
    source = CsvSource("remote", CsvSourceConfig(path=URL), tmp_path, CLOCK)
    with pytest.raises(PermanentSourceError) as caught:
        [batch async for batch in source.read("", ReadContext(now=CLOCK.now()))]
    assert caught.value.code == "no_fetcher"


class _Full(io.BytesIO):
    def write(self, _: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def _no_folder() -> BinaryIO:
    raise FileNotFoundError(errno.ENOENT, "No usable temporary directory")


@pytest.mark.parametrize(("made", "why"), [(_Full, "No space left"), (_no_folder, "No usable temporary")])
async def test_a_disk_that_takes_no_copy_is_trouble_that_may_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Any, why: str
) -> None:
    """A full disk, or no folder for temporary files: the source fails with what to do, and not by a bug."""
    monkeypatch.setattr(tempfile, "TemporaryFile", made)
    with pytest.raises(TransientSourceError, match=rf"^remote: .*{why}.*TMPDIR") as caught:
        await Remote(Upstream(b"a,b\n1,2\n"), tmp_path).run()
    assert caught.value.code == "file_io"
