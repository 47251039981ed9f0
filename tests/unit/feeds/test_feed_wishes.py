"""How often a feed asks to be read."""

from __future__ import annotations

import pytest

from kasparro_adapters.feeds import FeedDecoder
from kasparro_adapters.feeds.wishes import LONGEST_WAIT, Wish
from kasparro_core.model import RawPayload

SY = 'xmlns:sy="http://purl.org/rss/1.0/modules/syndication/"'
HOUR, DAY = 3600, 86_400


def wish(channel: str, item: str = "") -> Wish:
    """What an RSS feed with this in its channel asks for."""
    text = (
        f'<rss version="2.0" {SY}><channel><title>t</title>{channel}<item><title>x</title>{item}</item></channel></rss>'
    )
    return FeedDecoder().understand(RawPayload(text.encode(), {"format": "feed"}))[1]


@pytest.mark.parametrize(
    ("channel", "seconds"),
    [
        ("", 0),
        ("<ttl>60</ttl>", HOUR),
        ("<ttl> 5 </ttl>", 300),
        ("<ttl>-5</ttl>", 0),
        ("<ttl>1.5</ttl>", 0),
        ("<ttl>invalid</ttl>", 0),
        ("<ttl></ttl>", 0),
        ("<ttl>999999999999999999999</ttl>", LONGEST_WAIT),
        (f"<ttl>{'9' * 5000}</ttl>", LONGEST_WAIT),
        ("<sy:updatePeriod>hourly</sy:updatePeriod>", HOUR),
        ("<sy:updatePeriod> Hourly </sy:updatePeriod><sy:updateFrequency>2</sy:updateFrequency>", HOUR // 2),
        ("<sy:updateFrequency>4</sy:updateFrequency>", DAY // 4),
        ("<sy:updatePeriod>yearly</sy:updatePeriod>", LONGEST_WAIT),
        ("<sy:updatePeriod>foo</sy:updatePeriod>", 0),
        ("<sy:updatePeriod>daily</sy:updatePeriod><sy:updateFrequency>0</sy:updateFrequency>", DAY),
        ("<ttl>10</ttl><sy:updatePeriod>hourly</sy:updatePeriod>", HOUR),
    ],
)
def test_how_long_to_wait(channel: str, seconds: int) -> None:
    """Minutes of ttl, or a period over its frequency; the longer one; at most a week; nonsense is not said."""
    assert wish(channel).wait == seconds


@pytest.mark.parametrize(
    ("channel", "quiet"),
    [
        ("", None),
        ("<skipHours><hour>3</hour><hour> 0</hour><hour>23</hour></skipHours>", "hours=0,3,23"),
        ("<skipHours><hour>24</hour><hour>25</hour><hour>-1</hour><hour>x</hour></skipHours>", "hours=0"),
        ("<skipDays><day>Sunday</day><day>saturday</day><day>Fantabuday</day></skipDays>", "days=Saturday,Sunday"),
        (
            "<skipDays><day>Monday</day></skipDays><skipHours><hour>1</hour></skipHours>",
            "hours=1 days=Monday",
        ),
        ("<skipHours>" + "".join(f"<hour>{hour}</hour>" for hour in range(24)) + "</skipHours>", None),
    ],
)
def test_when_not_to_come_at_all(channel: str, quiet: str | None) -> None:
    """skipHours in GMT, skipDays by their names; all hours together would be never, and count as none."""
    assert wish(channel).quiet == quiet


def test_only_the_channel_is_asked() -> None:
    """What stands in an item says nothing about the feed."""
    assert wish("", "<ttl>5</ttl><hour>3</hour><day>Monday</day>") == Wish()


def test_rss_1_has_the_module_by_its_namespace() -> None:
    """The syndication module counts under any prefix."""
    text = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
    xmlns:s="http://purl.org/rss/1.0/modules/syndication/"><channel><title>t</title>
    <s:updatePeriod>daily</s:updatePeriod></channel><item><title>x</title></item></rdf:RDF>"""
    assert FeedDecoder().understand(RawPayload(text.encode(), {"format": "feed"}))[1] == Wish(DAY)
