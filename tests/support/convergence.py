"""One harness for convergence: errors over levels, each half as coarse as the one before."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Level = TypeVar("Level")


@dataclass(frozen=True)
class Rates:
    """Errors from the coarsest level to the finest."""

    errors: tuple[float, ...]

    @property
    def orders(self) -> tuple[float, ...]:
        """From each level to the next."""
        logs = np.log2(self.errors)
        return tuple(float(order) for order in logs[:-1] - logs[1:])

    @property
    def order(self) -> float:
        """Fitted over all levels."""
        steps = np.arange(float(len(self.errors)))
        return -float(np.polyfit(steps, np.log2(self.errors), 1)[0])

    def check(self, least: float, most: float, last: float, *, each: bool = False) -> None:
        """Assert the order, of each halving or the fitted one, and the error of the finest level.

        ``most`` = inf where a higher order is as good.
        """
        for order in self.orders if each else (self.order,):
            assert least < order < most, f"orders {self.orders}, errors {self.errors}"
        assert self.errors[-1] < last, f"errors {self.errors}"


def rates(case: Callable[[Level], float], levels: Iterable[Level]) -> Rates:
    """Run a case, which gives its error, on each level."""
    found = Rates(tuple(float(case(level)) for level in levels))
    assert len(found.errors) > 1 and all(0.0 < error < math.inf for error in found.errors), found
    return found
