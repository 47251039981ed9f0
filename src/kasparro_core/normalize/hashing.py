"""Content hashes of records: what makes two observations the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from json.encoder import encode_basestring
from typing import Any

from kasparro_core.model.record import Record
from kasparro_core.normalize.articles import EDITED
from kasparro_core.normalize.canonical import ENCODERS, canonical_json, content_hash


def attributes_writer() -> Callable[[Mapping[str, Any]], str]:
    """`canonical_json` for the attributes of one batch, whose records mostly have the same names in the same order.

    The names are then quoted once, and only the values are written anew.
    """
    encoders = ENCODERS
    known: list[str] = []
    ordered: list[str] = []
    template = "{}"

    def write(attributes: Mapping[str, Any]) -> str:
        nonlocal known, ordered, template
        names = list(attributes)
        if names != known:
            known, ordered = names, sorted(names)
            template = _template(ordered)
        try:
            return template % tuple([encoders[type(value)](value) for value in map(attributes.__getitem__, ordered)])
        except KeyError:  # a subclass of a JSON type
            return canonical_json(attributes)

    return write


def record_hash(record: Record, attributes: str) -> str:
    """The hash of a record's content, given its attributes as canonical JSON.

    It covers every mapped field, occurred_at included, and no facts of the run. An article's covers what an edit can
    change: title, url, summary and content.
    """
    if record.kind == "article":
        edited = [record.attributes.get(name) for name in EDITED]
        return content_hash(canonical_json([record.kind, record.title, record.url, *edited]))
    encoders = ENCODERS
    columns = ",".join([encoders[type(column)](column) for column in record[2:10]])
    return content_hash(f"[{columns},{attributes}]")


def _template(names: list[str]) -> str:
    quoted = (encode_basestring(name).replace("%", "%%") for name in names)
    return "{" + ",".join(f"{name}:%s" for name in quoted) + "}"
