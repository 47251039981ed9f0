"""What holds for every set of claims, in every order, whatever people say of them."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st
from identity_claims import SOURCES, claim, closed, many_claims, namings, other_claims, rulings
from identity_shelf import Shelf, grouped, in_turn

from kasparro_core.identity import Resolution, resolve
from kasparro_core.model.entity import AssetId, Claim, Ruling, Rulings, Verdict


def said() -> st.SearchStrategy[Rulings]:
    return st.builds(Rulings, rulings(), namings())


def home(resolution: Resolution, asset: AssetId) -> str:
    return next(link.entity_id for link in resolution.links if (link.source, link.external_id) == asset)


@given(many_claims(), said(), st.randoms(use_true_random=False))
def test_the_order_of_claims_and_rulings_means_nothing(claims, people, random):
    """The same set in another order gives the same resolution: links, evidence, new entities and candidates."""
    shuffled, rulings_, namings_ = list(claims), list(people.rulings), list(people.namings)
    for each in (shuffled, rulings_, namings_):
        random.shuffle(each)
    assert resolve(shuffled, Rulings(rulings_, namings_), {}) == resolve(claims, people, {})


@given(many_claims(), st.builds(Rulings, rulings()), st.data())
def test_what_stands_means_nothing_for_who_is_one(claims, people, data):
    """Whatever the assets were in before, who is grouped with whom follows from claims and rulings alone."""
    before = Shelf()
    before.take(*data.draw(other_claims(claims)))
    after = before.take(*claims)
    assert grouped(after) <= before.groups()
    before.say(people)
    assert before.groups() == grouped(resolve(claims, people, {}))


@given(many_claims(), said())
def test_once_more_changes_nothing(claims, people):
    """Resolving with its own result as what stands makes nothing, merges nothing and gives the same links."""
    shelf = Shelf()
    shelf.said = people
    first = shelf.take(*claims)
    again = shelf.take(*claims)
    assert (again.links, again.candidates) == (first.links, first.candidates)
    assert not again.made
    assert not again.merged


@given(many_claims(), st.builds(Rulings, rulings()), st.randoms(use_true_random=False))
def test_one_by_one_ends_as_all_at_once(claims, people, random):
    """In whatever order assets become known, with their blocks closed over each time: the same are one in the end."""
    arriving = list(claims)
    random.shuffle(arriving)
    assert in_turn(arriving, people).groups() == grouped(resolve(claims, people, {}))


@given(many_claims(), said(), st.integers(0, 20))
def test_a_closed_part_is_decided_as_in_the_whole(claims, people, place):
    """A block by itself gives the very links that it has when everything is decided together."""
    part = closed(claims, [claims[place % len(claims)].asset], people, {})
    whole = {(link.source, link.external_id): link for link in resolve(claims, people, {}).links}
    for link in resolve(part, people, {}).links:
        other = whole[link.source, link.external_id]
        assert (link.method, link.confidence, link.evidence) == (other.method, other.confidence, other.evidence)


@given(many_claims(), rulings())
def test_two_of_one_source_need_evidence(claims, given_rulings):
    """Two assets of one source in one entity are tied by rulings, contracts, references and former ids alone."""
    for group in grouped(resolve(claims, Rulings(given_rulings), {})):
        for a, b in combinations(sorted(group), 2):
            assert a.source != b.source or b in tied(a, claims, given_rulings)


def tied(asset: AssetId, claims: list[Claim], given_rulings: list[Ruling]) -> set[AssetId]:
    """Whom an asset can be reached from by evidence other than names."""
    ties = [{ruling.a, ruling.b} for ruling in given_rulings if ruling.verdict is Verdict.SAME]
    for one, other in combinations(claims, 2):
        names_other = {*one.refs, *(AssetId(one.asset.source, former) for former in one.former)}
        named_by_other = {*other.refs, *(AssetId(other.asset.source, former) for former in other.former)}
        if other.asset in names_other or one.asset in named_by_other or set(one.contracts) & set(other.contracts):
            ties.append({one.asset, other.asset})
    found = {asset}
    while more := {each for tie in ties if tie & found for each in tie} - found:
        found |= more
    return found


FRUITS = st.sampled_from(("Kiwi", "Lime", "Plum", "Fig Jam", "Pear Juice"))
RANKED = st.tuples(st.sampled_from(SOURCES), FRUITS, st.none() | st.integers(1, 5000))


@given(st.lists(RANKED, min_size=2, max_size=5, unique_by=lambda each: each[1]))
def test_a_symbol_alone_never_merges(given_names):
    """Assets that share nothing but their symbol stay apart, however well they are ranked and however few they are."""
    claims = [claim(source, name.lower(), "ABC", name, rank) for source, name, rank in given_names]
    assert len(grouped(resolve(claims, Rulings(), {}))) == len(claims)


@given(many_claims(), rulings())
def test_rulings_are_obeyed_the_latest_first(claims, given_rulings):
    """Each ruling holds unless later ones, by themselves or together, say the opposite."""
    resolution = resolve(claims, Rulings(given_rulings), {})
    known = {each.asset for each in claims}
    held: list[Ruling] = []
    for ruling in reversed(given_rulings):
        if {ruling.a, ruling.b} <= known:
            together = ruling.b in reached(ruling.a, held)
            if ruling.verdict is Verdict.DIFFERENT and together:
                continue
            if ruling.verdict is Verdict.SAME and forbidden(ruling, held):
                continue
            held.append(ruling)
            same = home(resolution, ruling.a) == home(resolution, ruling.b)
            assert same == (ruling.verdict is Verdict.SAME)


def reached(asset: AssetId, held: list[Ruling]) -> set[AssetId]:
    found = {asset}
    pairs = [{ruling.a, ruling.b} for ruling in held if ruling.verdict is Verdict.SAME]
    while more := {each for pair in pairs if pair & found for each in pair} - found:
        found |= more
    return found


def forbidden(ruling: Ruling, held: list[Ruling]) -> bool:
    one, other = reached(ruling.a, held), reached(ruling.b, held)
    apart = [each for each in held if each.verdict is Verdict.DIFFERENT]
    return any((each.a in one and each.b in other) or (each.b in one and each.a in other) for each in apart)


@given(many_claims(), said())
def test_a_name_in_the_file_wins(claims, people):
    """Every asset that is named is the entity that it is named to be, whatever rulings and claims say."""
    resolution = resolve(claims, people, {})
    known = {each.asset for each in claims}
    for naming in people.namings:
        if naming.asset in known:
            assert home(resolution, naming.asset) == naming.entity_id


@given(st.lists(many_claims(5) | said(), min_size=1, max_size=5))
def test_ids_are_kept(story):
    """Whatever arrives and whatever people say: an id once given leads, in one step, to the entity of the asset that
    it was made for, unless the file says otherwise of that asset; and every entity that stands has assets."""
    shelf = Shelf()
    for chapter in story:
        if isinstance(chapter, Rulings):
            shelf.say(chapter)
        else:
            shelf.take(*chapter)
        named = {naming.asset for naming in shelf.said.namings}
        for entity_id, entity in shelf.entities.items():
            assert shelf.leads(shelf.leads(entity_id)) == shelf.leads(entity_id)
            assert (
                entity.founder is None
                or entity.founder in named
                or shelf.leads(entity_id) == shelf.homes[entity.founder]
            )
        assert {shelf.leads(entity_id) for entity_id in shelf.entities} == set(shelf.homes.values())
    shelf.say(Rulings())
    assert shelf.groups() == grouped(resolve(list(shelf.claims.values()), Rulings(), {}))
