"""The tables as this program expects them; `migrations/` makes them, and a test holds the two together.

Public names and columns are a contract (see the docs); private columns are marked.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    column,
    literal_column,
)

from kasparro_adapters.sql.table_base import id_column, metadata
from kasparro_adapters.sql.types import BigId, ExactDecimal, Instant, Name, SearchableJson, Words


def _state() -> list[Column[object]]:
    """What a record and each of its versions hold: the content and the observation that brought it."""
    return [
        Column("kind", Name, nullable=False),
        Column("external_id", Name),
        Column("title", Text),
        Column("symbol", Name),
        Column("value", ExactDecimal),
        Column("currency", Name),
        Column("url", Text),
        Column("occurred_at", Instant),
        Column("attributes", SearchableJson, nullable=False),
        Column("content_hash", Name, nullable=False),
        Column("raw_id", BigId),
        Column("raw_index", Integer, nullable=False),
        Column("run_id", BigId, nullable=False),
    ]


records = Table(
    "records",
    metadata,
    id_column("record_id"),
    Column("source", Name, nullable=False),
    Column("key", Name, nullable=False),
    *_state(),
    Column("first_seen_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("change_seq", BigId, nullable=False),
    Column("gone_at", Instant),
    Column("title_folded", Text),  # private: the casefolded title, so that `q` means the same on every store
    UniqueConstraint("source", "key"),
    # What `/data` reads in order of, each with record_id as the tie-breaker: a page costs the same wherever it lies.
    Index(None, "updated_at", "record_id"),
    Index(None, "occurred_at", "record_id"),
    Index(None, "source", "record_id"),  # PostgreSQL: by LISTED, so that no look-up of (source, key) takes this way
    Index(None, "kind", "record_id"),
    Index(None, "change_seq"),
    sqlite_autoincrement=True,
)
WITH_SYMBOL = records.c.symbol.is_not(None)

Index(  # as the others; what has no symbol, as most files, pays nothing for it
    "ix_records_symbol_record_id",
    records.c.symbol,
    records.c.record_id,
    sqlite_where=WITH_SYMBOL,
    postgresql_where=WITH_SYMBOL,
)

OF_AN_ASSET = records.c.external_id.is_not(None)

Index(  # the records of an asset, the latest last; led by no source: no look-up of (source, key) takes this way
    "ix_records_asset",
    records.c.external_id,
    records.c.source,
    records.c.occurred_at,
    records.c.record_id,
    sqlite_where=OF_AN_ASSET,
    postgresql_where=OF_AN_ASSET,
)

LISTED = "POSIX"
"""PostgreSQL's collation of `source` in the index by which the records of a source are listed. It compares as the
column's own one does; a condition has to name it."""

value_order = column("value_order", Text)
"""Private, SQLite alone (PostgreSQL sorts NUMERIC by itself): the order-preserving twin of `value`."""

record_versions = Table(
    "record_versions",
    metadata,
    id_column("version_id"),
    Column("record_id", BigId, nullable=False),
    *_state(),
    Column("observed_at", Instant, nullable=False),
    UniqueConstraint("record_id", "observed_at", "raw_id", "raw_index"),
    Index(None, "record_id", "content_hash"),
    Index(None, "observed_at", "version_id"),
    sqlite_autoincrement=True,
)

change_counter = Table(
    "change_counter",
    metadata,
    Column("counter_id", Integer, primary_key=True, autoincrement=False),
    Column("last_seq", BigId, nullable=False),
)
"""Private, two rows: the last change_seq (CHANGES) and the last event_id (EVENTS) given out. The lock of a row makes
the order of its numbers the order of commits."""

CHANGES = 1
EVENTS = 2

raw_batches = Table(
    "raw_batches",
    metadata,
    id_column("raw_id"),
    Column("source", Name, nullable=False),
    Column("partition", Name, nullable=False),
    Column("content_hash", Name, nullable=False),
    Column("facts_hash", Name, nullable=False),  # private: tells readings of the same bytes apart
    Column("codec", Name, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("decode_facts", Text, nullable=False),
    Column("record_count", Integer, nullable=False),
    UniqueConstraint("source", "partition", "content_hash", "facts_hash"),
    sqlite_autoincrement=True,
)

run_batches = Table(
    "run_batches",
    metadata,
    id_column("read_id"),
    Column("run_id", BigId, nullable=False),
    Column("partition", Name, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("raw_id", BigId),
    Column("url", Words),
    Column("status", Integer),
    Column("observed_at", Instant, nullable=False),
    Column("counters", SearchableJson, nullable=False),
    Column("refused", Integer),  # private: items refused and values noted; NULL: read before this was counted
    Column("extent", Integer, nullable=False, server_default="0"),  # private, as the next: where in a listing it stands
    Column("same_as", Name),
    UniqueConstraint("run_id", "partition", "seq"),
    Index(None, "raw_id", "read_id"),
    sqlite_autoincrement=True,
)
WITH_PAYLOAD = run_batches.c.raw_id.is_not(None)

Index(  # what pruning asks for: the oldest reads whose payload is still there
    "ix_run_batches_with_payload",
    run_batches.c.observed_at,
    run_batches.c.read_id,
    sqlite_where=WITH_PAYLOAD,
    postgresql_where=WITH_PAYLOAD,
)

COUNTERS = (
    "fetched",
    "inserted",
    "updated",
    "unchanged",
    "rejected",
    "batches",
    "bytes_fetched",
    "requests",
    "retries",
    "throttled",
)

runs = Table(
    "runs",
    metadata,
    id_column("run_id"),
    Column("source", Name, nullable=False),
    Column("trigger", Name, nullable=False),
    Column("status", Name, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    *(Column(name, BigId, nullable=False) for name in COUNTERS),
    Column("error_code", Words),
    Column("error", Words),
    Column("resumes", BigId),
    Index(None, "source", "run_id"),
    Index(None, "source", "started_at"),  # those of the same hour of the week
    Index(None, "source", "status", "run_id"),  # the newest run of each status
    Index(None, "status", "run_id"),
    Index(None, "finished_at", "run_id"),
    sqlite_autoincrement=True,
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("source", Name, primary_key=True),
    Column("partition", Name, primary_key=True),
    Column("cursor", Text, nullable=False),
    Column("version", BigId, nullable=False),
    Column("run_id", BigId),
    Column("updated_at", Instant, nullable=False),
)

partitions = Table(
    "partitions",
    metadata,
    Column("source", Name, primary_key=True),
    Column("partition", Name, primary_key=True),
    Column("state", Name, nullable=False),
    Column("last_error", Words),
    Column("next_at", Instant),
    Column("url", Words),
    Column("origin", Name),
    Column("quiet", Text),
    Column("gaps", Integer, nullable=False, server_default="0"),
    Column("gap_at", Instant),
    Column("listing", Text),  # private: the listing that the records were last compared with
)

rejections = Table(
    "rejections",
    metadata,
    id_column("rejection_id"),
    Column("source", Name, nullable=False),
    Column("partition", Name, nullable=False),
    Column("run_id", BigId, nullable=False),
    Column("raw_id", BigId),
    Column("raw_index", Integer, nullable=False),
    Column("stage", Name, nullable=False),
    Column("code", Name, nullable=False),
    Column("path", Words, nullable=False),
    Column("message", Words, nullable=False),
    Column("payload", Words, nullable=False),
    Column("payload_hash", Name, nullable=False),  # private: part of what makes a rejection the same one
    Column("state", Name, nullable=False),
    Column("times", Integer, nullable=False),
    Column("first_seen_at", Instant, nullable=False),
    Column("last_seen_at", Instant),
    Column("closed_at", Instant),
    Column("key", Words),  # private: the record key, by which a later load resolves it
    UniqueConstraint("source", "partition", "stage", "code", "path", "payload_hash"),
    Index(None, "source", "rejection_id"),
    sqlite_autoincrement=True,
)
OPEN_WITH_KEY = (rejections.c.state == literal_column("'open'")) & rejections.c.key.is_not(None)
"""The rejections that a load may resolve: few, in an index of their own, because every batch asks for them."""

Index(
    "ix_rejections_open_key",
    rejections.c.source,
    rejections.c.key,
    sqlite_where=OPEN_WITH_KEY,
    postgresql_where=OPEN_WITH_KEY,
)

OPEN_WITH_PAYLOAD = (rejections.c.state == literal_column("'open'")) & rejections.c.raw_id.is_not(None)
"""The rejections that keep their payload from being pruned."""

CLOSED = rejections.c.state != literal_column("'open'")
"""The rejections that can be pruned."""

Index(
    "ix_rejections_open_payload",
    rejections.c.raw_id,
    sqlite_where=OPEN_WITH_PAYLOAD,
    postgresql_where=OPEN_WITH_PAYLOAD,
)
Index(
    "ix_rejections_closed",
    rejections.c.first_seen_at,
    rejections.c.rejection_id,
    sqlite_where=CLOSED,
    postgresql_where=CLOSED,
)

http_validators = Table(
    "http_validators",
    metadata,
    Column("source", Name, primary_key=True),
    Column("partition", Name, primary_key=True),
    Column("request_hash", Name, primary_key=True),
    Column("etag", Words),
    Column("last_modified", Words),
    Column("body_hash", Name),
    Column("item_count", Integer, nullable=False),
    Column("next", Words),
    Column("cache_control", Words),
    Column("expires", Words),
    Column("refused", Integer, nullable=False, server_default="0"),
)
leases = Table(
    "leases",
    metadata,
    Column("source", Name, primary_key=True),
    Column("partition", Name, primary_key=True),
    Column("owner", Name, nullable=False),
    Column("token", BigId, nullable=False),
    Column("run_id", BigId),
    Column("expires_at", Instant, nullable=False),
)
