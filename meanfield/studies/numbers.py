"""How many particles a comparison is of, and how those of a reference are divided.

Of N particles that stand for the limit the first are the points of distances; the others make the
floor, for each replica a block of its own, so that floors are as independent as clouds are.
"""

from __future__ import annotations

import numbers as abstract

from meanfield.case import Case, Particles
from meanfield.errors import InputError

__all__ = [
    "EXACT",
    "FAST",
    "MANY",
    "checked_integer",
    "checked_numbers",
    "points_of",
    "usual_points",
]

MANY = 20_000
"""Particles for more than which there are as many points as particles, up to d = 4; the most
beyond, where a search is over all pairs."""
EXACT = 100_000
"""Particles for which a distance takes minutes, on surfaces."""
FAST = 4
"""Dimension up to which searches are not over all pairs."""

_FEWEST, _MOST = 2_000, 10_000  # points that stand for the reference in a distance
_LARGEST = 1_000_000  # all clouds are kept on disk; distances of more than 100 000 are of a part
_KEPT = "all clouds are kept on disk"
_LONG = "a distance takes 10 s for 10 000 particles in d > 4, and minutes for more than 20 000"


def usual_points(n: int) -> int:
    """Points that stand for the reference when n <= ``MANY`` particles are compared."""
    return min(max(4 * n, _FEWEST), _MOST)


def points_of(total: int, n: int, d: int) -> int:
    """Of ``total`` particles of a reference: points when n are compared. At most half of all."""
    return min(_wanted(n, d), total // 2)


def _wanted(n: int, d: int) -> int:
    return n if n > MANY and d <= FAST else usual_points(n)


def checked_integer(name: str, value: object, low: int, high: int, why: str) -> int:
    """A whole number in [low, high]; ``why`` there are such bounds."""
    if (
        isinstance(value, bool)
        or not isinstance(value, abstract.Integral)
        or not low <= int(value) <= high
    ):
        raise InputError(f"{name} = {value} found, {low} to {high} expected ({why})")
    return int(value)


def checked_numbers(
    case: Case, numbers: tuple[int, ...], replicas: int, reference: int | None, distances: bool
) -> tuple[tuple[int, ...], int | None]:
    """Numbers of particles in order, and that of the reference if particles are the reference.

    Args:
        case: what clouds are compared with.
        numbers: of the clouds.
        replicas: clouds of each number.
        reference: as asked for; None: as many as are needed.
        distances: whether there are any.

    Raises:
        InputError: there are none, too few or too many.
    """
    if not numbers:
        raise InputError("no number of particles found, at least one expected, as in 250 1000 4000")
    d = case.geometry.d
    far = distances and d > FAST and not case.geometry.manifold.latitudes
    most, why = (MANY, _LONG) if far else (_LARGEST, _KEPT)
    found = tuple(
        sorted({checked_integer("number of particles", n, 2, most, why) for n in numbers})
    )
    if isinstance(case.solver, Particles):
        return found, _reference(found[-1], replicas, reference, d, distances)
    if reference is not None:
        raise InputError(
            f"reference = {reference} found, none expected: solver.type '{case.solver.type}' "
            "makes a density, which is the reference"
        )
    return found, None


def _reference(n: int, replicas: int, asked: int | None, d: int, distances: bool) -> int:
    """Particles of the reference for up to n in a cloud: blocks for all floors, and points."""
    all_clouds = replicas * n
    usual = all_clouds + (_wanted(n, d) if distances else all_clouds)
    if asked is None and usual <= _LARGEST:
        return usual
    least = min(usual, 2 * all_clouds) if distances else 2 * n
    why = f"twice the {n} particles of a cloud, at least"
    if distances:
        why = (
            f"floors of {replicas} replicas are of {n} particles each, none of them in two, beside "
            "the points that clouds are measured to"
        )
    if least > _LARGEST:
        raise InputError(
            f"{replicas} replicas of {n} particles found, which need a reference of {least}: "
            f"expected fewer, for one of up to {_LARGEST}"
        )
    wanted = _LARGEST if asked is None else asked
    return checked_integer("reference", wanted, least, _LARGEST, why)
