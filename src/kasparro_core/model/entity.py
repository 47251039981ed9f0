"""Canonical things, and what the sources say of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from string import ascii_lowercase, ascii_uppercase
from typing import Any, NamedTuple

_SMALL = str.maketrans(ascii_uppercase, ascii_lowercase)


class AssetId(NamedTuple):
    """A source's own id for something."""

    source: str
    external_id: str


class Market(NamedTuple):
    """What a source says of the market of an asset: supports or contradicts that two are the same one."""

    rank: int | None = None
    value: Decimal | None = None
    currency: str | None = None
    market_cap: Decimal | None = None
    seen_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What a source says of one of its ids.

    `kind` is that of the entity ("asset" for quotes and candles, else the record's own). `contracts`: "chain:address"
    each. `refs`: ids of other sources that it names as its own. `former`: earlier ids of the same thing in its source.
    """

    asset: AssetId
    kind: str
    symbol: str | None = None
    name: str | None = None
    contracts: tuple[str, ...] = ()
    refs: tuple[AssetId, ...] = ()
    former: tuple[str, ...] = ()
    market: Market = Market()


class Verdict(StrEnum):
    """What a person says of two assets."""

    SAME = "same"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Ruling:
    """A person's word on two assets, which every resolution keeps to. Later ones win over earlier ones.

    `act`: the ruling_id of the first one that was made with it, by one command; they are undone together.
    """

    ruling_id: int
    verdict: Verdict
    a: AssetId
    b: AssetId
    act: int = 0
    decided_at: datetime | None = None
    undone_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Naming:
    """A line of a user's mapping file: this asset is that entity. Wins over everything, rulings included."""

    asset: AssetId
    entity_id: str


@dataclass(frozen=True, slots=True)
class Rulings:
    """Everything that people said of a set of assets."""

    rulings: Sequence[Ruling] = ()
    namings: Sequence[Naming] = ()


@dataclass(frozen=True, slots=True)
class Entity:
    """The canonical thing several sources talk about. `entity_id` is stable and readable ("btc-bitcoin").
    `merged_into`: it turned out to be that one, and its id redirects there. `age` orders entities by when they were
    made, the oldest lowest. `founder`: the asset that it was made for, with which a split leaves the id; None
    for one that a mapping file named."""

    entity_id: str
    kind: str
    symbol: str | None = None
    name: str | None = None
    merged_into: str | None = None
    age: int = 0
    founder: AssetId | None = None


@dataclass(frozen=True, slots=True)
class EntityLink:
    """A source's own id for an entity, how it was found (`method`), how sure that is (`confidence`, 0 to 1), and what
    speaks for it (`evidence`, JSON values)."""

    source: str
    external_id: str
    entity_id: str
    method: str
    confidence: Decimal
    evidence: Mapping[str, Any] = field(default_factory=dict)
    decided_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """Two assets that may be the same one: not sure enough to be linked, for a person to look at. `a` < `b`."""

    a: AssetId
    b: AssetId
    reason: str
    confidence: Decimal
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EntityQuery:
    """Filters of a listing of entities, in ascending entity_id, greater than `after`. `q` is found in the name, the
    entity_id or the symbol, whatever the case. `merged`: those that turned out to be another one, too."""

    kind: str | None = None
    symbol: str | None = None
    q: str | None = None
    after: str | None = None
    limit: int = 50
    merged: bool = True

    @property
    def q_in_ids(self) -> str:
        """`q` as it is looked for in ids, whose letters of ASCII are made small, as databases do it."""
        return ascii_lower(self.q or "")

    @property
    def q_in_symbols(self) -> str:
        """`q` as it is looked for in symbols, which are kept in upper case."""
        return (self.q or "").upper()


def ascii_lower(text: str) -> str:
    """The text with small letters for the capital ones of ASCII."""
    return text.translate(_SMALL)


@dataclass(frozen=True, slots=True)
class IdentityCounts:
    """How much is known: entities that stand, those that turned out to be another one, links by method, and pairs to be
    looked at."""

    entities: int = 0
    merged: int = 0
    links: Mapping[str, int] = field(default_factory=dict)
    candidates: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """What is kept of a source's id: its claim, the claim's fingerprint, when it was seen saying so, and the link."""

    claim: Claim
    fingerprint: str
    seen_at: datetime
    link: EntityLink


@dataclass(frozen=True, slots=True)
class Blocks:
    """Where an asset lies: what shares one of its `binding` keys is decided together with it; what shares a `loose` one
    gives candidates alone."""

    binding: Sequence[str] = ()
    loose: Sequence[str] = ()


class Crowd(NamedTuple):
    """A name or symbol, as the key of its block, that so many assets of a source share that it tells nothing there."""

    source: str
    key: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What a resolution changes.

    `made`: entities that are new (the store gives them their age) or live again. `merged`: the ids that redirect, and
    where to. `known`: claims and links that are new or changed. `blocks`: those of these assets, in the place of what
    is kept. `candidates`: those of the assets in `decided`, in the place of what is kept. `crowds`: those
    that came to be ones.
    """

    made: Sequence[Entity] = ()
    merged: Mapping[str, str] = field(default_factory=dict)
    known: Sequence[Known] = ()
    blocks: Mapping[AssetId, Blocks] = field(default_factory=dict)
    decided: Sequence[AssetId] = ()
    candidates: Sequence[Candidate] = ()
    crowds: Collection[Crowd] = ()


@dataclass(frozen=True, slots=True)
class Rename:
    """A source calls something by another id since `changed_at`."""

    source: str
    old_id: str
    new_id: str
    changed_at: datetime
