"""The source ports: reading an origin, and understanding its bytes. Two, because replay needs the second alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from kasparro_core.model.batch import Batch, Cursor, Decoded, Validator
from kasparro_core.model.raw import RawPayload
from kasparro_core.model.window import Window
from kasparro_core.ports.fetch import Effort


@dataclass(frozen=True, slots=True)
class ReadContext:
    """What a read starts from.

    `cursor` is the committed position (None: never read). `validators` are this partition's remembered ones by
    request_hash (empty with `full`). `full` ignores validators, fingerprints and incremental positions. `now` is the
    start of the run: positions inside a run expire against it. `before` is the committed position with `full` too: to
    compare with, never to go on from. `failed`: the last read of this partition failed. `effort` is what the run has
    spent on trying again, for requests to share.
    """

    now: datetime
    cursor: Cursor | None = None
    validators: Mapping[str, Validator] = field(default_factory=dict)
    full: bool = False
    before: Cursor | None = None
    failed: bool = False
    effort: Effort = field(default_factory=Effort)


class Source(Protocol):
    """A configured origin. Holds no position and touches no store; may be read many times, one read at a time
    per partition. Does its own I/O through what it was built with."""

    @property
    def name(self) -> str:
        """The configured name."""
        ...

    async def partitions(self) -> Sequence[str]:
        """The partitions as they are now: `("",)` for a whole, file paths of a glob, feed URLs of a list.

        Raises SourceError (no file matches, OPML unreadable).
        """
        ...

    def read(self, partition: str, context: ReadContext, /) -> AsyncIterator[Batch]:
        """Yield batches from the position on, in order; consumed under `contextlib.aclosing`.

        Each batch's cursor is the position that holds once it is committed: resuming from it yields exactly what was
        not yet yielded (or a little again, never less). The last batch of a completed read carries the cursor that the
        next run starts from; an item-less batch may carry just that. A cursor this source cannot read raises
        CheckpointError; a failing origin raises SourceError after the batches before it were yielded.

        A source that shows everything it has says so with `Batch.extent`: FIRST with the first batch of such a read,
        LAST with the last one, which may be of a later read that went on with it. What was not in between is gone.
        """
        ...


@runtime_checkable
class Positioned(Protocol):
    """A source that can judge a position beforehand, so that one from elsewhere can be brought in."""

    def check_position(self, partition: str, cursor: Cursor, /) -> None:
        """Raises CheckpointError for what `read` would refuse, and for a partition that this source never has. Reads
        nothing."""
        ...


@runtime_checkable
class Originated(Protocol):
    """A source that can tell when a partition is read from elsewhere than before."""

    def origin(self, partition: str, /) -> str | None:
        """A fingerprint of the address that is configured for the partition ("": the whole, or the list of what there
        is to read); None where there is none, or where it is not known before `partitions` was asked. Reads nothing."""
        ...


@runtime_checkable
class Windowed(Protocol):
    """A source that can be asked for past windows. Its `read` takes the partition of a `Window` like any other, with a
    position of its own; `partitions` tells none of them. Of its batches a backfill takes payload, items, rejections and
    cursor."""

    def check_window(self, window: Window, /) -> None:
        """Raises ConfigurationError where the origin cannot be asked for just this span. Reads nothing."""
        ...

    def is_complete(self, cursor: Cursor, /) -> bool:
        """True for the cursor that a completed read of a window leaves."""
        ...


class Decoder(Protocol):
    """Understands the payloads of one `decode_facts["format"]`. Pure, CPU-bound, called in worker threads."""

    def decode(self, raw: RawPayload, /) -> Decoded:
        """The items of a payload, in order, each index counting from 0 in the payload, and what could not be decoded
        (stage `decode`, with an index of its own in the same count: items + rejections = rows in).

        Raises PermanentSourceError when the bytes are not what the facts say (HTML for JSON, not a feed).
        """
        ...
