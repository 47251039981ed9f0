"""What an answer that brought nothing means: a table, looked through from top to bottom.

Each row says for which answers it stands (status, a header, the shape and words of the body, the upstream's own error
number), what is done about it, and why. The first row that fits decides. Nothing is decided anywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

Shape = Literal["json", "html", "text", "empty"]


class Action(StrEnum):
    """What is done about an answer or a fault."""

    RETRY = "retry"
    """It may pass by itself: the same request again, after a pause."""
    WAIT = "wait"
    """The upstream says "not now": the same request again, not before it asks for it."""
    REJECT = "reject"
    """The upstream refuses this request, and would refuse it again. Others may be answered."""
    FAIL = "fail"
    """No request of this source will be answered before a person has changed something."""

    @property
    def passes(self) -> bool:
        """True where the same request may be answered later."""
        return self in {Action.RETRY, Action.WAIT}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer without a usable body: `says` is the message in it (one line), `number` the error number of the
    upstream itself, `echoes` whether its body repeats the status as a number. Header names are lower-case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    shape: Shape = "empty"
    says: str = ""
    number: int | None = None
    echoes: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A row. It fits an answer whose status lies in `statuses` (both ends included) and that has everything else the
    row names: a `header` whose value matches, a `shape` of body, words that match `says`, one of the error `numbers`.

    `attempts`: the same request is made at most so often, whatever the source allows.
    """

    statuses: tuple[int, int]
    action: Action
    why: str
    hint: str | None = None
    header: tuple[str, str] | None = None
    shape: Shape | None = None
    says: str | None = None
    numbers: frozenset[int] = frozenset()
    echoes: bool | None = None
    attempts: int | None = None

    @property
    def telling(self) -> bool:
        """True where `why` says more than the status does."""
        named = (self.header, self.shape, self.says, self.numbers, self.echoes is not None)
        return self.hint is not None and any(named)

    def fits(self, answer: Answer) -> bool:
        """Whether this row stands for an answer."""
        return self.statuses[0] <= answer.status <= self.statuses[1] and all(self._named(answer))

    def _named(self, answer: Answer) -> Iterator[bool]:
        if self.header is not None:
            name, value = self.header
            yield name in answer.headers and re.fullmatch(value, answer.headers[name].strip()) is not None
        if self.shape is not None:
            yield answer.shape == self.shape
        if self.says is not None:
            yield re.search(self.says, answer.says, re.IGNORECASE) is not None
        if self.numbers:
            yield answer.number in self.numbers
        if self.echoes is not None:
            yield answer.echoes == self.echoes


_AUTH = "Check the `auth` setting of the source."
_ROOTS = "Keys of paid plans belong to pro-api.coingecko.com, demo keys to api.coingecko.com: change `url` or `auth`."
_ROBOT = "Ask the upstream for an address or a key for programs; it may want another User-Agent in `headers`."
_NAMES_THE_REQUEST = r"\b(missing|invalid|unknown|unsupported|malformed)\b.{0,40}\b(param|argument|field|query|value)"

TABLE: tuple[Rule, ...] = (
    Rule((429, 429), Action.WAIT, "too many requests", "Set a lower `limit` on the source."),
    Rule((403, 403), Action.WAIT, "its rate budget is used up", "Set a `limit` on the source.",
         header=("x-ratelimit-remaining", "0")),
    Rule((400, 403), Action.FAIL, "it wants an API key", _AUTH, numbers=frozenset({10002})),
    Rule((400, 403), Action.FAIL, "the plan of the key does not have this",
         "Ask for something else, or use a plan that has it.", numbers=frozenset({10005})),
    Rule((400, 403), Action.FAIL, "the key belongs to its other address", _ROOTS, numbers=frozenset({10010, 10011})),
    Rule((400, 403), Action.REJECT, "the plan of the key does not reach that far back",
         "Ask for a shorter or later span, or use a plan that has it.", numbers=frozenset({10012})),
    Rule((403, 403), Action.FAIL, "the firewall of its CDN keeps this client out", _ROBOT, says=r"\b1020\b"),
    Rule((403, 503), Action.FAIL, "its CDN wants to see a browser", _ROBOT, shape="html", says="just a moment"),
    Rule((401, 401), Action.FAIL, "it does not know who asks", _AUTH),
    Rule((402, 402), Action.FAIL, "it wants a paid plan", "Check `auth`, and what the plan of its key has."),
    Rule((403, 403), Action.FAIL, "it does not allow this",
         "Check the `auth` setting of the source, and what its plan allows."),
    Rule((407, 407), Action.FAIL, "a proxy on the way wants a login", "The network asks for a proxy login."),
    Rule((511, 511), Action.FAIL, "the network on the way wants a login", "Log in to the network this machine is in."),
    Rule((400, 499), Action.REJECT, "it refuses this request"),
    Rule((501, 501), Action.REJECT, "it cannot do this at all"),
    Rule((505, 505), Action.REJECT, "it does not speak this version of HTTP"),
    Rule((500, 500), Action.REJECT, "it names what is wrong with the request, although it blames itself",
         "Check `url` and `params` of the source.", says=_NAMES_THE_REQUEST),
    Rule((500, 500), Action.RETRY, "the application behind it broke down over this request",
         "Some upstreams answer like this to a request they do not understand: check `url` and `params`.",
         shape="json", echoes=True, attempts=2),
    Rule((503, 503), Action.WAIT, "it is away, and says until when", header=("retry-after", ".+")),
    Rule((500, 599), Action.RETRY, "something is broken on its side"),
    Rule((300, 399), Action.REJECT, "it sends us elsewhere, but does not say where"),
    Rule((0, 999), Action.REJECT, "a status that does not belong here"),
)  # fmt: skip
"""Statuses by RFC 9110 15, RFC 6585 and RFC 8908 (511); numbers are CoinGecko's; 403 with `x-ratelimit-remaining: 0` is
GitHub's way. No 4xx but these two is tried again, 408 and 425 neither: what a proxy guesses about our connection is no
reason to ask twice."""


def judge(answer: Answer) -> Rule:
    """The row that decides about an answer."""
    return next(rule for rule in TABLE if rule.fits(answer))
