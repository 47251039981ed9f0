"""What is looked at of records when a run has ended: the figures of those that it changed, and what stood before."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

MOST_FIGURE = Decimal("1E300")
MOST_RANK = 2**63 - 1
"""What lies further from zero counts as these: it is no figure of a market, and a database could not compare it."""


class Latest(NamedTuple):
    """A record as it stands, in figures. `before`: the value of the state that was observed last before this one, in
    the same currency. `rank`, `market_cap`, `volume`: of quotes, those of their attributes, to be compared and not to
    be reckoned with."""

    record_id: int
    key: str
    external_id: str | None
    symbol: str | None
    value: Decimal | None
    currency: str | None
    occurred_at: datetime | None
    seen_at: datetime
    before: Decimal | None = None
    rank: int | None = None
    market_cap: float | None = None
    volume: float | None = None

    @property
    def at(self) -> datetime:
        """When the source says it held; where it does not, when it was seen first."""
        return self.occurred_at or self.seen_at


class Earlier(NamedTuple):
    """An earlier state of a record, in figures."""

    value: Decimal | None
    currency: str | None
    occurred_at: datetime | None
    seen_at: datetime

    @property
    def at(self) -> datetime:
        """As of `Latest`."""
        return self.occurred_at or self.seen_at


class Late(NamedTuple):
    """A state that came after a newer one: its source had said `stood` of the record, and now says `said`."""

    key: str
    stood: datetime
    said: datetime
    seen_at: datetime


class Twin(NamedTuple):
    """A record of another source about the same entity as an asset of the source that was asked about."""

    external_id: str
    entity_id: str
    source: str
    record_id: int
    value: Decimal
    currency: str | None
    at: datetime
