"""What answers say about limits, in every form that is in use."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro_core.policy import Quota, quota_of

NOW = datetime(2026, 11, 21, 8, 0, 0, tzinfo=UTC)
UNIX = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("headers", "quota"),
    [
        ({"ratelimit": '"default";r=50;t=30', "ratelimit-policy": '"default";q=100;w=60'}, Quota(50, 30, 100)),
        ({"ratelimit": '"a";r=9;t=10, "b";r=0;t=86400', "ratelimit-policy": '"a";q=10;w=10,"b";q=500;w=86400'},
         Quota(0, 86_400, 500)),
        ({"ratelimit": "default; r=1; t=5"}, Quota(1, 5)),
        ({"ratelimit": '"default";r=7;t=5;pk=:cHJpdmF0ZQ==:'}, Quota(7, 5)),
        ({"ratelimit": "limit=100, remaining=50, reset=30"}, Quota(50, 30, 100)),
        ({"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "0", "ratelimit-reset": "12"}, Quota(0, 12, 100)),
        ({"x-ratelimit-limit": "60", "x-ratelimit-remaining": "59", "x-ratelimit-reset": "1"}, Quota(59, 1, 60)),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": str(UNIX + 90)}, Quota(3, 90)),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": str((UNIX + 90) * 1000)}, Quota(3, 90)),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "Sat, 21 Nov 2026 08:00:30 GMT"}, Quota(3, 30)),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": str(UNIX - 5)}, Quota(3, 0)),
        ({"x-rate-limit-remaining": "1", "x-rate-limit-reset": "4"}, Quota(1, 4)),
    ],
)  # fmt: skip
def test_each_form_is_understood(headers, quota):
    """The draft of the IETF in its three generations, and the customs around X-RateLimit."""
    assert quota_of(headers, NOW) == quota


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ratelimit": ""},
        {"ratelimit": '"default";r=50'},
        {"ratelimit": "garbage ;;; , = "},
        {"x-ratelimit-remaining": "0"},
        {"x-ratelimit-reset": "9"},
        {"x-ratelimit-remaining": "many", "x-ratelimit-reset": "soon"},
        {"x-ratelimit-remaining": "-1", "x-ratelimit-reset": "5"},
        {"ratelimit-policy": '"default";q=100;w=60'},
    ],
)
def test_half_a_story_is_none(headers):
    """Where it is not said what is left and until when, nothing is learned."""
    assert quota_of(headers, NOW) is None


def test_a_parameter_begins_where_its_letters_begin():
    """The end of a long word is no parameter: a header of letters alone is gone through once, not once a letter."""
    assert quota_of({"ratelimit": f"{'x' * 40}remaining=5, reset=2"}, NOW) is None
    assert quota_of({"ratelimit": f"{'x' * 40}=1, remaining=5, reset=2"}, NOW) == Quota(5, 2)


def test_a_header_beyond_a_kibibyte_is_not_looked_at():
    """Nobody says a limit in 16,000 characters; what other headers say is heard all the same."""
    long = "limit=9, remaining=1, reset=1" + " " * 16_000
    said = {"x-ratelimit-remaining": "3", "x-ratelimit-reset": "4"}
    assert quota_of({"ratelimit": long}, NOW) is None
    assert quota_of({"ratelimit": long, **said}, NOW) == Quota(3, 4)


@given(st.dictionaries(st.sampled_from(["ratelimit", "ratelimit-policy", "x-ratelimit-remaining", "x-ratelimit-reset",
                                        "ratelimit-remaining", "ratelimit-reset"]), st.text(max_size=60)))  # fmt: skip
def test_no_header_breaks_it(headers):
    """Any text at all gives no quota, or one of numbers not below zero."""
    quota = quota_of(headers, NOW)
    assert quota is None or (quota.remaining >= 0 and quota.reset >= 0)
