"""What of a source's configuration anybody may see."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from kasparro_app.api.shapes.sources import PublicConfiguration
from kasparro_app.public_config import public_address, public_auth, public_config
from kasparro_app.settings import MODELS
from kasparro_core.config import Auth

SECRET = "s3cr3t"
LEAST: dict[str, dict[str, Any]] = {
    "http": {"url": "https://api.example.com/items", "mapping": {"key": ["id"]}},
    "csv": {"path": "a.csv"},
    "feed": {"url": "https://example.com/feed"},
}
AUTHS: list[dict[str, Any]] = [
    {"type": "bearer", "token": SECRET},
    {"type": "basic", "username": SECRET, "password": SECRET},
    {"type": "api_key", "key": SECRET, "header": "X-Key"},
    {"type": "api_key", "key": SECRET, "query": "apikey"},
]


@pytest.mark.parametrize("kind", MODELS)
def test_every_key_is_shown_or_named_as_another_type_s(kind: str) -> None:
    """Each key of a type of source is in its public view, so that a new key needs a decision here; and the view has no
    member that OpenAPI does not describe."""
    config = MODELS[kind].model_validate({"type": kind, **LEAST[kind]})
    view = public_config("s", config)
    addresses = {"url", "urls", "opml", "path"}
    assert set(MODELS[kind].model_fields) - addresses <= set(view)
    PublicConfiguration.model_validate(view)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("auth", AUTHS, ids=lambda auth: auth["type"] + auth.get("header", ""))
def test_no_auth_shows_what_it_holds(kind: str, auth: dict[str, Any]) -> None:
    """Whatever the kind of auth, type and place are shown, and nothing of what is sent; parameters and headers show
    their names alone."""
    more = {"auth": auth, "params": {"plain": SECRET}, "headers": {"X-Plain": SECRET}}
    view = public_config("s", MODELS[kind].model_validate({"type": kind, **LEAST[kind], **more}))
    assert SECRET not in repr(view)
    assert view["auth"]["type"] == auth["type"]
    assert (view["params"], view["headers"]) == ({"plain": "***"}, {"X-Plain": "***"})


def test_the_address_of_past_windows_shows_no_secret() -> None:
    """It is shown as every other address is: without the values of its query."""
    backfill = {"url": f"https://example.com/past?from={{start}}&apikey={SECRET}", "state": "now"}
    view = public_config("s", MODELS["http"].model_validate({"type": "http", **LEAST["http"], "backfill": backfill}))
    assert view["backfill"]["url"] == "https://example.com/past?from=***&apikey=***"
    assert SECRET not in repr(view)


def test_every_kind_of_auth_is_known_here() -> None:
    """The kinds of auth that the configuration takes are those of this test."""
    schema = TypeAdapter(Auth).json_schema()
    assert set(schema["discriminator"]["mapping"]) == {auth["type"] for auth in AUTHS}
    assert public_auth(None) is None


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://example.com/a?b=1&c=2#d", "https://example.com/a?b=***&c=***"),
        ("https://u:p@example.com:8443/a", "https://example.com:8443/a"),
        ("https://u@example.com/", "https://example.com/"),
        ("https://example.com/?token", "https://example.com/?***"),
        ("HTTPS://u:p@[::1]:80/a?b=", "https://[::1]:80/a?b=***"),
        ("  https://u:p@example.com/a ", "https://example.com/a"),
        ("data/prices/*.csv", "data/prices/*.csv"),
        (r"C:\data\a?b=c.csv", r"C:\data\a?b=c.csv"),
        ("", ""),
    ],
)
def test_an_address_without_its_secrets(address: str, shown: str) -> None:
    """No user, no password, no fragment and no value of a query is left; a path of a file stays as it is."""
    assert public_address(address) == shown
