"""Kind `quote`: what one asset trades at, as a market API tells it.

The attribute names follow CoinGecko's `/coins/markets` (https://docs.coingecko.com/reference/coins-markets), shortened
where CoinPaprika's `/tickers` (https://docs.coinpaprika.com/) has the plainer word: `rank` for market_cap_rank,
`volume_24h` for total_volume. Figures in money are in the record's `currency`; percentages are in percent (1.5 is
1.5 %); times are RFC 3339 text.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel

from kasparro_core.normalize.kinds import UrlText, register_kind


class QuoteAttributes(BaseModel):
    """The declared attributes of a quote. Every one may be missing; others pass through as they are."""

    rank: int | None = None
    market_cap: Decimal | None = None
    fully_diluted_valuation: Decimal | None = None
    volume_24h: Decimal | None = None
    high_24h: Decimal | None = None
    low_24h: Decimal | None = None
    price_change_24h: Decimal | None = None
    price_change_percentage_15m: Decimal | None = None
    price_change_percentage_30m: Decimal | None = None
    price_change_percentage_1h: Decimal | None = None
    price_change_percentage_6h: Decimal | None = None
    price_change_percentage_12h: Decimal | None = None
    price_change_percentage_24h: Decimal | None = None
    price_change_percentage_7d: Decimal | None = None
    price_change_percentage_14d: Decimal | None = None
    price_change_percentage_30d: Decimal | None = None
    price_change_percentage_200d: Decimal | None = None
    price_change_percentage_1y: Decimal | None = None
    volume_change_percentage_24h: Decimal | None = None
    market_cap_change_24h: Decimal | None = None
    market_cap_change_percentage_24h: Decimal | None = None
    circulating_supply: Decimal | None = None
    total_supply: Decimal | None = None
    max_supply: Decimal | None = None
    ath: Decimal | None = None
    ath_change_percentage: Decimal | None = None
    ath_date: datetime | None = None
    atl: Decimal | None = None
    atl_change_percentage: Decimal | None = None
    atl_date: datetime | None = None
    beta_value: Decimal | None = None
    first_data_at: datetime | None = None
    image: UrlText | None = None


register_kind("quote", QuoteAttributes)
