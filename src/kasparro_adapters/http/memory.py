"""What is remembered of a page between runs, and how a page is recognized."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
from yarl import URL

from kasparro_adapters.http.config import HttpSourceConfig
from kasparro_adapters.http.paging import Pager, Place
from kasparro_adapters.http.urls import without_params
from kasparro_core.errors import PagingLoopError
from kasparro_core.model.batch import Decoded, Validator
from kasparro_core.ports.fetch import FetchRequest, FetchResponse

_READING = 1
"""Raised by one whenever this adapter reads bodies differently, so that no old validator answers for them."""


def rules_hash(config: HttpSourceConfig) -> str:
    """Identifies how a source is read, and what is kept of it: records path, paging, increments, kind, mapping and
    what happens to items of another shape."""
    said = config.model_dump(mode="json", include={"records", "paginate", "incremental", "kind", "mapping", "drift"})
    return _digest([_READING, said])


def request_hash(request: FetchRequest, secret_params: frozenset[str], rules: str) -> str:
    """Identifies a request and how its answer is read: method, path, query without secrets, rules; not the host."""
    url = without_params(URL(request.url).update_query(request.params), secret_params)
    return _digest([request.method, url.path, sorted(url.query.items()), rules])


def body_hash_of(response: FetchResponse) -> str:
    """The SHA-256 of a body, hexadecimal."""
    return hashlib.sha256(response.body).hexdigest()


def page_marks(body_hash: str, decoded: Decoded) -> frozenset[str]:
    """What a page is recognized by: its bytes, and its items where the bytes differ by a time stamp. An empty page has
    no marks. CPU-bound for big pages."""
    if not decoded.items:
        return frozenset()
    items = hashlib.sha256(msgspec.json.encode([item.data for item in decoded.items])).hexdigest()
    return frozenset({body_hash, items})


def remembered_marks(validator: Validator) -> frozenset[str]:
    """What a page that was not sent again is recognized by."""
    return frozenset({validator.body_hash} if validator.item_count and validator.body_hash else ())


def validator_of(key: str, response: FetchResponse, body_hash: str, rows: int, following: Place | None) -> Validator:
    """What makes the next request for this page conditional, and by what its body is recognized."""
    headers = response.headers
    return Validator(
        request_hash=key,
        etag=headers.get("etag"),
        last_modified=headers.get("last-modified"),
        body_hash=body_hash,
        item_count=rows,
        next=None if following is None else as_next(following),
        cache_control=headers.get("cache-control"),
        expires=headers.get("expires"),
    )


def to_ask_with(known: Validator | None) -> Validator | None:
    """The validator, if the upstream gave anything that makes a request conditional."""
    return known if known is not None and (known.etag or known.last_modified) else None


def confirmed(known: Validator, response: FetchResponse, following: Place | None) -> Validator:
    """A validator after a 304, whose headers go before the remembered ones (RFC 9111 4.3.4)."""
    headers = response.headers
    return replace(
        known,
        next=None if following is None else as_next(following),
        etag=headers.get("etag") or known.etag,
        last_modified=headers.get("last-modified") or known.last_modified,
        cache_control=headers.get("cache-control") or known.cache_control,
        expires=headers.get("expires") or known.expires,
    )


def worth_saving(known: Validator, now: Validator) -> bool:
    """False where the next request would be the same: an Expires that only moved on with the time costs no write."""
    return replace(now, expires=known.expires) != known


def remembered(validators: Mapping[str, Validator], key: str, pager: Pager) -> Validator | None:
    """The validator of a request; None also where the place that it remembers is not one of this paging: then the page
    is asked for whole."""
    validator = validators.get(key)
    return validator if validator is not None and _is_known(validator, pager) else None


def as_next(following: Place) -> str:
    """A place as a validator keeps it."""
    return json.dumps(dict(following), sort_keys=True)


def remembered_next(validator: Validator) -> Place | None:
    """The place that followed the page a validator stands for."""
    return None if validator.next is None else json.loads(validator.next)


def _is_known(validator: Validator, pager: Pager) -> bool:
    try:
        following = remembered_next(validator)
    except (ValueError, RecursionError):
        return False
    return validator.next is None or (isinstance(following, dict) and pager.knows(following))


class LoopGuard:
    """Notices a page or place that one walk has already seen."""

    def __init__(self, source: str, first: Place) -> None:
        self._source = source
        self._seen = {_digest(dict(first))}

    def page(self, marks: frozenset[str], shown: str) -> None:
        """Raises PagingLoopError when a page with one of these marks came before."""
        if marks & self._seen:
            raise self._error(f"{shown} gave a page that this walk has already read.")
        self._seen |= marks

    def place(self, following: Place) -> PagingLoopError | None:
        """The error to raise once the page is yielded, when its next page was already read."""
        mark = _digest(dict(following))
        if mark in self._seen:
            return self._error("The page names a next page that this walk has already read.")
        self._seen.add(mark)
        return None

    def _error(self, message: str) -> PagingLoopError:
        return PagingLoopError(
            f"{self._source}: {message}", source=self._source, hint="Check `paginate` of the source: names and start."
        )


def _digest(value: Mapping[str, Any] | list[Any]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
