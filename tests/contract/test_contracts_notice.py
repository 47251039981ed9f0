"""The contract suites notice what goes wrong: each of these adapters breaks one promise, and its test fails."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import pytest
from lists import ListDecoder, ListSource

from kasparro_adapters.memory import MemoryStore
from kasparro_core.model import AnomalyState, Decoded, Extent, RawPayload, UpsertOutcome
from kasparro_core.model.span import Fate
from kasparro_core.testing import (
    AnomalyContract,
    AnswerContract,
    CheckpointContract,
    DecoderContract,
    EventContract,
    FatesContract,
    GoneContract,
    KeyContract,
    LeaseContract,
    MuteContract,
    RecordRepositoryContract,
    RejectionContract,
    RunLogContract,
    ScheduleContract,
    SourceContract,
    TotalsContract,
    UnitOfWorkContract,
)
from kasparro_core.testing.build import later

PAGES = {"": [[{"n": 1}, "refused"], [{"n": 2}], [{"n": 3}]]}
EXPECTED = {"": [{"n": 1}, {"n": 2}, {"n": 3}]}


class Altered:
    """A repository with some of its methods replaced."""

    def __init__(self, inner, **methods):
        self._inner = inner
        vars(self).update(methods)

    def __getattr__(self, name):
        return getattr(self._inner, name)


class AlteredStore(MemoryStore):
    """A memory store that hands out units of work with one thing replaced."""

    def __init__(self, alter):
        super().__init__()
        self._alter = alter

    @asynccontextmanager
    async def begin(self, *, write=True):
        async with super().begin(write=write) as work:
            self._alter(work)
            yield work


def _counts_all_as_inserted(work):
    async def upsert(records, observation):
        await work.records._inner.upsert(records, observation)
        return UpsertOutcome(inserted=len(records))

    work.records = Altered(work.records, upsert=upsert)


def _lets_the_last_one_win(work):
    async def upsert(records, observation):
        timeless = [item._replace(record=item.record._replace(occurred_at=None)) for item in records]
        return await work.records._inner.upsert(timeless, observation)

    work.records = Altered(work.records, upsert=upsert)


def _rounds_to_float(work):
    async def upsert(records, observation):
        rounded = [
            item._replace(record=item.record._replace(value=item.record.value and Decimal(float(item.record.value))))
            for item in records
        ]
        return await work.records._inner.upsert(rounded, observation)

    work.records = Altered(work.records, upsert=upsert)


def _forgets_history(work):
    async def upsert(records, observation):
        return await work.records._inner.upsert(records, replace(observation, history=False))

    work.records = Altered(work.records, upsert=upsert)


def _never_compares(work):
    async def save(source, partition, cursor, *, expected_version, run_id, at):
        stored = await work.checkpoints._inner.get(source, partition)
        version = stored.version if stored else 0
        return await work.checkpoints._inner.save(
            source, partition, cursor, expected_version=version, run_id=run_id, at=at
        )

    work.checkpoints = Altered(work.checkpoints, save=save)


def _renews_for_anybody(work):
    async def renew(lease, *, ttl):
        stored = await work.leases._inner.get(lease.source, lease.partition)
        return await work.leases._inner.renew(stored, ttl=ttl)

    work.leases = Altered(work.leases, renew=renew)


def _resolves_nothing(work):
    async def resolve(source, keys, at, *, again=True):
        return 0

    work.rejections = Altered(work.rejections, resolve=resolve)


def _replays_as_if_seen_again(work):
    async def resolve(source, keys, at, *, again=True):
        return await work.rejections._inner.resolve(source, keys, at)

    work.rejections = Altered(work.rejections, resolve=resolve)


def _settles_whatever_is_there(work):
    async def settle(raw_id, items, still):
        return await work.rejections._inner.settle(raw_id, items, [])

    work.rejections = Altered(work.rejections, settle=settle)


def _adds_to_any_run(work):
    async def add(run_id, delta):
        run = await work.runs.get(run_id)
        if run is not None and run.status == "running":
            await work.runs._inner.add(run_id, delta)

    work.runs = Altered(work.runs, add=add)


def _finishes_without_adding(work):
    async def add(source, amounts):
        return None

    work.runs._totals = Altered(work.totals, add=add)


def _sums_nothing_up(work):
    async def add(source, amounts):
        for key, amount in amounts.items():
            known = {(total.metric, total.label): total.value for total in await work.totals._inner.list(source)}
            await work.totals._inner.add(source, {key: amount - known.get(key, 0)})

    work.totals = Altered(work.totals, add=add)


def _tells_the_last_one_again(work):
    async def after(event_id, *, limit=500):
        return await work.events._inner.after(max(0, event_id - 1), limit=limit)

    work.events = Altered(work.events, after=after)


def _takes_a_name_twice(work):
    async def add(key):
        if work.keys._inner._tx.keys.get(key.name) is None:
            await work.keys._inner.add(key)

    work.keys = Altered(work.keys, add=add)


def _moves_a_paused_schedule(work):
    async def advance(seen, *, slot_at, next_at):
        paused = await work.schedules.get(seen.source)
        await work.schedules.pause(seen.source, None)
        await work.schedules._inner.advance(replace(seen, paused_at=None), slot_at=slot_at, next_at=next_at)
        await work.schedules.pause(seen.source, paused.paused_at)

    work.schedules = Altered(work.schedules, advance=advance)


def _notes_a_slot_twice(work):
    async def record(slots):
        noted = {slot.slot_at for slot in await work.schedules.slots(slots[0].source)} if slots else ()
        await work.schedules._inner.record([slot for slot in slots if slot.slot_at not in noted])

    work.schedules = Altered(work.schedules, record=record)


def _lets_the_last_answer_stay(work):
    async def put(answer):
        work.answers._inner._tx.answers.put(answer.key, answer)

    work.answers = Altered(work.answers, put=put)


def _marks_with_one_number(work):
    async def mark_gone(record_ids, at):
        count = 0
        for record_id in record_ids:
            count += await work.records._inner.mark_gone([record_id], at)
            row = work.records._inner._tx.records.get(record_id)
            work.records._inner._tx.records.put(record_id, row._replace(change_seq=99))
        return count

    work.records = Altered(work.records, mark_gone=mark_gone)


def _leaves_the_unchanged_gone(work):
    async def upsert(records, observation):
        inner = work.records._inner
        before = {row.record_id: row for row in inner._tx.records.rows() if row.gone_at is not None}
        outcome = await inner.upsert(records, observation)
        for record_id, row in before.items():
            if inner._tx.records.get(record_id).state == row.state:
                inner._tx.records.put(record_id, row)
        return outcome

    work.records = Altered(work.records, upsert=upsert)


def _tells_what_it_knows(work):
    async def add_anomalies(found):
        await work.findings._inner.add_anomalies(found)
        return found

    work.findings = Altered(work.findings, add_anomalies=add_anomalies)


def _resolves_what_was_acknowledged(work):
    async def add_anomalies(found):
        for each in await work.findings.standing("s"):
            if each.state is AnomalyState.ACKNOWLEDGED:
                await work.findings.close([each.anomaly_id], AnomalyState.RESOLVED, each.closed_at)
        return await work.findings._inner.add_anomalies(found)

    work.findings = Altered(work.findings, add_anomalies=add_anomalies)


def _drops_what_is_muted(work):
    async def add_anomalies(found):
        mutes = await work.findings.mutes()
        kept = [each for each in found if not any(mute.covers(each, each.detected_at) for mute in mutes)]
        return await work.findings._inner.add_anomalies(kept)

    work.findings = Altered(work.findings, add_anomalies=add_anomalies)


def _guesses_what_is_not_kept(work):
    async def fates(span, *, keys=20):
        found = dict(await work.records._inner.fates(span, keys=keys))
        if (unknown := found.pop(Fate.UNKNOWN, None)) is not None:
            found[Fate.CHANGED] = unknown
        return found

    work.records = Altered(work.records, fates=fates)


def _begins_at_the_beginning(work):
    async def fates(span, *, keys=20):
        return await work.records._inner.fates(replace(span, since=later(-1), low=0), keys=keys)

    work.records = Altered(work.records, fates=fates)


def _remembers_the_run_itself(work):
    async def history(source, *, before, limit=200):
        return await work.runs._inner.history(source, before=before + 1, limit=limit)

    work.runs = Altered(work.runs, history=history)


BROKEN = [
    (_guesses_what_is_not_kept, FatesContract.test_what_is_not_kept_is_not_guessed),
    (_begins_at_the_beginning, FatesContract.test_tells_what_was_added_changed_gone_and_returned),
    (_remembers_the_run_itself, RunLogContract.test_the_history_is_what_ended_before),
    (_tells_what_it_knows, AnomalyContract.test_what_stands_grows_and_is_not_told_again),
    (_resolves_what_was_acknowledged, AnomalyContract.test_what_is_acknowledged_grows_in_silence),
    (_drops_what_is_muted, MuteContract.test_what_was_muted_and_is_no_more_is_told_when_it_is_seen_again),
    (_marks_with_one_number, GoneContract.test_marks_what_is_gone_and_nothing_else_of_it),
    (_leaves_the_unchanged_gone, GoneContract.test_an_unchanged_one_that_is_seen_again_is_present_again),
    (_counts_all_as_inserted, RecordRepositoryContract.test_of_unchanged_content_writes_nothing_at_all),
    (_lets_the_last_one_win, RecordRepositoryContract.test_never_replaces_a_newer_occurrence_with_an_older_one),
    (_rounds_to_float, RecordRepositoryContract.test_compares_values_as_numbers),
    (_forgets_history, RecordRepositoryContract.test_with_history_keeps_the_state_that_was_replaced),
    (_never_compares, CheckpointContract.test_a_conflict_takes_the_whole_unit_of_work_with_it),
    (_renews_for_anybody, LeaseContract.test_renew_of_a_lost_lease_is_a_conflict_that_fences_the_old_owner),
    (_resolves_nothing, RejectionContract.test_resolve_closes_the_open_ones_of_these_keys),
    (_replays_as_if_seen_again, RejectionContract.test_a_replay_resolves_only_what_was_not_seen_later),
    (_settles_whatever_is_there, RejectionContract.test_settling_closes_what_is_refused_no_more),
    (_adds_to_any_run, RunLogContract.test_an_unknown_run_takes_nothing),
    (_finishes_without_adding, RunLogContract.test_a_finished_run_is_added_to_the_totals),
    (_sums_nothing_up, TotalsContract.test_amounts_add_up),
    (_tells_the_last_one_again, EventContract.test_a_listener_goes_on_after_the_last_one_it_saw),
    (_takes_a_name_twice, KeyContract.test_a_name_is_given_once),
    (_moves_a_paused_schedule, ScheduleContract.test_a_paused_schedule_does_not_move),
    (_notes_a_slot_twice, ScheduleContract.test_a_slot_has_one_row),
    (_lets_the_last_answer_stay, AnswerContract.test_of_many_at_once_one_is_kept),
]


@pytest.mark.parametrize(("alter", "contract"), BROKEN, ids=[alter.__name__.strip("_") for alter, _ in BROKEN])
async def test_a_broken_store_fails_its_contract(alter, contract):
    """A store with one promise broken does not pass the test of that promise."""
    with pytest.raises((AssertionError, ValueError, pytest.fail.Exception)):  # ValueError: more or fewer rows than one
        await contract(None, store=AlteredStore(alter))


async def test_a_store_that_commits_by_itself_fails_its_contract():
    """Rolling back by default is tested by what is left, not by what is called."""

    class Eager(MemoryStore):
        @asynccontextmanager
        async def begin(self, *, write=True):
            async with super().begin(write=write) as work:
                yield work
                if write:
                    work._tx.apply()

    with pytest.raises(AssertionError):
        await UnitOfWorkContract().test_rolls_back_uncommitted_work_by_default(Eager())


class Forgetful(ListSource):
    """Its cursor is one page too far on: a page is lost after a crash."""

    async def read(self, partition, context, /):
        async for batch in super().read(partition, context):
            yield replace(batch, cursor={"page": (batch.cursor["page"] + 1) % 4})


class Rereader(ListSource):
    """Its cursor never moves: everything is read again."""

    async def read(self, partition, context, /):
        async for batch in super().read(partition, context):
            yield replace(batch, cursor={"page": 0})


class Boastful(ListSource):
    """Says with each page that it has shown everything."""

    async def read(self, partition, context, /):
        async for batch in super().read(partition, context):
            yield replace(batch, extent=Extent.WHOLE)


async def test_a_source_that_ends_its_listing_too_early_fails_its_contract():
    """What is on the pages behind would be marked as gone."""
    with pytest.raises(AssertionError):
        await SourceContract().test_says_of_a_whole_read_or_of_none_that_it_lists_everything(
            lambda: Boastful(PAGES), EXPECTED
        )


@pytest.mark.parametrize("broken", [Forgetful, Rereader])
async def test_a_source_that_resumes_wrongly_fails_its_contract(broken):
    """Losing a page and reading one again are both noticed."""
    with pytest.raises((AssertionError, IndexError)):
        await SourceContract().test_resuming_from_any_cursor_yields_exactly_the_rest(lambda: broken(PAGES), EXPECTED)


async def test_a_source_that_yields_other_than_its_decoder_fails_its_contract():
    """Items that replay could not make again are noticed."""

    class Embellishing(ListDecoder):
        def decode(self, raw, /):
            decoded = super().decode(raw)
            return Decoded([item._replace(data={**item.data, "more": 1}) for item in decoded.items])

    with pytest.raises(AssertionError):
        await SourceContract().test_yields_what_its_decoder_makes_of_the_payload(
            lambda: ListSource(PAGES), EXPECTED, {"list": Embellishing()}
        )


class Counting(ListDecoder):
    """Remembers how often it was called."""

    calls = 0

    def decode(self, raw, /):
        Counting.calls += 1
        return Decoded([item._replace(data={"call": Counting.calls}) for item in super().decode(raw).items])


class Silent(ListDecoder):
    """Leaves refused rows out."""

    def decode(self, raw, /):
        return replace(super().decode(raw), rejections=())


@pytest.mark.parametrize(
    ("broken", "promise"),
    [(Counting(), DecoderContract.test_is_pure), (Silent(), DecoderContract.test_counts_every_row_once)],
    ids=["impure", "silent"],
)
def test_a_broken_decoder_fails_its_contract(broken, promise):
    """State between calls and rows that vanish are noticed."""
    payloads = [RawPayload(json.dumps(page).encode(), {}) for page in (["refused", {"n": 1}], [{"n": 2}])]
    with pytest.raises(AssertionError):
        promise(DecoderContract(), broken, payloads)
