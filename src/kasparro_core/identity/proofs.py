"""Evidence that needs no name: contracts, ids that name each other, ids of old."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal

from kasparro_core.identity.edges import Edge, Method, edge
from kasparro_core.model.entity import AssetId, Claim

_CONTRACT, _MUTUAL, _RENAMED, _ONE_SIDED = (Decimal(text) for text in ("0.99", "0.99", "0.98", "0.97"))


def proofs(known: Mapping[AssetId, Claim]) -> list[Edge]:
    """Pairs that share a contract, or of which one names the other or bore its id."""
    return [*_by_contract(known), *_by_reference(known)]


def _by_contract(known: Mapping[AssetId, Claim]) -> Iterator[Edge]:
    holders: dict[tuple[str, str], list[AssetId]] = defaultdict(list)
    for asset, claim in sorted(known.items()):
        for contract in claim.contracts:
            holders[claim.kind, contract].append(asset)
    for (_, contract), assets in holders.items():
        for other in assets[1:]:
            yield edge(assets[0], other, Method.CONTRACT, _CONTRACT, {"contract": contract})


def _by_reference(known: Mapping[AssetId, Claim]) -> Iterator[Edge]:
    naming = Counter((ref, asset.source) for asset, claim in known.items() for ref in set(claim.refs))
    for asset, claim in sorted(known.items()):
        for former in claim.former:
            other = AssetId(asset.source, former)
            if other in known and other != asset:
                yield edge(asset, other, Method.REFERENCE, _RENAMED, {"renamed": [former, asset.external_id]})
        for ref in claim.refs:
            if ref in known and ref.source != asset.source and known[ref].kind == claim.kind:
                yield from _named(asset, ref, known, alone=naming[ref, asset.source] == 1)


def _named(asset: AssetId, ref: AssetId, known: Mapping[AssetId, Claim], *, alone: bool) -> Iterator[Edge]:
    """One names the other: nothing where that one names another of the first one's source, or where several of the
    first one's source name it and it is silent."""
    back = [other for other in known[ref].refs if other.source == asset.source]
    if asset in back:
        yield edge(asset, ref, Method.REFERENCE, _MUTUAL, {"mutual": True})
    elif not back and alone:
        yield edge(asset, ref, Method.REFERENCE, _ONE_SIDED, {"named_by": list(asset)})
