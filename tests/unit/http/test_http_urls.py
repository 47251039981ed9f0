"""Addresses: redaction, origins and resolution."""

from __future__ import annotations

import base64

import pytest
from yarl import URL

from kasparro_adapters.http.urls import (
    is_sensitive,
    parse_url,
    redacted,
    resolve,
    same_origin,
    scrubbed,
    secrets_of,
    without_params,
)
from kasparro_core.ports import FetchRequest


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/x?page=1", "https://a.example/x?page=1"),
        ("https://user:hunter2@a.example/x#frag", "https://a.example/x"),
        ("https://a.example/x?api_key=abc&page=2", "https://a.example/x?api_key=***&page=2"),
        ("https://a.example/?X-Amz-Signature=abc", "https://a.example/?X-Amz-Signature=***"),
        ("https://a.example/?access_token=a&client_secret=b&password=c&sig=d", None),
        ("https://a.example/?keywords=gold", "https://a.example/?keywords=gold"),
        ("https://a.example/?mine=abc", "https://a.example/?mine=***"),
    ],
)
def test_shown_addresses_hold_no_secret(url, shown):
    """User, fragment, declared secrets and parameters named like one are hidden; the rest stays."""
    text = redacted(URL(url), {"mine"})
    assert shown is None or text == shown
    assert not any(f"={secret}" in text for secret in ("a&", "b&", "c&", "d&", "abc", "hunter2"))
    if shown is None:
        assert text.count("***") == 4


@pytest.mark.parametrize("name", ["Authorization", "x-cg-demo-api-key", "X-Auth-Token", "Cookie", "passwd", "sig"])
def test_names_of_secrets_are_known(name):
    """Headers and parameters that usually carry a secret are recognized."""
    assert is_sensitive(name)


@pytest.mark.parametrize("name", ["page", "Accept", "keyword", "design", "author"])
def test_harmless_names_are_shown(name):
    """Ordinary names are not hidden."""
    assert not is_sensitive(name)


def test_an_echoed_secret_is_scrubbed():
    """A key that comes back inside a message is hidden, with and without its scheme."""
    request = FetchRequest("s", "https://a.example/", secret_headers={"Authorization": "Bearer tok-123"})
    said = scrubbed("Bad key tok-123 (Bearer tok-123)", secrets_of(request))
    assert "tok-123" not in said


@pytest.mark.parametrize("login", ["bob:hunter2", "hunter2:"])
def test_the_password_of_a_login_is_scrubbed(login):
    """It may come back in clear, whether it was given in the address or as a header; a key is the user of its login."""
    header = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    for request in (
        FetchRequest("s", f"https://{login}@a.example/"),
        FetchRequest("s", "https://a.example/", secret_headers=header),
    ):
        assert scrubbed("bob is not hunter2", secrets_of(request)) == "bob is not ***"


@pytest.mark.parametrize(
    "echo", ["a/b=c+d e", "a%2Fb%3Dc%2Bd%20e", "a%2fb%3dc%2bd%20e", "a%2fb%3dc%2bd+e", "a/b%3dc%2bd%20e"]
)
def test_a_secret_is_scrubbed_however_it_is_encoded(echo):
    """Some encode with small letters, some a space as a plus, some leave a slash."""
    assert scrubbed(f"Bad key <{echo}>", ["a/b=c+d e"]) == "Bad key <***>"


def test_what_is_plain_but_named_like_a_secret_counts_as_one():
    """In parameters, headers and the address; not a few signs, and not what the address has in its path."""
    request = FetchRequest(
        "s",
        "https://a.example/published?sig=in-address&page=elsewhere",
        params={"token": "in-params", "key": "short", "sort_key": "published", "q": "something"},
        headers={"X-Auth": "in-headers", "Accept": "application/json"},
    )
    assert secrets_of(request) == {"in-address", "in-params", "in-headers"}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/u/s3cr+t/key%3D/feed?page=1", "https://a.example/u/***/feed?page=1"),
        ("https://a.example/u/s3cr%2Bt%2Fkey%3D/feed", "https://a.example/u/***/feed"),
        ("https://a.example/u/s3cr%252Bt%252Fkey%253D/feed", "https://a.example/u/***/feed"),
        ("https://a.example/x?k=s3cr%2Bt/key%3D&page=1", "https://a.example/x?k=***&page=1"),
        ("https://a.example/x?next=/x-s3cr+t/key%3D", "https://a.example/x?next=/x-***"),
        ("https://a.example/x%2Fy?short=abc", "https://a.example/x%2Fy?short=abc"),
    ],
)
def test_secrets_are_hidden_wherever_an_upstream_puts_them(url, shown):
    """In path and query, plain and encoded, once and twice; what holds none stays as it is."""
    assert redacted(URL(url), (), {"s3cr+t/key=", "abc"}) == shown


@pytest.mark.parametrize(
    "text", ["ftp://a/x", "//a/x", "a.example/x", "http:///x", "", "file:///etc/passwd", "http://[::1"]
)
def test_only_http_addresses_with_a_host_are_fetched(text):
    """Other schemes, relative and broken addresses are refused with a reason."""
    with pytest.raises(ValueError, match=r"address|scheme"):
        parse_url(text)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b", "https://a.example/b"),
        ("b?page=2", "https://a.example/x/b?page=2"),
        ("?page=2", "https://a.example/x/y?page=2"),
        ("//b.example/z", "https://b.example/z"),
        ("https://u:p@b.example/z#f", "https://b.example/z"),
    ],
)
def test_locations_are_resolved(location, target):
    """Relative places are resolved against the page; user and fragment of a foreign address are dropped."""
    assert str(resolve(URL("https://a.example/x/y?page=1"), location)) == target


@pytest.mark.parametrize("location", ["javascript:alert(1)", "file:///etc/passwd", "http://", "ftp://a.example/"])
def test_a_location_that_is_not_http_is_refused(location):
    """No redirect leads out of http and https."""
    with pytest.raises(ValueError, match=r"address|scheme"):
        resolve(URL("https://a.example/"), location)


def test_origins_compare_scheme_host_and_port():
    """The default port is the same as none; another scheme or port is another origin."""
    one = URL("https://a.example/x")
    assert same_origin(one, URL("https://A.example:443/y"))
    assert not same_origin(one, URL("http://a.example/x"))
    assert not same_origin(one, URL("https://a.example:8443/x"))
    assert not same_origin(one, URL("https://b.a.example/x"))


def test_parameters_are_removed_by_name_and_value():
    """A secret is removed under its own name and under any other."""
    url = URL("https://a/?k=s3cret&q=s3cret&page=1")
    assert str(without_params(url, ["k"], ["s3cret"])) == "https://a/?page=1"
    assert without_params(url) is url
