"""The first minute without a key: a small invented shop that the mock answers from."""
