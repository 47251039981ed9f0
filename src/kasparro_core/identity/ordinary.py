"""Words that are also names or tickers of coins: what a text has to say besides, before they are taken for one."""

from __future__ import annotations

import re

_ORDINARY = """
alpha amber ample apollo arc ark arrow art atlas atom audio aurora avalanche balancer band basic bass beam bean beta
blast blur bold bond boost bounce brave bread bridge bubble bull bullish cake cap carbon cash casper center chain chia
civic cloud coin compound convex core corn cosmos counter cover cream credit cube curve cyber dao dash data dawn
decentral decentralized defi degen diamond digital dragon dream drop dusk dynamic earn earth echo edge elastic electra
electron element ember energy enigma epic ethos ever evolution exchange fair faith fame fantom fire first flame flow
flux force forest form forth forward free freedom fun fuse fusion future galaxy game gas gate gem genesis global go
gold good graph gravity green grin grow guild harmony harvest heart helium helix hero hex hive home honey hop hope
horizon hydra hyper icon index infinity insight insure internet iris joe jupiter just key king league legend liberty
life light like link liquid live loom loop lucky luna lunar magic maker maple mars mask matrix maximus maze meme
mercury meta metal meter mine mint mirror mist mobile moon morpheus multi mute nano near nebula nest network new nexus
noah nova nucleus number oasis oath ocean omni one ontology open optimism orbit orca orchid origin oxygen paid pandora
paris particle peace pearl people perpetual phantom phoenix pitch pixel planet plasma play pocket point polar polygon
pool portal power premium prime prism prometheus proton pulse pump pure quant quantum quest quick radar radiant rally
rank raptor rare raven razor real rebel red reef relay render request reserve ripple rise rocket root rose router safe
saga salt sand sandbox santa saturn scroll secret seed sentinel serum shadow shell shield ship signal silver sky smart
snow solar solid solve sonic soul space spark spell spice spirit stable stacks star stark status stellar step stone
storage storm strike strong sun super sushi swap swarm sweat swipe synapse table target tempo terra thought throne
thunder tide time titan token tomb top torn trade trend tribe true trust turtle unicorn union unity universe uranus
utopia vault vector venus verge verse vertex victory video virtue vision void volt vortex voyager wave waves web wild
wine wing winter wolf wonder wonderland world worm yield zero zone
"""
ORDINARY = frozenset(_ORDINARY.split())
"""Names that are words, or names of something else, too. Being here asks for the ticker beside the name."""

_ACRONYMS = """
ACA AGI AI AM AMA AML API APR APY ATH ATM AUM BBC BIS BIT BOT CBDC CBOE CDC CEO CEX CFO CFTC CIA CLO CME CMO CNN COO CPI
CTO DAO DAPP DCA DEX DJ DNA DNS DOJ DPR EDT EMA EST ETF ETP EU EUR FAQ FBI FDA FDIC FED FOMC FTC GBP GDP GMT GPU GST
HODL HR HTTP IBM ICO IDO IEO IMF INU IP IPO IRA IRS IT JPM JPY KYC LLC LLM LP LTD MAX MIT MVP NASA NFT NFTS NYSE OTC
P2P PC PDF PM PR PST QE QR RBI ROI RSI SAFT SBF SDK SEC SMA SQL SWIFT TA THE TV TVL TXS UAE UI UK UN URL US USA USD
UTC UX VC VIP VPN VR WEB WHO WWE XR YTD
"""
ACRONYMS = frozenset(_ACRONYMS.split())
"""What is written like a ticker and mostly means something else."""

MARKET = re.compile(
    r"crypto|bitcoin|blockchain|ethereum|[a-z]{3}coins?\b|\b(?:tokens?|defi|nfts?|btc|eth)\b|加密|比特币|代币|区块链|以太坊",
    re.IGNORECASE,
)
"""Found in a text, it makes it one about the market."""
