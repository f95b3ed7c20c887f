"""What a zonal kernel W(<x, y>) is: a few numbers in a case file, and the values they stand for.

A new kernel is a file with a subclass of ``Kernel``, made by ``options`` (its numbers; ``lam`` and
W with two derivatives) and a line in the registry (``kernels/__init__``). Knows nothing of
measures, of dimensions until it is asked, and of solvers.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal

import numpy as np

from meanfield.geometry.manifolds import Manifold
from meanfield.geometry.sphere import Array
from meanfield.interaction.parts import Parts
from meanfield.options import Field, Rate, Varied, as_table, options

__all__ = ["Kernel", "Link"]

Link = Literal["identity", "log"]


@options("model.interaction", kw_only=True)
class Kernel(Varied, ABC):
    """An interaction by W(<x, y>): X = grad xi with xi = ``strength`` times link(W * mu).

    With the identity it is the Wasserstein gradient flow of F = -1/2 iint W dmu dmu (+ kappa H):
    where W is large, mass gathers. With "log" the velocity is normalised by W * mu, as attention
    is; W must be positive then.

    Raises:
        InputError: a value out of its range, by the key in a case file.
    """

    type: str
    strength: Annotated[
        Rate, Field(ge=-1e6, le=1e6, description="Factor of W; negative: repulsive.")
    ] = 1.0
    link: Annotated[
        Link,
        Field(description='"identity", or "log", which normalises the velocity as attention does.'),
    ] = "identity"

    near: ClassVar[float | None] = 0.0
    """Largest power of 1/|x - y| in W'; None: unknown."""
    far: ClassVar[float | None] = 0.0
    """The same of 1/|x + y|."""
    smooth: ClassVar[bool] = True
    """Whether W may have no singularity or kink in t, so that its series ends at round-off."""
    compiled: ClassVar[bool] = False
    """Whether sums over pairs are compiled, with all derivatives."""
    capped: ClassVar[bool] = True
    """Whether its series is cut at what a mesh resolves."""

    # ---- W ---------------------------------------------------------------------------------------

    @abstractmethod
    def lam(self, degree: int, d: int) -> Array:
        """lam_l = int W P_l dsigma on S^{d-1}, l = 0..degree, times e^{-log_scale}."""

    @abstractmethod
    def w(self, t: Array, u: Array, d: int) -> Array:
        """W(t) e^{-log_scale}, with u = 1 - t to full precision; any shape."""

    @abstractmethod
    def dw(self, t: Array, u: Array, d: int) -> Array:
        """W'(t) e^{-log_scale}/unit."""

    @abstractmethod
    def ddw(self, t: Array, u: Array, d: int) -> Array:
        """W''(t) e^{-log_scale}/unit."""

    @property
    def log_scale(self) -> float:
        """log of the factor taken out of all values, for those that no double holds."""
        return 0.0

    @property
    def unit(self) -> float:
        """What W - lam_0 is divided by in potentials: a limit W/unit may exist where W has none."""
        return 1.0

    def multipliers(self, degree: int, d: int) -> Array:
        """lam_l/unit for l >= 1, 0 for l = 0: coefficients of (W - lam_0)/unit."""
        lam = self.lam(degree, d) / self.unit
        lam[0] = 0.0
        return lam

    def ends(self, d: int) -> Array:
        """W(-1) and W next to 1."""
        return self.w(np.array([-1.0, 1.0 - 1e-12]), np.array([2.0, 1e-12]), d)

    def positive(self, d: int) -> bool:
        """Whether W > 0 (here and there it may vanish)."""
        u = 2.0 * np.sin(0.5 * np.linspace(1e-3, math.pi, 2001)) ** 2
        return bool(np.all(self.w(1.0 - u, u, d) >= 0.0))

    def contrast(self, d: int) -> float:
        """Smallest over largest value of W, from its ends."""
        ends = self.ends(d)
        return float(np.clip(np.min(ends) / np.max(ends), 0.0, 1.0)) if np.max(ends) > 0.0 else 0.0

    def hollow(self, d: int) -> bool:
        """Whether W is smallest at the mass itself."""
        ends = self.ends(d)
        return bool(ends[1] < ends[0])

    def bounded(self, d: int) -> bool:
        """Whether W(1) is finite."""
        return bool(np.isfinite(self.w(np.ones(1), np.zeros(1), d)[0]))

    def degree(self, tolerance: float, d: int) -> int | None:
        """Smallest degree beyond which the series adds less than ``tolerance``, if known."""
        return None

    def sharpness(self, d: int) -> float | None:
        """1/width^2 of the smallest cluster; None: from the series."""
        if self.near != 0.0:
            return None
        slope, bend = (float(f(np.ones(1), np.zeros(1), d)[0]) for f in (self.dw, self.ddw))
        return 1.0 + abs(bend / slope) if slope != 0.0 else None

    # ---- sums over pairs -------------------------------------------------------------------------

    def sums(
        self, x: Array, y: Array, m: Array, on: Manifold, base: float, order: int, value: bool
    ) -> Parts:
        """Direct sums over all pairs, see ``pairs.kernel_sums``."""
        from meanfield.interaction.pairs import kernel_sums  # compiled: only where it is needed

        return kernel_sums(self, x, y, m, on, base, order, value)

    # ---- as an interaction -----------------------------------------------------------------------

    @property
    def kernel(self) -> Kernel:
        """Itself: see ``interaction.Term``."""
        return self

    @property
    def gain(self) -> float:
        """xi over the link of (W * mu - lam_0)/unit."""
        return self.strength * self.unit

    @property
    def energy_factor(self) -> float:
        """E over 1/2 iint (W - lam_0)/unit dmu dmu: E = strength/2 iint W (log: without it)."""
        return self.gain if self.link == "identity" else self.unit

    def uniform_energy(self, lam0: float) -> float:
        """E of the uniform measure, scaled; ``lam0`` is the scaled lam_0."""
        return 0.5 * lam0 * (self.strength if self.link == "identity" else 1.0)

    @property
    def energy_label(self) -> str:
        """How a scaled energy is written."""
        return "E"

    def describe(self) -> str:
        """A few words."""
        words = [
            self.type,
            *(f"{k} = {v:g}" for k, v in self.parameters.items() if k != "strength"),
        ]
        if self.strength != 1.0:
            words.append(f"strength = {self.strength:g}")
        if self.link != "identity":
            words.append(f"{self.link} link")
        return ", ".join(words)

    @property
    def columns(self) -> dict[str, object]:
        """What names it in a table: single numbers and words."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        plain = {k: v for k, v in values.items() if isinstance(v, str | int | float)}
        return {"model": plain.pop("type"), **plain}

    def refuse_overflow(self, highest: float = 600.0) -> None:  # few have to
        """Refuse velocities that are no doubles.

        Raises:
            InputError: they are not.
        """

    def table(self) -> dict[str, object]:
        """As the table [model.interaction] of a case file."""
        return as_table(self)
