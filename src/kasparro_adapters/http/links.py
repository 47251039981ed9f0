"""Links to a next page: an upstream may lead us on, but not away from where the configuration points."""

from __future__ import annotations

import re
from typing import Any

from yarl import URL

from kasparro_adapters.http.config import HttpSourceConfig
from kasparro_adapters.http.urls import is_sensitive, redacted, resolve, same_origin, without_params
from kasparro_core.errors import PermanentSourceError

_LINK = re.compile(r"<([^<>]*)>\s*((?:;\s*[^\s=;,\"<>]+\s*(?:=\s*(?:\"(?:\\.|[^\"\\])*\"|[^\s;,\"]*))?\s*)*)")
_PARAMS = re.compile(r";\s*([^\s=;,\"<>]+)\s*(?:=\s*(?:\"((?:\\.|[^\"\\])*)\"|([^\s;,\"]*)))?\s*")


def next_link(header: str) -> str | None:
    """The target of rel="next" in a Link header (RFC 8288), or None."""
    for target, params in _LINK.findall(header):
        rels = [quoted or token for name, quoted, token in _PARAMS.findall(params) if name.lower() == "rel"]
        if rels and "next" in rels[0].lower().split():
            return str(target).strip()
    return None


def follow(config: HttpSourceConfig, base: str, link: str) -> str:
    """The address of a next page as a cursor keeps it: without secrets, and from the path on where it is on the
    configured origin, so that a source may move to another host. `base` is the address of the page that named it.

    It has to be on the configured origin; a source without secrets may also follow to the origin that its pages were
    redirected to. A plain http link to the configured https host is taken as https (a proxy's slip). Raises
    PermanentSourceError, code `foreign_link` or `bad_next_page`.
    """
    home = URL(config.url)
    try:
        target = resolve(URL(base), link)
    except ValueError as error:
        message = f"The address of the next page is not usable: {error}."
        raise PermanentSourceError(message, code="bad_next_page") from error
    if home.scheme == "https" and target.scheme == "http" and target.is_default_port() and target.host == home.host:
        target = target.with_scheme("https").with_port(home.explicit_port)
    bare = without_params(target, config.secret_param_names, config.secret_values)
    told = [secret for secret in config.secret_values if secret not in home.path]
    if redacted(bare, (), told) != redacted(bare):
        message = f"The address of the next page, {redacted(bare, (), told)}, repeats a secret and cannot be kept."
        raise PermanentSourceError(message, code="bad_next_page")
    if same_origin(bare, home):
        return bare.raw_path_qs
    if not _has_secrets(config) and same_origin(bare, URL(base)):
        return str(bare)
    raise PermanentSourceError(
        f"The next page is said to be at {redacted(bare)}, which is not on {home.origin()}.", code="foreign_link"
    )


def address_of(config: HttpSourceConfig, kept: str) -> str:
    """The full address of a next page that `follow` gave. Not joined: a path may begin with two slashes."""
    return f"{URL(config.url).origin()}{kept}" if kept.startswith("/") else kept


def may_be_kept(config: HttpSourceConfig, kept: Any) -> bool:
    """True for what `follow` may have given: a path on the configured origin, or where there is no secret to lose a
    whole address."""
    if not isinstance(kept, str):
        return False
    if kept.startswith("/"):
        return True
    return not _has_secrets(config) and kept.startswith(("http://", "https://"))


def _has_secrets(config: HttpSourceConfig) -> bool:
    names = [*config.headers, *config.params]
    return config.auth is not None or any(is_sensitive(name) for name in names)
