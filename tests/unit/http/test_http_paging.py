"""Paging: the next place, or the end."""

from __future__ import annotations

import pytest

from kasparro_adapters.http import HttpSourceConfig
from kasparro_adapters.http.links import address_of, next_link
from kasparro_adapters.http.paging import Page, pager_of
from kasparro_core.errors import PermanentSourceError


def pager(url="https://api.example/v1/items", **paginate):
    config = {"type": "http", "url": url, "auth": {"type": "api_key", "key": "s3cret", "query": "api_key"}}
    return pager_of(HttpSourceConfig.model_validate({**config, "paginate": paginate}))


def page(rows=1, document=None, url="https://api.example/v1/items?page=1", **headers):
    return Page(rows, url, headers, document)


def test_pages_count_until_one_is_short():
    """Full pages go on, a short or empty one ends the walk."""
    pages = pager(type="page", param="p", size_param="n", size=3)
    assert pages.params(pages.first) == {"p": "1", "n": "3"}
    assert pages.after({"at": 1}, page(3)) == {"at": 2}
    assert pages.after({"at": 2}, page(2)) is None
    assert pages.after({"at": 2}, page(0)) is None


def test_offsets_grow_by_what_came():
    """The next offset is where the rows that came end."""
    offsets = pager(type="offset", size=100)
    assert offsets.params(offsets.first) == {"offset": "0", "limit": "100"}
    assert offsets.after({"at": 200}, page(100)) == {"at": 300}
    assert offsets.after({"at": 300}, page(99)) is None


@pytest.mark.parametrize("kind", ["page", "offset"])
def test_only_an_empty_page_ends_when_asked_so(kind):
    """With stop = "empty", and where no size is known, short pages go on."""
    assert pager(type=kind, size=100, stop="empty").after({"at": 5}, page(1)) is not None
    assert pager(type=kind, size=100, stop="empty").after({"at": 5}, page(0)) is None
    assert pager(type="page").after({"at": 5}, page(1)) == {"at": 6}


def test_a_silently_lowered_size_loses_nothing():
    """A first page that is short by a round number is followed by another, and then that number counts as full."""
    pages = pager(type="page", size_param="n", size=500)
    probing = pages.after(pages.first, page(250))
    assert probing == {"at": 2, "size": 250, "probe": True}
    assert pages.after(probing, page(250)) == {"at": 3, "size": 250}
    assert pages.after({"at": 3, "size": 250}, page(7)) is None
    assert pages.after(pages.first, page(251)) is None
    assert pages.after({"at": 2}, page(250)) is None
    offsets = pager(type="offset", size=500)
    assert offsets.after(offsets.first, page(100)) == {"at": 100, "size": 100, "probe": True}


@pytest.mark.parametrize("token", ["abc", 17])
def test_tokens_are_followed(token):
    """The token of the body is asked for next, beside the configured parameters."""
    tokens = pager(type="cursor", param="after", path="meta.next", size_param="n", size=2)
    assert tokens.params({}) == {"n": "2"}
    place = tokens.after({}, page(document={"meta": {"next": token}}))
    assert place == {"token": str(token)}
    assert tokens.params(place) == {"n": "2", "after": str(token)}


@pytest.mark.parametrize(
    "document",
    [{"meta": {"next": None}}, {"meta": {"next": ""}}, {"meta": {"next": False}}, {"meta": {}}, {}, [], None],
)
def test_no_token_ends_the_walk(document):
    """An absent, null, false or empty token is the end."""
    assert pager(type="cursor", path="meta.next").after({}, page(document=document)) is None


def test_a_flag_can_end_the_walk():
    """Where the upstream says with a flag that there is no more, its token is not followed."""
    tokens = pager(type="cursor", path="next", more="has_more")
    assert tokens.after({}, page(document={"next": "x", "has_more": False})) is None
    assert tokens.after({}, page(document={"next": "x", "has_more": True})) == {"token": "x"}


@pytest.mark.parametrize("kind", [{"type": "cursor"}, {"type": "next_link"}])
def test_an_unusable_next_page_is_an_error(kind):
    """An object where a token or address belongs is said, not followed."""
    with pytest.raises(PermanentSourceError) as caught:
        pager(**kind, path="next").after({}, page(document={"next": {"a": 1}}))
    assert caught.value.code == "bad_next_page"


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("https://api.example/v1/items?page=2", "/v1/items?page=2"),
        ("/v1/items?page=2", "/v1/items?page=2"),
        ("?page=2", "/v1/items?page=2"),
        ("https://api.example:443/v1/items?page=2", "/v1/items?page=2"),
        ("http://api.example/v1/items?page=2", "/v1/items?page=2"),
        ("?page=2&api_key=s3cret", "/v1/items?page=2"),
        ("https://api.example//evil.example/x", "//evil.example/x"),
    ],
)
def test_links_are_resolved_and_hold_no_secret(link, url):
    """Links are kept from the path on, a plain http slip is mended, and our own key is not kept in the cursor."""
    assert pager(type="next_link", path="links.next").after({}, page(document={"links": {"next": link}})) == {
        "url": url
    }


@pytest.mark.parametrize(
    "link", ["https://evil.example/x", "//evil.example/x", "https://api.example:8443/x", "http://api.example:81/x"]
)
def test_a_link_to_another_origin_is_refused(link):
    """An answer cannot send us, and our key, elsewhere."""
    with pytest.raises(PermanentSourceError) as caught:
        pager(type="next_link", path="next").after({}, page(document={"next": link}))
    assert caught.value.code == "foreign_link"


@pytest.mark.parametrize("link", ["/u/published-s3cret/items?page=2", "/v1/items?next=x-published-s3cret"])
def test_a_link_with_our_key_inside_is_not_kept(link):
    """It would stand in the checkpoint; what the address has in its own path is no secret."""
    given = {"type": "http", "url": "https://api.example/published-s3cret", "params": {"sort_key": "published-s3cret"}}
    paginate = {"paginate": {"type": "next_link", "path": "next"}}
    keyed = {**given, **paginate, "url": "https://api.example/x"}
    with pytest.raises(PermanentSourceError, match=r"\*\*\*") as caught:
        pager_of(HttpSourceConfig.model_validate(keyed)).after({}, page(document={"next": link}))
    assert caught.value.code == "bad_next_page"
    assert "s3cret" not in str(caught.value)
    plain = pager_of(HttpSourceConfig.model_validate({**given, **paginate}))
    assert plain.after({}, page(document={"next": link})) == {"url": link}


def test_a_source_with_a_key_stays_where_it_was_configured():
    """Where a redirect led to another origin, links of that origin are followed only when there is nothing to tell."""
    moved = page(document={"next": "/x"}, url="https://new.example/v1/items")
    with pytest.raises(PermanentSourceError, match=r"new\.example"):
        pager(type="next_link", path="next").after({}, moved)
    open_config = {"type": "http", "url": "https://api.example/", "paginate": {"type": "next_link", "path": "next"}}
    keyless = pager_of(HttpSourceConfig.model_validate(open_config))
    assert keyless.after({}, moved) == {"url": "https://new.example/x"}


def test_a_kept_link_stays_on_the_origin():
    """A path with two slashes is no host; a link that was followed elsewhere is kept whole."""
    config = HttpSourceConfig.model_validate({"type": "http", "url": "https://api.example:444/v1"})
    assert address_of(config, "//evil.example/x") == "https://api.example:444//evil.example/x"
    assert address_of(config, "https://new.example/x") == "https://new.example/x"


@pytest.mark.parametrize("link", ["javascript:alert(1)", "ftp://api.example/x", "http://"])
def test_a_link_that_is_no_address_is_refused(link):
    """Only http and https lead on."""
    with pytest.raises(PermanentSourceError) as caught:
        pager(type="next_link", path="next").after({}, page(document={"next": link}))
    assert caught.value.code == "bad_next_page"


@pytest.mark.parametrize(
    ("header", "target"),
    [
        ('<https://a/x?page=15>; rel="last", <https://a/x?page=2>; rel="next"', "https://a/x?page=2"),
        ("</x?a=1,2>; rel=next", "/x?a=1,2"),
        ('</x>; title="a, <b>; rel=next"; rel="prev", </y>; REL="Next"', "/y"),
        ('</x>; rel="prefetch next"', "/x"),
        ('</x>; rel="last"', None),
        ("</x>", None),
        ("", None),
        ("garbage, <", None),
    ],
)
def test_link_headers_are_read(header, target):
    """rel="next" is found among several links, in any order, case and quoting."""
    assert next_link(header) == target


def test_a_link_header_leads_on():
    """The link of the header is the next place; no header is the end."""
    links = pager(type="link_header", size_param="n", size=5)
    assert links.params({}) == {"n": "5"}
    place = links.after({}, page(link='</v1/items?n=5&page=2>; rel="next"'))
    assert place == {"url": "/v1/items?n=5&page=2"}
    assert links.params(place) == {}
    assert links.after(place, page()) is None
