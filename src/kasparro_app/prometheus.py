"""The figures of the ledger in Prometheus's text format, made anew for each scrape: none of them lives in a process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from math import inf

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from kasparro_app.figures import Ledger, Sums, cumulated_buckets, labelled, seconds_of
from kasparro_app.sources_view import lag_seconds
from kasparro_core.model import Metric

_COUNTERS = (
    ("etl_records_processed", Metric.RECORDS, "outcome", "Items processed, by what became of them."),
    ("etl_runs", Metric.RUNS, "status", "Finished runs, by status."),
    ("etl_rejections", Metric.REJECTIONS, "code", "Refused items and noted values, each time they were seen."),
    ("etl_retries", Metric.RETRIES, "reason", "HTTP requests that were made again, by reason."),
    ("etl_drift_events", Metric.DRIFT, "change", "Changes of a source's shape."),
    ("etl_anomalies", Metric.ANOMALIES, "metric", "Findings that were told, by the figure that stood out."),
)


def render(ledger: Ledger, now: datetime) -> bytes:
    """The text. The labels are sources, and words from the code: few."""
    registry = CollectorRegistry()
    registry.register(_OfLedger(ledger, now))
    return generate_latest(registry)


class _OfLedger(Collector):
    def __init__(self, ledger: Ledger, now: datetime) -> None:
        self._ledger = ledger
        self._now = now

    def collect(self) -> Iterator[Family]:
        for name, metric, label, help_text in _COUNTERS:
            yield self._counter(name, metric, label, help_text)
        yield self._plain("etl_throttled", Metric.THROTTLED, "Answers that said: too many requests.")
        yield self._plain("etl_feed_gaps", Metric.GAPS, "Feeds in which everything was new.")
        yield self._durations()
        yield self._last_success()
        yield self._lag()
        yield self._alarms()

    def _counter(self, name: str, metric: Metric, label: str, help_text: str) -> Family:
        family = CounterMetricFamily(name, help_text, labels=("source", label))
        for source, sums in self._sums():
            for word, value in labelled(sums, metric).items():
                family.add_metric((source, word), value)
        return family

    def _plain(self, name: str, metric: Metric, help_text: str) -> Family:
        family = CounterMetricFamily(name, help_text, labels=("source",))
        for source, sums in self._sums():
            family.add_metric((source,), sums[metric, ""])
        return family

    def _durations(self) -> Family:
        family = HistogramMetricFamily("etl_run_duration_seconds", "How long finished runs took.", labels=("source",))
        for source, sums in self._sums():
            buckets = [("+Inf" if bound == inf else str(bound), n) for bound, n in cumulated_buckets(sums)]
            family.add_metric((source,), buckets, seconds_of(sums))
        return family

    def _last_success(self) -> Family:
        family = GaugeMetricFamily(
            "etl_last_success_timestamp_seconds", "When a run last came through.", labels=("source",)
        )
        for source, latest in sorted(self._ledger.latest.items()):
            if latest.success is not None and latest.success.finished_at is not None:
                family.add_metric((source,), latest.success.finished_at.timestamp())
        return family

    def _lag(self) -> Family:
        family = GaugeMetricFamily(
            "etl_lag_seconds", "Time since the last run that came through began.", labels=("source",)
        )
        for source, latest in sorted(self._ledger.latest.items()):
            lag = lag_seconds(latest, self._now)
            if lag is not None:
                family.add_metric((source,), lag)
        return family

    def _alarms(self) -> Family:
        help_text = "Findings that nobody has acknowledged."
        family = GaugeMetricFamily("etl_anomalies_open", help_text, labels=("source",))
        for source in sorted({*self._ledger.latest, *self._ledger.alarms}):
            family.add_metric((source,), self._ledger.alarms.get(source, 0))
        return family

    def _sums(self) -> Iterable[tuple[str, Sums]]:
        return sorted(self._ledger.sums.items())
