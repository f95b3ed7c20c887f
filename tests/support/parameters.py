"""Parameters of which a few run by default, and all with the slow tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

__all__ = ["slow_but"]


def slow_but(quick: Iterable[int], values: Sequence[Any]) -> list[Any]:
    """Values for ``pytest.mark.parametrize``; all but those at the places ``quick`` are slow.

    For near-identical parameters of one argument, whose differences the slow tests look at.
    """
    chosen = set(quick)
    assert chosen < set(range(len(values))), "there is no such parameter, or none is left"
    return [
        value if k in chosen else pytest.param(value, marks=pytest.mark.slow)
        for k, value in enumerate(values)
    ]
