"""The contract of AnswerStore."""

from __future__ import annotations

import asyncio

import pytest

from kasparro_core.errors import ConflictError
from kasparro_core.model import GivenAnswer
from kasparro_core.ports import Store
from kasparro_core.testing.build import later


class AnswerContract:
    """Answers under Idempotency-Keys. Needs a fixture `store`: migrated and empty."""

    async def test_keeps_an_answer(self, store: Store) -> None:
        """The body comes back as the text it was, and every other field; another key has none."""
        answers = [
            GivenAnswer("k", "hash", 202, "/runs/7", '{"b":1.0, "a": "ü\\u0000"}', later(1)),
            GivenAnswer("K", "", 200, None, "", later(2)),
        ]
        for answer in answers:
            await _put(store, answer)
        assert [await _get(store, "k"), await _get(store, "K"), await _get(store, "other")] == [*answers, None]

    async def test_the_first_answer_stays(self, store: Store) -> None:
        """A second one under the same key is a conflict with a code of its own; nothing of its transaction stays."""
        await _put(store, _answer(1))
        with pytest.raises(ConflictError) as conflict:
            async with store.begin() as work:
                await work.answers.put(GivenAnswer("beside", "", 202, None, "", later(1)))
                await work.answers.put(_answer(2))
        assert conflict.value.code == "answered"
        assert await _get(store, "k") == _answer(1)
        assert await _get(store, "beside") is None

    async def test_of_many_at_once_one_is_kept(self, store: Store) -> None:
        """Of tasks that answer the same request one succeeds; the others get a conflict, never another error."""
        outcomes = await asyncio.gather(*(_put(store, _answer(n)) for n in range(8)), return_exceptions=True)
        failed = [outcome for outcome in outcomes if outcome is not None]
        assert len(failed) == 7
        assert {type(error) for error in failed} == {ConflictError}
        assert await _get(store, "k") == _answer(outcomes.index(None))


def _answer(number: int) -> GivenAnswer:
    return GivenAnswer("k", f"hash {number}", 202, f"/runs/{number}", "{}", later(number))


async def _put(store: Store, answer: GivenAnswer) -> None:
    async with store.begin() as work:
        await work.answers.put(answer)
        await work.commit()


async def _get(store: Store, key: str) -> GivenAnswer | None:
    async with store.begin(write=False) as work:
        return await work.answers.get(key)
