"""From the items of a source to records: declarative mappings and the coercions behind them."""
