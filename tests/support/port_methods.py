"""Every method of every repository with arguments that make it speak to the database; found complete by reflection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, get_type_hints

from kasparro_core.model import (
    AnomalyQuery,
    AnomalyState,
    ApiKey,
    BatchRead,
    Bound,
    Counters,
    EntityQuery,
    Event,
    EventType,
    FindingQuery,
    GivenAnswer,
    Lease,
    Metric,
    Mute,
    Observation,
    PartitionState,
    Prunable,
    RecordQuery,
    RejectionQuery,
    RunFacts,
    RunQuery,
    RunStatus,
    ScheduleState,
    Scope,
    Slot,
    SlotState,
    Trigger,
    Validator,
)
from kasparro_core.model.budget import Budget
from kasparro_core.model.entity import AssetId, Decision, Naming, Rename, Verdict
from kasparro_core.model.mention import Mention
from kasparro_core.model.span import Span
from kasparro_core.ports import UnitOfWork
from kasparro_core.testing.anomalies import standing
from kasparro_core.testing.build import SOURCE, bring_in, later, payload, prepared, record, rejection
from kasparro_core.testing.entities import BITCOIN
from kasparro_core.testing.findings import drift
from kasparro_core.testing.schemas import schema

LEASE = Lease(SOURCE, "", "me", 1, None, later(60))
_SURE = Decimal("0.9")
_ASSET = AssetId(SOURCE, "1")
_SCHEDULE = ScheduleState(SOURCE, "every 5m", later(0), later(0))
_SEEN = Observation(SOURCE, 1, None, later(0))
_BOUND = Bound(before=later(0))

METHODS: dict[str, Callable[[UnitOfWork], Awaitable[Any]]] = {
    "records.upsert": lambda work: bring_in(work, [record("k")]),
    "records.upsert_apart": lambda work: work.records.upsert_apart([prepared(record("k"))], _SEEN),
    "records.get": lambda work: work.records.get(1),
    "records.page": lambda work: work.records.page(RecordQuery()),
    "records.versions": lambda work: work.records.versions(1),
    "records.select": lambda work: work.records.select(RecordQuery()),
    "records.changes": lambda work: work.records.changes(RecordQuery(), after_seq=0),
    "records.last_change": lambda work: work.records.last_change(),
    "records.count": lambda work: work.records.count(),
    "records.estimate": lambda work: work.records.estimate(RecordQuery(source=SOURCE)),
    "records.fates": lambda work: work.records.fates(Span(SOURCE, 1, 2, later(0), later(1))),
    "records.latest": lambda work: work.records.latest([_ASSET]),
    "records.present": lambda work: work.records.present(SOURCE, later(0)),
    "records.mark_gone": lambda work: work.records.mark_gone([1], later(0)),
    "raw.put": lambda work: work.raw.put(SOURCE, "", payload("x")),
    "raw.get": lambda work: work.raw.get(1),
    "raw.find": lambda work: work.raw.find(SOURCE, "", "h:f"),
    "runs.start": lambda work: work.runs.start(SOURCE, Trigger.CLI, later(0)),
    "runs.add": lambda work: work.runs.add(1, Counters(fetched=1)),
    "runs.record_read": lambda work: work.runs.record_read(
        BatchRead(1, "", 1, None, None, None, later(0)), counters=Counters()
    ),
    "runs.finish": lambda work: work.runs.finish(1, RunStatus.FAILED, later(0)),
    "runs.get": lambda work: work.runs.get(1),
    "runs.list": lambda work: work.runs.list(RunQuery()),
    "runs.latest": lambda work: work.runs.latest(),
    "runs.put_facts": lambda work: work.runs.put_facts(1, RunFacts()),
    "runs.facts": lambda work: work.runs.facts(1),
    "runs.history": lambda work: work.runs.history(SOURCE, before=1),
    "runs.alike": lambda work: work.runs.alike(SOURCE, [(later(0), later(9))], before=1),
    "runs.reads": lambda work: work.runs.reads(SOURCE),
    "runs.listing": lambda work: work.runs.listing(SOURCE, ""),
    "checkpoints.get": lambda work: work.checkpoints.get(SOURCE, ""),
    "checkpoints.save": lambda work: work.checkpoints.save(SOURCE, "", {}, expected_version=0, run_id=1, at=later(0)),
    "checkpoints.list": lambda work: work.checkpoints.list(),
    "partitions.save": lambda work: work.partitions.save(PartitionState(SOURCE, "")),
    "partitions.list": lambda work: work.partitions.list(),
    "rejections.add": lambda work: work.rejections.add(SOURCE, "", 1, None, [rejection()], later(0)),
    "rejections.resolve": lambda work: work.rejections.resolve(SOURCE, ["k"], later(0)),
    "rejections.settle": lambda work: work.rejections.settle(1, [0], []),
    "rejections.drop": lambda work: work.rejections.drop([1], later(0)),
    "rejections.get": lambda work: work.rejections.get(1),
    "rejections.list": lambda work: work.rejections.list(RejectionQuery()),
    "validators.load": lambda work: work.validators.load(SOURCE, ""),
    "validators.forget": lambda work: work.validators.forget(SOURCE, ""),
    "validators.save": lambda work: work.validators.save(SOURCE, "", [Validator("h")]),
    "leases.get": lambda work: work.leases.get(SOURCE, ""),
    "leases.take": lambda work: work.leases.take(SOURCE, "", owner="me", ttl=60, seen=None),
    "leases.renew": lambda work: work.leases.renew(LEASE, ttl=60),
    "leases.attach": lambda work: work.leases.attach(LEASE, 1),
    "leases.release": lambda work: work.leases.release(LEASE),
    "totals.add": lambda work: work.totals.add(SOURCE, {(Metric.BYTES, ""): 1}),
    "totals.list": lambda work: work.totals.list(),
    "events.append": lambda work: work.events.append(Event(EventType.RUN_STARTED, SOURCE, 1, later(0))),
    "events.after": lambda work: work.events.after(0),
    "events.last_id": lambda work: work.events.last_id(),
    "keys.add": lambda work: work.keys.add(ApiKey("ci", Scope.READ, "h", later(0))),
    "keys.list": lambda work: work.keys.list(),
    "keys.revoke": lambda work: work.keys.revoke("ci", later(0)),
    "schedules.now": lambda work: work.schedules.now(),
    "schedules.list": lambda work: work.schedules.list(),
    "schedules.get": lambda work: work.schedules.get(SOURCE),
    "schedules.due": lambda work: work.schedules.due(),
    "schedules.add": lambda work: work.schedules.add(_SCHEDULE),
    "schedules.put": lambda work: work.schedules.put(_SCHEDULE),
    "schedules.advance": lambda work: work.schedules.advance(_SCHEDULE, slot_at=None, next_at=None),
    "schedules.pause": lambda work: work.schedules.pause(SOURCE, later(0)),
    "schedules.record": lambda work: work.schedules.record([Slot(SOURCE, later(0), SlotState.RAN, 1)]),
    "schedules.slots": lambda work: work.schedules.slots(SOURCE),
    "rates.get": lambda work: work.rates.get("k"),
    "rates.hold": lambda work: work.rates.hold("k"),
    "rates.put": lambda work: work.rates.put("k", Budget()),
    "answers.get": lambda work: work.answers.get("k"),
    "answers.put": lambda work: work.answers.put(GivenAnswer("k", "h", 202, None, "{}", later(0))),
    "entities.list": lambda work: work.entities.list(EntityQuery()),
    "entities.get": lambda work: work.entities.get("btc-bitcoin"),
    "entities.links": lambda work: work.entities.links("btc-bitcoin"),
    "entities.claims": lambda work: work.entities.claims([_ASSET]),
    "entities.known": lambda work: work.entities.known(),
    "entities.candidates": lambda work: work.entities.candidates(),
    "entities.counts": lambda work: work.entities.counts(),
    "entities.namings": lambda work: work.entities.namings(),
    "entities.rulings": lambda work: work.entities.rulings(),
    "identity.unlike": lambda work: work.identity.unlike(SOURCE, {"1": "h"}),
    "identity.lock": lambda work: _held(work),
    "identity.closed": lambda work: work.identity.closed([_ASSET], ["k"]),
    "identity.crowds": lambda work: work.identity.crowds(),
    "identity.disperse": lambda work: work.identity.disperse(),
    "identity.near": lambda work: work.identity.near([(SOURCE, "k")], most=9),
    "identity.said": lambda work: work.identity.said([_ASSET]),
    "identity.former": lambda work: work.identity.former([_ASSET]),
    "identity.entities": lambda work: work.identity.entities(["btc-bitcoin"], [_ASSET]),
    "identity.save": lambda work: work.identity.save(Decision(made=[BITCOIN])),
    "identity.rule": lambda work: work.identity.rule(Verdict.SAME, [(_ASSET, _ASSET)], later(0)),
    "identity.undo": lambda work: work.identity.undo(1, later(0)),
    "identity.name": lambda work: work.identity.name([Naming(_ASSET, "btc-bitcoin")]),
    "identity.rename": lambda work: work.identity.rename([Rename(SOURCE, "a", "b", later(0))]),
    "mentions.bearing": lambda work: work.mentions.bearing(["k"]),
    "mentions.changed": lambda work: work.mentions.changed(SOURCE, ["k"], 1),
    "mentions.put": lambda work: work.mentions.put(SOURCE, {"k": [Mention("btc-bitcoin", "name", _SURE)]}),
    "mentions.of": lambda work: work.mentions.of(SOURCE, "k"),
    "findings.add_drift": lambda work: work.findings.add_drift([drift(1)]),
    "findings.drift": lambda work: work.findings.drift(FindingQuery()),
    "findings.add_anomalies": lambda work: work.findings.add_anomalies([standing()]),
    "findings.anomalies": lambda work: work.findings.anomalies(AnomalyQuery()),
    "findings.anomaly": lambda work: work.findings.anomaly(1),
    "findings.standing": lambda work: work.findings.standing(SOURCE),
    "findings.close": lambda work: work.findings.close([1], AnomalyState.RESOLVED, later(0)),
    "findings.open_anomalies": lambda work: work.findings.open_anomalies(),
    "findings.mutes": lambda work: work.findings.mutes(),
    "findings.add_mute": lambda work: work.findings.add_mute(Mute(SOURCE, later(0))),
    "findings.remove_mute": lambda work: work.findings.remove_mute(1),
    "histories.changed": lambda work: work.histories.changed(SOURCE, "quote", 1, later(0)),
    "histories.newest": lambda work: work.histories.newest(SOURCE, "quote"),
    "histories.silent": lambda work: work.histories.silent(SOURCE, "quote", later(0), revisions=1),
    "histories.earlier": lambda work: work.histories.earlier([1]),
    "histories.late": lambda work: work.histories.late(SOURCE, 1, later(0)),
    "histories.twins": lambda work: work.histories.twins(SOURCE, ["a"]),
    "schemas.newest": lambda work: work.schemas.newest(SOURCE),
    "schemas.save": lambda work: work.schemas.save(schema(1)),
    "retention.settle": lambda work: work.retention.settle(Prunable.RAW, Bound(max_bytes=1)),
    **{
        f"retention.{name}:{what}": lambda work, name=name, what=what: getattr(work.retention, name)(what, _BOUND)
        for name in ("prune", "prunable")
        for what in Prunable
    },
}
"""By "repository.method", behind a colon what tells several calls of one method apart."""

WITHOUT_TABLE = frozenset({"schedules.now"})


async def _held(work: UnitOfWork) -> None:
    """On SQLite the unit of work has its lock already; what is asked for under it speaks to the database."""
    await work.identity.lock(["k"])
    await work.identity.near([(SOURCE, "k")], most=9)


def port_methods() -> set[str]:
    """The same names as the ports have them: the methods of each repository of a UnitOfWork."""
    return {
        f"{name}.{method}"
        for name, member in vars(UnitOfWork).items()
        if isinstance(member, property)
        for method in vars(get_type_hints(member.fget)["return"])
        if not method.startswith("_")
    }
