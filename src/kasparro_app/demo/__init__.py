"""The first look: samples made by a seeded script, a small API on loopback, and what came of them."""
