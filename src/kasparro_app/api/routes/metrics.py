"""/metrics: Prometheus's text format."""

from __future__ import annotations

from typing import Final

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response

from kasparro_app.api import http_metrics
from kasparro_app.api.operation import Answer, Call, Operation
from kasparro_app.figures import read_ledger
from kasparro_app.prometheus import render


async def metrics(call: Call) -> Response:
    """Figures of all processes, from the database; those of HTTP from the workers of this service. Without the
    database there is no answer: figures that are missing would look like a service that does nothing."""
    async with call.service.store.begin(write=False) as work:
        ledger = await read_ledger(work)
    text = render(ledger, call.service.clock.now()) + http_metrics.render()
    return Response(text, 200, {"Cache-Control": "no-store"}, CONTENT_TYPE_PLAIN_0_0_4)


OPERATIONS: Final = (
    Operation(
        "GET",
        "/metrics",
        "Figures for Prometheus",
        metrics,
        {200: Answer("Prometheus's text format, version 0.0.4.", media=("text/plain",))},
        "ledger",
    ),
)
