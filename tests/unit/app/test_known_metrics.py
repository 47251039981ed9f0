"""The metrics that a mute may name."""

from __future__ import annotations

import re
from pathlib import Path

from kasparro_app.alarms_view import KNOWN_METRICS

GUIDE = Path(__file__).parents[3] / "docs" / "how-to" / "watch-for-anomalies.md"


def test_they_are_those_that_the_guide_explains() -> None:
    """Each metric stands in the first column of its table, and nothing else does."""
    _, _, after = GUIDE.read_text(encoding="utf-8").partition("## What is looked at")
    rows = after.partition("\n## ")[0].split("\n| ")[1:]
    told = [metric for row in rows for metric in re.findall(r"`(\w+)`", row.partition(" |")[0])]
    assert sorted(told) == list(KNOWN_METRICS)
