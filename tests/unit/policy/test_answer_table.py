"""The table of answers: every row, and every shape of error that CoinGecko and CoinPaprika are known to send."""

from __future__ import annotations

import json

import pytest

from kasparro_adapters.http.messages import answer_of
from kasparro_core.policy import TABLE, Action, Answer, judge

RETRY, WAIT, REJECT, FAIL = Action
HTML = b"<!DOCTYPE html><html><head><title>%s</title></head><body>...</body></html>"


def nested(number, text="..."):
    return {"status": {"timestamp": "2024-04-20T22:00:05.123+00:00", "error_code": number, "error_message": text}}


ROWS = [
    (429, {}, b"", WAIT, None),
    (403, {"x-ratelimit-remaining": "0"}, b"", WAIT, None),
    (403, {"x-ratelimit-remaining": "9"}, b"", FAIL, None),
    (401, {}, nested(10002), FAIL, "auth"),
    (403, {}, nested(10005), FAIL, "plan"),
    (400, {}, nested(10010), FAIL, "pro-api.coingecko.com"),
    (400, {}, {"error": nested(10011)}, FAIL, "pro-api.coingecko.com"),
    (401, {}, {"error": nested(10012)}, REJECT, "shorter or later span"),
    (403, {}, HTML % b"Access denied | 1020", FAIL, "program"),
    (403, {}, b"error code: 1020", FAIL, "program"),
    (403, {}, HTML % b"Just a moment...", FAIL, "program"),
    (503, {"retry-after": "9"}, HTML % b"Just a moment...", FAIL, "program"),
    (401, {}, b"", FAIL, "auth"),
    (402, {}, {"error": "plan"}, FAIL, "plan"),
    (403, {}, {"error": "no"}, FAIL, "auth"),
    (407, {}, b"", FAIL, "proxy"),
    (511, {}, b"", FAIL, "Log in"),
    (400, {}, b"", REJECT, None),
    (404, {"retry-after": "1"}, b"", REJECT, None),
    (408, {"retry-after": "1"}, b"", REJECT, None),
    (425, {}, b"", REJECT, None),
    (422, {}, {"error": "Missing parameter vs_currency"}, REJECT, None),
    (501, {}, b"", REJECT, None),
    (505, {}, b"", REJECT, None),
    (500, {}, {"error": "Missing parameter vs_currency"}, REJECT, "params"),
    (500, {}, {"error": "invalid value for field days"}, REJECT, "params"),
    (500, {}, {"status": 500, "error": "Internal Server Error"}, RETRY, "params"),
    (503, {"retry-after": "Sat, 21 Nov 2026 08:00:30 GMT"}, b"", WAIT, None),
    (500, {}, b"", RETRY, None),
    (500, {}, HTML % b"500 Internal Server Error", RETRY, None),
    (503, {}, b"", RETRY, None),
    (522, {}, b"error code: 522", RETRY, None),
    (300, {}, b"", REJECT, None),
    (304, {}, b"", REJECT, None),
    (799, {}, b"", REJECT, None),
]


def answer(status, headers, body):
    return answer_of(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize(("status", "headers", "body", "action", "hint"), ROWS)
def test_every_kind_of_answer_is_judged(status, headers, body, action, hint):
    """Each kind of answer has the action that fits it, a reason in words, and where a person can act, the setting."""
    rule = judge(answer(status, headers, body))
    assert rule.action is action
    assert rule.why
    assert hint is None or hint in (rule.hint or "")


def test_every_row_of_the_table_is_reached():
    """No row stands in the shadow of one above it: the cases of this test need each of them."""
    reached = {id(judge(answer(status, headers, body))) for status, headers, body, *_ in ROWS}
    assert [rule for rule in TABLE if id(rule) not in reached] == []


@pytest.mark.parametrize("status", [status for status in range(400, 500) if status != 429])
def test_no_other_4xx_is_retried(status):
    """Whatever 4xx it is, Retry-After or not, asking again is not advised."""
    assert not judge(Answer(status, {"retry-after": "1"})).action.passes


@pytest.mark.parametrize("status", range(-1, 1200, 7))
def test_every_status_has_a_row(status):
    """No status is left without a decision, however odd."""
    assert judge(Answer(max(0, min(status, 999)))).why


def test_a_crash_over_a_request_is_asked_about_once_more():
    """A 500 in the application's own words may be the request's fault: two attempts, not five. One of the servers in
    front of it has no such bound."""
    assert judge(answer(500, {}, {"status": 500, "error": "Internal Server Error"})).attempts == 2
    assert judge(answer(500, {}, HTML % b"Bad gateway")).attempts is None


def test_only_rows_that_tell_more_than_their_status_say_so():
    """The reason of a plain 404 or 503 is not put into its message, that of a 1020 is."""
    assert not judge(answer(404, {}, b"")).telling
    assert not judge(answer(503, {"retry-after": "9"}, b"")).telling
    assert judge(answer(403, {}, b"error code: 1020")).telling


def test_recorded_errors_are_judged(shared_data):
    """Every error that was recorded of CoinGecko gets its right action."""
    recorded = json.loads(shared_data("data", "coingecko", "errors", "observed_errors.json").read_text("utf-8"))
    found = {
        (each["status"], judge(answer(each["status"], each.get("headers", {}), each["body"])).action)
        for each in recorded
        if isinstance(each["status"], int) and each["status"] != 200
    }
    assert found == {(429, WAIT), (401, REJECT), (422, REJECT), (500, RETRY)}
