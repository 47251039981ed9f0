"""What a person may say about limits and retries, and what a request makes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pydantic import ValidationError
from yarl import URL

from kasparro_adapters.http.config import HttpSourceConfig
from kasparro_adapters.http.hosts import authority
from kasparro_adapters.http.limiter import asked_of
from kasparro_core.config import LimitOptions, RetryOptions
from kasparro_core.ports import RateRules, RetryRules

NOW = datetime(2026, 11, 21, 8, 0, 0, tzinfo=UTC)


def test_the_defaults_of_the_file_are_those_of_a_request():
    """What is not configured is the same as what a program that builds requests itself does not say."""
    config = HttpSourceConfig.model_validate({"type": "http", "url": "https://api.test/"})
    assert config.request("s", config.url).retry == RetryRules() == RetryRules(**RetryOptions().model_dump())


def test_every_key_reaches_the_request():
    """No key of `limit` or `retry` is read and then forgotten."""
    limit = {"requests": 5, "per": "second", "key": "k", "burst": 3, "concurrent": 2}
    retry = {
        "attempts": 7,
        "wait_max": 1.0,
        "deadline": 2.0,
        "run_retries": 3,
        "run_wait": 4.0,
        "circuit_failures": 5,
        "circuit_pause": 6.0,
    }
    table = {"type": "http", "url": "https://api.test/", "limit": limit, "retry": retry}
    request = HttpSourceConfig.model_validate(table).request("s", "https://api.test/")
    assert request.rate == RateRules(**limit)
    assert request.retry == RetryRules(**retry)


@pytest.mark.parametrize("limit", [{}, {"per": "second"}, {"key": "k"}, {"burst": 3}])
def test_a_limit_has_to_limit_something(limit):
    """A limit without `requests` and `concurrent` is a mistake, and says which keys it needs."""
    with pytest.raises(ValidationError, match="`requests`, `concurrent` or both"):
        LimitOptions.model_validate(limit)


@pytest.mark.parametrize("limit", [{"requests": 0}, {"requests": -1}, {"concurrent": 0}, {"requests": 1, "burst": 0}])
def test_limits_are_above_zero(limit):
    """Nothing at all is not a limit: a source that is not to be asked is not `enabled`."""
    with pytest.raises(ValidationError):
        LimitOptions.model_validate(limit)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("https://api.test/x?y=1", "api.test"),
        ("http://api.test:80/", "api.test"),
        ("https://api.test:8443/", "api.test:8443"),
        ("http://127.0.0.1:5000/", "127.0.0.1:5000"),
        ("http://[::1]:5000/", "::1:5000"),
    ],
)
def test_the_key_of_an_address_is_its_host(address, key):
    """Scheme, path and query do not matter; a port does where it is not the usual one."""
    assert authority(URL(address)) == key


@pytest.mark.parametrize(("ahead", "seconds"), [(0, 30.0), (-20, 50.0), (20, 30.0), (-7_200, 30.0), (7_200, 30.0)])
def test_a_date_is_read_by_the_clock_of_who_wrote_it(ahead, seconds):
    """Where the upstream's clock is behind ours, the date that it names comes later by ours; a clock that is hours off
    is not believed, and one that is ahead never makes us come sooner than our own says."""
    headers = {
        "retry-after": format_datetime(NOW + timedelta(seconds=30), usegmt=True),
        "date": format_datetime(NOW + timedelta(seconds=ahead), usegmt=True),
    }
    assert asked_of(headers, NOW) == seconds


def test_seconds_are_seconds():
    """A number of seconds does not depend on any clock."""
    headers = {"retry-after": "12", "date": format_datetime(NOW - timedelta(seconds=40), usegmt=True)}
    assert asked_of(headers, NOW) == 12.0
