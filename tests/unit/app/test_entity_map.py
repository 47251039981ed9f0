"""The mapping file of [identity]: what it says, and how its faults are told, with their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from kasparro_app.settings import Settings, load_settings
from kasparro_core.errors import ConfigurationError
from kasparro_core.identity.ids import RESERVED
from kasparro_core.model.entity import AssetId, Naming

SOURCES = "".join(f'[sources.{name}]\ntype = "csv"\npath = "{name}.csv"\n' for name in ("coingecko", "coinpaprika"))
HEAD = "source,external_id,entity\n"
WANTED = (
    Naming(AssetId("coingecko", "bitcoin"), "bitcoin"),
    Naming(AssetId("coinpaprika", "btc-bitcoin"), "bitcoin"),
    Naming(AssetId("coingecko", "bogged-finance-[old]"), "bog-old"),
)

CSV = (
    HEAD
    + "coingecko,bitcoin,bitcoin\n\ncoinpaprika, btc-bitcoin ,xbt\n"
    + ",xbt,bitcoin\ncoingecko,bogged-finance-[old],bog-old\n"
)
TOML = """
[bitcoin]
coingecko = "bitcoin"
[xbt]
coinpaprika = ["btc-bitcoin"]
same_as = "bitcoin"
[bog-old]
coingecko = "bogged-finance-[old]"
"""


def load(folder: Path, name: str, text: str) -> Settings:
    (folder / name).write_text(text, encoding="utf-8")
    file = folder / "kasparro.toml"
    file.write_text(f'{SOURCES}[identity]\nmapping = "{name}"\n', encoding="utf-8")
    return load_settings(file, environ={})


@pytest.mark.parametrize(("name", "text"), [("map.csv", CSV), ("map.csv", "\ufeff" + CSV), ("map.toml", TOML)])
def test_says_which_id_is_which_entity(tmp_path: Path, name: str, text: str) -> None:
    """Both forms, with a byte order mark too; an entity that is another one gives its ids to that one."""
    assert load(tmp_path, name, text).namings == WANTED


FAULTS = {
    "two ids of one source": (
        "m.csv",
        HEAD + "coingecko,bitcoin,btc\ncoinpaprika,btc-bitcoin,btc\ncoingecko,wrapped-bitcoin,btc\n",
        ["m.csv:4:", "coingecko:wrapped-bitcoin", "coingecko:bitcoin", "line 2", "'btc'"],
    ),
    "two ids of one source in TOML": ("m.toml", '[btc]\ncoingecko = [\n"a", "b"]\n', ["m.toml:2:", "two ids"]),
    "two ids through another name": (
        "m.csv",
        HEAD + "coingecko,a,x\ncoingecko,b,y\n,x,y\n",
        ["m.csv:3:", "coingecko:b", "coingecko:a", "'y'"],
    ),
    "a circle": ("m.csv", HEAD + ",a,b\n,b,c\n,c,a\n", ["m.csv:2:", "a -> b -> c -> a"]),
    "a circle of one in TOML": ("m.toml", '[a]\nsame_as = "a"\n', ["m.toml:2:", "a -> a"]),
    "an unknown source": ("m.csv", HEAD + "coingeko,bitcoin,btc\n", ["m.csv:2:", "'coingeko'", '"coingecko"?']),
    "an unknown source in TOML": ("m.toml", '[btc]\ncoingeko = "x"\n', ["m.toml:2:", '"coingecko"?']),
    "one id, two entities": ("m.csv", HEAD + "coingecko,a,x\ncoingecko,a,y\n", ["m.csv:3:", "'y' here", "line 2"]),
    "one entity, two others": (
        "m.csv",
        HEAD + ",a,x\n,a,y\ncoingecko,1,x\ncoingecko,2,y\n",
        ["m.csv:3:", "'y' here", "line 2"],
    ),
    "the same as nothing": (
        "m.csv",
        HEAD + "coingecko,bitcoin,bitcoin\ncoinpaprika,btc-bitcoin,xbt\n,xbt,bitcion\n",
        ["m.csv:4:", "'xbt'", "'bitcion'", "nowhere else", '"bitcoin"?'],
    ),
    "the same as nothing in TOML": (
        "m.toml",
        '[xbt]\ncoinpaprika = "btc-bitcoin"\nsame_as = "bitcoin"\n',
        ["m.toml:3:", "'bitcoin'", "nowhere else"],
    ),
    "another header": ("m.csv", "source,id,entity\n", ["m.csv:1:", "source,external_id,entity", "source,id,entity"]),
    "a column too few": ("m.csv", HEAD + "coingecko,a\n", ["m.csv:2:", "3 columns, found 2"]),
    "an open quote": ("m.csv", HEAD + 'coingecko,"a,b\n', ["m.csv:2:", "not CSV"]),
    "no id": ("m.csv", HEAD + "coingecko,,btc\n", ["m.csv:2:", "found nothing"]),
    "a blank in an entity id": ("m.csv", HEAD + "coingecko,a,b c\n", ["m.csv:2:", "'b c'"]),
    "not TOML": ("m.toml", "[btc]\ncoingecko = \n", ["m.toml:2:", "not TOML"]),
    "a number": ("m.toml", "[btc]\ncoingecko = 7\n", ["m.toml:2:", "as text", "7"]),
    "no table": ("m.toml", 'btc = "bitcoin"\n', ["m.toml:1:", "a table"]),
    "another form": ("m.json", "{}", ["m.json:", ".csv or .toml"]),
}


@pytest.mark.parametrize("entity", [*sorted(RESERVED), ".", ".."])
@pytest.mark.parametrize(
    ("file", "text"), [("m.csv", HEAD + "coingecko,a,{}\n"), ("m.toml", '\n["{}"]\ncoingecko = "a"\n')]
)
def test_an_entity_has_an_id_that_can_be_asked_for(tmp_path: Path, file: str, text: str, entity: str) -> None:
    """Words of paths and commands are refused, with their line and an id that would do."""
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, file, text.format(entity))
    (problem,) = caught.value.problems
    line, would_do = 2 if file == "m.csv" else 3, problem.rpartition("such as ")[2].strip("'")
    assert f"{file}:{line}: {entity!r} stands for something else" in problem
    assert load(tmp_path, file, text.format(would_do)).namings[0].entity_id == would_do


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_told_with_their_line(tmp_path: Path, name: str) -> None:
    """Each fault is one sentence with file, line, what was expected and what was found; the others are told too."""
    file, text, words = FAULTS[name]
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, file, text)
    (problem,) = caught.value.problems
    assert all(word in problem for word in words), problem


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A mapping file that cannot be read is a fault of the configuration, not an empty one."""
    file = tmp_path / "kasparro.toml"
    file.write_text('[identity]\nmapping = "m.csv"\n', encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file, environ={})
    (problem,) = caught.value.problems
    assert str(tmp_path / "m.csv") in problem
    assert "cannot be read" in problem


def test_a_path_of_the_environment_starts_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As every path that the environment gives."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "m.csv").write_text(HEAD + "coingecko,a,x\n", encoding="utf-8")
    (tmp_path / "kasparro.toml").write_text(SOURCES, encoding="utf-8")
    monkeypatch.chdir(tmp_path / "here")
    settings = load_settings(tmp_path / "kasparro.toml", environ={"KASPARRO_IDENTITY__MAPPING": "m.csv"})
    assert settings.namings == (Naming(AssetId("coingecko", "a"), "x"),)
