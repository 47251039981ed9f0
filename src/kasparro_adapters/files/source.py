"""The CSV source: partitions of files, read in worker threads; addresses are fetched first, and read the same way."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Sequence
from contextlib import aclosing, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from kasparro_adapters.confine import expanded, open_inside
from kasparro_adapters.files.config import CsvSourceConfig
from kasparro_adapters.files.locate import WHOLE, file_of, is_glob, is_remote, matches
from kasparro_adapters.files.opening import OpenFile, missing, translated
from kasparro_adapters.files.position import Position
from kasparro_adapters.files.reading import FileRead, ReadTask
from kasparro_core.errors import PermanentSourceError, SourceError, TransientSourceError
from kasparro_core.model.batch import Batch, Cursor, Validator
from kasparro_core.model.listing import NOTHING
from kasparro_core.ports.clock import Clock
from kasparro_core.ports.fetch import Effort, Fetcher, FetchResponse
from kasparro_core.ports.source import ReadContext
from kasparro_core.services.position import not_understood
from kasparro_core.services.steps import whole


class CsvSource:
    """Implements Source for a file, a glob or an http(s) address.

    Relative paths are relative to `root`, and no file outside of it (of the configured `root`, where there is one) is
    read. `fetcher` is needed for addresses alone. All batches of one read carry the
    instant at which the read began: a file is one observation.
    """

    def __init__(
        self, name: str, config: CsvSourceConfig, root: Path, clock: Clock, fetcher: Fetcher | None = None
    ) -> None:
        self._name = name
        self._config = config
        self._root = root
        self._limit = root / expanded(config.root or "")
        self._clock = clock
        self._fetcher = fetcher
        self._rules_hash = config.rules_hash(name)

    @property
    def name(self) -> str:
        """The configured name."""
        return self._name

    async def partitions(self) -> Sequence[str]:
        """The whole, or the files of a glob by their path relative to the root, with forward slashes, sorted."""
        path = self._config.path
        if not is_glob(path, self._root):
            return (WHOLE,)
        with translated(self._name, path, self._root):
            found = await asyncio.to_thread(matches, path, self._root, self._limit)
        if not found:
            raise missing(self._name, path, self._root)
        return found

    def check_position(self, partition: str, cursor: Cursor, /) -> None:
        """Raises CheckpointError for a cursor that `read` would refuse. A glob has no whole, one file has no parts."""
        if bool(partition) != is_glob(self._config.path, self._root):
            expected = "the name of a file" if not partition else "''"
            raise not_understood(self._name, partition, cursor, f"{self._config.path} has partitions like {expected}")
        Position.parse(cursor, self._name, partition)

    async def read(self, partition: str, context: ReadContext, /) -> AsyncIterator[Batch]:
        """Batches of at most `batch_rows` rows and about 4 MiB, from the position on (see the module `reading`).

        Raises CheckpointError for a foreign cursor, PermanentSourceError with code file_missing, file_is_directory,
        file_denied, decompression and the like, TransientSourceError with code file_changed or file_io.
        """
        known = Position.parse(context.cursor, self._name, partition) if context.cursor and not context.full else None
        task = ReadTask(
            rules=self._config.reading_rules(),
            rules_hash=self._rules_hash,
            batch_rows=self._config.batch_rows,
            observed_at=self._clock.now(),
            shown=partition or self._config.path,
            known=known,
            settled=context.full,
        )
        batches = self._remote(task, context) if is_remote(self._config.path) else self._local(partition, task)
        async with aclosing(batches):
            async for batch in batches:
                yield batch

    def _local(self, partition: str, task: ReadTask) -> AsyncGenerator[Batch, None]:
        path = file_of(self._config.path, partition, self._root)
        return _in_thread(self._batches(path, partition, task))

    def _batches(self, path: Path, partition: str, task: ReadTask) -> Generator[Batch, None, None]:
        with translated(self._name, path, self._root), self._opened(open_inside(path, self._limit)) as file:
            if task.known is not None and task.known.is_beyond(file):
                why = f"`offset` is beyond the end of {path.name}, which has {task.known.size} bytes"
                raise not_understood(self._name, partition, task.known.cursor(), why)
            yield from FileRead(file, task).batches()

    @contextmanager
    def _opened(self, raw: BinaryIO) -> Iterator[OpenFile]:
        with raw, closing(OpenFile(raw, self._config.member)) as file:
            yield file

    async def _remote(self, task: ReadTask, context: ReadContext) -> AsyncGenerator[Batch, None]:
        """Fetch the whole file into a temporary one, then read that; a 304 costs one item-less batch."""
        request_hash = self._request_hash()
        usable = task.known is not None and task.known.done and task.known.rules == self._rules_hash
        validator = context.validators.get(request_hash) if usable else None
        with _on_disk(self._name), tempfile.TemporaryFile() as raw:
            response = await self._fetch(raw, validator, context.effort)
            if response.not_modified and context.cursor is not None:
                yield Batch(context.cursor, response.facts, same_as=NOTHING)
                return
            task = replace(task, observed_at=response.facts.observed_at, shown=response.facts.url or task.shown)
            copy = _in_thread(self._batches_of_copy(raw, replace(task, watched=False, settled=True)))
            exchange = _Exchange(response, _validators(request_hash, response), context.cursor or {})
            async with aclosing(copy), aclosing(exchange.batches(copy)) as batches:
                async for batch in batches:
                    yield batch

    def _batches_of_copy(self, raw: BinaryIO, task: ReadTask) -> Generator[Batch, None, None]:
        raw.seek(0)
        with translated(self._name, task.shown, self._root), self._opened(raw) as file:
            yield from FileRead(file, task).batches()

    async def _fetch(self, sink: BinaryIO, validator: Validator | None, effort: Effort) -> FetchResponse:
        if self._fetcher is None:
            raise PermanentSourceError(
                f"{self._name} is an address, and this program was built without HTTP.",
                source=self._name,
                code="no_fetcher",
            )
        request = self._config.request(self._name, self._config.path, validator=validator)
        return await self._fetcher.fetch(replace(request, effort=effort), sink=sink)

    def _request_hash(self) -> str:
        """Identifies request and reading rules, without host and port."""
        address = urlsplit(self._config.path)
        parts = [address.path, address.query, self._config.params, self._rules_hash]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@contextmanager
def _on_disk(source: str) -> Iterator[None]:
    """What the disk of the copy refuses is trouble that may pass."""
    try:
        yield
    except OSError as error:
        raise TransientSourceError(
            f"{source}: the answer cannot be kept in the folder for temporary files ({error.strerror or error}).",
            source=source,
            code="file_io",
            hint="Make room there, or let TMPDIR name another folder.",
        ) from error


def _validators(request_hash: str, response: FetchResponse) -> tuple[Validator, ...]:
    etag, modified = response.headers.get("etag"), response.headers.get("last-modified")
    return (Validator(request_hash, etag=etag, last_modified=modified),) if etag or modified else ()


@dataclass(frozen=True, slots=True)
class _Exchange:
    """What a download adds to the batches of its copy. `cursor` is the position before it."""

    response: FetchResponse
    validators: tuple[Validator, ...]
    cursor: Cursor

    async def batches(self, copy: AsyncIterator[Batch]) -> AsyncGenerator[Batch, None]:
        """The first batch carries what the exchange cost, the one that completes the read the validators.

        A body with nothing new makes one item-less batch, so that the exchange is on record.
        """
        fetch = self.response.facts
        first = True
        try:
            async for batch in copy:
                kept = self.validators if batch.cursor["done"] else ()
                yield replace(batch, fetch=fetch if first else batch.fetch, validators=kept)
                first = False
        except SourceError as error:
            error.fetch = fetch if first else None
            raise
        if first:
            yield Batch(self.cursor, fetch, validators=self.validators, same_as=NOTHING)


async def _in_thread(batches: Generator[Batch, None, None]) -> AsyncGenerator[Batch, None]:
    """Drive a generator that reads and decodes in worker threads, one step at a time.

    A cancelled step is waited for: its thread cannot be stopped and holds the file.
    """
    try:
        while (batch := await whole(asyncio.to_thread(next, batches, None))) is not None:
            yield batch
    finally:
        await asyncio.to_thread(batches.close)
