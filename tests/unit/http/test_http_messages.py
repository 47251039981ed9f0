"""The message inside an error answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro_adapters.http.messages import LONGEST, answer_message


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": "Missing parameter vs_currency"}, "Missing parameter vs_currency"),
        ({"status": {"error_code": 429, "error_message": "Rate Limit"}}, "Rate Limit"),
        ({"error": {"status": {"timestamp": "t", "error_code": 10012, "error_message": "range. "}}}, "range."),
        ({"status": 500, "error": "Internal Server Error"}, "Internal Server Error"),
        ({"error": "id not found"}, "id not found"),
        ({"type": "about:blank", "title": "Bad", "detail": "No such page"}, "No such page"),
        ({"errors": [{"message": "first"}, {"message": "second"}]}, "first"),
        ({"message": "", "error": "second choice"}, "second choice"),
        ({"ok": False}, ""),
        ([], ""),
        ("just text", "just text"),
    ],
)
def test_json_shapes_give_their_text(body, said):
    """Flat, nested, listed and problem-details errors all give the sentence inside."""
    assert answer_message(json.dumps(body).encode()) == said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>", "Just a moment..."),
        (b"\n <html><TITLE lang='en'>403 &amp;\n Forbidden</TITLE>", "403 & Forbidden"),
        (b"<html><body><h1>Nginx</h1> down</body>", "Nginx down"),
        (b"<title>open<p>down", "open down"),
        (b"<" * 300, "<" * 300),
        (b"plain words\r\nand more\x00", "plain words and more"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", ""),
    ],
)
def test_pages_give_their_title_and_text_itself(body, said):
    """HTML gives its title (or text), anything else its text, on one line without control characters."""
    assert answer_message(body) == said


@given(st.binary(max_size=2000) | st.text(max_size=1000).map(lambda text: json.dumps({"error": text}).encode()))
def test_any_body_gives_one_short_line(body):
    """No body whatever gives more than one line of 300 characters, or an exception."""
    said = answer_message(body)
    assert len(said) <= LONGEST
    assert not any(char in said for char in "\r\n\t\x1b\x00")


def test_depth_bombs_are_harmless():
    """A body that nests a hundred thousand times is not followed."""
    assert answer_message(b'{"error":' * 100_000).startswith('{"error":')


def test_recorded_errors_are_read(shared_data):
    """Every error body that was recorded of CoinGecko shows its own message."""
    recorded = json.loads(shared_data("data", "coingecko", "errors", "observed_errors.json").read_text("utf-8"))
    bodies = [each["body"] for each in recorded if isinstance(each["body"], dict) and each["status"] != 200]
    assert len(bodies) >= 5
    for body in bodies:
        text = answer_message(json.dumps(body).encode())
        assert text
        assert text[:60] in json.dumps(body, ensure_ascii=False)
