"""The tables of kasparro.toml that are not sources. One file serves all versions: each documented key is known."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from kasparro_adapters.chaos import Point
from kasparro_app.config.amounts import parse_amount
from kasparro_app.config.database_url import url_fault
from kasparro_core.config import LimitOptions, Strict


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


LogLevel = Annotated[Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_lower)]


class DatabaseTable(Strict):
    """`[database]`: where everything is kept. The URL may hold a password and is never shown."""

    url: SecretStr = SecretStr("sqlite:///kasparro.db")

    @field_validator("url")
    @classmethod
    def _usable(cls, url: SecretStr) -> SecretStr:
        fault = url_fault(url.get_secret_value())
        if fault:
            raise ValueError(fault)
        return url


class CorsOptions(Strict):
    """Which other origins may call the API from a browser."""

    origins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("GET",)
    headers: tuple[str, ...] = ()


class ApiTable(Strict):
    """`[api]`: the HTTP service."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    rate_limit: LimitOptions | None = None
    require_key_for_reads: bool = False
    trusted_hosts: tuple[str, ...] = ()
    cors: CorsOptions = CorsOptions()
    max_body_bytes: int = Field(default=1024 * 1024, ge=0)
    body_timeout: float = Field(default=10.0, gt=0)
    admin_key: SecretStr | None = None

    @field_validator("rate_limit")
    @classmethod
    def _per_caller(cls, limit: LimitOptions | None) -> LimitOptions | None:
        if limit is not None and limit.model_fields_set & {"key", "burst", "concurrent"}:
            raise ValueError("expected `requests` and `per` alone: each caller has a budget of its own, without bursts")
        return limit

    @field_validator("trusted_hosts")
    @classmethod
    def _host_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name != "*" and "*" in name.removeprefix("*."):
                raise ValueError(f"expected a host name, with `*.` in front for all below it, found {name!r}")
        return names


class LogTable(Strict):
    """`[log]`: what is written to standard error."""

    level: LogLevel | None = None
    format: Literal["auto", "text", "json"] = "auto"


class ChaosTable(Strict):
    """`[chaos]`: faults on purpose. Refused in production (see `assemble`)."""

    enabled: bool = False
    seed: int | None = None
    rate: float = Field(default=0.1, ge=0, le=1)
    points: tuple[Point, ...] | None = None
    latency: float = Field(default=0.5, ge=0, le=3600)
    fail_after: int | None = Field(default=None, ge=0)


class RetentionTable(Strict):
    """`[retention]`: an age ("90d") or a size ("5GB") per kind of data; absent: kept for ever."""

    raw: str | None = None
    versions: str | None = None
    runs: str | None = None
    resolved_rejections: str | None = None
    closed_anomalies: str | None = None
    records: str | None = None

    @field_validator("raw", "versions", "runs", "resolved_rejections", "closed_anomalies", "records")
    @classmethod
    def _understood(cls, amount: str | None) -> str | None:
        if amount is not None:
            parse_amount(amount)
        return amount


class IdentityTable(Strict):
    """`[identity]`: whether the same thing is known again across sources, and a file that says which it is."""

    enabled: bool = True
    mapping: str | None = Field(default=None, min_length=1)


class Tables(Strict):
    """Everything but the sources and their defaults."""

    database: DatabaseTable = DatabaseTable()
    api: ApiTable = ApiTable()
    log: LogTable = LogTable()
    chaos: ChaosTable = ChaosTable()
    retention: RetentionTable = RetentionTable()
    identity: IdentityTable = IdentityTable()
    environment: str = "development"
