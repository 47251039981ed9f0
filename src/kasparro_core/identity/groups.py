"""Groups that grow by edges and never across what keeps two assets apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kasparro_core.model.entity import AssetId


class Groups:
    """Sets of assets, at first one for each. What is kept apart stays apart, whatever is joined later."""

    def __init__(self, assets: Iterable[AssetId], names: Mapping[AssetId, str]) -> None:
        """`names`: the entity that a person named an asset to be. Two names never get into one group."""
        self._members = {asset: [asset] for asset in assets}
        self._root = {asset: asset for asset in self._members}
        self._barred: dict[AssetId, set[AssetId]] = {asset: set() for asset in self._members}
        self._names = {asset: name for asset, name in names.items() if asset in self._members}

    def same(self, a: AssetId, b: AssetId) -> bool:
        """True where the two are in one group."""
        return self._root[a] == self._root[b]

    def part(self, a: AssetId, b: AssetId) -> bool:
        """Keep two apart for good. False where they are in one group already."""
        if self.same(a, b):
            return False
        self._barred[self._root[a]].add(b)
        self._barred[self._root[b]].add(a)
        return True

    def join(self, a: AssetId, b: AssetId) -> bool:
        """Make one group of two. False where something keeps them apart."""
        if self.same(a, b):
            return True
        if not self.may_join(a, b):
            return False
        self._merge(*sorted((self._root[a], self._root[b])))
        return True

    def may_join(self, a: AssetId, b: AssetId) -> bool:
        """True where nothing keeps the two groups apart."""
        one, other = self._root[a], self._root[b]
        names = {self._names[root] for root in (one, other) if root in self._names}
        return len(names) < 2 and self._barred[one].isdisjoint(self._members[other])

    def share_a_source(self, a: AssetId, b: AssetId) -> bool:
        """True where the two groups have assets of the same source."""
        sources = {asset.source for asset in self.members(a)}
        return any(asset.source in sources for asset in self.members(b))

    def members(self, asset: AssetId) -> list[AssetId]:
        """The group of an asset."""
        return self._members[self._root[asset]]

    def name(self, asset: AssetId) -> str | None:
        """The entity that a person named the asset's group to be."""
        return self._names.get(self._root[asset])

    def all(self) -> list[list[AssetId]]:
        """All groups, and their members, in order."""
        return sorted(sorted(members) for members in self._members.values())

    def _merge(self, kept: AssetId, gone: AssetId) -> None:
        moved = self._members.pop(gone)
        self._members[kept] += moved
        self._barred[kept] |= self._barred.pop(gone)
        if gone in self._names:
            self._names[kept] = self._names.pop(gone)
        for asset in moved:
            self._root[asset] = kept
