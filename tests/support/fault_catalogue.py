"""What can be wrong with an upstream, and what is to be said about it: each fault in several shapes, chosen by seed."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

from fault_server import OK, Speak, Talk

GIGABYTE = 1 << 30
DEPTH = 100_000
_HTML = "<!DOCTYPE html>\n<html><head><title>{}</title></head><body><h1>{}</h1></body></html>"
_PIECE = bytes(64 * 1024)


@dataclass(frozen=True)
class Fault:
    """`codes` are the error codes of its shapes: seed n shows shape n modulo their number. `passes`: it is tried again.
    `says` is in the error besides source and address; `config` is set on the source."""

    name: str
    codes: tuple[str, ...]
    speak: Speak | None
    says: str = ""
    passes: bool = False
    config: Mapping[str, Any] = field(default_factory=dict)

    def code(self, seed: int) -> str:
        """The error code that this seed has to end with."""
        return self.codes[seed % len(self.codes)]


def _shape(talk: Talk, number: int) -> int:
    return talk.seed % number


# Answers that say no.


async def _error_500(talk: Talk) -> None:
    page = _HTML.format("Oops", "500").encode()
    bodies = [(b"", {}), (page, {"Content-Type": "text/html"}), (b"\x1f\x8b\x00broken", {"Content-Encoding": "gzip"})]
    body, headers = bodies[_shape(talk, 3)]
    await talk.answer("500 Internal Server Error", body, headers)


async def _unavailable(talk: Talk) -> None:
    """Retry-After in seconds, or as a date; with a body, a broken one, or one that never ends."""
    seconds = talk.random.randrange(2, 90) + talk.nth
    asked = str(seconds)
    if talk.seed % 2:
        asked = format_datetime(talk.server.now().replace(microsecond=0) + timedelta(seconds=seconds + 1), usegmt=True)
    talk.server.waits.setdefault((talk.name, talk.seed), []).append(seconds)
    headers = {"Retry-After": asked, "Content-Type": "text/html"}
    match (talk.seed // 2) % 3:
        case 0:
            await talk.answer("503 Service Unavailable", b"<html>later</html>", headers)
        case 1:
            await talk.answer("503 Service Unavailable", b"<html>lat", {**headers, "Content-Encoding": "br"})
        case _:  # the connection ends in the middle of the body
            await talk.answer("503 Service Unavailable", b"<html>lat", {**headers, "Content-Length": "4000"})


async def _too_many(talk: Talk) -> None:
    seconds = talk.random.randrange(1, 60)
    headers = {}
    if talk.seed % 3:
        headers = {"Retry-After": str(seconds)}
        talk.server.waits.setdefault((talk.name, talk.seed), []).append(seconds)
    said = json.dumps({"status": {"error_code": 429, "error_message": "You've exceeded the Rate Limit."}}).encode()
    if talk.seed % 2:
        said, headers = _HTML.format("Just a moment...", "1015").encode(), {**headers, "Content-Type": "text/html"}
    await talk.answer("429 Too Many Requests", said, headers)


async def _missing(talk: Talk) -> None:
    page = _HTML.format("404 — no such page", "Not here").encode()
    await talk.answer("404 Not Found", page, {"Content-Type": "text/html; charset=utf-8"})


# Answers that do not come, or not whole.


async def _silence(talk: Talk) -> None:
    match _shape(talk, 3):
        case 0:
            await talk.hang()
        case 1:
            await talk.say(b"HTTP/1.1 200 OK\r\nContent-")
            await talk.hang()
        case _:
            await talk.say(talk.begun(OK, {"Content-Length": "100"}))
            await talk.hang()


async def _drip(talk: Talk) -> None:
    await talk.say(talk.begun(OK, {"Content-Length": "100000"}))
    while True:
        await talk.say(b" ")
        await asyncio.sleep(0.01)


async def _cut(talk: Talk) -> None:
    kept = talk.good[: talk.random.randrange(1, len(talk.good))]
    match _shape(talk, 3):
        case 0:
            await talk.say(talk.begun(OK, {"Content-Length": str(len(talk.good))}), kept)
        case 1:
            framed = b"%x\r\n%s\r\n" % (len(kept), kept)
            await talk.say(talk.begun(OK, {"Transfer-Encoding": "chunked"}), framed)
        case _:  # reset, after the client has seen the beginning
            await talk.say(talk.begun(OK, {"Content-Length": str(len(talk.good))}), kept)
            await asyncio.sleep(0.02)
            talk.reset()


async def _cut_gzip(talk: Talk) -> None:
    packed = gzip.compress(talk.good)
    kept = packed[: talk.random.randrange(12, len(packed))]
    told = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    if talk.seed % 2:
        told["Content-Length"] = str(len(kept))
    await talk.say(talk.begun(OK, told) + kept)


async def _wrong_length(talk: Talk) -> None:
    size = len(talk.good)
    told = [str(size + 7), str(size - 7), "-5", "many", f"{size}\r\nContent-Length: {size + 1}"][_shape(talk, 5)]
    await talk.answer(OK, talk.good, {"Content-Length": told})


async def _truncated(talk: Talk) -> None:
    await talk.answer(OK, talk.good[: talk.random.randrange(1, len(talk.good))])


async def _empty(talk: Talk) -> None:
    await talk.answer(*[(OK, b""), (OK, b" \n\t "), (OK, b"\xef\xbb\xbf")][_shape(talk, 3)])


# Answers that lead elsewhere.


async def _loop(talk: Talk) -> None:
    base = f"/{talk.name}/{talk.seed}"
    match _shape(talk, 3):
        case 0:  # to itself
            place = f"{base}?page={talk.page}"
        case 1:  # there and back
            place = f"{base}{'' if b'/b?' in talk.head else '/b'}?page={talk.page}"
        case _:  # on and on
            place = f"{base}/n{talk.nth}?page={talk.page}"
    await talk.answer(
        ["302 Found", "301 Moved Permanently", "307 Temporary Redirect"][talk.seed // 3 % 3], b"", _to(place)
    )


async def _inwards(talk: Talk) -> None:
    hosts = (
        "127.0.0.2",
        "[::1]",
        "10.0.0.7",
        "169.254.169.254",
        "[::ffff:127.0.0.3]",
        "192.168.1.1",
        "0.0.0.0",
        "[fe80::1]",
    )
    await talk.answer("302 Found", b"", _to(f"http://{hosts[_shape(talk, 8)]}:{talk.server.port}/latest/meta-data"))


async def _elsewhere(talk: Talk) -> None:
    places = (
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "javascript:alert(1)",
        "data:text/plain,x",
        "gopher://127.0.0.1:70/1",
    )
    await talk.answer("302 Found", b"", _to(places[_shape(talk, 5)]))


def _to(place: str) -> dict[str, str]:
    return {"Location": place}


# Answers that are too much.


async def _gigabyte(talk: Talk) -> None:
    shape = _shape(talk, 3)
    told = [{"Content-Length": str(GIGABYTE)}, {"Transfer-Encoding": "chunked"}, {}][shape]
    await talk.say(talk.begun(OK, told))
    piece = b"%x\r\n%s\r\n" % (len(_PIECE), _PIECE) if shape == 1 else _PIECE
    for _ in range(GIGABYTE // len(_PIECE)):
        await talk.say(piece)
        talk.server.sent += len(piece)


async def _bomb(talk: Talk) -> None:
    shape = _shape(talk, 4)
    await talk.say(talk.begun(OK, {"Content-Encoding": "deflate" if shape == 1 else "gzip"}))
    for part in _packed(shape):
        await talk.say(part)
        talk.server.sent += len(part)


def _packed(shape: int) -> Iterator[bytes]:
    """A gigabyte of nothing: in one stream of gzip or zlib, of blanks inside of JSON, or in many members."""
    filling = (b" " if shape == 2 else b"\0") * (1 << 20)
    if shape == 3:
        member = gzip.compress(filling, 9)
        yield from (member for _ in range(1024))
        return
    stream = zlib.compressobj(9, wbits=15 if shape == 1 else 31)
    yield stream.compress(b"[")
    yield from (stream.compress(filling) for _ in range(1024))
    yield stream.compress(b"]") + stream.flush()


async def _padding(talk: Talk) -> None:
    """A small body in gzip, and then zeros for ever."""
    await talk.say(talk.begun(OK, {"Content-Encoding": "gzip"}), gzip.compress(talk.good))
    for _ in range(GIGABYTE // len(_PIECE)):
        await talk.say(_PIECE)
        talk.server.sent += len(_PIECE)


async def _headers(talk: Talk) -> None:
    flood = [b"X-Long: " + b"a" * 200_000 + b"\r\n", b"X-Many: 1\r\n" * 5000][_shape(talk, 2)]
    await talk.say(b"HTTP/1.1 200 OK\r\n", flood, b"\r\n")


async def _depth(talk: Talk) -> None:
    nested = [
        b"[" * DEPTH + b"]" * DEPTH,
        b'{"a":' * DEPTH + b"1" + b"}" * DEPTH,
        b'[{"id":"x","deep":' + b"[" * DEPTH + b"]" * DEPTH + b"}]",
        b"[" * DEPTH,
    ]
    await talk.answer(OK, nested[_shape(talk, 4)])


# Answers that are something else.


async def _html(talk: Talk) -> None:
    page = ["", "\ufeff", "\n\n  "][_shape(talk, 3)] + _HTML.format("Sign in", "Please sign in")
    kinds = ("text/html; charset=utf-8", "application/json")
    await talk.answer(OK, page.encode(), {"Content-Type": kinds[talk.seed // 3 % 2]})


async def _not_utf8(talk: Talk) -> None:
    text = talk.good.decode()
    bodies = [
        talk.good.replace("ü".encode(), b"\xfc"),
        text.encode("utf-16"),
        talk.good.replace(b"Mu", b"").replace("ü".encode(), b"\xed\xa0\x80"),
        b"\x80\x81\x82",
    ]
    await talk.answer(OK, bodies[_shape(talk, 4)], {"Content-Type": "application/json; charset=iso-8859-1"})


async def _not_a_number(talk: Talk) -> None:
    word = ("NaN", "Infinity", "-Infinity", "nan")[_shape(talk, 4)]
    rows = json.loads(talk.good)
    rows[talk.random.randrange(len(rows))]["price"] = "@"
    await talk.answer(OK, json.dumps(rows).replace('"@"', word).encode())


async def _strange_coding(talk: Talk) -> None:
    coding, body = [("br", talk.good), ("gzip", talk.good), ("gzip, gzip", talk.good)][_shape(talk, 3)]
    await talk.answer(OK, body, {"Content-Encoding": coding})


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("refused", ("connection",), None, "cannot connect", passes=True),
        Fault("dns", ("dns",), None, "cannot be resolved", passes=True),
        Fault("http-500", ("http_500",), _error_500, passes=True),
        Fault("http-503", ("http_503",), _unavailable, passes=True),
        Fault("http-429", ("http_429",), _too_many, passes=True),
        Fault("http-404", ("http_404",), _missing, "no such page"),
        Fault("timeout", ("timeout",), _silence, "`timeout` of", passes=True, config={"timeout": 0.15}),
        Fault("drip", ("timeout",), _drip, "`timeout` of", passes=True, config={"timeout": 0.15}),
        Fault("gzip-cut", ("incomplete_body",), _cut_gzip, passes=True),
        Fault("cut", ("incomplete_body",), _cut, passes=True),
        Fault("length", ("incomplete_body", *["bad_answer"] * 4), _wrong_length),
        Fault("loop", ("redirect_loop", "redirect_loop", "too_many_redirects"), _loop),
        Fault("inwards", ("private_address",), _inwards, "`allow_private_hosts = true` in"),
        Fault("elsewhere", ("bad_redirect",), _elsewhere),
        Fault("html", ("html_for_json",), _html, "Sign in"),
        Fault("utf8", ("not_utf8",), _not_utf8, "charset=iso-8859-1"),
        Fault("gigabyte", ("too_large",), _gigabyte, "`max_bytes` of"),
        Fault("padding", ("too_large",), _padding, "`max_bytes` of"),
        Fault("bomb", ("compression_ratio",), _bomb, "`max_ratio` of"),
        Fault("depth", ("json_depth",), _depth, "levels"),
        Fault("nan", ("json_nan",), _not_a_number, "finite numbers"),
        Fault("truncated", ("json_truncated",), _truncated, "without an end"),
        Fault("empty", ("empty_body",), _empty),
        Fault("headers", ("headers_too_large",), _headers, "at most 128 headers"),
        Fault("coding", ("content_encoding",), _strange_coding),
    )
}

SPEAKERS: Mapping[str, Callable[[Talk], Any]] = {name: each.speak for name, each in FAULTS.items() if each.speak}
