"""kasparro.toml: its tables, where each key stands, and what is wrong with it. The environment arrives as a mapping."""
