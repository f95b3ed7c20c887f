"""A density of narrow Gaussians: its field file has the points by which they are summed."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from meanfield.analysis.columns import GaussianView
from meanfield.case.gaussians import WIDEST
from meanfield.dynamics.clusters import cluster_labels
from meanfield.dynamics.gaussians import GaussianSolver
from meanfield.errors import InputError
from meanfield.geometry.mesh import IntArray
from meanfield.runs.tracks.tokens import TokenTrack

__all__ = ["GaussianTrack"]

_INSTEAD = "expected a mesh (solver.type = 'implicit'), or 'particles'"
_CURVED = 0.2
"""Share of a field that is not affine from which on variances are wrong by some percent."""


class GaussianTrack(TokenTrack):
    """Gaussians with their clusters; points of one Gaussian are of one cluster."""

    solver: GaussianSolver
    _widest: float = 0.0  # largest share that is not affine
    _curved_from: float | None = None

    def view(self) -> GaussianView:
        return GaussianView(self.solver, self._clusters)

    def _clusters(self) -> IntArray:
        if self._labels is None or self._labels[0] != self.solver.t:
            labels = cluster_labels(self.solver.centres, self.angle)
            self._labels = (self.solver.t, np.repeat(labels, self.solver.copies))
        return self._labels[1]

    def _pair_law(self, bins: int) -> NoReturn:
        raise InputError(
            f"output.pairs: found {bins} with Gaussians, of which few points are known; expected "
            "0, or another solver"
        )

    def note(self) -> None:
        super().note()
        share = self.view().nonaffine
        if share > _CURVED and self._curved_from is None:
            self._curved_from = self.solver.t
        self._widest = max(self._widest, share)

    def _centred_notes(self) -> list[str]:
        return []

    def about(self) -> dict[str, object]:
        return {**super().about(), "gaussians": len(self.solver.masses)}

    def outcome(self) -> tuple[dict[str, object], list[str]]:
        before, since = self.before, self._curved_from
        earlier, first = before.get("largest_nonaffine"), before.get("curved_from")
        widest = max(self._widest, float(earlier) if isinstance(earlier, float) else 0.0)
        if isinstance(first, int | float):
            since = float(first)
        first, wide = before.get("wide_from"), self.solver.wide_from
        if isinstance(first, int | float):
            wide = float(first)
        record: dict[str, object] = {
            "rejected_steps": self.solver.rejected,
            "largest_nonaffine": widest,
            "curved_from": since,
            "wide_from": wide,
        }
        notes = []
        if wide is not None:
            notes.append(
                f"from t = {wide:.4g} on a cluster has variances that sum to more than {WIDEST:g}: "
                "too wide for a Gaussian, whose error shows in no column any more (0.3 % to 27 % "
                f"were measured); {_INSTEAD}"
            )
        if since is not None:
            notes.append(
                f"from t = {since:.4g} on, up to {widest:.0%} of the velocity within a cluster is "
                "not affine: it is too wide for a Gaussian, and variances are wrong by some "
                f"percent; {_INSTEAD}"
            )
        return record, notes
