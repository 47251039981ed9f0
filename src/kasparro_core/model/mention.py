"""Which entities a record speaks of without being about an id of its own source: articles."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple


class Mention(NamedTuple):
    """An entity that a text speaks of, by what it was known (`method`), and how sure that is (0 to 1)."""

    entity_id: str
    method: str
    confidence: Decimal
