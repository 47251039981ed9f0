"""A source's configuration as anybody may see it.

Every key that is shown is named here; a key that is not named is not shown. Values that may carry a secret are never
shown, whatever they are called: those of `auth`, `params` and `headers`, and user, query values and fragment of
addresses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from kasparro_app.config.schedule import MANUAL
from kasparro_core.config import ApiKeyAuth, Auth, BasicAuth, BearerAuth, SourceConfig

HIDDEN: Final = "***"
_COMMON: Final = (
    "schedule", "timezone", "jitter", "enabled", "max_rejected", "fail_rejected", "drift", "mark_gone_max", "raw",
    "anomalies", "identity",
)  # fmt: skip
_FETCHING: Final = ("method", "timeout", "max_bytes", "max_ratio", "allow_private_hosts")
_OF_TYPE: Final[Mapping[str, tuple[str, ...]]] = {
    "http": ("preset", "records", "when_fresh"),
    "csv": (
        "root",
        "delimiter",
        "quote",
        "encoding",
        "header",
        "columns",
        "decimal",
        "skip_lines",
        "member",
        "batch_rows",
    ),
    "feed": ("root", "respect_ttl"),
}
_ADDRESSES: Final = ("url", "urls", "opml", "path")
_TABLES: Final = ("paginate", "incremental", "backfill", "retry", "limit")


def public_config(name: str, config: SourceConfig) -> dict[str, Any]:
    """The keys of a source that are no secret, in reading order."""
    mapping = config.record_mapping(name)
    return {
        "type": config.type,
        "kind": mapping.kind,
        **{key: public_address(getattr(config, key)) for key in _ADDRESSES if getattr(config, key, None) is not None},
        **_named(config, _OF_TYPE[config.type]),
        **_named(config, _COMMON),
        "history": config.keeps_history(mapping.kind),
        "mark_gone": config.marks_gone(mapping.kind),
        **(_fetching(config) if "auth" in type(config).model_fields else {}),
        "mapping": mapping.model_dump(exclude_unset=True, exclude={"source", "kind"}),
    }


def public_address(address: str | tuple[str, ...]) -> str | list[str]:
    """An address (or several) without user, password and fragment, and with `***` for the values of its query. A path
    of a file stays as it is."""
    if not isinstance(address, str):
        return [_without_secrets(each) for each in address]
    return _without_secrets(address)


def public_auth(auth: Auth | None) -> dict[str, Any] | None:
    """How a source shows who it is, without what it shows. A user name is not shown either: with some upstreams it is
    the key."""
    match auth:
        case BearerAuth() | BasicAuth():
            return {"type": auth.type}
        case ApiKeyAuth():
            place = {"header": auth.header} if auth.header else {"query": auth.query}
            return {"type": auth.type, **place}
        case None:
            return None


def is_scheduled(config: SourceConfig) -> bool:
    """Whether a source has slots."""
    return config.enabled and config.schedule.strip().lower() != MANUAL


def _fetching(config: Any) -> dict[str, Any]:
    return {
        "params": dict.fromkeys(config.params, HIDDEN),
        "headers": dict.fromkeys(config.headers, HIDDEN),
        "auth": public_auth(config.auth),
        **_named(config, _FETCHING),
        **{key: _table(getattr(config, key)) for key in _TABLES if hasattr(config, key)},
    }


def _table(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    shown = dict(value.model_dump())
    return {**shown, "url": public_address(shown["url"])} if shown.get("url") else shown


def _named(config: SourceConfig, keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: getattr(config, key) for key in keys}


def _without_secrets(address: str) -> str:
    scheme, found, _ = address.strip().partition("://")
    if not found or not scheme.isalnum():
        return address
    parts = urlsplit(address.strip())
    pairs = (part.partition("=") for part in parts.query.split("&") if part)
    query = "&".join(f"{name}={HIDDEN}" if equals else HIDDEN for name, equals, _ in pairs)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))
