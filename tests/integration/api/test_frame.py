"""What every route has in common, by real HTTP."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pytest
from live import Live, serving_api
from pydantic import Field
from starlette.responses import Response, StreamingResponse

from kasparro_app.api import http_metrics
from kasparro_app.api.answers import etag_of, json_answer, not_modified, page_answer
from kasparro_app.api.operation import Answer, Call, Operation, Parameters
from kasparro_app.api.registry import OPERATIONS
from kasparro_core.errors import ConflictError, PermanentStorageError, TransientStorageError

SECRET = "host=db.internal password=hunter2"


class Paging(Parameters):
    """Of the list below."""

    limit: int = Field(3, ge=1, le=5)
    offset: int = 0
    cursor: str | None = None
    decimals: Literal["number", "string"] = "number"


class Number(Parameters):
    """Of the item below."""

    number: int


async def a_page(call: Call) -> Response:
    """Three rows, and a cursor to go on with."""
    rows = [{"number": n, "value": Decimal("0.10000000000000000001")} for n in range(call.query.limit)]
    return page_answer(call, rows, limit=call.query.limit, next_cursor="abc def", more={"next_seq": 7})


async def an_item(call: Call) -> Response:
    """The number of the path, with a tag."""
    tag = etag_of(call.path.number)
    return not_modified(call, tag) or json_answer(call, {"z": call.path.number, "a": 1}, headers={"ETag": tag})


async def a_stream(call: Call) -> Response:
    """A thousand lines; the first byte of a HEAD would fail."""

    async def lines() -> AsyncIterator[bytes]:
        assert call.request.method == "GET"
        for number in range(1000):
            yield b'{"number":%d}\n' % number

    return StreamingResponse(lines(), media_type="application/x-ndjson")


async def a_broken_stream(_call: Call) -> Response:
    """A stream whose source fails on the way."""

    async def lines() -> AsyncIterator[bytes]:
        yield b"one\n"
        raise TransientStorageError(SECRET)

    return StreamingResponse(lines(), media_type="application/x-ndjson")


async def a_bug(_call: Call) -> Response:
    """Fails in a way that nobody foresaw."""
    raise ZeroDivisionError(SECRET)


async def a_storage_fault(_call: Call) -> Response:
    """Finds the database gone."""
    raise PermanentStorageError(SECRET)


async def a_conflict(_call: Call) -> Response:
    """Somebody else was faster."""
    raise ConflictError("Somebody else was faster.")


async def reads_its_body(call: Call) -> Response:
    """Answers with the length of the body."""
    return json_answer(call, {"bytes": len(await call.request.body())})


def read(path: str, handler: object, **more: object) -> Operation:
    """A GET."""
    return Operation("GET", path, "", handler, {200: Answer("")}, "t", **more)  # type: ignore[arg-type]


PROBES = (
    read("/page", a_page, query=Paging, aliases=("/list",)),
    read("/items/{number}", an_item, path_model=Number),
    read("/stream", a_stream),
    read("/broken", a_broken_stream),
    read("/bug", a_bug),
    read("/fault", a_storage_fault),
    read("/conflict", a_conflict),
    Operation("POST", "/body", "", reads_its_body, {200: Answer("")}, "t", scope="trigger"),
    read("/body", a_page),
)


@pytest.fixture
async def probe(sqlite_url: str, tmp_path: Path) -> AsyncIterator[Live]:
    """The frame with the operations above: none of this depends on the kind of database."""
    api = {"max_body_bytes": 1000, "body_timeout": 0.2, "trusted_hosts": ["127.0.0.1", "*.example.com"]}
    async with serving_api(sqlite_url, tmp_path, {"api": api}, operations=PROBES) as live:
        yield live


async def test_an_unknown_path_is_a_problem(live: Live) -> None:
    """A path that no route takes is 404 as problem+json with the request's id."""
    reply = await live.get("/nothing-here", headers={"X-Request-ID": "mine-1"})
    assert reply.status == 404
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json["request_id"] == reply.headers["X-Request-ID"] == "mine-1"


@pytest.mark.parametrize("given", ["", "with space", "x" * 129, 'quote"', "ümlaut"])
async def test_an_insane_request_id_is_replaced(probe: Live, given: str) -> None:
    """An id that could upset a log is not taken over: a new one is made."""
    reply = await probe.get("/page", headers={"X-Request-ID": given})
    assert reply.headers["X-Request-ID"] not in {"", given}
    assert reply.json["meta"]["request_id"] == reply.headers["X-Request-ID"]


async def test_a_page_has_data_pagination_and_meta(probe: Live) -> None:
    """A list answer keeps every digit, says how to go on in body and Link, and drops the old place from the link."""
    reply = await probe.get("/page?limit=2&offset=5")
    assert list(reply.json) == ["data", "pagination", "meta"]
    assert reply.json["pagination"] == {
        "limit": 2, "returned": 2, "next_cursor": "abc def", "total": None, "next_seq": 7
    }  # fmt: skip
    assert reply.json["meta"]["api_latency_ms"] >= 0
    assert reply.headers["Link"] == '</page?limit=2&cursor=abc+def>; rel="next"'
    assert b'"value":0.10000000000000000001' in reply.body
    assert b'"value":"0.10000000000000000001"' in (await probe.get("/page?decimals=string")).body
    assert (await probe.get("/list")).status == 200


async def test_an_entity_tag_gives_304(probe: Live) -> None:
    """The tag of an answer makes the next one 304 without a body, weak or strong, also among others and compressed."""
    first = await probe.get("/items/7")
    assert first.body.startswith(b'{"z":7,"a":1,"meta":')
    tag = first.headers["ETag"]
    for given in (tag, tag.removeprefix("W/"), f'"x", {tag}', "*"):
        again = await probe.get("/items/7", headers={"If-None-Match": given})
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
    assert (await probe.get("/items/8", headers={"If-None-Match": tag})).status == 200


@pytest.mark.parametrize("path", ["/items/x", "/items/%ff", "/items/%00", "/items/7?x=1"])
async def test_a_bad_path_is_422(probe: Live, path: str) -> None:
    """A path parameter of another type, without UTF-8 or with NUL is 422, as is a query where there is none."""
    reply = await probe.get(path)
    assert (reply.status, len(reply.json["errors"])) == (422, 1)


async def test_head_is_get_without_a_body(probe: Live) -> None:
    """HEAD answers with the headers of GET; a stream is not begun for it."""
    got, headed = await probe.get("/items/7"), await probe.ask("HEAD", "/items/7")
    assert (headed.status, headed.body, headed.headers["ETag"]) == (200, b"", got.headers["ETag"])
    streamed = await probe.ask("HEAD", "/stream")
    assert (streamed.status, streamed.body, streamed.headers["Content-Type"]) == (200, b"", "application/x-ndjson")


@pytest.mark.parametrize(("method", "path", "allow"), [
    ("PUT", "/page", "GET, HEAD"), ("DELETE", "/items/7", "GET, HEAD"), ("PATCH", "/body", "GET, HEAD, POST"),
    ("POST", "/page", "GET, HEAD"), ("OPTIONS", "/page", "GET, HEAD"),
])  # fmt: skip
async def test_another_method_is_405(probe: Live, method: str, path: str, allow: str) -> None:
    """A method that a path does not take is 405, and Allow names all that it takes."""
    reply = await probe.ask(method, path, key=probe.key)
    assert (reply.status, reply.headers["Allow"]) == (405, allow)


@pytest.mark.parametrize(("path", "status"), [("/bug", 500), ("/fault", 503), ("/conflict", 409)])
async def test_faults_are_problems_without_details(
    probe: Live, caplog: pytest.LogCaptureFixture, path: str, status: int
) -> None:
    """A bug is 500, a database that fails 503 with Retry-After, a conflict 409; what went wrong stands in the log, and
    nothing of it in the answer."""
    reply = await probe.get(path)
    assert (reply.status, reply.headers["Content-Type"]) == (status, "application/problem+json")
    assert b"hunter2" not in reply.body
    assert ("Retry-After" in reply.headers) == (status == 503)
    told = [record for record in caplog.records if record.name == "kasparro_app.api" and record.levelname == "ERROR"]
    assert len(told) == (0 if status == 409 else 1)
    assert all(bool(record.exc_info) == (status == 500) for record in told)


async def test_a_stream_that_breaks_is_cut(probe: Live, caplog: pytest.LogCaptureFixture) -> None:
    """When the answer has begun, its connection is cut, so that nobody takes half of it for the whole."""
    with pytest.raises(Exception, match=r"(?i)payload|disconnected|closed"):
        await probe.get("/broken")
    assert (await probe.get("/items/1")).status == 200


async def test_answers_are_compressed_piece_by_piece(probe: Live) -> None:
    """A stream goes out compressed to a caller who accepts it, and plain to one who does not."""
    url = f"{probe.url}/stream"
    async with probe.session.get(url, headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        packed = await answer.read()
    plain = await probe.get("/stream", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    lines = packed if packed.startswith(b"{") else gzip.decompress(packed)
    assert lines == plain.body
    assert [json.loads(line)["number"] for line in lines.splitlines()] == list(range(1000))


async def test_every_answer_is_safe_in_a_browser(live: Live) -> None:
    """Answers, refusals among them, forbid guessing, framing, referrers and everything that a page could load."""
    for path in ("/health/live", "/nothing", "/openapi.json"):
        headers = (await live.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


async def test_only_known_host_names_are_answered(probe: Live) -> None:
    """A name that is not configured is 400; one below a wildcard is answered."""
    assert (await probe.get("/page", headers={"Host": "evil.test"})).status == 400
    assert (await probe.get("/page", headers={"Host": "data.example.com:8000"})).status == 200


async def test_a_service_on_loopback_answers_to_its_names_alone(live: Live) -> None:
    """Without a list, a service that listens on loopback refuses other names: a page could have made one point here."""
    for host, status in (("localhost:1", 200), ("127.0.0.1", 200), ("[::1]:80", 200), ("evil.test", 400), ("", 400)):
        assert (await live.get("/health/live", headers={"Host": host})).status == status, host


async def test_a_long_body_is_refused(probe: Live) -> None:
    """A body that announces too much, or turns out to be too long, is 413 as a problem; one that fits is read."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 100

    announced = await probe.post("/body", data=b"x" * 1001)
    grown = await probe.post("/body", data=pieces())
    fits = await probe.post("/body", data=b"x" * 1000)
    assert [reply.status for reply in (announced, grown, fits)] == [413, 413, 200]
    assert grown.headers["Content-Type"] == announced.headers["Content-Type"] == "application/problem+json"


async def test_a_body_that_does_not_come_is_refused_and_stops_nobody(probe: Live) -> None:
    """A caller who sends half a body and hangs is told 408 after the deadline; meanwhile others are answered."""
    host, _, port = probe.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /body HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {probe.key}\r\nContent-Length: 100\r\n\r\nhalf"
    writer.write(head.encode())
    await writer.drain()
    assert (await probe.get("/items/1")).status == 200
    answer = await reader.readuntil(b"\r\n")
    assert b" 408 " in answer
    writer.close()
    await writer.wait_closed()


async def test_the_log_has_a_line_for_each_request(probe: Live, caplog: pytest.LogCaptureFixture) -> None:
    """The access line names method, path and status; never the query, and never a line break of the caller's."""
    caplog.set_level(logging.INFO, "kasparro_app.api.access")
    await probe.get("/items/5?token=secret")
    await probe.get("/no%0Athing")
    lines = [record.getMessage() for record in caplog.records if record.name == "kasparro_app.api.access"]
    assert lines[0].startswith("GET /items/5 422 in ")
    assert lines[1].startswith("GET /no%0Athing 404 in ")
    assert "secret" not in caplog.text


async def test_figures_have_templates_for_labels(probe: Live) -> None:
    """Requests are counted under their path template, unknown paths under one label, odd methods under another."""

    def count(route: str, method: str, status: int) -> int:
        wanted = f'http_requests_total{{method="{method}",route="{route}",status="{status}"}} '
        lines = [line for line in http_metrics.render().decode().splitlines() if line.startswith(wanted)]
        return int(float(lines[0].split()[-1])) if lines else 0

    before = count("/items/{number}", "GET", 200), count("unmatched", "GET", 404), count("unmatched", "other", 404)
    for path in ("/items/1", "/items/2", "/a", "/b"):
        await probe.get(path)
    await probe.ask("BREW", "/a")
    after = count("/items/{number}", "GET", 200), count("unmatched", "GET", 404), count("unmatched", "other", 404)
    assert [new - old for new, old in zip(after, before, strict=True)] == [2, 2, 1]
    assert "/items/1" not in http_metrics.render().decode()


async def test_other_origins_are_let_in_only_when_named(sqlite_url: str, tmp_path: Path) -> None:
    """Without configuration no answer names another origin; with it the named one may read, refusals too."""
    origin = {"Origin": "https://app.example.com"}
    async with serving_api(sqlite_url, tmp_path, operations=PROBES) as live:
        assert "Access-Control-Allow-Origin" not in (await live.get("/items/1", headers=origin)).headers
    cors = {"api": {"cors": {"origins": ["https://app.example.com"]}}}
    async with serving_api(sqlite_url, tmp_path, cors, operations=PROBES) as live:
        for path in ("/items/1", "/nothing", "/bug"):
            headers = (await live.get(path, headers=origin)).headers
            assert headers["Access-Control-Allow-Origin"] == "https://app.example.com"
        other = await live.get("/items/1", headers={"Origin": "https://evil.example"})
        assert "Access-Control-Allow-Origin" not in other.headers
        preflight = {**origin, "Access-Control-Request-Method": "GET"}
        assert (await live.ask("OPTIONS", "/items/1", headers=preflight)).status == 200


async def test_the_description_is_kept_by_its_tag(live: Live) -> None:
    """/openapi.json is sent once: its tag gives 304."""
    first = await live.get("/openapi.json")
    assert first.json["openapi"].startswith("3.1")
    again = await live.get("/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("operation", [op for op in OPERATIONS if op.query is None], ids=lambda op: op.path)
async def test_a_query_where_there_is_none_is_refused(live: Live, operation: Operation) -> None:
    """Every operation without parameters refuses one, instead of leaving a typo unseen."""
    reply = await live.ask(operation.method, f"{operation.path.replace('{', '').replace('}', '')}?x=1", key=live.key)
    assert (reply.status, reply.json["errors"][0]["parameter"]) in {(422, "x"), (422, "run_id")}
