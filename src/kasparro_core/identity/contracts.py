"""Contract addresses: an address on a chain, in the one spelling that two sources can be compared by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kasparro_core.identity.names import squeezed

_CHAINS: Mapping[str, str] = {
    alias: chain
    for chain, aliases in {
        "ethereum": "eth ethethereum erc20 mainnet ethereummainnet",
        "bnbsmartchain": "bsc bep20 binancesmartchain bnbchain bscmainnet bnbbinancecoin",
        "bnbbeaconchain": "bep2 binancechain binancedex binancecoin bnb2",
        "polygon": "matic polygonpos maticpolygon maticnetwork polygonmainnet",
        "avalanche": "avax avalanchec avaxavalanche avalanchecchain cchain",
        "arbitrum": "arbitrumone arb arbarbitrum",
        "optimism": "optimisticethereum op opoptimism",
        "solana": "sol solsolana spl",
        "tron": "trx trc20 trxtron",
        "fantom": "ftm ftmfantom fantomopera",
        "gnosis": "xdai gnosischain",
        "base": "basemainnet",
    }.items()
    for alias in (chain, *aliases.split())
}
"""How sources call the chains that most contracts are on: squeezed name, ticker, token standard, provider's id."""

_EVM = re.compile("0[xX][0-9a-fA-F]{40}")
_NOBODY = re.compile("0x(0{40}|e{40}|0{36}(1010|dead|1000))|native|none|null|n/?a", re.IGNORECASE)
_SHORTEST = 10


def contracts_of(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """The contracts that a record's attributes name, "chain:address" each, sorted, each once.

    `platforms`: chain to address (CoinGecko). `contracts`: texts "chain:address", or objects with the address as
    `contract` or `address` and the chain as `platform` or `chain` (CoinPaprika). `contract`: one of these, or an
    address alone beside an attribute `platform` or `chain`. An address without a chain names nothing: the same address
    is another token on another chain.
    """
    return tuple(sorted(set(_all(attributes))))


def canonical_contract(chain: str, address: str) -> str | None:
    """A contract as "chain:address" in one spelling; None for what is no contract: empty, or the places that stand for
    a chain's own coin (0x000…, 0xeee…). Hexadecimal addresses have no case; those of other chains do.

    >>> canonical_contract("ETH-Ethereum", "0x2260FAC5E5542a773Aa44fBCfeDf7C193bc2C599")
    'ethereum:0x2260fac5e5542a773aa44fbcfedf7c193bc2c599'
    """
    place, bare = squeezed(chain), address.strip()
    if not place or len(bare) < _SHORTEST or _NOBODY.fullmatch(bare):
        return None
    return f"{_CHAINS.get(place, place)}:{bare.lower() if _EVM.fullmatch(bare) else bare}"


def at_odds(one: Iterable[str], other: Iterable[str]) -> bool:
    """True where both have contracts on a chain, and none in common there."""
    mine, others = set(one), set(other)
    chains = {_chain_of(contract) for contract in mine} & {_chain_of(contract) for contract in others}
    return bool(chains) and not mine & others


def _chain_of(contract: str) -> str:
    return contract.partition(":")[0]


def _all(attributes: Mapping[str, Any]) -> Iterator[str]:
    platforms = attributes.get("platforms")
    if isinstance(platforms, Mapping):
        yield from _pairs((chain, address) for chain, address in platforms.items())
    listed = attributes.get("contracts")
    for one in (*(listed if isinstance(listed, list | tuple) else (listed,)), attributes.get("contract")):
        yield from _one(one, attributes)


def _one(value: Any, attributes: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _pairs([(_chain(value), value.get("contract") or value.get("address"))])
    elif isinstance(value, str) and ":" in value:
        yield from _pairs([tuple(value.split(":", 1))])
    elif isinstance(value, str):
        yield from _pairs([(_chain(attributes), value)])


def _chain(value: Mapping[str, Any]) -> Any:
    return value.get("platform") or value.get("chain")


def _pairs(pairs: Any) -> Iterator[str]:
    for chain, address in pairs:
        if isinstance(chain, str) and isinstance(address, str) and (found := canonical_contract(chain, address)):
            yield found
