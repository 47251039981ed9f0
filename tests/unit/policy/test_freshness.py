"""How long an answer is fresh by its own account, and nothing by guessing (RFC 9111 4.2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kasparro_core.policy.freshness import LONGEST, fresh_until

AT = datetime(2026, 11, 21, 8, tzinfo=UTC)
EXPIRES = {"expires": "Sat, 21 Nov 2026 08:10:00 GMT", "date": "Sat, 21 Nov 2026 08:00:00 GMT"}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"cache-control": "max-age=60"}, 60),
        ({"cache-control": 'Public, MAX-AGE="60", s-maxage=5'}, 60),
        ({"cache-control": "max-age=60", "age": "45"}, 15),
        ({"cache-control": "max-age=60", "age": "nonsense"}, 60),
        (EXPIRES, 600),
        ({"expires": EXPIRES["expires"]}, 600),
        ({**EXPIRES, "date": "Sat, 21 Nov 2026 08:09:00 GMT"}, 60),
        ({**EXPIRES, "date": "nonsense"}, 600),
        ({**EXPIRES, "cache-control": "max-age=5"}, 5),
        ({**EXPIRES, "cache-control": "public"}, 600),
    ],
)
def test_what_an_answer_says(headers, seconds):
    """max-age goes before Expires, which counts from Date, or from now; Age is taken off."""
    assert fresh_until(headers, AT) == AT + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"last-modified": "Sat, 21 Nov 2020 08:00:00 GMT"},
        {"cache-control": "no-cache, max-age=60"},
        {"cache-control": "max-age=60, no-store"},
        {**EXPIRES, "cache-control": "no-cache"},
        {"cache-control": "max-age=0"},
        {"cache-control": "max-age=soon", **EXPIRES},
        {"cache-control": "max-age=-5", **EXPIRES},
        {"cache-control": "max-age=60", "age": "60"},
        {"expires": "0"},
        {"expires": "Sat, 21 Nov 2026 07:59:59 GMT"},
        {"expires": "Sat, 99 Nov 99999999 07:59:59 GMT"},
        {"cache-control": "s-maxage=60"},
    ],
)
def test_stale_unless_it_says_otherwise(headers):
    """Nothing said, nothing that is understood, what is used up, and what forbids it: not fresh at all."""
    assert fresh_until(headers, AT) is None


@pytest.mark.parametrize(
    "headers", [{"cache-control": f"max-age={10**30}"}, {"expires": "Sat, 21 Nov 2099 08:00:00 GMT"}]
)
def test_nobody_is_fresh_for_ever(headers):
    """More than a day is taken for a day."""
    assert fresh_until(headers, AT) == AT + LONGEST
