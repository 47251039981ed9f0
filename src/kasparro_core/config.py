"""What a person may say about any source: the shared part of a source's table in kasparro.toml.

Each adapter family adds its own keys by subclassing; unknown keys are errors. Secrets arrive here resolved (the app
reads the environment) and stay SecretStr until a request is made.
"""

from __future__ import annotations

import base64
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from kasparro_core.model.batch import Validator
from kasparro_core.normalize.mapping import MappingRules, RecordMapping
from kasparro_core.ports.fetch import FetchRequest, RateRules, RetryRules

HISTORY_KINDS = frozenset({"quote", "article"})
"""Kinds that keep earlier versions unless told otherwise."""

ROLLING_KINDS = frozenset({"article", "candle"})
"""Kinds of which sources list the newest: what falls out at the end is not gone."""


class Strict(BaseModel):
    """Frozen, and closed against unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BearerAuth(Strict):
    """`Authorization: Bearer TOKEN` (RFC 6750)."""

    type: Literal["bearer"]
    token: SecretStr


class BasicAuth(Strict):
    """`Authorization: Basic ...` (RFC 7617)."""

    type: Literal["basic"]
    username: str
    password: SecretStr


class ApiKeyAuth(Strict):
    """A key in a header or, where the upstream knows no other way, in the query."""

    type: Literal["api_key"]
    key: SecretStr
    header: str | None = None
    query: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> ApiKeyAuth:
        if (self.header is None) == (self.query is None):
            raise ValueError("an api_key needs exactly one of `header` and `query`: where the upstream expects the key")
        return self


Auth = Annotated[BearerAuth | BasicAuth | ApiKeyAuth, Field(discriminator="type")]


class LimitOptions(Strict):
    """A rate budget; sources with one `key` share it (default: the host)."""

    requests: float | None = Field(default=None, gt=0)
    per: Literal["second", "minute", "hour", "day", "month"] = "minute"
    key: str | None = None
    burst: int | None = Field(default=None, ge=1)
    concurrent: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _limits_something(self) -> LimitOptions:
        if self.requests is None and self.concurrent is None:
            raise ValueError("a limit needs `requests`, `concurrent` or both: how many in a time, how many at a time")
        return self


class RetryOptions(Strict):
    """How often (attempts in all), how long between two (seconds at most) and how long altogether (seconds); what a run
    may spend in all its requests; when a host that fails is left alone, and for how many seconds."""

    attempts: int = Field(default=5, ge=1, le=100)
    wait_max: float = Field(default=60.0, ge=0)
    deadline: float = Field(default=300.0, gt=0)
    run_retries: int = Field(default=100, ge=0)
    run_wait: float = Field(default=3_600.0, ge=0)
    circuit_failures: int = Field(default=10, ge=0)
    circuit_pause: float = Field(default=30.0, gt=0)


class FetchOptions(Strict):
    """Keys of everything that is read over HTTP."""

    params: dict[str, str | int | float | bool] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    method: Literal["GET", "POST"] = "GET"
    auth: Auth | None = None
    timeout: float = Field(default=60.0, gt=0)
    max_bytes: int = Field(default=64 * 1024 * 1024, gt=0)
    max_ratio: int = Field(default=200, gt=0)
    retry: RetryOptions = RetryOptions()
    limit: LimitOptions | None = None
    allow_private_hosts: bool = False

    @model_validator(mode="after")
    def _sendable(self) -> FetchOptions:
        for name, value in {**self.headers, **self._secrets()[0]}.items():
            if any(char in name + value for char in "\r\n\0"):
                raise ValueError(f"the header {name!r} holds a line break: secrets and headers are one line")
        return self

    def request(
        self, source: str, url: str, *, params: dict[str, str] | None = None, validator: Validator | None = None
    ) -> FetchRequest:
        """One request to `url` with these options; `params` are added to (and win over) the configured ones."""
        secret_headers, secret_params = self._secrets()
        return FetchRequest(
            source=source,
            url=url,
            method=self.method,
            params={**{k: _text(v) for k, v in self.params.items()}, **(params or {})},
            headers=self.headers,
            secret_headers=secret_headers,
            secret_params=secret_params,
            validator=validator,
            timeout=self.timeout,
            max_bytes=self.max_bytes,
            max_ratio=self.max_ratio,
            retry=RetryRules(**self.retry.model_dump()),
            rate=RateRules(**self.limit.model_dump()) if self.limit else None,
            allow_private_hosts=self.allow_private_hosts,
        )

    def _secrets(self) -> tuple[dict[str, str], dict[str, str]]:
        auth = self.auth
        match auth:
            case BearerAuth():
                return {"Authorization": f"Bearer {auth.token.get_secret_value()}"}, {}
            case BasicAuth():
                pair = f"{auth.username}:{auth.password.get_secret_value()}".encode()
                return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}, {}
            case ApiKeyAuth():
                secret = auth.key.get_secret_value()
                return ({auth.header: secret}, {}) if auth.header else ({}, {auth.query or "": secret})
            case None:
                return {}, {}


def _text(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class SourceConfig(Strict):
    """Keys that every source has, whatever its type."""

    type: str
    kind: str | None = None
    mapping: MappingRules | None = None
    schedule: str = "manual"
    timezone: str = "UTC"
    jitter: str | None = None
    enabled: bool = True
    max_rejected: float = Field(default=0.05, ge=0, le=1)
    fail_rejected: float = Field(default=0.5, ge=0, le=1)
    drift: Literal["evolve", "freeze", "discard_row", "discard_value"] = "evolve"
    history: bool | None = None
    mark_gone: bool | None = None
    mark_gone_max: float = Field(default=0.5, ge=0, le=1)
    raw: Literal["keep", "none"] = "keep"
    anomalies: bool = True
    identity: bool = True

    def record_mapping(self, name: str) -> RecordMapping:
        """The mapping of this source under its name. Without `mapping`: kind `item`, every field as text."""
        rules = self.mapping or MappingRules()
        return RecordMapping(source=name, kind=self.kind or "item", **rules.model_dump(exclude_unset=True))

    def drift_rule(self) -> list[str]:
        """What `drift` adds to the rules that bytes were read by: nothing where it takes whatever comes."""
        return [] if self.drift == "evolve" else [self.drift]

    def keeps_history(self, kind: str) -> bool:
        """`history` as set, else the default of the kind."""
        return kind in HISTORY_KINDS if self.history is None else self.history

    def marks_gone(self, kind: str) -> bool:
        """`mark_gone` as set, else the default: not for kinds that roll, nor where the time of an item is part of its
        key, for each moment brings new keys there. Only a source whose listings are complete acts on it."""
        if self.mark_gone is not None:
            return self.mark_gone
        return kind not in ROLLING_KINDS and not (self.mapping is not None and self.mapping.keyed_by_time)
