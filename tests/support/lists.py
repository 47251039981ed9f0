"""The smallest honest source: pages of a list that lives in the test."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from kasparro_core.errors import CheckpointError, PermanentSourceError
from kasparro_core.model import Batch, Decoded, FetchFacts, RawPayload, RawRecord, Rejection, Stage
from kasparro_core.ports import ReadContext

Pages = Mapping[str, Sequence[Sequence[Any]]]


class ListDecoder:
    """A JSON array; whatever is no object in it is refused."""

    def decode(self, raw: RawPayload, /) -> Decoded:
        try:
            rows = json.loads(raw.payload)
        except ValueError as error:
            raise PermanentSourceError("expected a JSON array") from error
        items = [RawRecord(n, row) for n, row in enumerate(rows) if isinstance(row, dict)]
        refused = [
            Rejection(Stage.DECODE, "not_an_object", f"[{n}]", "expected an object", row, n)
            for n, row in enumerate(rows)
            if not isinstance(row, dict)
        ]
        return Decoded(items, refused)


class ListSource:
    """Pages by partition; the cursor is the number of the next page."""

    def __init__(self, pages: Pages) -> None:
        self.name = "lists"
        self._pages = pages

    async def partitions(self) -> Sequence[str]:
        return tuple(self._pages)

    async def read(self, partition: str, context: ReadContext, /) -> AsyncIterator[Batch]:
        cursor = {"page": 0} if context.cursor is None or context.full else context.cursor
        if set(cursor) != {"page"}:
            raise CheckpointError(f"expected a page, found {sorted(cursor)}", source=self.name)
        pages = self._pages[partition]
        for number in range(cursor["page"], len(pages)):
            raw = RawPayload(json.dumps(pages[number]).encode(), {"format": "list"})
            decoded = ListDecoder().decode(raw)
            after = {"page": (number + 1) % len(pages)}
            yield Batch(after, FetchFacts(context.now), raw, decoded.items, decoded.rejections)
