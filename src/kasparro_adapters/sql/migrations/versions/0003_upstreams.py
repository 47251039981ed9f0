"""What upstreams say of themselves and how they behave: each part of the milestone has its own section.

Revision ID: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TEXT = sa.Text()
NUMBER = sa.Integer()
INSTANT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    _create_rates()
    _add_freshness()
    _add_wishes()
    _add_sightings()
    _add_listings()


def downgrade() -> None:
    op.drop_table("rate_limits")
    _drop_freshness()
    _drop_wishes()
    _drop_sightings()
    _drop_listings()


# What an answer says about how long it may be taken for fresh.


def _add_freshness() -> None:
    for column in ("cache_control", "expires"):
        op.add_column("http_validators", sa.Column(column, TEXT))
    op.add_column("http_validators", sa.Column("refused", NUMBER, nullable=False, server_default="0"))


def _drop_freshness() -> None:
    for column in ("refused", "expires", "cache_control"):
        op.drop_column("http_validators", column)


# What the origin of a partition asks for, and slots that it therefore does not get.


def _add_wishes() -> None:
    op.add_column("partitions", sa.Column("origin", NAME))
    op.add_column("partitions", sa.Column("quiet", TEXT))
    op.add_column("partitions", sa.Column("gaps", NUMBER, nullable=False, server_default="0"))
    op.add_column("partitions", sa.Column("gap_at", INSTANT))
    op.add_column("schedule_slots", sa.Column("reason", NAME))


def _drop_wishes() -> None:
    op.drop_column("schedule_slots", "reason")
    for column in ("gap_at", "gaps", "quiet", "origin"):
        op.drop_column("partitions", column)


# When a refusal was seen last and when it was over, and which reads had one: what retries and replays go by.


def _add_sightings() -> None:
    op.add_column("rejections", sa.Column("last_seen_at", INSTANT))
    op.add_column("rejections", sa.Column("closed_at", INSTANT))
    op.execute("UPDATE rejections SET last_seen_at = first_seen_at")
    op.add_column("run_batches", sa.Column("refused", NUMBER))


def _drop_sightings() -> None:
    op.drop_column("run_batches", "refused")
    for column in ("closed_at", "last_seen_at"):
        op.drop_column("rejections", column)


# What the processes on one database use together of what an upstream allows.


def _create_rates() -> None:
    op.create_table(
        "rate_limits",
        sa.Column("key", NAME, nullable=False),
        sa.Column("next_at", INSTANT),
        sa.Column("closed_until", INSTANT),
        sa.Column("lowered_to", sa.Double()),
        sa.Column("lowered_at", INSTANT),
        sa.Column("paced_to", sa.Double()),
        sa.Column("paced_until", INSTANT),
        sa.Column("places", sa.Text().with_variant(postgresql.JSONB(), "postgresql")),
        sa.Column("seen_at", INSTANT),
        sa.PrimaryKeyConstraint("key"),
    )


# Where the reads of a run stand in a listing of everything that a source has.


def _add_listings() -> None:
    op.add_column("run_batches", sa.Column("extent", NUMBER, nullable=False, server_default="0"))
    op.add_column("run_batches", sa.Column("same_as", NAME))
    op.add_column("partitions", sa.Column("listing", TEXT))


def _drop_listings() -> None:
    op.drop_column("partitions", "listing")
    for column in ("same_as", "extent"):
        op.drop_column("run_batches", column)
