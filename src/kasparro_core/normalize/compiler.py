"""Mappings compiled: the checks that concern rules together, and the way from rows to prepared records.

records, rejections = normalize(rows, RecordMapping(source="prices", key=["symbol", "date"], value="close"))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kasparro_core.model.record import PreparedRecord, RawRecord
from kasparro_core.normalize import candles, quotes, renames  # noqa: F401  (they declare their kinds)
from kasparro_core.normalize.articles import IDENTITY
from kasparro_core.normalize.attributes import declaration, required_names
from kasparro_core.normalize.batches import CompiledMapping, Normalized
from kasparro_core.normalize.fields import CompiledField, attribute, column, passed_through
from kasparro_core.normalize.keys import KeyOf, article_key, item_key, key_of
from kasparro_core.normalize.kinds import attributes_model
from kasparro_core.normalize.mapping import TARGETS, RecordMapping, as_rule

__all__ = ["CompiledMapping", "Normalized", "compile_mapping", "normalize", "prepare"]

_CACHE_SIZE = 64
_compiled: dict[str, CompiledMapping] = {}


def compile_mapping(mapping: RecordMapping) -> CompiledMapping:
    """The function of a mapping. Raises ValueError for an unknown kind and for rules that contradict one another."""
    everything = mapping.attributes is None and mapping.kind == "item"
    columns, attributes = _columns(mapping), _attributes(mapping)
    return CompiledMapping(
        mapping.source,
        mapping.kind,
        _key(mapping),
        columns,
        None if everything else attributes,
        nulls=mapping.null,
        required=_passed_through(mapping, [*columns, *attributes], everything=everything),
    )


def normalize(rows: Iterable[Mapping[str, Any]], mapping: RecordMapping) -> Normalized:
    """Records and rejections of rows, in their order.

    Pure: touches no clock, file or network. Raises ValueError for a mapping that contradicts itself, never for a row.
    """
    fingerprint = repr(mapping)
    compiled = _compiled.get(fingerprint)
    if compiled is None:
        compiled = compile_mapping(mapping)
        while len(_compiled) >= _CACHE_SIZE:
            _compiled.pop(next(iter(_compiled)), None)
        _compiled[fingerprint] = compiled
    return compiled.normalize(RawRecord(index, row) for index, row in enumerate(rows))


def prepare(normalized: Normalized) -> list[PreparedRecord]:
    """The records ready to be stored: hashed, with their attributes as canonical JSON."""
    return normalized.prepared


def _columns(mapping: RecordMapping) -> list[CompiledField]:
    rules = {name: getattr(mapping, name) for name in TARGETS}
    article = mapping.kind == "article"
    return [
        column(name, as_rule(target), mapping, verbatim=article and name == "external_id")
        for name, target in rules.items()
        if target is not None
    ]


def _attributes(mapping: RecordMapping) -> list[CompiledField]:
    """In the order of their names, which is that of canonical JSON."""
    model = attributes_model(mapping.kind)
    targets = mapping.attributes or {}
    for name in required_names(model):
        if name not in targets:
            raise ValueError(
                f"the kind {mapping.kind!r} requires the attribute `{name}`, which the mapping does not give"
            )
    return [attribute(name, as_rule(targets[name]), mapping, declaration(model, name)) for name in sorted(targets)]


def _key(mapping: RecordMapping) -> KeyOf:
    if mapping.keys:
        return key_of(mapping.keys, mapping.null)
    return article_key(IDENTITY) if mapping.kind == "article" else item_key


def _passed_through(
    mapping: RecordMapping, fields: Sequence[CompiledField], *, everything: bool
) -> list[CompiledField]:
    """The fields that `required` names and the mapping does not, where every field of an item is taken."""
    known = {each.name for each in fields}
    unknown = [name for name in mapping.required if name not in known]
    if unknown and not everything:
        raise ValueError(
            f"`required` names `{unknown[0]}`, which the mapping does not give; it gives {', '.join(sorted(known))}"
        )
    return [passed_through(name, mapping) for name in unknown]
