"""Names of months and weekdays as dates in texts carry them.

The languages are those whose names do not contradict one another, so that each name has one reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_ENGLISH_MONTHS = (
    "jan january", "feb february", "mar march", "apr april", "may", "jun june",
    "jul july", "aug august", "sep sept september", "oct october", "nov november", "dec december",
)  # fmt: skip
_OTHER_MONTHS = (  # German, French, Spanish, Italian, Portuguese, Dutch
    "januar jänner jän janvier janv enero ene gennaio gen janeiro januari",
    "februar feber février févr fév febrero febbraio fevereiro fev februari",
    "märz mär mrz mars marzo março maart mrt",
    "avril avr abril abr aprile",
    "mai mayo maggio mag maio mei",
    "juni juin junio giugno giu junho",
    "juli juil juillet julio luglio lug julho",
    "août aout agosto ago agustus augustus",
    "septembre septiembre set settembre setembro",
    "okt oktober octobre octubre ott ottobre out outubro",
    "novembre noviembre novembro",
    "dez dezember déc décembre dic diciembre dicembre dezembro",
)
_ENGLISH_DAYS = (
    "mon monday", "tue tues tuesday", "wed weds wednesday", "thu thur thurs thursday", "fri friday", "sat saturday",
    "sun sunday",
)  # fmt: skip
_OTHER_DAYS = (
    "mo montag lun lundi lunes lunedì seg segunda maandag",
    "di dienstag mar mardi martes martedì ter terça dinsdag",
    "mi mittwoch mer mercredi mié miércoles mercoledì qua quarta woensdag",
    "do donnerstag jeu jeudi jue jueves gio giovedì qui quinta donderdag",
    "fr freitag ven vendredi vie viernes venerdì sex sexta vrijdag",
    "sa samstag sam samedi sáb sábado sabato zaterdag",
    "so sonntag dim dimanche dom domingo domenica zondag",
)


def _numbered(rows: Iterable[str], first: int) -> dict[str, int]:
    return {name: number for number, row in enumerate(rows, first) for name in row.split()}


MONTHS: Mapping[str, int] = _numbered(_ENGLISH_MONTHS, 1)
"""English month names and abbreviations, lower case: 1 to 12."""

WEEKDAYS: Mapping[str, int] = _numbered(_ENGLISH_DAYS, 0)
"""English weekday names and abbreviations, lower case: Monday is 0."""

ALL_MONTHS: Mapping[str, int] = {**_numbered(_OTHER_MONTHS, 1), **MONTHS}
"""Month names of all languages, lower case."""

ALL_WEEKDAYS: Mapping[str, int] = {**_numbered(_OTHER_DAYS, 0), **WEEKDAYS}
"""Weekday names of all languages, lower case."""


def alternatives(names: Mapping[str, int]) -> str:
    """The names as alternatives of a regular expression, longest first."""
    return "|".join(sorted(names, key=len, reverse=True))
