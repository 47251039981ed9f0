"""/: one page for people, without script. The same figures as JSON are behind its links."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from starlette.responses import Response

from kasparro_app.alarms_view import anomaly_view
from kasparro_app.api.answers import etag_of, not_modified
from kasparro_app.api.operation import Answer, Call, Operation
from kasparro_app.figures import figures_view, read_ledger
from kasparro_app.health import BAD, health_view
from kasparro_app.identity_view import counts_view
from kasparro_app.service import Service
from kasparro_app.sources_view import source_views
from kasparro_app.views import rejection_view, run_view
from kasparro_core.errors import StorageError
from kasparro_core.model import AnomalyQuery, AnomalyState, RejectionQuery, RejectionState, RunQuery

RUNS: Final = 20
REJECTIONS: Final = 20
ANOMALIES: Final = 20
POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""Its own style sheet and nothing else: what stands in a source's texts can do nothing here."""
_HTML: Final = "text/html; charset=utf-8"
_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"))


async def page(call: Call) -> Response:
    """The page; without the database it says so (503)."""
    service = call.service
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    try:
        facts = await _facts(service)
    except StorageError:
        fault = "The database does not answer. The log of the service says why; this page comes back by itself."
        text = _template().render(status="unavailable", fault=fault, now=service.clock.now())
        return Response(text, 503, {**headers, "Retry-After": "15"}, _HTML)
    return Response(_template().render(facts, fault=None), 200, headers, _HTML)


async def style(call: Call) -> Response:
    """The page's style sheet."""
    content = _style()
    etag = etag_of(content)
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    return not_modified(call, etag, headers=headers) or Response(content, 200, headers, "text/css; charset=utf-8")


async def _facts(service: Service) -> dict[str, Any]:
    now = service.clock.now()
    vitals, milliseconds = await service.vitals.ask()
    health = health_view(
        vitals,
        service.settings.sources,
        scheduler=service.options.scheduler,
        running=service.desk.running,
        milliseconds=milliseconds,
    )
    async with service.store.begin(write=False) as work:
        runs = await work.runs.list(RunQuery(limit=RUNS))
        rejections = await work.rejections.list(RejectionQuery(state=RejectionState.OPEN, limit=REJECTIONS))
        anomalies = await work.findings.anomalies(AnomalyQuery(state=AnomalyState.OPEN, limit=ANOMALIES))
        sources = await source_views(work, service.settings.sources, now)
        ledger = await read_ledger(work)
        identity = counts_view(await work.entities.counts())
    return {
        "status": health["status"],
        "cards": _cards(health, figures_view(ledger.whole(), sum(ledger.running.values()), (), ()), now),
        "sources": sources,
        "identity": identity,
        "runs": [run_view(run) for run in runs],
        "anomalies": [anomaly_view(anomaly) for anomaly in anomalies],
        "rejections": [rejection_view(rejection) for rejection in rejections],
        "now": now,
    }


def _cards(health: Mapping[str, Any], figures: Mapping[str, Any], now: datetime) -> list[tuple[str, str, str]]:
    """Name, figure, and a word on it."""
    records, runs, scheduler = figures["records"], figures["runs"], health["scheduler"]
    enabled = [source for source in health["sources"] if source["enabled"]]
    bad = sum(source["last_status"] in BAD for source in enabled)
    return [
        ("sources", f"{len(enabled)}", f"{bad} failed last" if bad else "none failed last"),
        (
            "records processed",
            f"{records['processed']:,}",
            f"{records['inserted']:,} new, {records['updated']:,} changed",
        ),
        ("rejected", f"{records['rejected']:,}", "items, since the first run"),
        ("runs", f"{runs['total']:,}", f"{runs['running']} under way, {runs['failed']:,} failed"),
        ("next slot", _ahead(scheduler["next_at"], now), f"{scheduler['overdue']} overdue"),
    ]


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("kasparro_app", "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["when"] = _when
    environment.filters["span"] = _span
    return environment.get_template("status.html")


@cache
def _style() -> bytes:
    return (resources.files("kasparro_app") / "static" / "kasparro.css").read_bytes()


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _span(seconds: float) -> str:
    """A span of time in its largest unit."""
    for length, unit in _UNITS:
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _ahead(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "none"
    return f"in {_span((moment - now).total_seconds())}" if moment > now else "due"


OPERATIONS: Final = (
    Operation("GET", "/", "The status page", page, {200: Answer("A page", media=(_HTML,))}, "docs", documented=False),
    Operation(
        "GET",
        "/static/kasparro.css",
        "Its style sheet",
        style,
        {200: Answer("A style sheet")},
        "docs",
        documented=False,
        open=True,
    ),
)
