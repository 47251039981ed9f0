"""The reference of metrics and what /metrics answers say the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from kasparro_app import prometheus
from kasparro_app.api import http_metrics
from kasparro_app.figures import Ledger
from kasparro_core.model import DURATION_BOUNDS

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "metrics.md").read_text("utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \|", re.MULTILINE)


def answered() -> Iterator[tuple[str, str]]:
    """Name and type of each metric as a scrape of a service that did nothing yet shows it."""
    text = prometheus.render(Ledger({}, {}, {}, {}), datetime(2026, 1, 1, tzinfo=UTC)) + http_metrics.render()
    for family in text_string_to_metric_families(text.decode()):
        yield family.name + ("_total" if family.type == "counter" else ""), family.type


def test_every_metric_is_documented() -> None:
    """The rows of the page are the metrics of a scrape, each with its type. When a counter was made, which the library
    adds to each, is no metric of its own."""
    assert set(ROW.findall(PAGE)) == {(name, kind) for name, kind in answered() if not name.endswith("_created")}


def test_every_bound_of_the_histogram_is_documented() -> None:
    """The page names the bounds by which durations of runs are sorted."""
    (sentence,) = re.findall(r"bounds ([\d., and]+) seconds", PAGE)
    stated = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", sentence.replace("3,600", "3600"))]
    assert stated == list(DURATION_BOUNDS)
