"""What services add to the totals themselves; the store adds what a finished run counted."""

from __future__ import annotations

from collections.abc import Mapping

from kasparro_core.model import Amounts, Metric


def retries(reasons: Mapping[str, int]) -> Amounts:
    """Retries by reason."""
    return {(Metric.RETRIES, reason): times for reason, times in reasons.items()}
