"""Documents made to do harm: refused within a second, in little memory, without a file or a connection."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from traced import needs_strace, traced

from kasparro_adapters.feeds import FeedDecoder
from kasparro_adapters.feeds.opml import feed_addresses
from kasparro_core.errors import PermanentSourceError
from kasparro_core.model import RawPayload


def rss(prolog: str, body: str = "&x;") -> bytes:
    """A feed behind this prolog."""
    text = (
        f'{prolog}<rss version="2.0"><channel><title>{body}</title><item><title>{body}</title></item></channel></rss>'
    )
    return text.encode()


DOUBLING = "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12))
HARMFUL = {
    "billion laughs": rss(f"<!DOCTYPE r [<!ENTITY a0 'ha'>{DOUBLING}]>", "&a11;"),
    "quadratic": rss(f"<!DOCTYPE r [<!ENTITY x '{'B' * 100_000}'>]>", "&x;" * 1000),
    "file": rss('<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
    "address": rss('<!DOCTYPE r [<!ENTITY x SYSTEM "http://127.0.0.1:9/x">]>'),
    "parameter": rss('<!DOCTYPE r [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x.dtd"> %x;]>', "t"),
    "cyclic": rss("<!DOCTYPE r [<!ENTITY x '&y;'><!ENTITY y '&x;'>]>"),
    "attribute list": rss("<!DOCTYPE r [<!ATTLIST rss x CDATA 'y'>]>", "t"),
    "behind comments": rss("<!-- x -->" * 1000 + '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
    "lower case": rss('<!doctype r [<!entity x system "file:///etc/passwd">]>'),
    "utf-16": rss('<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>').decode().encode("utf-16"),
    "utf-7": b'<?xml version="1.0" encoding="utf-7"?>' + rss("<!DOCTYPE r [<!ENTITY x 'y'>]>"),
}
LATE = {
    "behind the root": rss("", "t").replace(b"<item>", b"<!DOCTYPE r [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><item>"),
    "deep": rss("", "<b>" * 200_000),
    "elements": rss("", "<b/>" * 600_000),
    "outside dtd": rss('<!DOCTYPE r SYSTEM "http://127.0.0.1:9/x.dtd">', "t"),
    "include": rss("", '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>'),
    "style": rss('<?xml-stylesheet href="file:///etc/passwd" type="text/xsl"?>', "t"),
    "comment without end": b"<!-- " + b"-" * 2_000_000,
    "doctype without end": b"<!DOCTYPE " + b"x" * 2_000_000,
    "instruction without end": b"<?x " * 500_000,
}


@pytest.mark.parametrize("name", sorted(HARMFUL))
def test_what_declares_anything_is_refused_at_once(name: str) -> None:
    """Entities and document types of a document's own: `xml_dtd`, within a second of CPU, for feeds and for lists."""
    for understand in (lambda: FeedDecoder().decode(RawPayload(HARMFUL[name], {"format": "feed"})),
                       lambda: feed_addresses(HARMFUL[name], "")):  # fmt: skip
        begun = time.process_time()
        with pytest.raises(PermanentSourceError) as caught:
            understand()
        assert caught.value.code == "xml_dtd"
        assert time.process_time() - begun < 1


@pytest.mark.parametrize("name", sorted(LATE))
def test_what_only_looks_harmless_does_none(name: str) -> None:
    """Whatever comes of it, a typed error or items: it reads no file, and costs little."""
    begun = time.process_time()
    try:
        decoded = FeedDecoder().decode(RawPayload(LATE[name], {"format": "feed"}))
    except PermanentSourceError:
        decoded = None
    assert time.process_time() - begun < 1
    assert decoded is None or "root:" not in str(decoded.items)


CHILD = """
import json, sys
from pathlib import Path
from kasparro_adapters.feeds import FeedDecoder
from kasparro_adapters.feeds.opml import feed_addresses
from kasparro_core.errors import PermanentSourceError
from kasparro_core.model import RawPayload
import encodings.idna, encodings.utf_16, encodings.utf_32, encodings.cp1252, encodings.latin_1

def code_of(understand):
    try:
        understand()
    except PermanentSourceError as error:
        return error.code
    return "READ"

places = json.loads(Path(sys.argv[1]).read_text())
documents = [Path(place).read_bytes() for place in places]
sound = b'<rss version="2.0"><channel><item><title>x</title></item></channel></rss>'
code_of(lambda: FeedDecoder().decode(RawPayload(sound, {"format": "feed"})))
code_of(lambda: feed_addresses(b"<opml><body><outline xmlUrl='http://a.example/'/></body></opml>", ""))
Path("begin").open("w").close()
answers = [
    [code_of(lambda: FeedDecoder().decode(RawPayload(document, {"format": "feed"}))),
     code_of(lambda: feed_addresses(document, ""))]
    for document in documents
]
Path("end").open("w").close()
print(json.dumps(answers))
"""


@needs_strace
def test_a_list_of_bombs_opens_nothing(tmp_path: Path, shared_data: Callable[..., Path]) -> None:
    """Of every document of a public list, and of our own: a typed error or a plain reading, and between the first and
    the last no file, no socket and no program, seen by the system calls."""
    listed = [path for path in sorted(shared_data("corpora", "security").rglob("*.x*")) if path.is_file()]
    own = []
    for number, document in enumerate([*HARMFUL.values(), *LATE.values()]):
        own.append(tmp_path / f"{number}.xml")
        own[-1].write_bytes(document)
    (tmp_path / "cases.json").write_text(json.dumps([str(path) for path in [*listed, *own]]))
    printed, calls = traced(CHILD, tmp_path, str(tmp_path / "cases.json"))
    answers = json.loads(printed)
    begin = next(at for at, line in enumerate(calls) if '"begin"' in line)
    end = next(at for at, line in enumerate(calls) if '"end"' in line)
    assert len(listed) > 10
    assert calls[begin + 1 : end] == []
    assert all("READ" not in each for each in answers[: len(listed)])
