"""What publishers ask for, and what timed runs make of it: a service on a virtual clock."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from publishers import GONE, Follower, Place, hours, rss
from scripted import EPOCH

from kasparro_core.errors import TransientSourceError
from kasparro_core.model import RunStatus, Trigger
from kasparro_core.policy.courtesy import LONGEST_PATIENCE
from kasparro_core.services.partition_states import LONGEST_WAIT

FEED = "https://a.example/feed"
MANY = [f"https://{name}.example/feed" for name in "abcd"]


async def test_a_feed_that_is_gone_is_left_alone_until_a_person_asks() -> None:
    """410 fails one run, and is told once; every later slot is skipped with the reason `gone`, without a request; a run
    by hand asks again, and where the feed is back the schedule goes on."""
    follower = Follower()
    follower.web.places = {FEED: Place(error=GONE)}
    job = follower.job(url=FEED)
    timetable = follower.timetable(job)
    await timetable.settle()
    await follower.keep(timetable, hours(5))
    assert len(follower.web.asked) == 1
    assert await follower.reasons() == {None: 1, "gone": 19}
    state = (await follower.states())[""]
    assert (state.state, state.url) == ("gone", None)
    assert "took this feed down for good" in (state.last_error or "")
    (told,) = await follower.events("feed.gone")
    assert told.data["error"] == state.last_error
    assert (await follower.run(job)).error_code == "gone"
    follower.web.places[FEED] = Place(rss(1))
    assert (await follower.run(job)).status is RunStatus.SUCCEEDED
    await follower.keep(timetable, hours(1))
    assert (await follower.reasons())[None] == 5
    assert len(await follower.events("feed.gone")) == 1


async def test_a_new_address_wakes_a_feed_that_is_gone() -> None:
    """Once another address is configured, the next slot runs."""
    follower = Follower()
    follower.web.places = {FEED: Place(error=GONE), MANY[1]: Place(rss(1))}
    await follower.run(follower.job(url=FEED))
    timetable = follower.timetable(follower.job(url=MANY[1]))
    await timetable.settle()
    assert await timetable.tick() == 1
    await follower.process.idle()
    assert (await follower.states())[""].state == "ok"
    assert await follower.titles() == {"1"}


async def test_one_feed_of_a_list_does_not_hold_up_the_others() -> None:
    """Of four feeds one is gone, one asks for half a day and one fails: the fourth is read in every slot, and a run
    without the two that are left alone is no failure of theirs."""
    follower = Follower()
    a, b, c, d = MANY
    follower.web.places = {
        a: Place(error=GONE),
        b: Place(rss(1, channel="<ttl>720</ttl>")),
        c: Place(error=TransientSourceError("down.", code="http_503")),
        d: Place(rss(2)),
    }
    timetable = follower.timetable(follower.job(urls=MANY))
    await timetable.settle()
    await follower.keep(timetable, hours(12.1))
    asked = follower.web.since(0)
    assert [asked.count(url) for url in MANY] == [1, 2, 49, 49]
    runs = await follower.world.runs()
    assert {run.status for run in runs} == {RunStatus.DEGRADED}
    states = await follower.states()
    assert {name: state.state for name, state in states.items()} == {a: "gone", b: "ok", c: "failed", d: "ok"}


async def test_a_list_of_which_all_that_is_left_fails_has_failed() -> None:
    """Partitions that are left alone do not count as having come through."""
    follower = Follower()
    follower.web.places = {MANY[0]: Place(error=GONE), MANY[1]: Place(rss(1))}
    job = follower.job(urls=MANY[:2])
    assert (await follower.run(job, Trigger.SCHEDULE)).status is RunStatus.DEGRADED
    assert (await follower.run(job, Trigger.SCHEDULE)).status is RunStatus.UNCHANGED
    follower.web.places[MANY[1]] = Place(error=TransientSourceError("down.", code="http_503"))
    assert (await follower.run(job, Trigger.SCHEDULE)).status is RunStatus.FAILED


TTL = rss(1, channel="<ttl>60</ttl>")
FRESH = {"cache-control": "max-age=3600"}


@pytest.mark.parametrize(
    ("place", "many"),
    [
        (Place(TTL), False),
        (Place(TTL, {"etag": '"1"'}), False),
        (Place(rss(1), FRESH), False),
        (Place(rss(1), {**FRESH, "etag": '"1"'}), False),
        (Place(TTL), True),
    ],
)
async def test_a_feed_is_asked_as_often_as_it_wishes(place: Place, *, many: bool) -> None:
    """Under a schedule of 15 minutes a feed that asks for an hour is asked every hour, never sooner, also when all that
    came was a 304 or a known body; slots in between are skipped as `not_due`."""
    follower = Follower()
    follower.web.places = {FEED: place}
    timetable = follower.timetable(follower.job(urls=[FEED]) if many else follower.job(url=FEED))
    await timetable.settle()
    await follower.keep(timetable, hours(5))
    times = [at for _, at in follower.web.times]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(times) == 5
    assert min(gaps) >= hours(1)
    if not many:
        assert (await follower.reasons())["not_due"] == 15


async def test_a_wish_as_long_as_the_interval_costs_no_slot() -> None:
    """Runs come a little sooner or later after their slots; what is due seconds later is waited for, not skipped."""
    follower = Follower(interval=3600)
    follower.web.places = {FEED: Place(rss(1, channel="<ttl>60</ttl>"))}
    timetable = follower.timetable(follower.job(url=FEED))
    await timetable.settle()
    await follower.keep(timetable, hours(10), step=7.0)
    assert await follower.reasons() == {None: 10}
    times = [at for _, at in follower.web.times]
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) >= hours(1)


async def test_a_run_by_hand_asks_whatever_is_wished() -> None:
    """Neither ttl nor quiet hours keep a person away."""
    follower = Follower()
    everything = "<ttl>60</ttl><skipHours><hour>0</hour></skipHours>"
    follower.web.places = {FEED: Place(rss(1, channel=everything))}
    for trigger in (Trigger.CLI, Trigger.API, Trigger.RECOVERY):
        await follower.run(follower.job(url=FEED), trigger)
    assert len(follower.web.asked) == 3
    state = (await follower.states())[""]
    assert (state.quiet, state.next_at and state.next_at - EPOCH < timedelta(hours=1.1)) == ("hours=0", True)


async def test_the_schedule_wins_where_a_person_says_so() -> None:
    """`respect_ttl = false`: every slot runs."""
    follower = Follower()
    follower.web.places = {FEED: Place(rss(1, channel="<ttl>60</ttl>"), {"cache-control": "max-age=3600"})}
    timetable = follower.timetable(follower.job(url=FEED, respect_ttl=False))
    await timetable.settle()
    await follower.keep(timetable, hours(3))
    assert len(follower.web.asked) == 12


async def test_quiet_hours_and_days() -> None:
    """Over a week nobody asks in a skipped hour or on a skipped day, and in every other hour somebody does."""
    follower = Follower(interval=3600)
    channel = "<skipHours><hour>1</hour><hour>23</hour></skipHours><skipDays><day>Sunday</day></skipDays>"
    follower.web.places = {FEED: Place(rss(1, channel=channel), {"etag": '"1"'})}
    timetable = follower.timetable(follower.job(url=FEED))
    await timetable.settle()
    await follower.keep(timetable, hours(24 * 7), step=120.0)
    instants = [EPOCH + timedelta(seconds=at) for _, at in follower.web.times]
    assert not [at for at in instants if at.hour in (1, 23) or at.weekday() == 6]
    assert len({(at.date(), at.hour) for at in instants}) == 6 * 22
    assert (await follower.reasons())["not_due"] == 24 * 7 - len(instants)


async def test_a_daily_slot_in_a_quiet_hour_is_put_off_to_its_end() -> None:
    """A feed that is read once a day, in an hour in which it asks not to be asked, is read each day when that hour has
    ended; until then the schedule says so, and no slot is skipped."""
    follower = Follower(interval=86400)
    channel = f"<skipHours><hour>{EPOCH.hour}</hour></skipHours>"
    follower.web.places = {FEED: Place(rss(1, channel=channel))}
    timetable = follower.timetable(replace(follower.job(url=FEED), patience=LONGEST_PATIENCE))
    await timetable.settle()
    await follower.keep(timetable, hours(24 * 5 - 1), step=600.0)
    instants = [EPOCH + timedelta(seconds=at) for _, at in follower.web.times]
    assert len(instants) == 5
    assert {at.hour for at in instants[1:]} == {(EPOCH.hour + 1) % 24}
    assert await follower.reasons() == {None: 5}
    await follower.keep(timetable, hours(1) + 1200, step=600.0)
    async with follower.world.store.begin(write=False) as work:
        schedule = await work.schedules.get("news")
    assert schedule is not None
    assert schedule.next_at is not None
    assert schedule.slot_at is not None
    assert schedule.slot_at < follower.world.clock.now() < schedule.next_at


async def test_quiet_hours_in_every_slot_do_not_stop_a_feed_of_a_list() -> None:
    """The feeds of a list are held one by one, without a slot of their own to be put off: one whose quiet hour is that
    of every slot is read once a week."""
    follower = Follower(interval=86400)
    channel = f"<skipHours><hour>{EPOCH.hour}</hour></skipHours>"
    follower.web.places = {FEED: Place(rss(1, channel=channel)), MANY[1]: Place(rss(2))}
    timetable = follower.timetable(replace(follower.job(urls=[FEED, MANY[1]]), patience=LONGEST_PATIENCE))
    await timetable.settle()
    await follower.keep(timetable, hours(24 * 16 - 1), step=600.0)
    asked = follower.web.since(0)
    assert (asked.count(FEED), asked.count(MANY[1])) == (3, 16)


async def test_a_retry_after_that_was_too_long_is_kept() -> None:
    """A run that gave up because of Retry-After is not followed by another before its time; a wish for years counts as
    one for a day."""
    for asked, held in ((5400.0, hours(1.5)), (1e12, LONGEST_WAIT.total_seconds())):
        follower = Follower()
        busy = TransientSourceError("busy.", code="http_429", retry_after=asked)
        follower.web.places = {FEED: Place(error=busy)}
        timetable = follower.timetable(follower.job(url=FEED))
        await timetable.settle()
        await follower.keep(timetable, held + hours(0.5), step=10.0)
        first, second, *_ = [at for _, at in follower.web.times]
        assert held <= second - first <= held + 901


async def test_a_list_that_cannot_be_read_is_remembered_and_recovers() -> None:
    """A subscription list that is gone pauses the source; read again by hand, its feeds are read and the list is ok."""
    follower = Follower()
    opml = "https://lists.example/opml"
    follower.web.places = {opml: Place(error=GONE), FEED: Place(rss(1))}
    job = follower.job(opml=opml)
    timetable = follower.timetable(job)
    await timetable.settle()
    await follower.keep(timetable, hours(2))
    assert follower.web.since(0) == [opml]
    assert (await follower.states())[""].state == "gone"
    listing = f'<opml><body><outline type="rss" xmlUrl="{FEED}"/></body></opml>'.encode()
    follower.web.places[opml] = Place(listing)
    assert (await follower.run(job)).status is RunStatus.SUCCEEDED
    assert {name: state.state for name, state in (await follower.states()).items()} == {"": "ok", FEED: "ok"}
    await follower.keep(timetable, hours(1))
    assert follower.web.since(2).count(FEED) == 5
