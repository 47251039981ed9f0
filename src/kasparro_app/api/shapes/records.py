"""Records: what is asked of them, and what answers look like."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field, JsonValue

from kasparro_app.api.shapes.common import Answered, Exact, Moment, Pagination, Shape

_EXAMPLE: dict[str, JsonValue] = {
    "record_id": 4711,
    "source": "coingecko",
    "key": "bitcoin",
    "kind": "quote",
    "external_id": "bitcoin",
    "title": "Bitcoin",
    "symbol": "BTC",
    "value": 67187.3358936566,
    "currency": "USD",
    "url": None,
    "occurred_at": "2026-01-31T10:00:00Z",
    "attributes": {"market_cap": 1317802988326.25, "rank": 1},
    "content_hash": "5f1d7a84db00d2fce00b31a7fc73224f",
    "raw_id": 12,
    "raw_index": 0,
    "run_id": 7,
    "first_seen_at": "2026-01-30T10:00:01Z",
    "updated_at": "2026-01-31T10:00:02.25Z",
    "revision": 3,
    "change_seq": 9001,
    "gone_at": None,
}

Number = Exact | str
"""A JSON number with all its digits; a string when `decimals=string` was asked for."""


class ContentShape(Shape):
    """What an item of a source became."""

    source: str = Field(description="The configured source it came from.")
    key: str = Field(description="Its natural key inside the source.")
    kind: str = Field(description="quote, candle, article, item, or a kind of the configuration.")
    external_id: str | None = Field(description="The source's own id of the thing it is about.")
    title: str | None = Field(description="Its name or headline.")
    symbol: str | None = Field(description="Its symbol, in upper case.")
    value: Number | None = Field(description="Its price or other figure, exact.")
    currency: str | None = Field(description="What the value is counted in.")
    url: str | None = Field(description="Where it leads.")
    occurred_at: Moment | None = Field(description="The instant it is about, as the source tells it.")
    attributes: dict[str, Any] = Field(description="Everything else that was mapped; numbers as exact as `value`.")
    content_hash: str = Field(description="Changes with the content above, and with nothing else.")
    raw_id: int | None = Field(description="The payload it was read from; null: payloads are not kept.")
    raw_index: int = Field(description="Its place in that payload, from 0.")
    run_id: int = Field(description="The run that brought this content.")


class RecordShape(ContentShape):
    """A record: the newest state of one thing at one source."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    record_id: int = Field(description="Given when it was first stored, and never changed.")
    first_seen_at: Moment = Field(description="When it was first fetched.")
    updated_at: Moment = Field(description="When the content it has now was fetched.")
    revision: int = Field(description="1, and one more with every change.")
    change_seq: int = Field(description="Its place in the change feed; grows with every change.")
    gone_at: Moment | None = Field(description="Since when the source does not list it any more.")


def _partial(schema: dict[str, Any]) -> None:
    """No member is required."""
    schema.pop("required", None)


class PartialRecord(RecordShape):
    """A record; where `fields` was given, those members of it."""

    model_config = ConfigDict(json_schema_extra=_partial)


class DataPagination(Pagination):
    """Where this page stands."""

    total: int | None = Field(description="How many records match in all; null with `count=none`.")
    next_seq: int | None = Field(
        None, description="With `after_seq`: the `after_seq` to ask with next. Keep it, and no change is ever missed."
    )


class DataAnswer(Answered):
    """A page of records."""

    data: list[PartialRecord] = Field(description="The records in the order asked for.")
    pagination: DataPagination = Field(description="Where this page stands.")


class MentionShape(Shape):
    """An entity that a record is about."""

    entity_id: str = Field(description="The id of the entity.")
    method: str = Field(description="How that is known: that of the link of its id, or the sign in an article's text.")
    confidence: Exact = Field(description="How sure that is, from 0 to 1.")


class RecordAnswer(RecordShape, Answered):
    """One record."""

    entities: list[MentionShape] = Field(
        description="The entity that its id is linked to, or those that it speaks of as an article, by entity_id."
    )


class VersionShape(ContentShape):
    """An earlier state of a record, or a late one that was already superseded when it arrived."""

    record_id: int = Field(description="The record it belongs to.")
    observed_at: Moment = Field(description="When it was fetched.")


class VersionsAnswer(Answered):
    """Earlier states of a record."""

    data: list[VersionShape] = Field(description="Latest first, by occurred_at and observed_at.")
    pagination: Pagination = Field(description="At most `limit` are given; there is no further page.")
