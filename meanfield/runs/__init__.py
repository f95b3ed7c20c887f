"""Runs: from a case to a result, with whoever looks at it on the way."""
