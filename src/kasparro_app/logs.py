"""The log: what is told on standard error, from which level on, and in what form.

Everything is logged through the standard library. structlog writes it, and is loaded when the first line is written.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import quote, unquote, urlsplit

from pydantic import BaseModel, SecretStr

if TYPE_CHECKING:
    from structlog.typing import Processor

    from kasparro_app.config.tables import LogTable
    from kasparro_app.settings import Settings

MASK = "[secret]"
"""Stands in a line where a secret would."""

SHORTEST = 4
"""A secret with fewer characters is no secret; masking it would only garble the log."""

_OURS = ("kasparro", "kasparro_core", "kasparro_adapters", "kasparro_app")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_Event = MutableMapping[str, Any]


class Form(Enum):
    """How a line looks."""

    JSON = "json"
    """An object with timestamp, level, logger, event and the fields."""
    DATED = "dated"
    """For people who watch a service."""
    PLAIN = "plain"
    """`LEVEL logger: message` and the fields, for verbs that are over soon."""


def set_up_log(
    table: LogTable,
    *,
    environment: str,
    serving: bool = False,
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Write the log to `stream` (default: standard error) as `[log]` says, in the place of what was set up before.

    Kasparro's loggers speak from the table's level on (default: info while serving, else warning), those of other
    libraries from warning on: below it they tell whole requests and statements. Wherever one of the `secrets` would
    stand, MASK stands.
    """
    out = stream or sys.stderr
    form = form_of(table, environment=environment, serving=serving, terminal=out.isatty())
    handler = LogHandler(out)
    handler.setFormatter(LateFormatter(form, secrets))
    for earlier in [one for one in logging.root.handlers if isinstance(one, LogHandler)]:
        logging.root.removeHandler(earlier)
    logging.root.addHandler(handler)
    level = table.level or ("info" if serving else "warning")
    for name in _OURS:
        logging.getLogger(name).setLevel(level.upper())


def set_up_log_of(settings: Settings, *, serving: bool = False) -> None:
    """The log as these settings say, with their secrets masked. Each process of a service calls it for itself."""
    tables = settings.tables
    set_up_log(tables.log, environment=tables.environment, serving=serving, secrets=secrets_of(settings))


def form_of(table: LogTable, *, environment: str, serving: bool, terminal: bool) -> Form:
    """`auto` is JSON in production, and for a service that nobody watches; else text."""
    as_json = table.format == "json" or (
        table.format == "auto" and (environment == "production" or (serving and not terminal))
    )
    if as_json:
        return Form.JSON
    return Form.DATED if serving else Form.PLAIN


def secrets_of(settings: Settings) -> frozenset[str]:
    """Every secret of the settings: keys, tokens, passwords, that of the database's URL too."""
    found = [*_secrets(settings.tables.api), *_secrets(settings.sources)]
    return frozenset([*found, *filter(None, [urlsplit(settings.database_url).password])])


def _secrets(value: object) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        yield from _secrets(list(value.__dict__.values()))  # a field of it may be called `keys`
    elif isinstance(value, Mapping):
        yield from _secrets(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _secrets(item)


class LogHandler(logging.StreamHandler[TextIO]):
    """The handler of `set_up_log`, told from those of other people by its type."""


class LateFormatter(logging.Formatter):
    """Becomes structlog's formatter at its first line: verbs that have nothing to tell start without loading it."""

    def __init__(self, form: Form, secrets: Iterable[str]) -> None:
        super().__init__()
        self._form = form
        self._secrets = tuple(secrets)

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return self._formatter.format(record)

    @cached_property
    def _formatter(self) -> logging.Formatter:
        from structlog import contextvars, processors, stdlib

        return stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                contextvars.merge_contextvars,
                stdlib.add_log_level,
                stdlib.add_logger_name,
                stdlib.ExtraAdder(),
                processors.TimeStamper(fmt="iso", utc=True),
                _in_order,
            ],
            processors=[
                stdlib.ProcessorFormatter.remove_processors_meta,
                processors.format_exc_info,
                Masking(self._secrets),
                *_renderers(self._form),
            ],
        )


def _in_order(_logger: object, _method: str, event: _Event) -> _Event:
    """What every line has comes first. Left out is what the formatter of another handler has left in the record;
    `extra` may not use these names."""
    first = {key: event[key] for key in ("timestamp", "level", "logger", "event")}
    return {**first, **{key: value for key, value in event.items() if key not in {"message", "asctime"}}}


def _renderers(form: Form) -> list[Processor]:
    if form is Form.JSON:
        from structlog.processors import JSONRenderer

        return [JSONRenderer()]
    if form is Form.PLAIN:
        return [_one_line, _plain]
    from rich.console import Console
    from structlog.dev import ConsoleRenderer, plain_traceback

    console = Console(stderr=True)  # it knows what NO_COLOR and the terminal say
    colors = console.is_terminal and not console.no_color
    return [_one_line, ConsoleRenderer(colors=colors, pad_event_to=0, exception_formatter=plain_traceback)]


def _one_line(_logger: object, _method: str, event: _Event) -> _Event:
    """What comes from outside can neither begin a line nor steer the terminal. A traceback keeps its lines."""
    return {
        key: _CONTROL.sub(_escaped, value) if isinstance(value, str) and key != "exception" else value
        for key, value in event.items()
    }


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def _plain(_logger: object, _method: str, event: _Event) -> str:
    event.pop("timestamp", None)
    level, logger, message = (event.pop(key, "") for key in ("level", "logger", "event"))
    traceback = event.pop("exception", None)
    fields = "".join(f" {key}={value}" for key, value in event.items())
    return f"{level.upper()} {logger}: {message}{fields}" + (f"\n{traceback}" if traceback else "")


class Masking:
    """A processor that puts MASK wherever a secret stands in a value, also in the forms that URLs and reprs give it.

    The second fence: the first is that nothing logs a secret.
    """

    def __init__(self, secrets: Collection[str]) -> None:
        forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
        self._pattern = re.compile(
            "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)) or r"(?!)"
        )

    def __call__(self, _logger: object, _method: str, event: _Event) -> _Event:
        """The event with its values masked."""
        return {key: self._masked(value) for key, value in event.items()}

    def _masked(self, value: object) -> object:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {str(key): self._masked(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._masked(item) for item in value]
        return self._pattern.sub(MASK, str(value))


def _forms(secret: str) -> set[str]:
    """The secret, and what URLs, reprs and JSON make of it."""
    plain = {secret, unquote(secret)}
    urls = {quote(text, safe=safe) for text in plain for safe in ("", "/")}
    return {*plain, *urls, *(written(text)[1:-1] for text in plain for written in (repr, ascii, json.dumps))}
