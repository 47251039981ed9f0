"""Where a feed has moved to: a permanent redirect (RFC 9110 15.4.2, 15.4.9) is believed when it has been confirmed."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from kasparro_adapters.feeds.address import is_remote
from kasparro_core.services.position import Count, Shape

CONFIRMATIONS = 3
"""So many reads in a row have to be sent to the same new address, and find a feed there. One answer alone may be a
captive portal, or a slip that its publisher mends the same day."""

_LONGEST = 2_000

Address = Annotated[str, Field(pattern=r"^https?://", max_length=_LONGEST)]


class Move(Shape):
    """A move of the feed that is configured under the address with the fingerprint `of`.

    `url` is asked instead of that address (None: not yet); `next` is where `times` reads in a row were sent to.
    """

    of: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    url: Address | None = None
    next: Address | None = None
    times: Count = 0


def is_downgrade(home: str, target: str) -> bool:
    """True where a feed that is configured with https would go on without it: a redirect is followed once, and not
    remembered, for whoever sits on the wire might have the feed from then on."""
    return urlsplit(home).scheme == "https" and urlsplit(target).scheme != "https"


def moved(known: Move | None, of: str, target: str | None, *, asked_there: bool) -> Move | None:
    """What is known after a read that found a feed. `target` is where permanent redirects led it, if they did;
    `asked_there`: it began at the confirmed new address, and not at the configured one. None: the feed is where it is
    configured."""
    confirmed = known.url if known is not None else None
    if target is None or not is_remote(target) or len(target) > _LONGEST:
        return Move(of=of, url=confirmed) if asked_there else None
    if target == confirmed:
        return Move(of=of, url=confirmed)
    times = known.times + 1 if known is not None and known.next == target else 1
    if times >= CONFIRMATIONS:
        return Move(of=of, url=target)
    return Move(of=of, url=confirmed if asked_there else None, next=target, times=times)
