"""Canonical names: what two spellings of the same name have in common."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

_SPELLED: Mapping[str, str] = {
    "a": "аαª", "b": "бβ", "v": "в", "g": "гґγ", "d": "дđδ", "e": "еэєε", "zh": "ж", "z": "зζ", "i": "иійыıιη",
    "k": "кκ", "l": "лłλ", "m": "мμ", "n": "нν", "o": "оøοω", "p": "пπ", "r": "рρ", "s": "сσς", "t": "тτ", "y": "уυ",
    "f": "фφ", "kh": "х", "ts": "ц", "ch": "чχ", "sh": "ш", "shch": "щ", "yu": "ю", "ya": "я", "": "ъь", "x": "ξ",
    "ps": "ψ", "th": "θþ", "ae": "æ", "oe": "œ",
}  # fmt: skip
_LETTERS = str.maketrans({letter: latin for latin, letters in _SPELLED.items() for letter in letters})
_WORD = re.compile(r"[^\W_]+")
_PART = re.compile(r"[^\W_a-z]?[a-z]+|[^\W_a-z]+(?![a-z])|[^\W_]+")


def folded(text: str) -> str:
    """Text without case, accents, styled letters and scripts that have Latin letters for theirs (Greek, Cyrillic).

    >>> folded("Ωmega Ⅷ Łódź НАНО")
    'omega viii lodz nano'
    """
    if text.isascii():
        return text.lower()
    bare = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(c for c in bare if not unicodedata.combining(c)).translate(_LETTERS)


def words_of(text: str) -> tuple[str, ...]:
    """The words of a name, folded: runs of letters and digits. An apostrophe parts no word.

    >>> words_of("1000x Shiba's best-friend")
    ('1000x', 'shibas', 'best', 'friend')
    """
    if "'" in text or "’" in text:
        text = text.replace("'", "").replace("’", "")
    return tuple(_WORD.findall(folded(text)))


def parts_of(text: str) -> tuple[str, ...]:
    """The words of a name, also those that a capital letter begins.

    >>> parts_of("CryptoWorld.VIP"), parts_of("BetProtocol")
    (('crypto', 'world', 'vip'), ('bet', 'protocol'))
    """
    return tuple(folded(part) for part in _PART.findall(text))


def squeezed(text: str) -> str:
    """A name without case, blanks and signs ("Fei USD" and "fei-usd" are both "feiusd")."""
    return "".join(words_of(text))
