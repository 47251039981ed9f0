"""The mapping file of [identity] from the file to the entities: said, changed, taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from kasparro_app.cycle import run_cycle
from kasparro_app.runtime import open_runtime
from kasparro_app.settings import load_settings
from kasparro_core.model.entity import AssetId

RULES = 'key = ["id"]\nexternal_id = "id"\nsymbol = "symbol"\ntitle = "name"\n'
SOURCES = "".join(
    f'[sources.{name}]\ntype = "csv"\npath = "{name}.csv"\nkind = "quote"\n[sources.{name}.mapping]\n{RULES}'
    for name in ("one", "two")
)
HEAD = "source,external_id,entity\n"
ASSETS = [AssetId("one", "gld"), AssetId("two", "gold-2")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sources that call two things GLD."""
    (tmp_path / "one.csv").write_text("id,symbol,name\ngld,GLD,Gold Standard\nown,OWN,Own\n", encoding="utf-8")
    (tmp_path / "two.csv").write_text("id,symbol,name\ngold-2,GLD,Yellow Metal\n", encoding="utf-8")
    return tmp_path


async def homes(folder: Path, mapping: str | None) -> list[str]:
    """The entities of both after a run with this mapping file."""
    said = "" if mapping is None else '[identity]\nmapping = "map.csv"\n'
    (folder / "map.csv").write_text(HEAD + (mapping or ""), encoding="utf-8")
    (folder / "kasparro.toml").write_text(SOURCES + said, encoding="utf-8")
    async with open_runtime(load_settings(folder / "kasparro.toml", environ={})) as runtime:
        await run_cycle(runtime.runner, list(runtime.jobs.values()))
        async with runtime.store.begin(write=False) as work:
            known = await work.entities.claims(ASSETS)
    return [known[asset].link.entity_id for asset in ASSETS]


async def test_what_the_file_says_holds_until_it_says_something_else(folder: Path) -> None:
    """Two things are one by the file, under the name that it gives; without it they are two again, under the ids that
    they had."""
    before = await homes(folder, None)
    assert len(set(before)) == 2
    assert await homes(folder, "one,gld,gold\ntwo,gold-2,gold\n") == ["gold", "gold"]
    assert await homes(folder, "one,gld,gold\ntwo,gold-2,metal\n") == ["gold", "metal"]
    assert len(set(await homes(folder, None))) == 2


async def test_a_name_that_was_taken_back_may_be_given_again(folder: Path) -> None:
    """The entity that led on to another one lives again under its name."""
    same = "one,gld,gold\ntwo,gold-2,gold\n"
    assert await homes(folder, same) == ["gold", "gold"]
    assert len(set(await homes(folder, None))) == 2
    assert await homes(folder, same) == ["gold", "gold"]


async def test_a_name_that_was_taken_back_may_be_given_to_another(folder: Path) -> None:
    """What was first known by the name of the file goes by its own name without it, and the name is free."""
    await homes(folder, "one,own,metal\n")
    await homes(folder, None)
    assert (await homes(folder, "two,gold-2,metal\n"))[1] == "metal"


async def test_the_file_may_speak_of_what_is_not_there_yet(folder: Path) -> None:
    """What is named before it is first read comes into the entity of that name."""
    assert await homes(folder, "one,gld,gold\ntwo,gold-2,gold\ntwo,later,own\n") == ["gold", "gold"]


@pytest.mark.parametrize("said", ["[identity]\nenabled = false\n", "[defaults]\nidentity = false\n"])
async def test_where_identity_is_off_nothing_is_decided(folder: Path, said: str) -> None:
    """Off for all sources, or for each of them: nothing is linked."""
    (folder / "kasparro.toml").write_text(SOURCES + said, encoding="utf-8")
    async with open_runtime(load_settings(folder / "kasparro.toml", environ={})) as runtime:
        await run_cycle(runtime.runner, list(runtime.jobs.values()))
        async with runtime.store.begin(write=False) as work:
            assert await work.entities.claims(ASSETS) == {}
