"""Content hashes of records: what makes two observations the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kasparro_core.model.record import Record
from kasparro_core.normalize.articles import EDITED
from kasparro_core.normalize.bulk import NULL, text_of
from kasparro_core.normalize.canonical import canonical_json, content_hash
from kasparro_core.normalize.mapping import TARGETS

Texts = Mapping[str, Sequence[str]]
"""Canonical JSON texts of several fields, by name."""


def record_hash(record: Record, attributes: str) -> str:
    """The hash of a record's content, given its attributes as canonical JSON.

    It covers every mapped field, occurred_at included, and no facts of the run. An article's covers what an edit can
    change: title, url, summary and content.
    """
    columns = {name: [text_of(value)] for name, value in zip(TARGETS, record[3:10], strict=True)}
    edited = {name: [canonical_json(record.attributes.get(name))] for name in EDITED}
    return next(record_hashes(record.kind, columns, edited, [attributes]))


def record_hashes(kind: str, columns: Texts, attributes: Texts, whole: Sequence[str]) -> Iterator[str]:
    """The hashes of many records, given the texts of their columns and attributes, and of all attributes together.

    A column or attribute that is not given is null.
    """
    nulls = [NULL] * len(whole)
    if kind == "article":
        parts = [columns.get("title", nulls), columns.get("url", nulls), *(attributes.get(n, nulls) for n in EDITED)]
    else:
        parts = [*(columns.get(name, nulls) for name in TARGETS), whole]
    head = f"[{canonical_json(kind)},"
    return (content_hash(f"{head}{','.join(row)}]") for row in zip(*parts, strict=True))
