"""Figures of the HTTP side, true for all worker processes of a service together.

prometheus_client shares its values through files when `PROMETHEUS_MULTIPROC_DIR` names a directory by the time it is
first imported: the parent of several workers sets that variable, to an empty directory, before it starts them.
Otherwise the values live in this process.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.values import ValueClass

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER: Final = "other"
"""The label of every other method: callers choose the word, labels have to stay few."""

_registry = CollectorRegistry()
_requests = Counter(
    "http_requests_total",
    "HTTP requests by path template, method and status.",
    ("route", "method", "status"),
    registry=_registry,
)
_seconds = Histogram(
    "http_request_duration_seconds",
    "Time from the request to the end of its answer, by path template.",
    ("route",),
    registry=_registry,
)


def observe(route: str, method: str, status: int, seconds: float) -> None:
    """Count a request that was answered. `route` is a path template."""
    _requests.labels(route, method if method in METHODS else OTHER, str(status)).inc()
    _seconds.labels(route).observe(seconds)


def render() -> bytes:
    """The figures of all workers in Prometheus's text format."""
    if not ValueClass._multiprocess:  # noqa: SLF001 - the only thing that tells how the library was set up
        return generate_latest(_registry)
    shared = CollectorRegistry()
    MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
    return generate_latest(shared)
