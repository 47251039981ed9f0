"""Which keys were seen: eight bytes for each time that a key comes, nine with what the arrays keep in reserve."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from itertools import groupby

_BUCKETS = 64  # sorting makes objects of one bucket's numbers at a time: of 10^6 keys half a megabyte of them


class KeySet:
    """Grows page by page; asked when it is complete.

    It holds hashes of 64 bits, salted anew in each process. Two keys that share one make a key look seen that was not:
    of 10^6 keys against 10^6 that happens once in some ten million times, and errs on the side on which nothing is
    marked.
    """

    def __init__(self) -> None:
        self._buckets = [array("q") for _ in range(_BUCKETS)]
        self._sorted = True
        self.added = 0

    def add(self, keys: Iterable[str]) -> None:
        """Add the keys of one page; those that it names twice count once."""
        buckets, found = self._buckets, {*map(hash, keys)}
        for number in found:
            buckets[number % _BUCKETS].append(number)
        self.added += len(found)
        self._sorted = False

    def __contains__(self, key: str) -> bool:
        """Whether the key was added."""
        self._sort()
        number = hash(key)
        bucket = self._buckets[number % _BUCKETS]
        place = bisect_left(bucket, number)
        return place < len(bucket) and bucket[place] == number

    def __len__(self) -> int:
        """How many different keys were added. Fewer than `added`: some came on several pages."""
        self._sort()
        return sum(map(len, self._buckets))

    def _sort(self) -> None:
        if not self._sorted:
            for at, bucket in enumerate(self._buckets):
                self._buckets[at] = array("q", (number for number, _ in groupby(sorted(bucket))))
            self._sorted = True
