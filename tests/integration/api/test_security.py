"""Keys: nothing that changes anything works without one, on any route that there is."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from live import Live, serving_api

from kasparro_app.api.app import build_app
from kasparro_app.api.operation import Operation
from kasparro_app.api.registry import OPERATIONS
from kasparro_app.service import ServeOptions
from kasparro_core.model import RunQuery, Scope

CHANGING = ("POST", "PUT", "PATCH", "DELETE")
PLACES = [(op, re.sub(r"\{\w+\}", "prices", path)) for op in OPERATIONS for path in (op.path, *op.aliases)]
POSTS = [pytest.param(op, path, id=path) for op, path in PLACES if op.method == "POST"]


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    """One source that could be run, paused and resumed."""
    (tmp_path / "prices.csv").write_text("id,price\n1,2\n", encoding="utf-8")
    return {"sources": {"prices": {"type": "csv", "path": "prices.csv", "schedule": "every 1h"}}}


async def state(live: Live) -> tuple[object, ...]:
    """What a change would leave behind."""
    async with live.store.begin(write=False) as work:
        return (
            await work.runs.list(RunQuery(limit=100)),
            await work.schedules.list(),
            await work.events.last_id(),
            await work.records.last_change(),
            await work.keys.list(),
            await work.checkpoints.list(),
        )


def test_every_changing_operation_has_a_scope() -> None:
    """No POST is declared without the scope of the key that it takes, and no read with one."""
    assert POSTS
    assert {op.path for op in OPERATIONS if (op.method == "POST") != (op.scope is not None)} == set()


async def test_no_route_changes_anything_without_a_key(live: Live) -> None:
    """Every route of the app, asked by every method that could change something, without a key and with a wrong one,
    is 401 (POST) or 405 (all others), and leaves the database as it was."""
    before = await state(live)
    paths = [re.sub(r"\{\w+\}", "prices", route.path) for route in build_app(live.service).routes]
    assert {path for _, path in PLACES} <= set(paths)
    for path in [*paths, "/no/such/path"]:
        for method in CHANGING:
            for key in (None, "kasp_wrong") if method == "POST" else (None,):
                reply = await live.ask(method, path, key=key)
                if method == "POST":
                    assert (reply.status, "Bearer" in reply.headers["WWW-Authenticate"]) == (401, True), path
                else:
                    assert reply.status in {404, 405}, (method, path)
    assert await state(live) == before


async def test_no_read_changes_anything(live: Live) -> None:
    """Every GET without a key leaves the database as it was, whatever it answers."""
    before = await state(live)
    for operation, path in PLACES:
        if operation.method == "GET" and path != "/events":  # a stream without end; it only reads the outbox
            reply = await live.get(path)
            assert reply.status < 500, path
    assert await state(live) == before


@pytest.mark.parametrize(("operation", "path"), POSTS)
async def test_a_key_of_scope_read_changes_nothing(live: Live, operation: Operation, path: str) -> None:
    """With a key that may only read, each changing operation is 403 and says which scope it takes."""
    before = await state(live)
    reader = await live.add_key("reader", Scope.READ)
    seen = await state(live)
    reply = await live.ask("POST", path, key=reader)
    assert (reply.status, reply.json["status"]) == (403, 403)
    assert 'error="insufficient_scope"' in reply.headers["WWW-Authenticate"]
    assert f"it takes a key of scope {operation.scope}." in reply.json["detail"]
    assert await state(live) == seen != before


async def test_the_key_is_looked_at_before_parameters_and_body(live: Live) -> None:
    """A POST that is wrong in every other way as well is refused for its key."""
    reply = await live.ask("POST", "/runs?nonsense=%00&source=nobody", data=BytesIO(b"x" * 2_000_000))
    assert reply.status == 401


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key", "X-Scheduler-Token"])
async def test_each_of_the_three_headers_carries_a_key(live: Live, header: str) -> None:
    """A key of scope trigger starts a run, whichever of the three headers it comes in."""
    key = await live.add_key("scheduler", Scope.TRIGGER)
    value = f"Bearer {key}" if header == "Authorization" else key
    reply = await live.ask("POST", "/runs?source=prices", headers={header: value})
    assert reply.status == 202, reply.body


async def test_a_clouds_own_token_is_no_key(live: Live) -> None:
    """A JWT in Authorization does not hide our key in X-Scheduler-Token; by itself it opens nothing."""
    reply = await live.ask("POST", "/runs", key="a.cloud.token", headers={"X-Scheduler-Token": live.key})
    assert reply.status == 202
    assert (await live.ask("POST", "/runs", key="a.cloud.token")).status == 401


async def test_a_wrong_key_is_not_covered_up_by_a_right_one(live: Live) -> None:
    """Several keys at once each have to work."""
    for headers in ({"X-API-Key": "wrong"}, {"X-Scheduler-Token": "wrong"}):
        assert (await live.ask("POST", "/runs", key=live.key, headers=headers)).status == 401
    assert (await live.ask("POST", "/runs", key="wrong", headers={"X-API-Key": live.key})).status == 401


async def test_what_is_no_key_is_not_covered_up_either(live: Live) -> None:
    """A right key in X-API-Key does not make up for an Authorization that is none; what a proxy in front asked for and
    passes on does no harm, and opens nothing by itself."""
    for authorization in ("", "Bearer", "Bearer ", "nonsense", f"Token {live.key}", live.key):
        headers = {"X-API-Key": live.key, "Authorization": authorization}
        assert (await live.ask("POST", "/nothing", headers=headers)).status == 401, authorization
    basic = {"Authorization": "Basic dXNlcjpwYXNz"}
    assert (await live.ask("POST", "/nothing", headers={"X-API-Key": live.key, **basic})).status == 404
    assert (await live.ask("POST", "/nothing", headers=basic)).status == 401


async def test_a_key_counts_at_once_and_so_does_its_end(live: Live) -> None:
    """A key that is made while the service runs works with the next request, and not after it is revoked."""
    key = await live.add_key("late", Scope.TRIGGER)
    assert (await live.ask("POST", "/nothing", key=key)).status == 404
    async with live.store.begin() as work:
        assert await work.keys.revoke("late", live.service.clock.now())
        await work.commit()
    reply = await live.ask("POST", "/nothing", key=key)
    assert (reply.status, "revoked" in reply.json["detail"]) == (401, True)


async def test_without_any_key_a_post_says_how_to_make_one(sqlite_url: str, tmp_path: Path) -> None:
    """A service without keys refuses every POST and names the command that makes one."""
    async with serving_api(sqlite_url, tmp_path, keyless=True) as live:
        reply = await live.ask("POST", "/runs")
        assert reply.status == 401
        assert "kasparro keys create" in reply.json["detail"]


async def test_the_configured_key_works(sqlite_url: str, tmp_path: Path) -> None:
    """`api.admin_key` is a key of scope admin; an empty one is none."""
    async with serving_api(sqlite_url, tmp_path, {"api": {"admin_key": "s3cret"}}, keyless=True) as live:
        assert (await live.ask("POST", "/nothing", key="s3cret")).status == 404
        assert (await live.ask("POST", "/nothing", key="s3cret2")).status == 401
    async with serving_api(sqlite_url, tmp_path, {"api": {"admin_key": ""}}, keyless=True) as live:
        assert "kasparro keys create" in (await live.ask("POST", "/nothing", headers={"X-API-Key": ""})).json["detail"]


async def test_insecure_takes_posts_without_a_key_from_this_machine_alone(sqlite_url: str, tmp_path: Path) -> None:
    """With --insecure a POST needs no key; a page of another origin is refused all the same, a wrong key too, and where
    the service listens to others the option has no effect."""
    here = ServeOptions(insecure=True, scheduler=False)
    async with serving_api(sqlite_url, tmp_path, options=here, keyless=True) as live:
        assert (await live.ask("POST", "/nothing")).status == 404
        assert (await live.ask("POST", "/nothing", headers={"Origin": live.url})).status == 404
        assert (await live.ask("POST", "/nothing", headers={"Origin": "http://evil.example"})).status == 403
        assert (await live.ask("POST", "/nothing", headers={"Origin": "null"})).status == 403
        assert (await live.ask("POST", "/nothing", key="wrong")).status == 401
    everywhere = ServeOptions(host="0.0.0.0", insecure=True, scheduler=False)
    async with serving_api(sqlite_url, tmp_path, options=everywhere, keyless=True) as live:
        assert (await live.ask("POST", "/nothing")).status == 401


async def test_where_there_is_no_key_yet_it_says_which_one_to_make(sqlite_url: str, tmp_path: Path) -> None:
    """One of the scope that the operation takes."""
    async with serving_api(sqlite_url, tmp_path, keyless=True) as live:
        for path, scope in (("/runs", "trigger"), ("/entities/merge", "admin")):
            refused = await live.ask("POST", path)
            assert (refused.status, f"keys create NAME --scope {scope}`" in refused.json["detail"]) == (401, True)


async def test_reads_need_a_key_when_told_so(sqlite_url: str, tmp_path: Path) -> None:
    """With `require_key_for_reads` every GET is 401 without a key and open to a key of scope read, but for health and
    the description, which stay open."""
    async with serving_api(sqlite_url, tmp_path, {"api": {"require_key_for_reads": True}}) as live:
        reader = await live.add_key("reader", Scope.READ)
        for operation, path in PLACES:
            if operation.method != "GET" or path == "/events":
                continue
            status = (await live.get(path)).status
            assert (status == 401) == (not operation.open), path
            assert (await live.get(path, key=reader)).status != 401, path
        assert (await live.get("/nothing")).status == 401


def test_the_open_routes_are_these() -> None:
    """Nothing but health, the description of the API and a style sheet is ever open."""
    open_paths = {op.path for op in OPERATIONS if op.open}
    health = {"/health", "/health/live", "/health/ready"}
    description = {"/openapi.json", "/docs", "/redoc", "/docs/assets/{name}"}
    assert open_paths == health | description | {"/static/kasparro.css"}


async def test_answers_to_a_key_are_not_kept(live: Live) -> None:
    """What was asked for with a key forbids every cache; what was not may be kept and asked for again."""
    assert (await live.get("/openapi.json", key=live.key)).headers["Cache-Control"] == "no-store"
    assert (await live.get("/openapi.json")).headers["Cache-Control"] == "no-cache"


async def test_an_open_route_does_not_ask_whose_key_it_is(sqlite_url: str, tmp_path: Path) -> None:
    """A probe that carries a key is answered while the database is away; a POST with it is 503, with Retry-After."""
    async with serving_api(sqlite_url, tmp_path, {"api": {"require_key_for_reads": True}}) as live:
        await live.store.close()
        assert (await live.get("/health/live", key=live.key)).status == 200
        reply = await live.post("/runs")
        assert (reply.status, "Retry-After" in reply.headers) == (503, True)
