"""The contracts of LeaseStore and ProcessHandle: who owns a partition."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeAlias

import pytest

from kasparro_core.errors import ConflictError
from kasparro_core.model import Lease
from kasparro_core.ports import Liveness, ProcessHandle, Store
from kasparro_core.testing.build import bring_in, committed_run, record, table

HOUR = 3600.0
GONE = -60.0
"""A time to live that is over: the way to an expired lease without waiting."""


class LeaseContract:
    """Ownership by lease. Needs a fixture `store`: migrated and empty."""

    async def test_there_is_none_before_the_first_take(self, store: Store) -> None:
        """An unknown partition has no lease."""
        assert await _get(store) is None

    async def test_the_first_take_gets_token_one(self, store: Store) -> None:
        """The lease names its owner, has no run yet, is not expired, and is what reads back."""
        lease = await _take(store, "me")
        assert (lease.source, lease.partition, lease.owner) == ("s", "p", "me")
        assert (lease.token, lease.run_id, lease.expired) == (1, None, False)
        assert lease.expires_at.utcoffset() == timedelta(0)
        assert await _get(store) == lease

    async def test_a_takeover_raises_the_token_and_clears_the_run(self, store: Store) -> None:
        """The next owner has token 2 and a lease without run, whoever held it before."""
        run = await committed_run(store)
        first = await _take(store, "one")
        async with store.begin() as work:
            await work.leases.attach(first, run.run_id)
            await work.commit()
        second = await _take(store, "two", first)
        assert (second.owner, second.token, second.run_id) == ("two", 2, None)
        assert await _get(store) == second

    async def test_a_take_of_a_lease_that_has_moved_is_a_conflict(self, store: Store) -> None:
        """Of two who saw the same lease one takes it; who saw none, or an older one, takes nothing."""
        seen = await _take(store, "dead", ttl=GONE)
        held = await _take(store, "one", seen, ttl=GONE)
        for outdated in (None, seen):
            with pytest.raises(ConflictError):
                await _take(store, "two", outdated)
        stored = await _get(store)
        assert stored is not None
        assert (stored.owner, stored.token) == (held.owner, held.token)

    async def test_a_take_of_a_lease_that_was_renewed_meanwhile_is_a_conflict(self, store: Store) -> None:
        """A slow owner that renewed its expired lease after somebody looked is not robbed of it."""
        held = await _take(store, "slow", ttl=GONE)
        seen = await _get(store)
        async with store.begin() as work:
            renewed = await work.leases.renew(held, ttl=HOUR)
            await work.commit()
        with pytest.raises(ConflictError):
            await _take(store, "two", seen)
        assert await _get(store) == renewed

    async def test_a_take_of_a_lease_that_is_not_there_is_a_conflict(self, store: Store) -> None:
        """A lease that was seen cannot be taken where none is stored."""
        held = await _take(store, "one")
        async with store.begin() as work:
            with pytest.raises(ConflictError):
                await work.leases.take(
                    "s", "elsewhere", owner="two", ttl=HOUR, seen=replace(held, partition="elsewhere")
                )

    @pytest.mark.parametrize("is_first", [True, False])
    async def test_of_two_takers_at_once_one_wins(self, store: Store, *, is_first: bool) -> None:
        """Two tasks take what they saw at the same time: one ConflictError, one owner."""
        seen = None if is_first else await _take(store, "dead", ttl=GONE)
        results = await asyncio.gather(_take(store, "one", seen), _take(store, "two", seen), return_exceptions=True)
        (winner,) = [result for result in results if isinstance(result, Lease)]
        (loser,) = [result for result in results if not isinstance(result, Lease)]
        assert isinstance(loser, ConflictError)
        assert await _get(store) == winner

    async def test_the_database_judges_expiry(self, store: Store) -> None:
        """A lease whose time is over reads as expired; nobody has to do anything for it."""
        first = await _take(store, "me", ttl=HOUR)
        assert first.expired is False
        await _take(store, "me", first, ttl=GONE)
        stored = await _get(store)
        assert stored is not None
        assert stored.expired is True

    async def test_renew_extends(self, store: Store) -> None:
        """The holder's lease runs on from now; token, owner and run stay."""
        run = await committed_run(store)
        held = await _take(store, "me", ttl=60)
        async with store.begin() as work:
            held = await work.leases.attach(held, run.run_id)
            renewed = await work.leases.renew(held, ttl=HOUR)
            await work.commit()
        assert renewed.expires_at > held.expires_at
        assert (renewed.owner, renewed.token, renewed.run_id) == ("me", 1, run.run_id)
        assert await _get(store) == renewed

    async def test_renew_of_an_expired_lease_that_nobody_took_holds(self, store: Store) -> None:
        """A late heartbeat is not a loss as long as the token is ours."""
        held = await _take(store, "me", ttl=GONE)
        async with store.begin() as work:
            renewed = await work.leases.renew(held, ttl=HOUR)
            await work.commit()
        assert (renewed.token, renewed.expired) == (1, False)
        assert await _get(store) == renewed

    async def test_renew_of_a_lost_lease_is_a_conflict_that_fences_the_old_owner(self, store: Store) -> None:
        """A paused owner that was taken over writes nothing: its unit of work ends in a ConflictError."""
        old = await _take(store, "old", ttl=GONE)
        new = await _take(store, "new", old)
        with pytest.raises(ConflictError):
            async with store.begin() as work:
                await bring_in(work, [record("k")])
                await work.leases.renew(old, ttl=HOUR)
                await work.commit()
        assert await table(store) == {}
        assert await _get(store) == new

    async def test_attach_notes_the_run(self, store: Store) -> None:
        """The run is on the lease for everybody who looks."""
        run = await committed_run(store)
        held = await _take(store, "me")
        async with store.begin() as work:
            attached = await work.leases.attach(held, run.run_id)
            await work.commit()
        assert (attached.run_id, attached.token) == (run.run_id, 1)
        assert await _get(store) == attached

    async def test_release_leaves_an_expired_lease_without_run_whose_token_grows_on(self, store: Store) -> None:
        """After a release the row is still there, and the next take is token 2."""
        run = await committed_run(store)
        held = await _take(store, "me")
        async with store.begin() as work:
            held = await work.leases.attach(held, run.run_id)
            await work.leases.release(held)
            await work.commit()
        released = await _get(store)
        assert released is not None
        assert (released.token, released.run_id, released.expired) == (1, None, True)
        assert (await _take(store, "next", released)).token == 2

    async def test_release_of_a_lost_lease_does_nothing(self, store: Store) -> None:
        """An old owner that gives up cannot free the lease of the new one; no error either."""
        old = await _take(store, "old")
        new = await _take(store, "new", old)
        async with store.begin() as work:
            await work.leases.release(old)
            await work.leases.release(Lease("s", "unknown", "me", 1, None, old.expires_at))
            await work.commit()
        assert await _get(store) == new

    async def test_leases_of_partitions_are_independent(self, store: Store) -> None:
        """Each source and partition has tokens of its own."""
        async with store.begin() as work:
            for source, partition in [("s", "p"), ("s", "q"), ("t", "p")]:
                lease = await work.leases.take(source, partition, owner="me", ttl=HOUR, seen=None)
                assert lease.token == 1


HandleFactory: TypeAlias = Callable[[], ProcessHandle]


class ProcessHandleContract:
    """Handles that die with their process. Needs a fixture `handles`: makes handles beside one database.

    The death of a real process is for the adapter's own tests; here a closed handle stands for it.
    """

    async def test_owners_are_distinct_and_stable(self, handles: HandleFactory) -> None:
        """Each handle is an owner of its own, under one name for all its life."""
        one, two = handles(), handles()
        name = one.owner
        await one.hold()
        assert one.owner == name
        assert one.owner != two.owner

    async def test_the_own_handle_is_alive(self, handles: HandleFactory) -> None:
        """A process never judges itself dead, before it holds its handle and after."""
        one = handles()
        assert await one.judge(one.owner) is Liveness.ALIVE
        await one.hold()
        assert await one.judge(one.owner) is Liveness.ALIVE

    async def test_a_held_handle_is_alive_to_others(self, handles: HandleFactory) -> None:
        """Another process sees that the owner lives, also when it judges twice."""
        one, two = handles(), handles()
        await one.hold()
        await two.hold()
        assert await two.judge(one.owner) is Liveness.ALIVE
        assert await two.judge(one.owner) is Liveness.ALIVE
        assert await one.judge(two.owner) is Liveness.ALIVE

    async def test_a_free_handle_is_dead_to_others(self, handles: HandleFactory) -> None:
        """When the handle is free its owner is gone; judging does not take it."""
        one, two = handles(), handles()
        await one.hold()
        await two.hold()
        await one.close()
        assert await two.judge(one.owner) is Liveness.DEAD
        assert await two.judge(one.owner) is Liveness.DEAD
        assert await handles().judge(one.owner) is Liveness.DEAD

    async def test_an_owner_of_another_world_is_not_alive(self, handles: HandleFactory) -> None:
        """A name that nobody here ever had is dead or unknown, never alive."""
        one = handles()
        await one.hold()
        assert await one.judge("elsewhere:1:00000000") is not Liveness.ALIVE

    async def test_holding_twice_is_holding(self, handles: HandleFactory) -> None:
        """hold() makes sure of the handle as often as it is called."""
        one, two = handles(), handles()
        await one.hold()
        await one.hold()
        assert await two.judge(one.owner) is Liveness.ALIVE

    async def test_closing_twice_is_fine(self, handles: HandleFactory) -> None:
        """A handle may be given back twice, or without ever having been held."""
        one = handles()
        await one.hold()
        await one.close()
        await one.close()
        await handles().close()


async def _get(store: Store) -> Lease | None:
    async with store.begin(write=False) as work:
        return await work.leases.get("s", "p")


async def _take(store: Store, owner: str, seen: Lease | None = None, *, ttl: float = HOUR) -> Lease:
    async with store.begin() as work:
        lease = await work.leases.take("s", "p", owner=owner, ttl=ttl, seen=seen)
        await work.commit()
    return lease
