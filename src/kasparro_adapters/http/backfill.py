"""Asking for a past window: how its bounds are sent, and what an answer holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from pydantic import Field, field_validator, model_validator

from kasparro_adapters.http.incremental import SENDERS
from kasparro_adapters.http.urls import parse_url
from kasparro_core.config import Strict
from kasparro_core.errors import ConfigurationError
from kasparro_core.model.window import Window
from kasparro_core.policy.windows import Step

if TYPE_CHECKING:
    from kasparro_adapters.http.config import HttpSourceConfig

_PLACE = re.compile(r"\{([^{}]*)\}")
_TICK = timedelta(microseconds=1)
_LAST_OF_FEBRUARY = 28
_SHORT_OF_ITS_DAY = timedelta(days=3)
"""Months that are laid from a 31st on take the last day of a shorter month: so much earlier, at most."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SAMPLE = datetime(2001, 2, 3, tzinfo=UTC)
_LATER_THAT_DAY = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
_READERS: dict[str, Callable[[str], datetime]] = {
    "iso": datetime.fromisoformat,
    "date": lambda text: datetime.fromisoformat(text).replace(tzinfo=UTC),
    "s": lambda text: _EPOCH + timedelta(seconds=int(text)),
    "ms": lambda text: _EPOCH + timedelta(milliseconds=int(text)),
}


class BackfillOptions(Strict):
    """How an HTTP source is asked for a past window.

    The bounds go into the query parameters `start_param` and `end_param`; where one parameter names a whole window
    (a day), into `param`; or into `url`, another address than the live one, with `{start}` and `{end}` in it. They are
    sent as `send` says: RFC 3339, a date, epoch seconds or milliseconds, or a pattern of strftime ("%d-%m-%Y").
    `inclusive`: a day that is sent as the end still belongs to the answer. `chunk` is how long a window is unless
    `--chunk` says otherwise. `state`: whether an answer shows things as they are now, or as they were then.
    """

    start_param: str | None = Field(default=None, min_length=1)
    end_param: str | None = Field(default=None, min_length=1)
    param: str | None = Field(default=None, min_length=1)
    url: str | None = None
    send: str = "iso"
    inclusive: bool = False
    chunk: str = "1d"
    state: Literal["now", "then"] | None = None

    @field_validator("url")
    @classmethod
    def _usable(cls, text: str | None) -> str | None:
        if text is not None:
            unknown = set(_PLACE.findall(text)) - {"start", "end"}
            if unknown:
                raise ValueError(f"expected {{start}} and {{end}} alone in braces, found {{{min(unknown)}}}")
            url = parse_url(_filled(text.strip(), "2001", "2002"))
            if url.user is not None or url.password is not None:
                raise ValueError(
                    "user and password do not belong into the address; `auth` of the source is sent here too"
                )
        return text.strip() if text is not None else None

    @field_validator("send")
    @classmethod
    def _readable(cls, send: str) -> str:
        if send not in SENDERS and ("%" not in send or _read_back(send, _SAMPLE.strftime(send)) != _SAMPLE):
            raise ValueError('expected "iso", "date", "s", "ms", or a pattern of strftime that names a day: "%Y-%m-%d"')
        return send

    @field_validator("chunk")
    @classmethod
    def _long_enough(cls, chunk: str) -> str:
        Step.parse(chunk)
        return chunk

    @model_validator(mode="after")
    def _tells_both_ends(self) -> BackfillOptions:
        places = set(_PLACE.findall(self.url or ""))
        start = self.start_param is not None or "start" in places
        end = self.end_param is not None or "end" in places
        if not (start or self.param):
            raise ValueError("nothing says where a window begins: set `start_param`, `param`, or {start} in `url`")
        if (start and not end and self.start_param) or (end and not start):
            raise ValueError(
                "a window needs both of its ends: `start_param` and `end_param`, or {start} and {end} in `url`; "
                "where the upstream is asked for one day, that is `param`"
            )
        return self

    def query(self, window: Window) -> dict[str, str]:
        """The query parameters that ask for a window."""
        start, end = self._bounds(window)
        pairs = ((self.param, start), (self.start_param, start), (self.end_param, end))
        return {name: value for name, value in pairs if name is not None}

    def address(self, window: Window, live: str) -> str:
        """The address that a window is read from; `live` is the source's own."""
        start, end = (quote(bound, safe=":") for bound in self._bounds(window))
        return live if self.url is None else _filled(self.url, start, end)

    @property
    def sends_end(self) -> bool:
        """False where the upstream is told the start alone: what it answers is as long as it makes it."""
        return self.end_param is not None or "{end}" in (self.url or "")

    def sends_exactly(self, moment: datetime) -> bool:
        """True when what is sent for an instant means that instant."""
        return _read_back(self.send, self._sent(moment)) == moment

    def _bounds(self, window: Window) -> tuple[str, str]:
        """Of days, an end that belongs to the answer is the day before. Of instants it is sent as it is: what lies
        on the border comes with both windows, and is one record; a tick before it, what lies between would be lost."""
        last = window.end - _TICK if self.inclusive and self._sends_days else window.end
        return self._sent(window.start), self._sent(last)

    @property
    def _sends_days(self) -> bool:
        return not self.sends_exactly(_LATER_THAT_DAY)

    def _sent(self, moment: datetime) -> str:
        sender = SENDERS.get(self.send)
        return sender(moment) if sender else moment.strftime(self.send)


def windowed(config: HttpSourceConfig, options: BackfillOptions, window: Window) -> HttpSourceConfig:
    """The configuration of a source that reads this window and nothing else."""
    changes = {
        "url": options.address(window, config.url),
        "params": {**config.params, **options.query(window)},
        "incremental": None,
        "backfill": None,
    }
    return config.model_copy(update=changes)


def check(source: str, options: BackfillOptions, window: Window) -> None:
    """Raises ConfigurationError where a bound of the window cannot be sent as it is, and where the window is longer
    than what an answer holds: the rest would never be asked for."""
    if not options.sends_end and _reach(options, window) < window.end:
        raise ConfigurationError(
            f"source {source!r} cannot be asked for the window from {window.start.isoformat()} to "
            f"{window.end.isoformat()}: its `backfill` sends the start alone, and an answer holds {options.chunk!r}.",
            hint=f"Leave --chunk out, or take {options.chunk}. If an answer holds more, `backfill.chunk` says so.",
        )
    for bound in (window.start, window.end):
        if not options.sends_exactly(bound):
            raise ConfigurationError(
                f"source {source!r} cannot be asked for the window from {window.start.isoformat()} to "
                f"{window.end.isoformat()}: `backfill.send` = {options.send!r} cannot tell {bound.isoformat()}.",
                hint="Take --from, --to and --chunk by whole days, or another `send` if the upstream understands one.",
            )


def _reach(options: BackfillOptions, window: Window) -> datetime:
    """Where an answer ends that is asked for by its start."""
    step = Step.parse(options.chunk)
    try:
        end = step.after(window.start, 1)
        return end + _SHORT_OF_ITS_DAY if step.months and window.start.day >= _LAST_OF_FEBRUARY else end
    except (OverflowError, ValueError):  # beyond the year 9999
        return window.end


def _filled(url: str, start: str, end: str) -> str:
    return url.replace("{start}", start).replace("{end}", end)


def _read_back(send: str, text: str) -> datetime | None:
    """The instant that a sent text means; None where it means none."""
    try:
        if send in _READERS:
            return _READERS[send](text)
        moment = datetime.strptime(text, send)  # noqa: DTZ007 - without a zone it is UTC, as it was sent
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
