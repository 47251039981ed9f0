"""Sources: their configuration without secrets, their schedule, and how they did last."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from kasparro_app.api.shapes.common import Answered, Moment, Paged, Shape
from kasparro_app.api.shapes.runs import RunShape, SlotShape


class PublicAuth(Shape):
    """How the source shows who it is. What it shows is never shown."""

    type: str = Field(description="bearer, basic or api_key.")
    header: str | None = Field(None, description="The header that carries the key.")
    query: str | None = Field(None, description="The query parameter that carries the key.")


class PublicConfiguration(Shape):
    """The keys of `[sources.NAME]` that are no secret, as they hold (presets and defaults included). A key is there for
    the types of source that have it."""

    type: str = Field(description="http, csv or feed.")
    kind: str = Field(description="The kind of its records.")
    url: str | None = Field(None, description="Where it is read from; values of the query as `***`, no user.")
    urls: list[str] | None = Field(None, description="The feeds of a list, in the same way.")
    opml: str | None = Field(None, description="The subscription list, in the same way.")
    path: str | None = Field(None, description="The file, glob or address of a CSV source, in the same way.")
    preset: str | None = Field(None, description="The preset it builds on.")
    records: str | None = Field(None, description="The dotted path of the array in the body.")
    when_fresh: str | None = Field(None, description="ask or wait: what timed runs do while answers are fresh.")
    root: str | None = Field(None, description="The folder that files have to lie in; null: the configuration's.")
    respect_ttl: bool | None = Field(None, description="Whether timed runs wait as long as a feed asks for.")
    delimiter: str | None = Field(None, description="As declared; null: found out.")
    quote: str | None = Field(None, description="As declared; null: found out.")
    encoding: str | None = Field(None, description="As declared; null: found out.")
    header: bool | str | None = Field(None, description='true, false or "auto".')
    columns: list[str] | None = Field(None, description="Names in the place of a header.")
    decimal: str | None = Field(None, description="The decimal mark of texts.")
    skip_lines: int | None = Field(None, description="Lines in front of the table.")
    member: str | None = Field(None, description="The file inside a zip archive.")
    batch_rows: int | None = Field(None, description="Rows of a batch.")
    schedule: str = Field(description="As configured: manual, every ..., or a cron line.")
    timezone: str = Field(description="The zone of a cron line.")
    jitter: str | None = Field(description="By how much slots are spread; null: the default.")
    enabled: bool = Field(description="False leaves it out of everything.")
    max_rejected: float = Field(description="The share of rejected items above which a run is degraded.")
    fail_rejected: float = Field(description="The share of rejected items above which a run fails.")
    drift: str = Field(description="What to do when the shape of the source changes.")
    mark_gone: bool = Field(description="Whether keys that a full walk no longer shows are marked.")
    mark_gone_max: float = Field(description="The share of the records above which none is marked.")
    raw: str = Field(description="keep or none: whether received payloads are kept.")
    anomalies: bool = Field(description="Whether its runs and records are compared with their past.")
    identity: bool = Field(description="Whether its ids are linked to entities.")
    history: bool = Field(description="Whether earlier versions of records are kept.")
    params: dict[str, str] | None = Field(None, description="The query parameters by name; their values as `***`.")
    headers: dict[str, str] | None = Field(None, description="The request headers by name; their values as `***`.")
    auth: PublicAuth | None = Field(None, description="How it shows who it is; null: it does not.")
    method: str | None = Field(None, description="The HTTP method.")
    timeout: float | None = Field(None, description="Seconds for one attempt.")
    max_bytes: int | None = Field(None, description="The largest answer, unpacked.")
    max_ratio: int | None = Field(None, description="How many times its size on the wire an answer may unpack to.")
    allow_private_hosts: bool | None = Field(None, description="Whether addresses that are not public may be asked.")
    paginate: dict[str, Any] | None = Field(None, description="How the pages are walked.")
    incremental: dict[str, Any] | None = Field(None, description="How only what is new is asked for.")
    backfill: dict[str, Any] | None = Field(None, description="How past windows are asked for.")
    retry: dict[str, Any] | None = Field(None, description="How often and how long is tried again.")
    limit: dict[str, Any] | None = Field(None, description="The rate budget.")
    mapping: dict[str, Any] = Field(description="How an item becomes a record; what is not declared is left out.")


class ScheduleShape(Shape):
    """Where a source's schedule stands."""

    spec: str = Field(description="What the slots are computed from: schedule, time zone, jitter.")
    next_slot_at: Moment | None = Field(description="The next slot's nominal instant; null: there is none.")
    next_at: Moment | None = Field(description="When it is due, jitter included.")
    paused: bool = Field(description="Whether a person has paused it.")
    paused_at: Moment | None = Field(description="Since when.")


class FreshnessShape(Shape):
    """How old the data of a source is."""

    last_success_at: Moment | None = Field(description="When a run last came through; null: none did yet.")
    lag_seconds: float | None = Field(description="Seconds since that run began: what is newer may not be here yet.")


class PartitionShape(Shape):
    """A part of a source: one file, one feed; "" is the whole."""

    partition: str = Field(description="The part's name, without secrets.")
    state: str = Field(description="ok, failed, or gone: taken down for good, left alone by timed runs.")
    last_error: str | None = Field(description="What went wrong last.")
    url: str | None = Field(description="The address that a feed has moved to; null: it is where it is configured.")
    next_at: Moment | None = Field(description="Timed runs do not ask for it before; null: at any time.")
    quiet: str | None = Field(description="The hours and days (UTC) in which timed runs do not ask for it.")
    gaps: int = Field(description="How often everything in a feed was new: what came in between may be lost.")
    gap_at: Moment | None = Field(description="When that was seen last.")
    checkpoint_version: int | None = Field(description="How often its position was committed; null: never.")
    checkpoint_at: Moment | None = Field(description="The instant of the last committed observation.")


class WindowsShape(Shape):
    """The windows of a source's backfills, together."""

    windows: int = Field(description="How many were read, or begun.")
    failed: int = Field(description="How many failed when they were last asked for.")
    starts_at: Moment | None = Field(description="Where the earliest begins.")
    ends_at: Moment | None = Field(description="Where the latest ends.")
    read_at: Moment | None = Field(description="The instant of the last committed observation.")


class SourceShape(Shape):
    """A configured source and how it did last."""

    source: str = Field(description="The configured name.")
    configuration: PublicConfiguration = Field(description="Its configuration without secrets.")
    schedule: ScheduleShape | None = Field(description="Where its schedule stands; null for one without slots so far.")
    freshness: FreshnessShape = Field(description="How old its data is.")
    last_run: RunShape | None = Field(description="Its newest run; null before the first.")
    open_anomalies: int = Field(description="How many findings about it nobody has acknowledged.")


class SourcesAnswer(Paged):
    """The configured sources."""

    data: list[SourceShape] = Field(description="All configured sources, by name.")


class SourceAnswer(SourceShape, Answered):
    """One configured source."""

    partitions: list[PartitionShape] = Field(description="Its parts, as far as they were read; not windows.")
    backfill: WindowsShape | None = Field(description="The windows of its backfills; null: there are none.")
    slots: list[SlotShape] = Field(description="Its newest slots, at most 20, newest first.")


class ScheduleAnswer(ScheduleShape, Answered):
    """Where the schedule stands after the call."""

    source: str = Field(description="The source.")
