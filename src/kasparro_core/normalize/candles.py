"""Kind `candle`: the prices of one asset in one interval. `value` is the close, `occurred_at` the interval's start."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel

from kasparro_core.normalize.kinds import register_kind


class CandleAttributes(BaseModel):
    """The declared attributes of a candle. Every one may be missing; others pass through as they are."""

    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    close: Decimal | None = None
    volume: Decimal | None = None
    quote_volume: Decimal | None = None
    market_cap: Decimal | None = None
    trades: int | None = None
    close_time: datetime | None = None


register_kind("candle", CandleAttributes)
