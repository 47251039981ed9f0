"""`kasparro entities` from a look at what there is to a decision that is taken back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from coins import GECKO, PAPRIKA, coin_sources, write_coins

from kasparro_adapters.sql import SqlStore
from kasparro_core.model.entity import AssetId, Candidate, Decision
from kasparro_core.testing.entities import write

Call = Callable[..., Any]
AT = "2020-01-31T10:00:00Z"
EARLIER = "2020-01-30T22:00:00Z"


@pytest.fixture
def loaded(kasparro: Call, folder: Path) -> Call:
    """The command line in a folder where both sources have run."""
    lines = []
    for name, source in coin_sources(folder).items():
        lines += [f"[sources.{name}]", *(f"{key} = {toml(value)}" for key, value in source.items())]
    (folder / "kasparro.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert kasparro("run").code == 0
    return kasparro


def toml(value: Any) -> str:
    """A value of a configuration on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(value)


def entities(kasparro: Call, *options: str) -> list[str]:
    """The ids that are listed."""
    return [row["entity_id"] for row in json.loads(kasparro("entities", "list", "--json", *options).out)]


def test_lists_entities(loaded: Call) -> None:
    """All by their ids, page by page; by symbol in either case, by part of name or id; or that there are none."""
    every = entities(loaded)
    assert every == sorted(every)
    assert "btc-bitcoin" in every
    assert entities(loaded, "--limit", "1", "--after", every[0]) == every[1:2]
    assert entities(loaded, "--symbol", "btc") == entities(loaded, "--q", "ITCO") == ["btc-bitcoin"]
    assert entities(loaded, "--q", "BTC-BIT") == ["btc-bitcoin"]
    assert len(entities(loaded, "--symbol", "FOO")) == 2
    assert entities(loaded, "--kind", "asset") == every
    assert loaded("entities", "list", "--kind", "x").out == "No entities.\n"
    assert loaded("entities", "list", "--symbol", "btc").out.splitlines()[1].split() == [
        "btc-bitcoin",
        "asset",
        "BTC",
        "Bitcoin",
    ]


def test_shows_one_side_by_side(loaded: Call) -> None:
    """By its id or by an asset of it: what each source says, the spread of the prices, and how they were linked."""
    whole = json.loads(loaded("entities", "show", "paprika:btc-bitcoin", "--json").out)
    assert (whole["entity_id"], [side["source"] for side in whole["sources"]]) == ("btc-bitcoin", ["gecko", "paprika"])
    assert whole["agreement"]["prices"][0]["spread"] == 1
    said = loaded("entities", "show", "btc-bitcoin").out
    assert "price in USD: sources agree, 100 (gecko) to 101 (paprika), spread 1 (0.99 %)" in said
    assert "exact" in said
    lines = loaded("export", "--entity", "btc-bitcoin").out.splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["bitcoin", "btc-bitcoin"]
    unknown = loaded("entities", "show", "nothing")
    assert (unknown.code, unknown.out) == (2, "")
    assert "There is no entity or asset 'nothing'" in unknown.err
    assert "kasparro entities list" in unknown.err


def test_says_what_differs_and_what_is_old(loaded: Call, folder: Path) -> None:
    """Fields in which the sources differ, and a source whose figures are too old to be compared."""
    text = (folder / "kasparro.toml").read_text("utf-8").replace('price"', 'price", occurred_at = "at"')
    (folder / "kasparro.toml").write_text(text, encoding="utf-8")
    for name, rows, at in (("gecko", GECKO, AT), ("paprika", ("btc-bitcoin,BTC,BTC,101", *PAPRIKA[1:]), EARLIER)):
        lines = ["id,symbol,name,price,at", *(f"{row},{at}" for row in rows)]
        (folder / f"{name}.csv").write_text("\n".join(lines), encoding="utf-8")
    assert loaded("run", "--full").code == 0
    loaded("entities", "merge", "gecko:bitcoin", "paprika:btc-bitcoin")
    said = loaded("entities", "show", "btc-bitcoin").out
    assert "name: sources differ: gecko Bitcoin, paprika BTC" in said
    assert "paprika is stale and not compared: 12.0 h older than the newest" in said
    assert "price in" not in said


def test_a_decision_is_made_and_taken_back(loaded: Call, folder: Path) -> None:
    """Merged by asset, shown under the id that stays, kept by later runs and replays, listed, and undone, once."""
    before = entities(loaded)
    merged = json.loads(loaded("entities", "merge", "gecko:foo-token", "paprika:foo-other", "--json").out)
    (whole,) = merged["entities"]
    assert [link["source"] for link in whole["links"]] == ["gecko", "paprika"]
    (gone,) = set(before) - set(entities(loaded))
    assert gone in entities(loaded, "--merged")
    shown = loaded("entities", "show", gone)
    assert f"{gone} was merged into {whole['entity_id']}" in shown.err
    write_coins(folder, "paprika", "btc-bitcoin,BTC,Bitcoin,101", "foo-other,FOO,Another Name,9")
    assert loaded("run").code == loaded("replay", "gecko").code == 0
    assert set(before) - set(entities(loaded)) == {gone}
    again = loaded("entities", "merge", "gecko:foo-token", gone)
    assert (again.code, "one entity already" in again.err) == (1, True)

    (ruling,) = json.loads(loaded("entities", "rulings", "--json").out)
    assert (ruling["verdict"], ruling["undone_at"]) == ("same", None)
    undone = loaded("entities", "undo", str(ruling["ruling_id"]))
    assert (undone.code, undone.err) == (0, "")
    assert entities(loaded) == before
    assert loaded("entities", "undo", str(ruling["ruling_id"])).code == 1
    assert loaded("entities", "undo", "999").code == 2
    assert loaded("entities", "rulings").out == "Nothing was decided by hand.\n"
    assert "gecko:foo-token" in loaded("entities", "rulings", "--undone").out


def test_a_split_is_made_and_taken_back(loaded: Call) -> None:
    """An asset leaves its entity, which keeps its id; how to take that back is said."""
    before = entities(loaded)
    split = loaded("entities", "split", "btc-bitcoin", "paprika:btc-bitcoin")
    assert split.out.splitlines()[0] == "btc-bitcoin: gecko:bitcoin"
    (undo,) = [word for word in split.err.split("`") if word.startswith("kasparro entities undo")]
    assert len(entities(loaded)) == len(before) + 1
    assert loaded(*undo.split()[1:]).code == 0
    assert entities(loaded) == before
    assert loaded("entities", "split", "btc-bitcoin", "btc-bitcoin").code == 1


async def doubt(path: Path) -> None:
    """Make a pair to be looked at."""
    store = SqlStore(f"sqlite:///{path.as_posix()}")
    a, b = AssetId("gecko", "foo-token"), AssetId("paprika", "foo-other")
    await write(store, Decision(decided=[a, b], candidates=[Candidate(a, b, "symbol", Decimal("0.4"), {"n": 1})]))
    await store.close()


def test_review_gives_the_commands(loaded: Call, folder: Path) -> None:
    """Each pair that may be one has a command that says so, and one that they differ; the pair is gone then."""
    asyncio.run(doubt(folder / "kasparro.db"))
    (pair,) = json.loads(loaded("entities", "review", "--json").out)
    assert (pair["confidence"], pair["a"]["name"], pair["b"]["symbol"]) == (0.4, "Foo Token", "FOO")
    said = loaded("entities", "review", "--entity", "gecko:foo-token").out
    assert pair["same"] in said
    assert pair["same"].startswith("kasparro entities merge ")
    assert loaded("entities", "review", "--entity", "btc-bitcoin").out == "Nothing to review.\n"
    assert loaded(*pair["different"].split()[1:]).code == 0
    assert loaded("entities", "review").out == "Nothing to review.\n"


def test_decides_everything_anew(loaded: Call) -> None:
    """Says how many assets it looked at and how many moved: none, where the rules are those that linked them."""
    before = entities(loaded)
    told = json.loads(loaded("entities", "resolve", "--json").out)
    assert told["assets"] > 2
    assert told["moved"] == 0
    assert (
        loaded("entities", "resolve").out
        == f"{told['assets']} assets decided anew, 0 of them stand in another entity now.\n"
    )
    assert entities(loaded) == before
