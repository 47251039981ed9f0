"""JSONTestSuite: what has to parse parses, what has to be refused is, and nothing crashes."""

from __future__ import annotations

from kasparro_adapters.http.json_decoder import parse
from kasparro_core.errors import PermanentSourceError


def outcome(payload):
    try:
        parse(payload)
    except PermanentSourceError:
        return "refused"
    return "parsed"


def test_the_whole_suite(shared_data):
    """All y_ files parse, all n_ files are refused, and the i_ files (free to choose) do either without a crash."""
    files = sorted(shared_data("corpora", "jsontestsuite", "test_parsing").rglob("*.json"))
    found = {path.name: outcome(path.read_bytes()) for path in files}
    assert len(found) > 200
    assert {name: how for name, how in found.items() if name.startswith("y_") and how != "parsed"} == {}
    assert {name: how for name, how in found.items() if name.startswith("n_") and how != "refused"} == {}


def test_transformations_do_not_crash(shared_data):
    """The files on which parsers differ (big numbers, doubled keys, surrogates) are parsed or refused."""
    files = sorted(shared_data("corpora", "jsontestsuite", "test_transform").rglob("*.json"))
    assert len([outcome(path.read_bytes()) for path in files]) > 10
