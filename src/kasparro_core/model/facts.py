"""What is known of a run beside its counters: which program and which shape it ran with, how its upstream answered, how
empty its items were. Written in the transaction that ends it, pruned with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from kasparro_core.model.run import Run


@dataclass(frozen=True, slots=True)
class Latency:
    """How long the requests took that were answered, from sending to the last byte, in milliseconds; `requests` is how
    many. p50 and p95 are within 2.5 % of the exact ones, `most` is exact."""

    requests: int
    p50: Decimal
    p95: Decimal
    most: Decimal


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Facts of one run; None: not known.

    `schema_version` is the accepted shape that held at its end. `change_seq` is the place in the feed of changes at its
    end: everything the run wrote is at or before it, everything that a later run of its source wrote is behind it.
    `items` is how many items were looked at; of so many `null_rates` tells by dotted path which share had nothing
    there (null, or no such field; 0 to 1). Inside of arrays it is a share of the elements. `null_rates_cut`: there were
    more paths than are kept. `newest` is the latest `occurred_at` of its items, but for those that lie ahead of it.
    `comparable`: what it counted can be compared with other runs. It cannot be where something of the source was not
    read, because it failed, was not asked or had not changed, or where more was asked for than in other runs.
    """

    code_version: str | None = None
    schema_version: int | None = None
    change_seq: int | None = None
    latency: Latency | None = None
    items: int = 0
    null_rates: Mapping[str, Decimal] = field(default_factory=dict)
    null_rates_cut: bool = False
    newest: datetime | None = None
    comparable: bool = False

    def null_rate(self, path: str) -> Decimal | None:
        """The share of a path. One that no item had is 1, unless that cannot be told: no item was looked at, not all
        paths are kept, or it lies inside of an array or a map."""
        found = self.null_rates.get(path)
        if found is not None or not self.items or self.null_rates_cut or "[]" in path or "*" in path:
            return found
        return Decimal(1)

    def document(self) -> dict[str, Any]:
        """As JSON that `facts_of` reads."""
        latency = self.latency
        return {
            "code_version": self.code_version,
            "schema_version": self.schema_version,
            "change_seq": self.change_seq,
            "latency_ms": latency
            and {"requests": latency.requests, "p50": latency.p50, "p95": latency.p95, "max": latency.most},
            "items": self.items,
            "null_rates": dict(self.null_rates),
            "null_rates_cut": self.null_rates_cut,
            "newest": self.newest and self.newest.isoformat(),
            "comparable": self.comparable,
        }


class PastRun(NamedTuple):
    """An earlier run and its facts: None where they are not known (it died, or ran before they were kept)."""

    run: Run
    facts: RunFacts | None = None


def facts_of(document: Mapping[str, Any]) -> RunFacts:
    """The facts in a stored document."""
    latency, newest = document["latency_ms"], document["newest"]
    return RunFacts(
        code_version=document["code_version"],
        schema_version=document["schema_version"],
        change_seq=document["change_seq"],
        latency=latency and Latency(latency["requests"], *(Decimal(latency[name]) for name in ("p50", "p95", "max"))),
        items=document["items"],
        null_rates={path: Decimal(rate) for path, rate in document["null_rates"].items()},
        null_rates_cut=document["null_rates_cut"],
        newest=newest and datetime.fromisoformat(newest),
        comparable=document["comparable"],
    )
