"""A whole store in memory, held to the same contract as the databases."""

from kasparro_adapters.memory.ownership import MemoryHandle, MemoryOwners
from kasparro_adapters.memory.store import MemoryStore, MemoryUnitOfWork

__all__ = ["MemoryHandle", "MemoryOwners", "MemoryStore", "MemoryUnitOfWork"]
