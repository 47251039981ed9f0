"""Ids of entities over time: who keeps one, what redirects, and what comes back."""

from __future__ import annotations

from dataclasses import replace

from identity_claims import claim
from identity_shelf import Shelf

from kasparro_core.identity import possible_ids, resolve
from kasparro_core.model.entity import AssetId, Naming, Ruling, Rulings, Verdict

GECKO = claim("gecko", "bitcoin", "btc", "Bitcoin")
PAPRIKA = claim("paprika", "btc-bitcoin", "BTC", "Bitcoin")
FILE = claim("file", "BTCUSD", "BTC", None)
ETHER = claim("gecko", "ethereum", "eth", "Ethereum")


def said(*pairs: tuple[Verdict, AssetId, AssetId]) -> Rulings:
    return Rulings([Ruling(number, *pair) for number, pair in enumerate(pairs, 1)])


def named(**names: AssetId) -> Rulings:
    return Rulings(namings=[Naming(asset, entity_id.replace("_", "-")) for entity_id, asset in names.items()])


def test_a_merge_by_hand_redirects_and_its_undoing_brings_the_id_back():
    """The older id stays and the other leads to it; when the ruling is taken back, both are what they were."""
    shelf = Shelf()
    shelf.take(GECKO)
    shelf.take(FILE)
    before = dict(shelf.homes)
    shelf.say(said((Verdict.SAME, FILE.asset, GECKO.asset)))
    assert shelf.homes[FILE.asset] == shelf.homes[GECKO.asset] == "btc-bitcoin"
    assert shelf.leads(before[FILE.asset]) == "btc-bitcoin"
    shelf.say(Rulings())
    assert shelf.homes == before
    assert all(entity.merged_into is None for entity in shelf.entities.values())


def test_a_split_leaves_the_id_with_the_founder():
    """The asset that the entity was made for keeps the id; the other one gets one of its own, with a piece of hash
    where the readable id is taken."""
    shelf = Shelf()
    shelf.take(PAPRIKA)
    shelf.take(GECKO)
    shelf.say(said((Verdict.DIFFERENT, GECKO.asset, PAPRIKA.asset)))
    assert shelf.homes[PAPRIKA.asset] == "btc-bitcoin"
    assert shelf.homes[GECKO.asset] == possible_ids(GECKO)[1]
    shelf.say(Rulings())
    assert shelf.homes[PAPRIKA.asset] == shelf.homes[GECKO.asset] == "btc-bitcoin"
    assert shelf.leads(possible_ids(GECKO)[1]) == "btc-bitcoin"


def test_evidence_that_arrives_merges_what_stood():
    """Two entities stand, then a source names the other's id: the older one survives, also with a third in it."""
    shelf = Shelf()
    shelf.take(FILE)
    shelf.take(GECKO)
    shelf.take(PAPRIKA)
    resolution = shelf.take(replace(FILE, refs=(PAPRIKA.asset,)))
    assert resolution.merged == {"btc-bitcoin": "btc-btcusd"}
    assert set(shelf.homes.values()) == {"btc-btcusd"}


def test_redirects_are_given_flat():
    """An id that led to an entity that is merged now leads to the survivor in one step."""
    shelf = Shelf()
    for each in (ETHER, GECKO, FILE):
        shelf.take(each)
    shelf.say(said((Verdict.SAME, FILE.asset, GECKO.asset)))
    shelf.say(said((Verdict.SAME, FILE.asset, GECKO.asset), (Verdict.SAME, GECKO.asset, ETHER.asset)))
    assert {shelf.leads(entity_id) for entity_id in shelf.entities} == {"eth-ethereum"}
    assert {entity.merged_into for entity in shelf.entities.values()} == {None, "eth-ethereum"}


def test_a_name_in_the_file_is_the_id():
    """What the file names bears that id, the old one leads there, and all comes back when the line is gone."""
    shelf = Shelf()
    shelf.take(GECKO, PAPRIKA)
    shelf.say(named(my_bitcoin=GECKO.asset))
    assert set(shelf.homes.values()) == {"my-bitcoin"}
    assert shelf.leads("btc-bitcoin") == "my-bitcoin"
    shelf.say(Rulings())
    assert set(shelf.homes.values()) == {"btc-bitcoin"}
    assert shelf.leads("my-bitcoin") == "btc-bitcoin"


def test_a_name_of_a_standing_entity_joins_it():
    """An asset that is named to be what another asset founded is in one entity with it."""
    shelf = Shelf()
    shelf.take(GECKO)
    shelf.take(ETHER)
    shelf.say(named(btc_bitcoin=ETHER.asset))
    assert set(shelf.homes.values()) == {"btc-bitcoin"}
    assert shelf.leads("eth-ethereum") == "btc-bitcoin"


def test_a_name_wins_over_a_ruling():
    """The file says that two are one, a person says that they are not: the file."""
    shelf = Shelf()
    shelf.take(GECKO, ETHER)
    apart = said((Verdict.DIFFERENT, GECKO.asset, ETHER.asset)).rulings
    both = [Naming(asset, "money") for asset in (GECKO.asset, ETHER.asset)]
    shelf.say(Rulings(apart, both))
    assert set(shelf.homes.values()) == {"money"}


def test_words_of_paths_are_no_ids():
    """A name that spells a word of the API's paths gets a piece of hash."""
    odd = claim("gecko", "x", None, "Candidates")
    made = resolve([odd], Rulings(), {}).made
    assert [entity.entity_id for entity in made] == [possible_ids(odd)[1]]


def test_names_without_latin_letters_get_ids_too():
    """The id is made of what can be read in a path: the external_id, else the kind."""
    assert possible_ids(claim("gecko", "bi-te-bi", None, "比特币"))[0] == "bi-te-bi"
    assert possible_ids(claim("gecko", "比特币", None, "比特币"))[0] == "asset"
    assert possible_ids(claim("gecko", "nano", "ΝΑΝΟ", "НАНО"))[0] == "nano-nano"
