"""GET /data by real HTTP: filters, orders, paging, the change feed, and what is refused."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from live import Live, Reply
from pydantic import TypeAdapter
from rows import AT, EXACT, put, quotes

from kasparro_app.api.shapes.records import DataAnswer, RecordShape
from kasparro_core.model import Record
from kasparro_core.model.entity import Entity
from kasparro_core.testing.entities import link


async def keys(live: Live, query: str) -> list[str]:
    """The keys of the records of an answer."""
    reply = await live.get(f"/data?{query}")
    assert reply.status == 200, reply.body
    return [row["key"] for row in reply.json["data"]]


async def walk(live: Live, query: str) -> list[str]:
    """The keys of all pages, by `Link`."""
    found: list[str] = []
    path: str | None = f"/data?{query}"
    while path is not None:
        reply = await live.get(path)
        assert reply.status == 200, reply.body
        found += [row["key"] for row in reply.json["data"]]
        link = reply.headers.get("Link")
        path = link[1 : link.index(">")] if link else None
    return found


async def test_a_page_has_its_documented_shape(live: Live) -> None:
    """Body and headers are those of the interface, and the OpenAPI model takes the whole body."""
    await put(live.store, [Record("prices", "btc", "quote", value=EXACT, attributes={"cap": EXACT, "n": [EXACT]})])
    reply = await live.get("/data", headers={"X-Request-ID": "r1"})
    DataAnswer.model_validate_json(reply.body)
    TypeAdapter(list[RecordShape]).validate_python(reply.json["data"])
    assert set(reply.json) == {"data", "pagination", "meta"}
    assert reply.json["pagination"] == {"limit": 50, "returned": 1, "next_cursor": None, "total": None}
    assert reply.json["meta"]["request_id"] == reply.headers["X-Request-ID"] == "r1"
    assert reply.headers["Cache-Control"] == "no-cache"
    assert "Link" not in reply.headers


async def test_decimals_keep_all_digits(live: Live) -> None:
    """Values and numbers inside attributes are number literals with every digit, or strings when asked for."""
    await put(live.store, [Record("prices", "btc", "quote", value=EXACT, attributes={"cap": EXACT, "n": [EXACT]})])
    text = (await live.get("/data")).body.decode()
    assert f'"value":{EXACT},' in text
    assert f'"attributes":{{"cap":{EXACT},"n":[{EXACT}]}}' in text
    (row,) = (await live.get("/data?decimals=string")).json["data"]
    assert (row["value"], row["attributes"]) == (str(EXACT), {"cap": str(EXACT), "n": [str(EXACT)]})


async def test_a_member_of_attributes_has_one_type_in_all_rows(live: Live) -> None:
    """With decimals=string each number inside attributes is a text, whole ones too, and nothing outside of them."""
    caps: list[Any] = [Decimal("5.5"), Decimal("5.0"), 10**999, {"deep": [7, True, None]}]
    await put(live.store, [Record("s", str(n), "item", attributes={"cap": cap}) for n, cap in enumerate(caps)])
    for form in ("json", "ndjson"):
        reply = await live.get(f"/data?sort=updated_at&decimals=string&limit=9&format={form}")
        rows = reply.json["data"] if reply.json else [json.loads(line) for line in reply.body.splitlines()]
        texts = ["5.5", "5", str(10**999), {"deep": ["7", True, None]}]
        assert [row["attributes"]["cap"] for row in rows] == texts
        assert {type(row["record_id"]) for row in rows} == {int}
        one = (await live.get(f"/data/{rows[1]['record_id']}?decimals=string")).json
        assert one["attributes"] == {"cap": "5"}


@pytest.mark.parametrize("sort", ["", "occurred_at", "-occurred_at", "updated_at", "-updated_at", "value", "-value"])
async def test_every_order_pages_through_everything_once(live: Live, sort: str) -> None:
    """By cursor each row comes once and in the order of one big page, rows without a value last both ways."""
    await put(live.store, quotes(23))
    asked = f"sort={sort}&" if sort else ""
    at_once = await keys(live, f"{asked}limit=1000")
    assert sorted(at_once, key=int) == [str(n) for n in range(23)]
    assert await walk(live, f"{asked}limit=4") == at_once
    if sort.endswith("value"):
        assert {int(key) for key in at_once[-8:]} == set(range(15, 23))
    if not sort:
        assert at_once == [str(n) for n in reversed(range(23))]


async def test_a_changed_row_comes_once_in_the_default_order(live: Live) -> None:
    """A row that changes, and one that is added, while a caller pages neither doubles nor hides another."""
    await put(live.store, quotes(9))
    first = (await live.get("/data?limit=3")).json
    await put(live.store, [row._replace(title="new") for row in quotes(12)], at=AT.replace(hour=12))
    rest = await walk(live, f"limit=3&cursor={first['pagination']['next_cursor']}")
    assert [row["key"] for row in first["data"]] + rest == [str(n) for n in reversed(range(9))]


async def test_old_clients_page_by_number(live: Live) -> None:
    """offset, page and page_size give the same rows as the cursor does."""
    await put(live.store, quotes(10))
    everything = await keys(live, "")
    assert await keys(live, "offset=4&limit=3") == everything[4:7]
    assert await keys(live, "page=2&page_size=4") == everything[4:8]
    assert await keys(live, "page_size=4") == everything[:4]
    assert await keys(live, "page=2") == []
    assert await walk(live, "page=2&page_size=4") == everything[4:]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("source=prices", "0123456789"),
        ("source=news", "n"),
        ("kind=article", "n"),
        ("category=article", "n"),
        ("kind=article&category=article", "n"),
        ("symbol=c1", "147"),
        ("q=COIN%203", "3"),
        ("min_value=2&max_value=4", "234"),
        ("min_value=3.5", "45"),
        ("start_date=2026-01-03&end_date=2026-01-04&source=prices", "23"),
        ("start_date=2026-01-03T10:00:01Z&end_date=2026-01-05", "34"),
        ("end_date=2026-01-01T10:00:00%2B00:00&source=prices", "0"),
        ("end_date=2026-01-01T12:00:00+02:00&source=prices", "0"),
        ("updated_since=2026-02-01", "n"),
        ("gone=true", ""),
        ("gone=false&source=news", "n"),
        ("entity=btc-bitcoin", "45"),
        ("entity=btc", ""),
    ],
)
async def test_each_filter(live: Live, query: str, expected: str) -> None:
    """A filter lets through what it says, bounds included; the end of a span given as a day holds that day."""
    await put(live.store, quotes(10))
    await put(live.store, [Record("news", "n", "article", title="Ünïcode")], at=AT.replace(month=2, day=1))
    await link(live.store, Entity("btc-bitcoin", "coin"), ("prices", "4"), ("prices", "5"))
    assert sorted(await keys(live, query)) == list(expected)
    for form in ("ndjson", "csv"):
        lines = (await live.get(f"/data?{query}&fields=key&format={form}")).body.splitlines()
        assert len(lines) == len(expected) + (form == "csv")


async def test_fields_and_count(live: Live) -> None:
    """`fields` gives those members in that order; `count` fills the total."""
    await put(live.store, quotes(5))
    reply = await live.get("/data?fields=value,key&limit=1&count=exact")
    assert [list(row) for row in reply.json["data"]] == [["value", "key"]]
    assert reply.json["pagination"]["total"] == 5
    assert reply.json["pagination"]["next_cursor"]
    assert (await live.get("/data?count=estimated&source=prices")).json["pagination"]["total"] == 5
    assert (await live.get("/data?count=none")).json["pagination"]["total"] is None


async def test_the_change_feed_misses_nothing_and_does_not_scan_again(live: Live) -> None:
    """Following next_seq shows each change; at the end next_seq is the highest change of all, filters or not."""
    await put(live.store, quotes(5))
    first = (await live.get("/data?after_seq=0&limit=3")).json
    assert [row["key"] for row in first["data"]] == ["0", "1", "2"]
    assert first["pagination"]["next_seq"] == first["data"][-1]["change_seq"]
    await put(live.store, [quotes(5)[0]._replace(title="new")], at=AT.replace(hour=12))
    second = (await live.get(f"/data?after_seq={first['pagination']['next_seq']}")).json
    assert [row["key"] for row in second["data"]] == ["3", "4", "0"]
    assert second["pagination"]["next_seq"] == second["data"][-1]["change_seq"]
    filtered = (await live.get("/data?after_seq=0&source=nobody")).json["pagination"]
    assert filtered["next_seq"] == second["pagination"]["next_seq"]
    assert filtered["next_cursor"] is None
    assert await walk(live, "after_seq=0&limit=2") == ["1", "2", "3", "4", "0"]


async def test_what_was_not_changed_is_not_sent_again(live: Live) -> None:
    """304 for the same question until a record changes; another question or form has another tag."""
    await put(live.store, quotes(3))
    reply = await live.get("/data?limit=2")
    tag = {"If-None-Match": reply.headers["ETag"]}
    unchanged = await live.get("/data?limit=2", headers=tag)
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert unchanged.headers["ETag"] == reply.headers["ETag"]
    for other in ("limit=3", "limit=2&format=csv", "limit=2&count=exact", "limit=2&offset=1", "limit=2&gone=false"):
        assert (await live.get(f"/data?{other}", headers=tag)).status == 200
    assert (await live.get("/data?limit=2", headers={**tag, "Accept": "text/csv"})).status == 200
    await put(live.store, [quotes(3)[0]._replace(title="new")], at=AT.replace(hour=12))
    assert (await live.get("/data?limit=2", headers=tag)).status == 200


async def test_links_have_no_tag(live: Live) -> None:
    """What was asked by entity may change without a change of a record, so it is always read."""
    assert "ETag" not in (await live.get("/data?entity=btc")).headers


async def test_a_cursor_holds_for_its_question_alone(live: Live) -> None:
    """Other filters, another sort, a changed or cut cursor: 422 that names it."""
    await put(live.store, quotes(5))
    cursor = (await live.get("/data?limit=2&source=prices")).json["pagination"]["next_cursor"]
    assert await keys(live, f"limit=2&source=prices&fields=key,record_id&cursor={cursor}") == ["2", "1"]
    for query in (
        f"cursor={cursor}",
        f"source=other&cursor={cursor}",
        f"source=prices&sort=value&cursor={cursor}",
        f"source=prices&cursor={cursor[:-1]}",
        f"source=prices&cursor={'A' if cursor[0] != 'A' else 'B'}{cursor[1:]}",
    ):
        assert faulty(await live.get(f"/data?{query}")) == ["cursor"]


def faulty(reply: Reply) -> list[str]:
    """The parameters that a 422 names."""
    assert reply.status == 422, reply.body
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert all(error["expected"] for error in reply.json["errors"])
    return [error["parameter"] for error in reply.json["errors"]]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("limit=0", ["limit"]),
        ("limit=1001", ["limit"]),
        ("limit=ten", ["limit"]),
        ("limit=1&limit=2", ["limit"]),
        ("nonsense=1", ["nonsense"]),
        ("offset=-1", ["offset"]),
        ("page=0", ["page"]),
        ("page_size=1001", ["page_size"]),
        ("sort=price", ["sort"]),
        ("sort=--value", ["sort"]),
        ("count=all", ["count"]),
        ("format=parquet", ["format"]),
        ("format=xml", ["format"]),
        ("decimals=float", ["decimals"]),
        ("fields=key,price", ["fields"]),
        ("fields=", ["fields"]),
        ("gone=perhaps", ["gone"]),
        ("source=", ["source"]),
        ("entity=", ["entity"]),
        ("entity=%00", ["entity"]),
        ("after_seq=-1", ["after_seq"]),
        (f"after_seq={2**63}", ["after_seq"]),
        ("cursor=nonsense", ["cursor"]),
        ("cursor=", ["cursor"]),
        ("start_date=yesterday", ["start_date"]),
        ("start_date=2026-02-30", ["start_date"]),
        ("start_date=2026-W05", ["start_date"]),
        ("end_date=2026-01-31T25:00:00Z", ["end_date"]),
        ("updated_since=0001-01-01T00:00:00%2B10:00", ["updated_since"]),
        ("min_value=NaN", ["min_value"]),
        ("min_value=1e400&max_value=1e399", ["min_value", "max_value"]),
        ("min_value=1e5000", ["min_value"]),
        ("max_value=1,5", ["max_value"]),
        ("start_date=2026-02-01&end_date=2026-01-31", ["start_date", "end_date"]),
        ("min_value=2&max_value=1", ["min_value", "max_value"]),
        ("cursor=x&offset=1", ["cursor", "offset"]),
        ("cursor=x&page=1", ["cursor", "page"]),
        ("offset=1&page=1", ["offset", "page"]),
        ("limit=5&page_size=5", ["limit", "page_size"]),
        ("after_seq=1&sort=value", ["after_seq", "sort"]),
        ("after_seq=1&cursor=x", ["after_seq", "cursor"]),
        ("after_seq=1&offset=1", ["after_seq", "offset"]),
        ("kind=quote&category=article", ["kind", "category"]),
        ("q=%00", ["q"]),
        ("source=a%00b", ["source"]),
        ("q=%FF", ["q"]),
    ],
)
async def test_bad_input_is_refused_by_name(live: Live, query: str, names: list[str]) -> None:
    """422 problem+json that names the parameter and what is allowed."""
    assert faulty(await live.get(f"/data?{query}")) == names


async def test_odd_texts_are_only_texts(live: Live) -> None:
    """Wildcards, quotes and scripts of other alphabets in filters find what they say, and nothing else."""
    await put(live.store, [Record("s", str(n), "item", title=t) for n, t in enumerate(["100%", "a_b", "STRASSE", "'"])])
    texts: dict[str, Any] = {"%": ["0"], "_": ["1"], "straße": ["2"], "'": ["3"], "\\": [], "' OR 1=1 --": []}
    for text, expected in texts.items():
        assert await keys(live, f"q={quote(text, safe='')}") == expected
