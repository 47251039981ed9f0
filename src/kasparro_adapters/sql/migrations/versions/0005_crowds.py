"""Names and symbols that so many assets of a source share that they tell nothing there.

Revision ID: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "entity_crowds", sa.Column("source", NAME, primary_key=True), sa.Column("key", NAME, primary_key=True)
    )


def downgrade() -> None:
    op.drop_table("entity_crowds")
