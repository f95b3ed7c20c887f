"""Which cases may be compared, and what of them is not used.

Knows nothing of numbers, times and folders.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from meanfield.case import Case, FixedMesh, Lagrangian, Layers, Particles
from meanfield.case.masks import MatrixMask, refuse_mask
from meanfield.case.normalisation import refuse_normalisation
from meanfield.case.numbered import refuse_by_number
from meanfield.errors import InputError

__all__ = ["check_cases", "unused"]


def check_cases(case: Case, other: Case) -> None:
    """Refuse what cannot be compared.

    Args:
        case: what clouds are compared with.
        other: of the particles.

    Raises:
        InputError: with the reason.
    """
    for model in (case.model, other.model):
        if model.pretrained is not None:
            raise InputError(
                f"model.pretrained: found {model.pretrained.folder}, a comparison draws tokens "
                "from a law; expected attention"
            )
    sliced = isinstance(case.solver, Lagrangian) and case.solver.slices is not None
    if not (sliced or isinstance(case.solver, FixedMesh | Particles)):
        raise InputError(
            f"solver.type: '{case.solver.type}' found, a comparison needs a density on a mesh "
            "that stays, 'eulerian' or 'implicit'; one by position, 'lagrangian' with a mask; or "
            "'particles', of which many are the reference"
        )
    if not sliced:
        for model, who in (
            (case.model, "what particles are compared with"),
            (other.model, "the density that particles are compared with"),
        ):
            sliced_one = "a density by position (solver.type = 'lagrangian'), or no mask"
            refuse_mask(model, who, "no rope" if model.mask is None else sliced_one)
    for model in (case.model, other.model):
        if isinstance(model.mask, MatrixMask):
            raise InputError(
                'model.mask: found "matrix", which is of one number of tokens or slices, and a '
                "comparison has many; expected causal or alibi"
            )
        who = "what particles are compared with does not have"
        refuse_normalisation(model.normalisation, who, "'post'")
    if isinstance(other.solver, Layers):
        raise InputError(
            "solver.type: 'layers' found for the particles, which follow the flow: expected "
            "'particles' (or 'eulerian', for particles with default options)"
        )
    if other.geometry.d != case.geometry.d:
        raise InputError(
            f"particles in d = {other.geometry.d} found, those of the density in "
            f"d = {case.geometry.d} expected"
        )
    for one in (case, other):
        refuse_by_number(
            one.model,
            one.geometry.d,
            "which makes another model of each number of particles, so that clouds and what they "
            "are compared with are of different ones",
        )
        _refuse_simplex(one.solver)
        _refuse_paths(one.solver, tokens=isinstance(case.solver, Particles))


def unused(case: Case, other: Case) -> Iterator[str]:
    """What of two cases that may be compared is not used, in words."""
    found = {
        one.solver.tokens
        for one in (case, other)
        if isinstance(one.solver, Particles) and one.solver.tokens != "iid"
    }
    for tokens in sorted(found, key=str):
        what = f"tokens of {tokens}" if isinstance(tokens, Path) else f"'{tokens}' tokens"
        yield (
            f"solver.tokens: {what} are not used: clouds and their reference are independent draws "
            "of the law in [initial]"
        )


def _refuse_simplex(solver: object) -> None:
    if isinstance(solver, Particles) and solver.tokens == "equiangular":
        raise InputError(
            "solver.tokens: found 'equiangular', which are no independent draws of a law, as "
            "clouds of a comparison are; expected 'iid', whose law is that of [initial]"
        )


def _refuse_paths(solver: object, tokens: bool) -> None:
    """Refuse common noise of another path for each cloud; ``tokens``: these are the reference."""
    if not isinstance(solver, Particles) or not solver.common_noise:
        return
    found = f"solver.common_noise: found {solver.common_noise:g}"
    if not tokens:
        raise InputError(
            f"{found} for the particles, all of which move along one path, that the density they "
            "are compared with does not know; expected 0, or a case of tokens"
        )
    if solver.common_seed is None:
        raise InputError(
            f"{found} without common_seed: each cloud and the reference would follow a path of its "
            "own; expected solver.common_seed and dt, for one path of all, or no common noise"
        )
