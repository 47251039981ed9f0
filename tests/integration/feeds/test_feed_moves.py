"""Feeds that move, from redirect to redirect, through real runs."""

from __future__ import annotations

from publishers import GONE, Follower, Place, rss

from kasparro_adapters.feeds.moves import CONFIRMATIONS
from kasparro_core.errors import PermanentSourceError, TransientSourceError
from kasparro_core.model import RunStatus

OLD, NEW = "https://old.example/feed", "https://new.example/feed.xml"


async def moved() -> Follower:
    """A follower of a feed that has moved, and whose move is confirmed."""
    follower = Follower()
    follower.web.places = {OLD: Place(moved=NEW), NEW: Place(rss(1, 2))}
    for _ in range(CONFIRMATIONS):
        await follower.run(follower.job(url=OLD))
    return follower


async def test_a_confirmed_move_is_stored_used_and_told() -> None:
    """So many runs ask the configured address; from then on the new one is asked, stands in `partitions.url`, and was
    told by one event; no item comes twice."""
    follower = await moved()
    assert follower.web.since(0) == [OLD] * CONFIRMATIONS
    assert (await follower.states())[""].url == NEW
    await follower.run(follower.job(url=OLD))
    assert follower.web.since(CONFIRMATIONS) == [NEW]
    events = await follower.events("feed.moved")
    assert [event.data for event in events] == [{"partition": "", "from": None, "url": NEW}]
    assert ("noted", CONFIRMATIONS, "feed.moved", events[0].data) in follower.told.events
    assert await follower.titles() == {"1", "2"}


async def test_a_single_redirect_moves_nothing() -> None:
    """A redirect that is gone in the next run leaves the feed where it is configured."""
    follower = Follower()
    follower.web.places = {OLD: Place(moved=NEW), NEW: Place(rss(1))}
    await follower.run(follower.job(url=OLD))
    follower.web.places[OLD] = Place(rss(1))
    for _ in range(3):
        await follower.run(follower.job(url=OLD))
    assert follower.web.since(0) == [OLD] * 4
    assert (await follower.states())[""].url is None


async def test_a_feed_does_not_move_down_to_http() -> None:
    """A feed that is configured with https is asked there for as long as permanent redirects lead to http, also once
    it has moved; one that is configured with http may move."""
    plain = "http://new.example/feed.xml"
    follower = Follower()
    follower.web.places = {OLD: Place(moved=plain), plain: Place(rss(1))}
    for _ in range(CONFIRMATIONS + 1):
        await follower.run(follower.job(url=OLD))
    assert set(follower.web.since(0)) == {OLD}
    assert (await follower.states())[""].url is None
    gone_on = await moved()
    gone_on.web.places |= {NEW: Place(moved=plain), plain: Place(rss(1))}
    for _ in range(CONFIRMATIONS + 1):
        await gone_on.run(gone_on.job(url=OLD))
    assert set(gone_on.web.since(CONFIRMATIONS)) == {NEW}
    assert (await gone_on.states())[""].url == NEW
    home = "http://old.example/feed"
    follower.web.places |= {home: Place(moved=plain)}
    for _ in range(CONFIRMATIONS):
        await follower.run(follower.job(url=home))
    assert (await follower.states())[""].url == plain


async def test_a_target_that_is_no_feed_is_never_moved_to() -> None:
    """A login page behind permanent redirects fails the run each time, and is forgotten when it goes away."""
    follower = Follower()
    follower.web.places = {OLD: Place(moved=NEW), NEW: Place(b"<html>log in</html>")}
    for _ in range(2 * CONFIRMATIONS):
        run = await follower.run(follower.job(url=OLD))
        assert (run.status, run.error_code) == (RunStatus.FAILED, "html_for_feed")
    follower.web.places[OLD] = Place(rss(1))
    assert (await follower.run(follower.job(url=OLD))).status is RunStatus.SUCCEEDED
    assert set(follower.web.since(0)) == {OLD}


async def test_a_move_is_taken_back_where_the_new_address_fails_for_good() -> None:
    """The same run reads the configured address, on its account stands what both have cost, and the move is told to be
    over."""
    follower = await moved()
    follower.web.places = {OLD: Place(rss(1, 2, 3)), NEW: Place(error=PermanentSourceError("no.", code="http_404"))}
    run = await follower.run(follower.job(url=OLD))
    assert follower.web.since(CONFIRMATIONS) == [NEW, OLD]
    assert (run.status, run.counters.requests, run.counters.inserted) == (RunStatus.SUCCEEDED, 2, 1)
    assert (await follower.states())[""].url is None
    assert [event.data["url"] for event in await follower.events("feed.moved")] == [NEW, None]


async def test_a_new_address_that_does_not_answer_is_not_asked_first_again() -> None:
    """After a run that failed, the next one begins at the configured address: a host that is gone for good does not
    hold the feed. Where the redirect still stands, the move stays."""
    follower = await moved()
    follower.web.places[NEW] = Place(error=TransientSourceError("no such host.", code="dns"))
    assert (await follower.run(follower.job(url=OLD))).status is RunStatus.FAILED
    follower.web.places[NEW] = Place(rss(1, 2))
    assert (await follower.run(follower.job(url=OLD))).status is RunStatus.UNCHANGED
    assert follower.web.since(CONFIRMATIONS) == [NEW, OLD]
    assert (await follower.states())[""].url == NEW
    follower.web.places[NEW] = Place(error=TransientSourceError("no such host.", code="dns"))
    await follower.run(follower.job(url=OLD))
    follower.web.places[OLD] = Place(rss(1, 2))
    assert (await follower.run(follower.job(url=OLD))).status is RunStatus.UNCHANGED
    assert (await follower.states())[""].url is None


async def test_another_configured_address_counts_at_once() -> None:
    """Whoever changes `url` is obeyed: the old move is forgotten, also where the first run fails."""
    follower = await moved()
    third = "https://third.example/rss"
    follower.web.places[third] = Place(error=TransientSourceError("down.", code="http_503"))
    await follower.run(follower.job(url=third))
    assert follower.web.since(CONFIRMATIONS) == [third]
    assert (await follower.states())[""].url is None
    follower.web.places[third] = Place(rss(1, 2))
    await follower.run(follower.job(url=third))
    assert (await follower.states())[""].url is None


async def test_a_full_run_asks_the_configured_address() -> None:
    """`--full` forgets the move; the redirect has to be confirmed again."""
    follower = await moved()
    await follower.run(follower.job(url=OLD), full=True)
    assert follower.web.since(CONFIRMATIONS) == [OLD]
    assert (await follower.states())[""].url is None


async def test_secrets_stay_with_their_origin() -> None:
    """At the new address of another origin neither token, login, parameters nor headers of the source are sent; at one
    of the same origin the login and the token are."""
    headers = {"X-Api-Key": "s3cret", "Accept-Language": "de"}
    given = {"auth": {"type": "bearer", "token": "s3cret"}, "headers": headers, "params": {"key": "s3cret"}}
    same = "https://old.example/elsewhere"
    for target, login in ((NEW, False), (same, True)):
        follower = Follower()
        home = "https://me:s3cret@old.example/feed"
        follower.web.places = {home: Place(moved=target), target: Place(rss(1))}
        follower.web.places["https://me:s3cret@old.example/elsewhere"] = Place(rss(1))
        for _ in range(CONFIRMATIONS + 1):
            await follower.run(follower.job(url=home, **given))
        request = follower.web.asked[-1]
        sent = repr((request.url, request.params, request.headers)) + str(request.secret_headers)
        assert request.url.endswith(target.removeprefix("https://"))
        assert ("s3cret" in sent) is login
        assert (request.secret_headers != {}) is login
        assert request.headers["Accept-Language"] == "de"
        assert request.params == {}
        assert "s3cret" not in str((await follower.states())[""])


async def test_a_feed_that_moves_and_is_gone() -> None:
    """Where the new address is gone and the configured one still points to it, the feed is gone."""
    follower = await moved()
    follower.web.places[NEW] = Place(error=GONE)
    run = await follower.run(follower.job(url=OLD))
    assert (run.status, run.error_code) == (RunStatus.FAILED, "gone")
    assert (await follower.states())[""].state == "gone"
