"""How long the next implicit step is, whose potential it takes, and what error it may have.

Owns the choice between the two potentials. Knows errors, changes and costs of steps as numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["StepControl", "allowed_error"]

_WATCHED_CHANGE = 1e-8  # changes of the density below this do not bound the step
_RELATIVE = 100.0  # times rtol: error of a step relative to its change
_GROWTH = 2.0
_SLOW = 1.0 / _RELATIVE  # change over a step below which the implicit potential is tried
_WAIT, _LONGEST_WAIT, _TRIAL = 10, 320, 8  # steps before a trial, and in it


def allowed_error(rtol: float, change: float) -> float:
    """The error that a step may have which changes the density by so much."""
    return rtol * min(1.0, _RELATIVE * max(change, _WATCHED_CHANGE))


@dataclass
class StepControl:
    """The next step: which potential, how long, and when to try the other one.

    Attributes:
        implicit: whether the potential is to be implicit.
        explicit_step, implicit_step: the steps that the errors suggest; 0 before the first.
        cost: linear solves of an implicit step over those of an explicit one.
        countdown: slow steps until the next trial, or steps of a trial that are left.
        wait: slow steps between trials.
    """

    implicit: float = 0.0
    explicit_step: float = 0.0
    implicit_step: float = 0.0
    cost: float = 1.0
    countdown: float = _WAIT
    wait: float = _WAIT

    @property
    def step(self) -> float:
        return self.implicit_step if self.implicit else self.explicit_step

    def suggest(self, dt: float, error: float, allowed: float) -> None:
        """The next step from the error of this one, which is of order dt^2."""
        limit = _GROWTH * max(dt, self.step)
        best = 0.9 * dt * math.sqrt(allowed / error) if error > 0.0 else math.inf
        step = min(limit, max(best, 0.2 * dt))
        if self.implicit:
            self.implicit_step = step
        else:
            self.explicit_step = step

    def choose(self, change: float, dt: float) -> None:
        """Whether to go on with this potential after a step of ``dt`` that changed so much."""
        if not self.implicit:
            if change <= _SLOW and self.explicit_step < 0.9 * _GROWTH * dt:
                self.countdown -= 1
            if self.countdown <= 0:
                self.implicit, self.countdown = 1.0, _TRIAL
                self.implicit_step = self.explicit_step
            return
        self.countdown -= 1
        if change > 4.0 * _SLOW:  # nothing is slow any more: what the explicit step was is long ago
            self.implicit, self.wait, self.countdown = 0.0, _WAIT, _WAIT
            self.explicit_step = self.implicit_step
        elif self.countdown <= 0 and self.implicit_step < self.cost * self.explicit_step:
            self.implicit, self.wait = 0.0, min(2 * self.wait, _LONGEST_WAIT)
            self.countdown = self.wait
