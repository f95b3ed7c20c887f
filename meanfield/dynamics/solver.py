"""What the solvers have in common: the clock, landing on output times, the watch of the energy.

Owns what a solver is to everybody else (``Solver``, ``State``). Knows an interaction, and nothing
of how mass is moved, of files, cases or observers.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np

from meanfield.collective import Communicator, max_over_ranks, on_root, sum_over_ranks
from meanfield.dynamics.movingdiffusion import AnyDiffusion
from meanfield.dynamics.stepping import fitted_step
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.contract import AnyField, AnyInteraction
from meanfield.interaction.diffusion import Diffusion
from meanfield.interaction.measure import Measure

__all__ = ["EnergyWatch", "Solver", "State"]


@dataclass(frozen=True, eq=False)
class State:
    """All that a restart needs; solvers add what they are about.

    Attributes:
        t: time; step: steps done; dt: size of the last one.
    """

    t: float
    step: int
    dt: float

    def values(self) -> dict[str, object]:
        """Arrays, numbers and texts by name."""
        return {part.name: getattr(self, part.name) for part in fields(self)}

    @classmethod
    def from_values(cls, values: Mapping[str, object]) -> Self:
        """The state from its ``values``; others are left alone.

        What an earlier version did not write has its default.

        Raises:
            InputError: one is missing.
        """
        parts = fields(cls)
        needed = {
            part.name
            for part in parts
            if part.default is MISSING and part.default_factory is MISSING
        }
        if needed - values.keys():
            raise InputError("the checkpoint is of another kind of run: start again with overwrite")
        known = [part.name for part in parts if part.name in values]
        arguments: dict[str, Any] = {name: values[name] for name in known}
        return cls(**arguments)


class EnergyWatch:
    """Counts the steps in which the energy moved the wrong way, by more than its noise.

    Args:
        masses: what the masses may be wrong by after a step, in the 1-norm.
        relative: what sums may be wrong by, relatively.

    Attributes:
        violations: number of such steps; largest: the largest such change, relative to the energy.
    """

    def __init__(self, masses: float, relative: float = 1e-14) -> None:
        self._masses, self._relative = masses, relative
        self.violations, self.largest = 0, 0.0
        self._last: float | None = None

    def noise(self, field: AnyField, size: float, entropy: float = 0.0) -> float:
        """What the energy may change by without meaning anything.

        Args:
            field: of the density.
            size: of the numbers whose difference the change is.
            entropy: factor of the entropy in the functional.
        """
        return field.energy_noise(self._masses) + self._relative * (size + entropy)

    def record(self, wrong: float, size: float) -> None:
        """Note a step with a change in the wrong direction of an energy of this size."""
        self.violations += 1
        self.largest = max(self.largest, wrong / max(size, 1e-300))

    def tolerate(self, masses: float) -> None:
        """From now on, take masses to be wrong by as much."""
        self._masses = masses

    @property
    def new(self) -> bool:
        """Whether no energy has been seen that the next one may be compared with."""
        return self._last is None

    def forget(self) -> None:
        """The next energy is of another state: not to be compared."""
        self._last = None

    def lost(self, field: AnyField) -> bool:
        """Whether this energy is below the one seen last, by more than its noise.

        Collective for direct sums.
        """
        size, wrong = abs(field.energy(scaled=True)), self._wrong(field)
        # Rarely wrong at all: only then is it asked what that may mean.
        return wrong > self._relative * size and wrong > self.noise(field, size)

    def _wrong(self, field: AnyField) -> float:
        return 0.0 if self._last is None else self._last - field.ascent()

    def see(self, field: AnyField) -> None:
        """Compare the energy after a step with the one seen before. Collective for direct sums."""
        if self.lost(field):
            self.record(self._wrong(field), abs(field.energy(scaled=True)))
        self._last = field.ascent()


class _Timed:
    """Adds the time within to ``timings[what]``, unless it fails (a generator takes longer)."""

    __slots__ = ("start", "timings", "what")

    def __init__(self, timings: dict[str, float], what: str) -> None:
        self.timings, self.what = timings, what

    def __enter__(self) -> None:
        self.start = time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            spent = time.perf_counter() - self.start
            self.timings[self.what] = self.timings.get(self.what, 0.0) + spent


class Solver(ABC):
    """A state that is advanced in time. Methods are collective where a solver has several ranks.

    Args:
        interaction: the model.
        comm: its ranks.
        t: initial time.
        watch: of the energy; None: it is not watched, and no step is a violation.
        diffusion: of the mass, also one in time; None: there is none.

    Attributes:
        t, step, dt: time, number of steps, last step size.
        interaction: the model, as far as the state resolves it.
        diffusion_in_time: of the mass, at all times.
        timings: seconds by kind of work, "field" among them.
    """

    state_kind: ClassVar[type[State]]
    ends_at_jumps: ClassVar[bool] = True
    """Whether a step ends where the interaction, or the diffusion, jumps in time."""
    threads: int | None = None
    """Most threads of compiled loops that its steps are worth; None: all."""

    def __init__(
        self,
        interaction: AnyInteraction,
        comm: Communicator,
        t: float,
        watch: EnergyWatch | None = None,
        diffusion: AnyDiffusion | None = None,
    ) -> None:
        self.interaction, self.comm = interaction, comm
        self.diffusion_in_time: AnyDiffusion = Diffusion() if diffusion is None else diffusion
        self.t, self.step, self.dt = float(t), 0, 0.0
        self.timings = {"field": 0.0}
        self._energy = EnergyWatch(0.0) if watch is None else watch
        self._jump = math.inf  # in time, at the end of the step that is being taken

    # ------------------------------------------------------------------ time

    @property
    def diffusion(self) -> Diffusion:
        """That of the current time: after a jump the new one."""
        return self.diffusion_in_time.at(self.t)

    @property
    def kappa(self) -> float:
        """Its number; 0: there is none."""
        return self.diffusion.kappa

    @property
    def diffuses(self) -> bool:
        """Whether kappa is positive at any time."""
        return self.diffusion_in_time.largest > 0.0

    @property
    def kappa_moves(self) -> bool:
        """Whether kappa depends on time."""
        return self.diffusion_in_time.moves

    @property
    def may_change(self) -> bool:
        """Whether anything of the model changes after the current time."""
        return any(
            one.moves and not (one.piecewise and one.next_jump(self.t) == math.inf)
            for one in (self.interaction, self.diffusion_in_time)
        )

    # ------------------------------------------------------------------ the energy

    @property
    def energy_violations(self) -> int:
        """Number of steps in which the energy moved the wrong way. Not part of the state."""
        return self._energy.violations

    @property
    def energy_violation(self) -> float:
        """The largest such change, relative to the energy."""
        return self._energy.largest

    def _see_energy(self, field: AnyField) -> None:
        """Watch the energy of the current state; nothing where there is none."""
        if self.interaction.energy_kind is not None:
            self._energy.see(field)

    # ------------------------------------------------------------------ what it is about

    @abstractmethod
    def measure(self) -> Measure:
        """The masses of this rank and where they are."""

    @abstractmethod
    def field(self) -> AnyField:
        """The field of the current state."""

    def energy(self, scaled: bool = False) -> float:
        """E of the current state, as ``AnyField.energy``. Collective."""
        return self.field().energy(scaled)

    @abstractmethod
    def _flow(self) -> tuple[Array, Array]:
        """X (n, k) where this rank has mass, and the masses (n,). Collective."""

    def speed(self) -> float:
        """Root mean square velocity of the mass; zero at rest. Collective."""
        v, masses = self._flow()
        (largest,) = max_over_ranks(self.comm, float(np.max(np.abs(v), initial=0.0)))
        if not 0.0 < largest < math.inf:
            return largest
        v = v / largest  # those of usa are up to e^600, and their squares no doubles
        local = np.array([float(np.dot(masses, np.sum(v * v, axis=1)))])
        return largest * math.sqrt(float(sum_over_ranks(self.comm, local)[0]))

    @abstractmethod
    def check(self) -> None:
        """Look at a state that somebody else may have changed; steps check themselves.

        Raises:
            BrokenInvariantError: it is none. On every rank.
        """

    @abstractmethod
    def state(self) -> State | None:
        """Everything that a restart needs, on rank 0 (None elsewhere)."""

    def restore(self, state: State | None) -> None:
        """Continue from a state that rank 0 holds; steps after it are those of one long run.

        To round-off on several ranks, as sums may be added in another order; else bit for bit.

        Raises:
            InputError: a state of another kind, or of another size. On every rank.
        """

        def clock() -> tuple[float, int, float]:
            if state is None or type(state) is not self.state_kind:
                raise InputError(
                    f"a state of type {type(state).__name__} found, {self.state_kind.__name__} "
                    "expected"
                )
            self._refuse_state(state)
            return state.t, state.step, state.dt

        known = on_root(self.comm, clock)
        assert known is not None
        self.t, self.step, self.dt = known
        self._jump = math.inf
        self._restore(state)
        if self.interaction.moves:
            self._forget()
        self._energy.forget()

    def _refuse_state(self, state: State) -> None:  # noqa: B027  (any size may do)
        """Refuse a state of another size. Rank 0 only."""

    @abstractmethod
    def _restore(self, state: State | None) -> None:
        """Take over a state of the right kind, which rank 0 holds; the clock is set."""

    # ------------------------------------------------------------------ stepping

    def advance(self, t_end: float) -> float:
        """Take one step, at most to ``t_end`` (and then exactly); returns its size.

        No step goes beyond a time at which the interaction or kappa jumps: it ends there, too, and
        sees what holds before.

        Raises:
            InputError: ``t_end`` is not after ``t``. On every rank.
            BrokenInvariantError: the step led to no state, or no longer moves time; the state is
                then the one before it. On every rank.
        """
        if not t_end > self.t:
            raise InputError(f"t_end = {t_end:g} found, a time after t = {self.t:g} expected")
        changed = math.inf
        if self.ends_at_jumps:
            changed = min(self.interaction.next_jump(self.t), self._own_jump())
            self._jump = min(changed, self.diffusion_in_time.next_jump(self.t))
        t_end = min(t_end, self._jump)
        dt = self._take(t_end)
        self.t = self._after(dt, t_end)
        self.step += 1
        self.dt = dt
        if self.t >= self._jump:
            self._jump = math.inf
            self._leave_behind()
            if self.t >= changed or self.interaction.moves:
                self._forget()
        self._settle()
        return dt

    def _own_jump(self) -> float:
        """The first time after ``t`` at which what it makes of a field changes."""
        return math.inf

    def _within(self, t: float) -> float:
        """The time itself, or that before the jump with which the step ends: its left limit."""
        return t if t < self._jump else math.nextafter(self._jump, -math.inf)

    def _leave_behind(self) -> None:  # noqa: B027  (most remember nothing of the field in time)
        """Drop what earlier steps tell of later ones: the interaction, or kappa, has jumped."""

    def _forget(self) -> None:  # noqa: B027  (most make everything anew)
        """Drop what was made of the field: another interaction holds now."""

    @abstractmethod
    def _take(self, t_end: float) -> float:
        """Change the state by one step, at most to ``t_end``; returns its size."""

    def _settle(self) -> None:  # noqa: B027  (most have nothing to do)
        """What there is to do after a step, when the clock has moved."""

    def _after(self, dt: float, t_end: float) -> float:
        """The time after a step: landing on ``t_end`` itself, not on a sum of steps towards it."""
        return t_end if dt >= t_end - self.t else self.t + dt

    def _fitted(self, t_end: float, longest: float, hint: str = "") -> float:
        """A step of at most ``longest`` that reaches ``t_end`` in equal parts.

        Raises:
            BrokenInvariantError: it no longer moves time.
        """
        dt = fitted_step(self.t, t_end, longest) if longest > 0.0 else 0.0
        if not self.t + dt > self.t:
            raise BrokenInvariantError(
                f"the step of {dt:.1e} no longer moves time at t = {self.t:.6g}{hint}"
            )
        return dt

    def _timed(self, what: str) -> _Timed:
        """Count the time within."""
        return _Timed(self.timings, what)
