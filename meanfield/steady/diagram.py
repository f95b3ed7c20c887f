"""What a bifurcation diagram is: branches of stationary states, and the special points on them.

Values only; how a branch is found is ``branch``, where it is written ``folder``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from meanfield.geometry.sphere import Array
from meanfield.steady.equation import Equation
from meanfield.steady.spectrum import NEUTRAL
from meanfield.steady.symmetry import AXIAL, Symmetry

__all__ = [
    "COLUMNS",
    "CROSSING",
    "END",
    "EVEN",
    "UNIFORM_STATE",
    "VERTICAL",
    "Branch",
    "Diagram",
    "Event",
]

COLUMNS = ("parameter", "c_1", "c_2", "energy", "entropy", "free_energy_excess", "leading", "order")
"""Columns of ``Branch.table``; energy is E, free_energy_excess F - F_uniform (sa: nan). ``c_2`` is
the order parameter of states without a mean: int P_2 dmu or, with a symmetry other than axial, the
average of its own harmonic, over sqrt(dim H_l); ``Diagram.order_name`` has its degree."""

END, UNIFORM_STATE = "the end of the interval", "the uniform state"
CROSSING, VERTICAL = "a crossing with", "vertical"
EVEN = "the even states"
"""How ``Branch.stopped`` begins where a branch has been followed to its end.

Even: mu(-x) = mu(x).
"""


@dataclass(frozen=True)
class Event:
    """A special point of a branch.

    Attributes:
        kind: "fold" (the parameter turns back), "equal free energy" (with the uniform state, where
            a free energy decides: usa, kernels),
            "branch point" (an eigenvalue crosses zero: a branch leaves, of azimuthal order
            ``order``), "secondary" (a branch of the same symmetry crosses this one; looked for
            where these are followed), "uniform" (the branch joins the uniform one), "end".
        parameter, mean_norm, free_energy_excess: where.
        order: azimuthal order of the crossing eigenvalue, 0 else.
        c_2: the order parameter of states without a mean, as in ``COLUMNS``.
    """

    kind: str
    parameter: float
    mean_norm: float
    free_energy_excess: float
    order: int = 0
    c_2: float = 0.0


@dataclass(frozen=True)
class Branch:
    """A curve of stationary states.

    Attributes:
        name: "uniform", "clustered", "clustered 2", ..., "secondary 1", ...
        table: (points, len(COLUMNS)) in the order along the curve. ``leading``: largest real part
            of an eigenvalue of the linearisation (rotations left out), ``order`` its azimuthal
            order.
        moments: (points, n + 1) averages of the harmonics that have the symmetry, each over the
            root of dim H_l: c_l = int P_l dmu if axial.
        events: special points, in the order along the curve.
        stopped: why the curve ends.
        parent: the branch that it leaves at a secondary bifurcation, or "".
        is_vertical: whether the parameter stays as it is all along it.
        beside: where it meets the even states: next to that the leading eigenvalue of perturbations
            that share the symmetry, which is 0 there; nan else.
    """

    name: str
    table: Array
    moments: Array
    events: tuple[Event, ...]
    stopped: str
    parent: str = ""
    is_vertical: bool = False
    beside: float = math.nan

    @property
    def is_complete(self) -> bool:
        """Whether it was followed to its end, or as far as that makes sense."""
        return self.stopped.startswith((END, UNIFORM_STATE, EVEN, CROSSING, VERTICAL))

    def column(self, name: str) -> Array:
        """One column of the table, (points,)."""
        return np.asarray(self.table[:, COLUMNS.index(name)])

    @property
    def stable(self) -> Array:
        """(points,) whether all eigenvalues but rotations have negative real parts."""
        return np.asarray(self.column("leading") < -NEUTRAL)


@dataclass(frozen=True)
class Diagram:
    """A bifurcation diagram.

    Attributes:
        equation: the equation at the start of the interval.
        parameter: "kappa", or a number of the interaction.
        interval: from, to.
        branches: the uniform one first, where there is one (no potential).
        critical: values of the parameter in the interval where the uniform state changes its
            stability, from the computed spectrum; another symmetry than axial: where one of its
            harmonics does.
        symmetry: of all states.
    """

    equation: Equation
    parameter: str
    interval: tuple[float, float]
    branches: tuple[Branch, ...]
    critical: tuple[float, ...]
    symmetry: Symmetry = AXIAL

    @property
    def order_name(self) -> str:
        """What the order parameter of states without a mean is called."""
        return f"c_{self.symmetry.degree}"

    @property
    def uniform(self) -> Branch | None:
        """The uniform branch; None: there is none (a potential, matrices)."""
        return self.branches[0] if self.branches[0].name == "uniform" else None

    @property
    def others(self) -> tuple[Branch, ...]:
        """The branches that are not uniform."""
        return self.branches if self.uniform is None else self.branches[1:]

    def events(self, kind: str) -> tuple[Event, ...]:
        """All special points of a kind, branch by branch."""
        return tuple(e for b in self.branches for e in b.events if e.kind == kind)
