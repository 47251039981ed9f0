"""The same thing across sources: what sources claim, which of it is evidence, and what follows. Pure functions."""

from kasparro_core.identity.claims import ASSET, claim_of, fingerprint
from kasparro_core.identity.ids import possible_ids
from kasparro_core.identity.keys import Keys, keys_of
from kasparro_core.identity.resolve import Resolution, resolve

__all__ = ["ASSET", "Keys", "Resolution", "claim_of", "fingerprint", "keys_of", "possible_ids", "resolve"]
