"""A user's own mapping file: which ids of which sources are which entity. CSV or TOML, by its ending.

source,external_id,entity          [bitcoin]
coingecko,bitcoin,bitcoin          coingecko = "bitcoin"
kraken,XBT,xbt                     [xbt]
,xbt,bitcoin                       kraken = "XBT"
                                   same_as = "bitcoin"
"""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, NamedTuple

from kasparro_app.config.faults import near
from kasparro_app.config.toml_lines import key_lines
from kasparro_core.identity.ids import RESERVED
from kasparro_core.model.entity import AssetId, Naming

COLUMNS = ("source", "external_id", "entity")
SAME_AS = "same_as"
_ID = re.compile(r"[\w.\-]{1,200}")
_ID_WANTED = "an entity id of letters, digits, _ - and . (at most 200)"
_PATHS = frozenset({".", ".."})
_AT = re.compile(r"\(at line (\d+), column \d+\)")


class Row(NamedTuple):
    """One statement: the source's id is that entity; without a source, the entity `external_id` is that one."""

    line: int
    source: str
    external_id: str
    entity: str


class MapFaults(NamedTuple):
    """Collects sentences, each with file and line."""

    file: Path
    sentences: list[str]

    def add(self, line: int, fault: str) -> None:
        """Note a fault of a line (from 1)."""
        self.sentences.append(f"{self.file}:{line}: {fault}")


def read_namings(file: Path, sources: Iterable[str]) -> tuple[list[Naming], list[str]]:
    """What a mapping file says, and what is wrong with it: one sentence per fault, with its line. A file with faults
    says nothing."""
    faults = MapFaults(file, [])
    text = _text(file, faults)
    if text is None:
        return [], faults.sentences
    written = list(_rows(file, text, faults))
    rows = [row for row in written if _is_sound(row, sorted(sources), faults)]
    _look_for_ends(rows, {row.entity if row.source else row.external_id for row in written}, faults)
    namings = _named(rows, faults)
    return ([] if faults.sentences else namings), faults.sentences


def _text(file: Path, faults: MapFaults) -> str | None:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        faults.sentences.append(f"{file}: expected UTF-8 text (a mapping file of [identity])")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        faults.sentences.append(f"{file}: the mapping file of [identity] cannot be read: {reason}")
    return None


def _rows(file: Path, text: str, faults: MapFaults) -> Iterator[Row]:
    match file.suffix.lower():
        case ".toml":
            return _toml_rows(text, faults)
        case ".csv":
            return _csv_rows(text, faults)
    faults.sentences.append(f"{file}: expected a mapping file that ends in .csv or .toml, found {file.suffix!r}")
    return iter(())


def _csv_rows(text: str, faults: MapFaults) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if tuple(header) != COLUMNS:
            faults.add(1, f"expected the header {','.join(COLUMNS)}, found {','.join(header) or 'nothing'}")
            return
        for cells in reader:
            if len(cells) == len(COLUMNS):
                yield Row(reader.line_num, *(cell.strip() for cell in cells))
            elif any(cell.strip() for cell in cells):
                faults.add(reader.line_num, f"expected {len(COLUMNS)} columns, found {len(cells)}")
    except csv.Error as error:
        faults.add(reader.line_num, f"not CSV: {error}")


def _toml_rows(text: str, faults: MapFaults) -> Iterator[Row]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = _AT.search(str(error))
        faults.add(int(match[1]) if match else text.count("\n") + 1, f"not TOML: {error}")
        return
    lines = key_lines(text)
    for entity, table in document.items():
        if not isinstance(table, Mapping):
            faults.add(lines[entity,], f"expected a table named after an entity, found the value {entity!r}")
            continue
        for key, value in table.items():
            yield from _toml_row(lines[entity, key], entity, key, value, faults)


def _toml_row(line: int, entity: str, key: str, value: Any, faults: MapFaults) -> Iterator[Row]:
    ids = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in ids):
        faults.add(line, f"{key}: expected an id as text, found {value!r}")
    elif key == SAME_AS:
        yield from (Row(line, "", entity, each) for each in ids)
    else:
        yield from (Row(line, key, each, entity) for each in ids)


def _is_sound(row: Row, sources: list[str], faults: MapFaults) -> bool:
    """True when the row can be understood by itself; notes why not."""
    named = (row.entity,) if row.source else (row.entity, row.external_id)
    for entity in named:
        if not _ID.fullmatch(entity):
            faults.add(row.line, f"expected {_ID_WANTED}, found {entity!r}")
            return False
        if entity in RESERVED or entity in _PATHS:
            fault = "stands for something else in paths and commands: give the entity another id"
            faults.add(row.line, f"{entity!r} {fault}, such as {f'{entity}-asset'.lstrip('.-')!r}")
            return False
    if row.source and row.source not in sources:
        faults.add(row.line, f"unknown source {row.source!r}{near(row.source, sources)}")
        return False
    if not row.external_id:
        faults.add(row.line, f"expected the id that source {row.source!r} has for {row.entity!r}, found nothing")
        return False
    return True


def _look_for_ends(rows: list[Row], entities: AbstractSet[str], faults: MapFaults) -> None:
    """Note what is said to be the same as an entity of which the file says nothing else."""
    for row in rows:
        if not row.source and row.entity not in entities:
            faults.add(
                row.line,
                f"{row.external_id!r} is said to be the same as {row.entity!r}, which stands nowhere else in the file"
                f"{near(row.entity, entities - {row.external_id})}: name an entity of the file, or give "
                f"{row.entity!r} an id of a source",
            )


def _named(rows: list[Row], faults: MapFaults) -> list[Naming]:
    """The entity of each asset, once what is the same as another one is followed to its end."""
    ends = _ends([row for row in rows if not row.source], faults)
    by_asset: dict[AssetId, tuple[int, str]] = {}
    by_place: dict[tuple[str, str], Row] = {}
    for row in rows:
        if not row.source:
            continue
        asset, entity = AssetId(row.source, row.external_id), ends.get(row.entity, row.entity)
        line, before = by_asset.setdefault(asset, (row.line, entity))
        other = by_place.setdefault((row.source, entity), row)
        if before != entity:
            faults.add(row.line, f"{_told(row)} is {entity!r} here and {before!r} on line {line}: say one of them")
        elif other.external_id != row.external_id:
            faults.add(
                row.line,
                f"{_told(row)} and {_told(other)} (line {other.line}) would both be {entity!r}: one source cannot have "
                "two ids for one entity; where it gave the thing another id, name the new one alone",
            )
    return [Naming(asset, entity) for asset, (_, entity) in by_asset.items()]


def _ends(rows: list[Row], faults: MapFaults) -> dict[str, str]:
    """Where each entity leads that is said to be another one. What leads back to itself is a fault."""
    steps: dict[str, Row] = {}
    for row in rows:
        other = steps.setdefault(row.external_id, row)
        if other.entity != row.entity:
            fault = f"{row.external_id!r} is the same as {row.entity!r} here and as {other.entity!r} on line"
            faults.add(row.line, f"{fault} {other.line}: say one of them")
    ends: dict[str, str] = {}
    told: set[str] = set()
    for start, row in steps.items():
        way = _way(start, steps)
        back = steps.get(way[-1])
        if back is not None and way[-1] not in told:
            circle = way[way.index(back.entity) :]
            told.update(circle)
            chain = " -> ".join([*circle, circle[0]])
            faults.add(row.line, f"{chain} leads back to itself: name the one that is meant")
        ends[start] = way[-1]
    return ends


def _way(start: str, steps: Mapping[str, Row]) -> list[str]:
    """From one entity to the next, until there is none, or it has been there before."""
    way = [start]
    while way[-1] in steps and steps[way[-1]].entity not in way:
        way.append(steps[way[-1]].entity)
    return way


def _told(row: Row) -> str:
    return f"{row.source}:{row.external_id}"
