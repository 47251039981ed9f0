"""Redirects: followed, bounded, and told no secret."""

from __future__ import annotations

import pytest
from aiohttp import web

from kasparro_core.errors import PermanentSourceError


def to(location, status=302):
    return lambda _: web.Response(status=status, headers={"Location": location}, text="<html>moved</html>")


def ok(_):
    return web.Response(text="there")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/b", "b", "{url}/b", "//{host}/b"])
async def test_every_redirect_is_followed(site, fetcher, ask, status, location):
    """Absolute, relative and scheme-relative places are reached, and the answer names where it came from."""
    site.on("/a", to(location.format(url=site.url, host=site.url.removeprefix("http://")), status))
    site.on("/b", ok)
    answer = await fetcher.fetch(ask(f"{site.url}/a"))
    assert (answer.body, answer.url) == (b"there", f"{site.url}/b")
    assert answer.facts.requests == 2
    assert answer.moved_to == (f"{site.url}/b" if status in (301, 308) else None)


async def test_moved_means_that_every_redirect_was_permanent(site, fetcher, ask):
    """301 then 308 is a move to the last place; one temporary redirect among them is not."""
    site.on("/a", to("/b", 301))
    site.on("/b", to("/c", 308))
    site.on("/c", ok)
    site.on("/t", to("/a", 302))
    assert (await fetcher.fetch(ask(f"{site.url}/a"))).moved_to == f"{site.url}/c"
    assert (await fetcher.fetch(ask(f"{site.url}/t"))).moved_to is None


async def test_a_move_to_an_address_with_a_secret_is_not_remembered(site, fetcher, ask):
    """A new address that carries a token of its own is followed, but not given out."""
    site.on("/a", to("/b?token=abc", 301))
    site.on("/b", ok)
    answer = await fetcher.fetch(ask(f"{site.url}/a"))
    assert answer.moved_to is None
    assert "abc" not in answer.url
    assert site.seen[1].query["token"] == "abc"


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ({"secret_params": {"api_key": "s3cret/key"}}, "/u/s3cret%2Fkey/feed"),
        ({"secret_headers": {"Authorization": "Bearer s3cret/key"}}, "/b?next=s3cret/key"),
        ({"params": {"token": "s3cret/key"}}, "/u/s3cret/key/feed"),
    ],
)
async def test_a_secret_that_a_redirect_repeats_is_shown_nowhere(site, fetcher, ask, asked, place):
    """In the path or under another name: followed, but neither shown nor remembered as a move."""
    site.on("/a", to(place, 301))
    for path in ("/u/s3cret/key/feed", "/u/s3cret%2Fkey/feed", "/b"):
        site.on(path, ok)
    answer = await fetcher.fetch(ask(f"{site.url}/a", **asked))
    assert (answer.body, answer.moved_to) == (b"there", None)
    assert "***" in answer.url
    assert "s3cret" not in answer.url + str(answer.facts.url)


@pytest.mark.parametrize(
    ("status", "methods"),
    [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")],
)
async def test_a_post_keeps_its_method_where_the_standard_says(site, fetcher, ask, status, methods):
    """307 and 308 repeat a POST; the others go on with GET."""
    site.on("/a", to("/b", status))
    site.on("/b", ok)
    await fetcher.fetch(ask(f"{site.url}/a", method="POST"))
    assert [request.method for request in site.seen] == ["POST", methods]


async def test_a_secret_that_the_configured_path_holds_leaves_the_address_as_it_is(site, fetcher, ask):
    """A path with the name of an account that is its key, too: links relative to the address still lead there."""
    site.on("/acme-corp/items", lambda _: web.Response(text="there"))
    answer = await fetcher.fetch(ask(f"{site.url}/acme-corp/items", secret_headers={"X-Key": "acme-corp"}))
    assert answer.url == f"{site.url}/acme-corp/items"


async def test_secrets_go_to_the_first_origin_alone(serving, fetcher, ask):
    """Keys, password and configured headers that look like secrets stay behind; other headers travel."""
    home, other = await serving(), await serving()
    home.on("/a", to("/b"))
    home.on("/b", lambda request: to(f"{other.url}/c?{request.query_string}")(request))
    other.on("/c", ok)
    answer = await fetcher.fetch(
        ask(
            home.url.replace("http://", "http://user:hunter2@") + "/a",
            headers={"X-Trace": "1", "X-Session-Token": "plain-secret"},
            secret_headers={"X-Api-Key": "head-secret"},
            secret_params={"apikey": "query-secret"},
        )
    )
    for request in home.seen:
        assert request.headers["X-Api-Key"] == "head-secret"
        assert request.headers["X-Session-Token"] == "plain-secret"
        assert request.headers["Authorization"].startswith("Basic ")
        assert request.query["apikey"] == "query-secret"
    (foreign,) = other.seen
    told = foreign.path_qs + "".join(f"{name}: {value}\n" for name, value in foreign.headers.items())
    for secret in ("head-secret", "query-secret", "plain-secret", "hunter2", "Authorization"):
        assert secret not in told
    assert foreign.headers["X-Trace"] == "1"
    assert "secret" not in answer.url + str(answer.facts.url)


async def test_back_at_the_first_origin_the_secrets_are_told_again(serving, fetcher, ask):
    """A detour over another origin does not lose the login at home."""
    home, other = await serving(), await serving()
    home.on("/a", to(f"{other.url}/b"))
    other.on("/b", to(f"{home.url}/c"))
    home.on("/c", ok)
    await fetcher.fetch(ask(f"{home.url}/a", secret_headers={"X-Api-Key": "k"}))
    assert [request.headers.get("X-Api-Key") for request in (*home.seen, *other.seen)] == ["k", "k", None]


async def test_circles_and_endless_chains_end(site, fetcher, ask):
    """A place seen before is a loop; an eleventh redirect is too many; neither is tried again."""
    site.on("/a", to("/b"))
    site.on("/b", to("/a"))
    site.on("/n", lambda request: to(f"/n?n={int(request.query.get('n', 0)) + 1}")(request))
    with pytest.raises(PermanentSourceError) as circle:
        await fetcher.fetch(ask(f"{site.url}/a"))
    assert circle.value.code == "redirect_loop"
    assert len(site.seen) == 2
    with pytest.raises(PermanentSourceError) as chain:
        await fetcher.fetch(ask(f"{site.url}/n"))
    assert chain.value.code == "too_many_redirects"
    assert site.count("/n") == 11


async def test_ten_redirects_are_fine(site, fetcher, ask):
    """The tenth redirect still leads to the answer."""
    site.on("/n", [to(f"/n?{n}") for n in range(10)] + [ok])
    assert (await fetcher.fetch(ask(f"{site.url}/n"))).body == b"there"


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://a.example/x", "javascript:alert(1)", "http://a b/"])
async def test_redirects_lead_to_http_alone(site, fetcher, ask, location):
    """Another scheme, or no usable host, is a bad redirect."""
    site.on("/a", to(location))
    with pytest.raises(PermanentSourceError) as caught:
        await fetcher.fetch(ask(f"{site.url}/a"))
    assert caught.value.code == "bad_redirect"


async def test_a_redirect_without_a_place_is_an_answer_that_failed(site, fetcher, ask):
    """A 302 without Location leads nowhere."""
    site.on("/a", lambda _: web.Response(status=302))
    with pytest.raises(PermanentSourceError) as caught:
        await fetcher.fetch(ask(f"{site.url}/a"))
    assert caught.value.code == "http_302"


async def test_a_redirect_into_this_network_is_refused(site, fetcher, ask, monkeypatch):
    """The first address may be public; a redirect to one that is not is refused when its socket is made."""
    from kasparro_adapters.http import guard

    real = guard.is_public
    monkeypatch.setattr(guard, "is_public", lambda address: address == "127.0.0.1" or real(address))
    site.on("/a", to("http://127.0.0.2:9/latest/meta-data"))
    with pytest.raises(PermanentSourceError, match=r"127\.0\.0\.2.*allow_private_hosts") as caught:
        await fetcher.fetch(ask(f"{site.url}/a", allow_private_hosts=False))
    assert caught.value.code == "private_address"
    assert len(site.seen) == 1
