"""What the articles of a batch speak of, written in its unit of work."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from kasparro_core.identity.claims import ASSET
from kasparro_core.identity.mentions import Named, asked_for, mentions_in
from kasparro_core.identity.names import squeezed
from kasparro_core.identity.symbols import canonical_symbol
from kasparro_core.model import Observation, PreparedRecord, Record
from kasparro_core.model.entity import Known
from kasparro_core.model.mention import Mention
from kasparro_core.ports import UnitOfWork

ARTICLE = "article"

_TEXTS = ("summary", "content")
_MARKS = re.compile(r"<[^<>]{0,2000}>")


async def mention(work: UnitOfWork, records: Sequence[PreparedRecord], seen: Observation, *, again: bool) -> None:
    """Note which entities the articles among these records speak of: those that the run has brought. Not `again` (a
    replay): all of them, so that what came to be known since is found in old articles, too."""
    articles = {each.record.key: each.record for each in records if each.record.kind == ARTICLE}
    if not articles:
        return
    keys: Collection[str] = articles
    if again:
        keys = await work.mentions.changed(seen.source, list(articles), seen.run_id)
    texts = {key: text_of(articles[key]) for key in keys}
    bearing = await asyncio.to_thread(_bearing, texts.values())
    known = named(await work.mentions.bearing(bearing)) if bearing else []
    if texts:
        await work.mentions.put(seen.source, await asyncio.to_thread(_found, texts, known))


def _bearing(texts: Iterable[str]) -> list[str]:
    """The keys of whatever these texts may speak of. Some milliseconds each: not on the event loop."""
    asked = [asked_for(text) for text in texts]
    names = {name for each in asked for name in each.names}
    symbols = {symbol for each in asked for symbol in each.symbols}
    return [f"n:{ASSET}:{name}" for name in names] + [f"s:{ASSET}:{symbol}" for symbol in symbols]


def _found(texts: Mapping[str, str], known: Sequence[Named]) -> dict[str, list[Mention]]:
    return {key: mentions_in(text, known) for key, text in texts.items()}


def text_of(record: Record) -> str:
    """What a person reads of an article: its title, summary and content, without markup."""
    parts = [record.title, *(record.attributes.get(name) for name in _TEXTS)]
    return "\n".join(_MARKS.sub(" ", part) for part in parts if isinstance(part, str))


def named(known: Iterable[Known]) -> list[Named]:
    """Entities by everything that their sources call them, with the best rank that one of them gives."""
    found: dict[str, Named] = {}
    for each in known:
        claim, entity_id = each.claim, each.link.entity_id
        before = found.get(entity_id, Named(entity_id, frozenset(), frozenset(), None))
        ranks = [rank for rank in (before.rank, claim.market.rank) if rank is not None]
        names = before.names | ({squeezed(claim.name)} if claim.name else set())
        symbols = before.symbols | ({canonical_symbol(claim.symbol)} if claim.symbol else set())
        found[entity_id] = Named(entity_id, names, symbols, min(ranks, default=None))
    return [found[entity_id] for entity_id in sorted(found)]
