"""Rows of `records` are read by place."""

from __future__ import annotations

from dataclasses import fields

from kasparro_adapters.sql.tables import records
from kasparro_core.model import Record, StoredRecord


def test_the_columns_have_the_order_of_the_model() -> None:
    """record_id, the fields of Record, then the other fields of StoredRecord: a column put between them would shift
    all values behind it."""
    others = [field.name for field in fields(StoredRecord) if field.name not in {"record_id", "record"}]
    assert [column.name for column in records.columns][:21] == ["record_id", *Record._fields, *others]
