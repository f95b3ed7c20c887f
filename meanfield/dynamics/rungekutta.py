"""Embedded Runge-Kutta pairs on products of spheres, and the control of their steps.

A field X on S^{d-1} is continued to R^d by X(y/|y|): its exact flow keeps |y|, so that a pair keeps
its order, stages are evaluated on the sphere, and scaling the result back to unit length (the
retraction) leaves its last stage valid as the first of the next step (FSAL).

The coefficients are SciPy's. Its stepping classes are not used: they change ``t_bound`` only by
being made anew (which loses the step size at each output time), have no PI control, take their
error norm over coordinates instead of tokens, and hold copies of the stages.

A field may have more columns than the points have coordinates: the rates of quantities that are
*carried* along the paths without acting back on them (log rho of a characteristic). They are summed
with the same stages, to the same order.

Knows nothing of attention or of what the points are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numba as nb
import numpy as np

from meanfield.collective import Communicator, max_over_ranks
from meanfield.errors import BrokenInvariantError, InputError, suggest
from meanfield.geometry.manifolds import Ambient, Manifold
from meanfield.geometry.sphere import Array

__all__ = [
    "PAIRS",
    "TOO_SMALL",
    "Control",
    "Pair",
    "Setting",
    "Trial",
    "Unquestioned",
    "largest_row",
    "pair_named",
    "try_step",
    "weighted_sum",
]

TOO_SMALL = ": the velocity has a jump, or tolerances are below round-off"
"""What it may mean that steps controlled by their error no longer move time."""

_CHUNK = 2048  # entries at a time: their sums stay in the first-level cache

Velocity = Callable[[Array, float], Array]
_NOTHING: Array = np.empty((0, 0))


@dataclass(frozen=True, eq=False)
class Pair:
    """An embedded pair of Runge-Kutta methods whose last stage is the first of the next step.

    Attributes:
        name: what users call it.
        order: order of the result (local extrapolation).
        error_order: power of the step in the error estimate.
        a: (s, s) and c: (s,): stages. The s-th row of the full tableau is ``b``.
        b: (s,) weights of the result.
        errors: (k, s + 1) weights of the k error estimates, the FSAL stage included.
    """

    name: str
    order: int
    error_order: int
    a: Array
    b: Array
    c: Array
    errors: Array


@cache
def _dopri5() -> Pair:
    """Dormand and Prince 1980, 5(4), 6 evaluations a step."""
    from scipy.integrate import RK45  # 0.1 s: where points move

    return Pair("dopri5", 5, 5, RK45.A, RK45.B, RK45.C, RK45.E[None, :])


@cache
def _dop853() -> Pair:
    """Dormand and Prince, Hairer's 8(5,3), 12 evaluations a step."""
    from scipy.integrate import DOP853

    errors = np.stack([DOP853.E5, DOP853.E3])
    return Pair("dop853", 8, 8, DOP853.A, DOP853.B, DOP853.C, errors)


class _Pairs(Mapping[str, Pair]):
    """The pairs by their names, each made when it is first asked for."""

    _made: Mapping[str, Callable[[], Pair]] = {"dopri5": _dopri5, "dop853": _dop853}

    def __getitem__(self, name: str) -> Pair:
        return self._made[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


PAIRS = _Pairs()


def pair_named(name: str) -> Pair:
    """The pair of this name.

    Raises:
        InputError: there is none.
    """
    if name not in PAIRS:
        choices = " or ".join(f"'{known}'" for known in PAIRS)
        raise InputError(f"method '{name}' found, {choices} expected{suggest(name, PAIRS)}")
    return PAIRS[name]


def largest_row(v: Array) -> float:
    """Length of the longest row (n, d); rows may be as long as 1e300 (velocities of usa are)."""
    scale = float(np.max(np.abs(v), initial=0.0))
    if scale == 0.0 or not np.isfinite(scale):
        return scale
    v = v / scale
    return scale * float(np.sqrt(np.max(np.einsum("ij,ij->i", v, v))))


class Setting(NamedTuple):
    """Where points are, and how the ranks that share them decide as one.

    Attributes:
        on: the manifold; by default that of unit vectors, whatever their dimension.
        together: whether something is so on all ranks: all give up if one has to. Collective.
        largest: length of the longest row over all ranks. Collective.
        measured: size of the errors (n, d + k) of a step that ends at (n, d), and of those of what
            is carried; None: the largest of a token. Collective.
    """

    on: Manifold = Ambient(2)
    together: Callable[[bool], bool] = bool
    largest: Callable[[Array], float] = largest_row
    measured: Callable[[Array, Array], tuple[float, float]] | None = None

    @classmethod
    def shared(cls, comm: Communicator) -> Setting:
        """Unit vectors shared by the ranks of a communicator."""
        return cls(
            together=lambda good: all(comm.allgather(good)),
            largest=lambda rows: max_over_ranks(comm, largest_row(rows))[0],
        )


_ALONE = Setting()


class Trial(NamedTuple):
    """What a step would lead to.

    Attributes:
        x: (n, d) unit vectors at the end, or None if the step led nowhere (overflow).
        velocity: (n, d + k) field at ``x``, the first stage of the next step.
        error: largest estimated error of a token, as an angle.
        moved: largest distance that a token has moved, as a chord.
        carried: (n, k) change of the carried quantities.
        carried_error, carried_moved: the largest error and change of one.
    """

    x: Array | None
    velocity: Array
    error: float
    moved: float
    carried: Array = _NOTHING
    carried_error: float = 0.0
    carried_moved: float = 0.0


def try_step(
    pair: Pair,
    field: Velocity,
    x: Array,
    first: Array,
    t: float,
    dt: float,
    t_new: float,
    setting: Setting = _ALONE,
) -> Trial:
    """One step of the pair; whether it is good enough is for the ``Control`` to say.

    Args:
        pair: the method.
        field: velocity (n, d) at unit vectors (n, d) and a time; with k >= 0 more columns, the
            rates of quantities that are carried along.
        x: (n, d) unit vectors at time t.
        first: (n, d + k) field at ``x``.
        t, dt: time and step.
        t_new: t + dt, or the output time that it stands for.
        setting: where the points are, and who shares them.
    """
    on, together, largest, measured = setting
    count, d = pair.b.size, x.shape[1]
    nowhere = Trial(None, first, np.inf, np.inf, first[:, d:])
    stages = np.empty((count + 1, *first.shape))
    stages[0] = first
    for i in range(1, count):
        y = on.retracted(x + weighted_sum(dt * pair.a[i, :i], stages[:i])[:, :d])
        if not together(y is not None):
            return nowhere
        assert y is not None
        stages[i] = field(y, t + pair.c[i] * dt)
    step = weighted_sum(dt * pair.b, stages[:-1])
    end = on.retracted(x + step[:, :d])
    if not together(end is not None):
        return nowhere
    assert end is not None
    stages[-1] = field(end, t_new)
    sizes, carried_sizes = [], []
    for weights in pair.errors:
        wrong = weighted_sum(dt * weights, stages)
        if measured is not None:
            size, carried_size = measured(end, wrong)
            sizes.append(size)
            carried_sizes.append(carried_size)
            continue
        carried_sizes.append(largest(wrong[:, d:]))
        wrong = wrong[:, :d]
        # Only the tangential part of an error survives the retraction.
        sizes.append(largest(on.tangential(end, wrong)))
    return Trial(
        end,
        stages[-1].copy(),  # so that the other stages can go
        _blend(sizes),
        largest(end - x),
        step[:, d:],
        _blend(carried_sizes),
        largest(step[:, d:]),
    )


def _blend(sizes: list[float]) -> float:
    """One estimate from those of a pair; of two, Hairer's blend of the orders 5 and 3."""
    error = sizes[0]
    if len(sizes) == 2 and error > 0.0:
        error *= sizes[0] / np.hypot(sizes[0], 0.1 * sizes[1])
    return float(error)


def weighted_sum(weights: Array, stages: Array) -> Array:
    """sum_j w_j stages_j, weights (s,), stages (s, n, d) in one piece: (n, d).

    Every entry is summed in the order of j and rounded after each operation. A product by BLAS
    would leave both to the kernel it chooses by processor, size and number of threads, and what a
    cloud of tokens becomes must not depend on those.
    """
    out = np.empty(stages.shape[1:])
    _weighted_sum(weights, stages.reshape(len(weights), -1), out.reshape(-1))
    return out


@nb.njit(error_model="numpy", cache=True)  # no fastmath: neither contraction nor another order
def _weighted_sum(weights: Array, stages: Array, out: Array) -> None:
    size = out.size
    for start in range(0, size, _CHUNK):
        stop = min(size, start + _CHUNK)
        total = out[start:stop]
        total[:] = 0.0
        for j in range(weights.size):
            w = weights[j]
            if w != 0.0:  # more than a third of the weights of dop853
                stage = stages[j, start:stop]
                for i in range(stop - start):
                    total[i] += w * stage[i]


@dataclass
class Control:
    """Proportional-integral control of the step (Gustafsson 1991; Hairer and Wanner IV.2).

    A step is good if the largest error of a token is at most ``atol + rtol * moved``, ``moved``
    being the largest distance that a token has moved in the step. So rtol bounds the error
    relative to the length of the path, and atol what a token at rest is allowed. The same holds
    for carried quantities, by their own change.

    Attributes:
        rtol, atol: tolerances (angles in radians).
        order: power of the step in the error.
        longest: longest step that the error allows next; 0: not known yet.
        previous: error over tolerance of the last good step.
        rejected: number of rejected steps.
    """

    rtol: float
    atol: float
    order: int
    longest: float = 0.0
    previous: float = 1.0
    rejected: int = 0
    _after_rejection: bool = False

    def accepts(self, dt: float, trial: Trial) -> bool:
        """Judge a step and choose the next one."""
        ratio = 1e9
        if trial.x is not None:
            ratio = trial.error / (self.atol + self.rtol * trial.moved)
            carried = trial.carried_error / (self.atol + self.rtol * trial.carried_moved)
            ratio = max(ratio, carried) if np.isfinite(carried) else 1e9
        if not ratio <= 1.0:
            ratio = min(ratio, 1e9) if np.isfinite(ratio) else 1e9
            self.longest = dt * max(0.1, 0.9 * ratio ** (-1.0 / self.order))
            self.rejected += 1
            self._after_rejection = True
            return False
        ratio = max(ratio, 1e-10)
        factor = 0.9 * ratio ** (-0.7 / self.order) * self.previous ** (0.4 / self.order)
        factor = min(1.0 if self._after_rejection else 10.0, max(0.2, factor))
        # A step shortened to land on an output time, with nothing to see in its error, says
        # nothing against the longer one that was planned.
        self.longest = max(dt * factor, self.longest) if factor == 10.0 else dt * factor
        self.previous = max(ratio, 1e-4)
        self._after_rejection = False
        return True

    def start(
        self,
        field: Velocity,
        x: Array,
        first: Array,
        t: float,
        t_end: float,
        setting: Setting = _ALONE,
    ) -> None:
        """Choose the first step from the size of the field and of its change along the flow."""
        speed = setting.largest(first)
        if speed == 0.0:
            self.longest = t_end - t
            return
        h = min(0.01 / speed, t_end - t)
        y = setting.on.retracted(x + h * first[:, : x.shape[1]])
        assert y is not None
        bend = setting.largest(field(y, t + h) - first) / (h * speed)  # a rate
        tolerance = self.atol + self.rtol * 0.01
        rate = max(speed, bend, 1e-300)
        self.longest = min(100.0 * h, tolerance ** (1.0 / self.order) / rate)


class Unquestioned(Control):
    """Takes every step that leads somewhere, as long as it is: what another control has chosen."""

    def accepts(self, dt: float, trial: Trial) -> bool:
        """Whatever its error.

        Raises:
            BrokenInvariantError: it led nowhere.
        """
        if trial.x is None:
            raise BrokenInvariantError(f"a step of {dt:.1e} led a twin nowhere")
        return True
