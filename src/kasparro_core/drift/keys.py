"""Objects whose keys are data: prices by currency, values by day, names by language, addresses by platform.

Keys of such an object come and go with the data; that is no change of its shape.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from kasparro_core.drift.shape import NULL, OBJECT, Shape, kinds_text

_VALUE = re.compile(
    r"-?[0-9]+(?:\.[0-9]+)?"  # a number
    r"|[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?(?:[T ].*)?|[0-9]{1,2}[./][0-9]{1,2}[./][0-9]{2,4}"  # a day or an instant
    r"|0x[0-9a-fA-F]+|[0-9a-f]{16,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"  # an address, a hash, a UUID
).fullmatch
_CODE = re.compile(r"[A-Z][A-Z0-9]{1,9}(?:[-_/:][A-Z0-9]{2,10})?").fullmatch
_LANGUAGE = re.compile(r"[a-z]{2}(?:[-_][A-Za-z]{2,4})?").fullmatch
_LANGUAGES_FROM = 4
_OPEN_FROM = 3
_OFTEN = 0.9

_CODES = """
    aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd btn bwp byn bzd cad cdf chf
    clp cny cop crc cup cve czk djf dkk dop dzd egp ern etb eur fjd fkp gbp gel ghs gip gmd gnf gtq gyd hkd hnl hrk
    htg huf idr ils inr iqd irr isk jmd jod jpy kes kgs khr kmf kpw krw kwd kyd kzt lak lbp lkr lrd lsl lyd mad mdl
    mga mkd mmk mnt mop mru mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron
    rsd rub rwf sar sbd scr sdg sek sgd shp sle sos srd ssp stn svc syp szl thb tjs tmt tnd top try ttd twd tzs uah
    ugx usd uyu uzs ves vnd vuv wst xaf xag xau xcd xdr xof xpf yer zar zmw ada avax bch bits bnb btc dai doge dot
    eos etc eth link ltc matic sats shib sol ton trx uni usdc usdt vef xlm xmr xrp yfi
"""
CURRENCIES = frozenset(_CODES.split())
"""ISO 4217, and what upstreams quote in besides."""


def is_open(old: Shape, new: Shape | None = None) -> bool:
    """Whether the keys of the objects at this place are data."""
    if old.rest is not None or (new is not None and new.rest is not None):
        return True
    names = {*old.fields, *(new.fields if new is not None else ())}
    return bool(names) and (_are_data(names, old) or _is_loose(old))


def is_column_of_data(old: Shape, name: str) -> bool:
    """Whether a field is one of several that are named by values, beside others that are not: a file with one column
    for each day."""
    return bool(_VALUE(name)) and sum(1 for known in old.fields if _VALUE(known)) >= _OPEN_FROM


def _are_data(names: Collection[str], old: Shape) -> bool:
    if all(map(_VALUE, names)) or all(name.lower() in CURRENCIES for name in names):
        return True
    if not _are_alike(old.fields.values()):
        return False
    if len(names) >= _LANGUAGES_FROM and all(map(_LANGUAGE, names)):
        return True
    return all(map(_CODE, names)) and all(each.objects for each in old.fields.values())


def _is_loose(old: Shape) -> bool:
    """Several keys of one kind, none of which is there as a rule: ids of platforms, tags. One that came late has not
    shown yet how often it is there."""
    if len(old.fields) < _OPEN_FROM or not _are_alike(old.fields.values()):
        return False
    old_keys = [each for each in old.fields.values() if 2 * each.of >= old.objects]
    return len(old_keys) >= _OPEN_FROM and all(each.presence < _OFTEN for each in old_keys)


def _are_alike(shapes: Collection[Shape]) -> bool:
    """All of one kind, objects with the same fields."""
    kinds = {kinds_text(each) for each in shapes if each.kinds.keys() - {NULL}}
    if len(kinds) > 1:
        return False
    return kinds != {OBJECT} or len({frozenset(each.fields) for each in shapes if each.objects}) == 1
