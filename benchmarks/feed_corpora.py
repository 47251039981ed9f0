"""Scores of the feed decoder against other people's test corpora: `python benchmarks/feed_corpora.py [--misses]`.

The corpora lie beside the repository (`../shared/corpora`); without them the script says so and ends with 0.
Prints one line per corpus: how many of its expectations hold, and how many documents were read.
"""

from __future__ import annotations

import argparse
import calendar
import html
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from kasparro_adapters.feeds import FeedDecoder, FeedSourceConfig
from kasparro_adapters.feeds.markup import plain, sanitized
from kasparro_core.errors import PermanentSourceError
from kasparro_core.model import RawPayload, Record
from kasparro_core.normalize.compiler import normalize

CORPORA = Path(__file__).resolve().parents[2] / "shared" / "corpora"
FIELDS = {
    "title": "title",
    "link": "link",
    "id": "id",
    "guid": "id",
    "summary": "summary",
    "description": "summary",
    "content[0].value": "content",
    "author": "author",
    "published": "published",
    "issued": "published",
    "created": "published",
    "updated": "updated",
    "modified": "updated",
    "published_parsed": "published_parsed",
    "created_parsed": "published_parsed",
    "updated_parsed": "updated_parsed",
    "modified_parsed": "updated_parsed",
}
MAPPING = FeedSourceConfig(url="corpus").record_mapping("corpus")
_CLAIM = re.compile(r"entries\[(\d+)\]\.(.+)")

Item = Mapping[str, Any]
Case = tuple[str, Callable[[], bool]]


def decode(payload: bytes, url: str = "", content_type: str = "") -> list[dict[str, Any]]:
    """The items of a document, each with its normalized record under `record`."""
    decoded = FeedDecoder().decode(RawPayload(payload, {"format": "feed", "url": url, "content_type": content_type}))
    items = [dict(item.data) for item in decoded.items]
    for item in items:
        records, _ = normalize([item], MAPPING)
        item["record"] = records[0] if records else None
    return items


def same(got: str | None, wanted: str | None) -> bool:
    """Equal as shown to a reader: white space and the spelling of markup aside."""
    if not got or not wanted:
        return not got and not wanted
    return _shown(got) == _shown(wanted) or " ".join(got.split()) == plain(wanted)


def _shown(markup: str) -> str:
    return " ".join(html.unescape(sanitized(markup, None)).split())


def moment(record: Record | None, field: str, wanted: list[int] | str) -> bool:
    """True when a normalized date is the claimed instant."""
    if record is None:
        return False
    found = record.occurred_at if field == "occurred_at" else record.attributes.get(field)
    found = datetime.fromisoformat(found) if isinstance(found, str) else found
    if isinstance(wanted, str):
        return found == datetime.fromisoformat(wanted)
    return found == datetime.fromtimestamp(calendar.timegm((*wanted[:6], 0, 1, 0)), UTC)


def feedparser_claims(corpus: Path) -> Iterator[Case]:
    """Core fields of the entries, without the sanitizing and entity groups."""
    for line in (corpus / "claims.jsonl").read_text(encoding="utf-8").splitlines():
        document = json.loads(line)
        if re.search("sanitize|entities", document["group"]) or not document["file"].endswith(".xml"):
            continue
        claims = [found for claim in document["claims"] if (found := _core(claim))]
        if claims:
            yield document["file"], partial(_hold, corpus, document, claims)


def _core(claim: Mapping[str, Any]) -> tuple[int, str, Any] | None:
    match = _CLAIM.fullmatch(claim.get("path", ""))
    if match is None or claim["op"] != "eq" or match[2] not in FIELDS:
        return None
    return int(match[1]), FIELDS[match[2]], claim["value"]


def _hold(corpus: Path, document: Mapping[str, Any], claims: list[tuple[int, str, Any]]) -> bool:
    headers = {name.lower(): value for name, value in document.get("http_headers", {}).items()}
    served = "http://127.0.0.1:8097/" + document["file"]
    url = urljoin(served, headers.get("content-location", ""))
    items = decode((corpus / document["file"]).read_bytes(), url, headers.get("content-type", "application/xml"))
    return all(index < len(items) and _claimed(items[index], field, wanted) for index, field, wanted in claims)


def _claimed(item: Item, field: str, wanted: Any) -> bool:
    if field.endswith("_parsed"):
        return moment(item["record"], field.removesuffix("_parsed"), wanted)
    if field == "summary" and item["summary"] is None:
        field = "content"  # feedparser repeats the content as summary where a feed has none
    return same(item[field], wanted)


def gofeed_pairs(corpus: Path) -> Iterator[Case]:
    """The items of the unified model."""
    for path in sorted((corpus / "translator").rglob("*.xml")):
        wanted = json.loads(path.with_suffix(".json").read_text(encoding="utf-8")).get("items") or []
        if wanted:
            yield path.name, partial(_paired, path, wanted)
    for path in sorted((corpus / "translator" / "json").glob("*_expected.json")):
        wanted = json.loads(path.read_text(encoding="utf-8")).get("items") or []
        source = path.with_name(path.name.replace("_expected", ""))
        yield path.name, partial(_paired, source, wanted)


def _paired(path: Path, wanted: list[dict[str, Any]]) -> bool:
    items = decode(path.read_bytes())
    return len(items) == len(wanted) and all(map(_as_gofeed, items, wanted))


def _as_gofeed(item: Item, wanted: Item) -> bool:
    author = wanted.get("author") or {}
    texts = {"title": "title", "summary": "description", "content": "content", "link": "link", "id": "guid"}
    return (
        all(same(item[ours], wanted[theirs]) for ours, theirs in texts.items() if theirs in wanted)
        and all(part in (item["author"] or "") for part in author.values())
        and all(
            moment(item["record"], field, wanted[f"{field}Parsed"])
            for field in ("published", "updated")
            if f"{field}Parsed" in wanted
        )
        and item["tags"] == wanted.get("categories", item["tags"])
        and [e["url"] for e in item["enclosures"]] == [e["url"] for e in wanted.get("enclosures", item["enclosures"])]
    )


def miniflux_claims(corpus: Path) -> Iterator[Case]:
    """Title, content, link, author, language and enclosures of entries, and what must fail."""
    for line in (corpus / "inline_claims.jsonl").read_text(encoding="utf-8").splitlines():
        document = json.loads(line)
        path = corpus / document["file"]
        if not path.exists():
            continue
        yield document["test"], partial(_as_miniflux, path, document)


def _as_miniflux(path: Path, document: Mapping[str, Any]) -> bool:
    try:
        items = decode(path.read_bytes(), "https://example.org/feed")
    except PermanentSourceError:
        return bool(document["must_fail"])
    held = all(_miniflux_claim(items, claim, wanted) for claim, wanted in document["claims"])
    return held and not document["must_fail"]


def _miniflux_claim(items: list[dict[str, Any]], path: str, wanted: Any) -> bool:
    match = re.fullmatch(r"feed\.Entries\[(\d+)\]\.(Title|URL|Content|Author|Language)", path)
    if match is None:
        return True
    index, name = int(match[1]), match[2]
    if index >= len(items):
        return False
    item = items[index]
    if name == "Content":
        return same(item["content"], wanted) or same(item["summary"], wanted)
    field = {"Title": "title", "URL": "link", "Author": "author", "Language": "language"}[name]
    return same(item[field], wanted) or (name == "Title" and item["title"] is None)


def no_crash(paths: list[Path]) -> Iterator[Case]:
    """Items or a typed refusal, and no date that the document does not have."""
    for path in paths:
        yield path.name, partial(_survives, path)


def _survives(path: Path) -> bool:
    try:
        items = decode(path.read_bytes(), "https://example.org/feed")
    except PermanentSourceError:
        return True
    return all(_not_invented(item) for item in items)


def _not_invented(item: Item) -> bool:
    record = item["record"]
    return record is None or record.occurred_at is None or bool(item["published"] or item["updated"])


def score(name: str, cases: Iterator[Case], *, misses: bool) -> None:
    """Run all cases of a corpus and print how many hold."""
    started, held, missed = time.perf_counter(), 0, []
    for case, check in cases:
        if _holds(check):
            held += 1
        else:
            missed.append(case)
    total = held + len(missed)
    spent = time.perf_counter() - started
    print(f"{name:<24} {held:>5} of {total:<5} {100 * held / max(total, 1):6.1f} %  {spent:.1f} s")
    for case in missed if misses else ():
        print("    ", case)


def _holds(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except PermanentSourceError:
        return False


def main() -> int:
    """Score every corpus that is there."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--misses", action="store_true", help="name the cases that do not hold")
    misses = options.parse_args().misses
    if not CORPORA.is_dir():
        print(f"skipped: the corpora are not at {CORPORA}")
        return 0
    score("feedparser, core fields", feedparser_claims(CORPORA / "feedparser"), misses=misses)
    score("gofeed translator", gofeed_pairs(CORPORA / "gofeed"), misses=misses)
    score("miniflux inline", miniflux_claims(CORPORA / "miniflux"), misses=misses)
    for name in ("feedparser", "gofeed", "feedvalidator", "miniflux", "reader"):
        documents = [p for p in sorted((CORPORA / name).rglob("*")) if p.is_file() and p.suffix != ".jsonl"]
        score(f"{name}, no crash", no_crash(documents), misses=misses)
    return 0


if __name__ == "__main__":
    sys.exit(main())
