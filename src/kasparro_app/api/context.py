"""What the parts of the API know about a request while it is handled."""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import dataclass, field
from typing import Final, Literal

from starlette.datastructures import Headers
from starlette.types import Scope

from kasparro_core.model import Scope as KeyScope

UNMATCHED: Final = "unmatched"
"""What stands for the path of every request that no route takes: labels of metrics stay few."""
_KEY: Final = "kasparro.context"
_SANE: Final = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: the name of a key and what it may do."""

    name: str
    scope: KeyScope


@dataclass(slots=True)
class RequestContext:
    """`started` is a reading of `time.perf_counter`; `template` the path with its parameters as `{name}`; `is_open`:
    nobody needs a key for it and it is not counted; `needs`: the least scope of a key that may, None: any; `principal`
    is None for callers without a key that works."""

    request_id: str
    started: float = field(default_factory=time.perf_counter)
    template: str = UNMATCHED
    is_open: bool = False
    needs: Literal["trigger", "admin"] | None = None
    principal: Principal | None = None


def begin_context(scope: Scope) -> RequestContext:
    """The context of a request that has just come in. Its id is the caller's `X-Request-ID` if that is a sane one
    (up to 128 letters, digits and `._:/+=@-`), else a new one."""
    given = Headers(scope=scope).get("x-request-id", "")
    context = RequestContext(given if _SANE.fullmatch(given) else uuid.uuid4().hex)
    scope[_KEY] = context
    return context


def context_of(scope: Scope) -> RequestContext:
    """The context that `begin_context` has made."""
    context: RequestContext = scope[_KEY]
    return context
