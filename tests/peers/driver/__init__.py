"""The driver of `tests/peers/compare`; the standard library only."""
