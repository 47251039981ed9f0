"""What has to hold of identity once a simulation has come to rest."""

from __future__ import annotations

from assets import groups_of

from kasparro_adapters.memory.tables import State
from kasparro_core.identity.resolve import resolve
from kasparro_core.model.entity import AssetId, Rulings


def wrong_links(state: State) -> list[str]:
    """Every asset of a record is linked; the groups are those of all claims resolved at once, from nothing; each entity
    that stands has links, and no other one has."""
    found = []
    records = (row.state.record for row in state.records.values())
    assets = {AssetId(record.source, record.external_id) for record in records if record.external_id is not None}
    if assets != state.links.keys():
        found.append(f"assets without a link, and links without an asset: {assets ^ state.links.keys()}")
    kept = groups_of(known.link for known in state.links.values())
    anew = groups_of(resolve([known.claim for known in state.links.values()], Rulings(), {}).links)
    if kept != anew:
        found.append(f"linked, and from nothing not so: {kept - anew}; the other way round: {anew - kept}")
    standing = {entity.entity_id for entity in state.entities.values() if entity.merged_into is None}
    linked = {known.link.entity_id for known in state.links.values()}
    if standing != linked:
        found.append(f"entities that stand without links, and links to none that stands: {standing ^ linked}")
    return found
