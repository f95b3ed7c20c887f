"""What is told of the stability of a state: its leading eigenvalues, by kinds of perturbations."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meanfield.geometry.sphere import Array

__all__ = ["NEUTRAL", "Mode", "Spectrum"]

NEUTRAL = 1e-9
"""An eigenvalue of this size has no sign: at a critical value, or a rotation."""


@dataclass(frozen=True)
class Mode:
    """Eigenvalues of perturbations of one kind.

    Attributes:
        order: azimuthal order m about the axis of a symmetric state; -1: all perturbations (circle,
            sphere by Arnoldi iteration).
        eigenvalues: leading ones, by descending real part, without mass (its eigenvalue 0 does not
            move a probability) and without rotations.
        rotations: eigenvalues of the modes that only rotate the state: 0 but for discretisation,
            so that they tell the accuracy; empty for the uniform state.
        vector: (k,) coefficients of the leading f in the basis, for a symmetric state the harmonics
            of degrees order, order + 1, ...
    """

    order: int
    eigenvalues: NDArray[np.complex128]
    rotations: Array
    vector: Array


@dataclass(frozen=True)
class Spectrum:
    """Leading eigenvalues of the linearised equation at a stationary state.

    Attributes:
        modes: one for each azimuthal order, or one for all.
    """

    modes: tuple[Mode, ...]

    @classmethod
    def unknown(cls) -> Spectrum:
        """That of a state whose eigenvalues are not known: one of nan."""
        none: Array = np.zeros(0)
        return cls((Mode(-1, np.full(1, math.nan, dtype=np.complex128), none, none),))

    @property
    def is_known(self) -> bool:
        """Whether there are eigenvalues."""
        return not math.isnan(self.leading)

    @property
    def leading(self) -> float:
        """Largest real part, rotations left out: the state is linearly stable if it is negative."""
        return max(float(mode.eigenvalues[0].real) for mode in self.modes)

    @property
    def leading_mode(self) -> Mode:
        """The mode with the largest real part."""
        return max(self.modes, key=lambda mode: float(mode.eigenvalues[0].real))

    @property
    def rotation_error(self) -> float:
        """Largest |eigenvalue| of a rotation; nan where there is none."""
        found = [float(np.abs(mode.rotations).max()) for mode in self.modes if mode.rotations.size]
        return max(found, default=math.nan)

    @property
    def is_stable(self) -> bool:
        """Whether all perturbations but rotations decay (neutral to round-off is not stable)."""
        error = self.rotation_error
        return self.leading < -max(NEUTRAL, 0.0 if math.isnan(error) else 10.0 * error)
