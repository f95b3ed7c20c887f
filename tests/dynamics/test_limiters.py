"""The limiters: all that there are, the same for both users, and what is lost without one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

import numba as nb
import numpy as np
import pytest
from convergence import rates

from meanfield.case import Eulerian, Implicit
from meanfield.dynamics.fluxes import exchange_rates
from meanfield.dynamics.limiters import LIMITERS, limit_at, limiter, room
from meanfield.dynamics.slopes import star_rooms, star_slopes
from meanfield.dynamics.space import P1Space
from meanfield.dynamics.sweep import emit

Make = Callable[..., Any]

LIMITED = [name for name in LIMITERS if limiter(name).active]


def limited(name: str, *of: np.ndarray) -> np.ndarray:
    """p by the compiled limiter, of forward, along, low, high and room."""
    p = np.full(of[0].size, np.nan)
    _called(limiter(name).address, *of, p)
    return p


@nb.njit
def _called(address: int, forward: Any, along: Any, low: Any, high: Any, room: Any, p: Any) -> None:
    limit_at(address, forward, along, low, high, room, p)


def edges(rng: np.random.Generator, n: int, size: float) -> list[np.ndarray]:
    """Random forward and along, on stars that reach as far as forward or farther, with rooms."""
    forward, along = size * rng.standard_normal((2, n))
    low = np.minimum(forward, 0.0) - size * rng.exponential(size=n) * rng.integers(0, 2, n)
    high = np.maximum(forward, 0.0) + size * rng.exponential(size=n) * rng.integers(0, 2, n)
    return [forward, along, low, high, rng.random(n) * rng.integers(0, 2, n)]


def slopes_of(name: str, space: P1Space, rho: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient, low, high and room of a density, (5, n), and its curvature."""
    stars, own = space.stars, np.empty((5, space.n_owned))
    star_slopes(stars.neighbour, stars.tangent, stars.gram, np.log(rho), own)
    curvature, own[4] = own[4].copy(), 0.0
    if limiter(name).curved:
        star_rooms(stars.neighbour, curvature, own[4])
    return own, curvature


def swept(name: str, space: P1Space, rho: np.ndarray, xi: np.ndarray) -> np.ndarray:
    """Fluxes out of each vertex by the explicit sweep: (K, n)."""
    stars, n = space.stars, space.n_owned
    flux, chosen = np.zeros(stars.neighbour.size + 1), limiter(name)
    curvature = slopes_of(name, space, rho)[1] if chosen.curved else np.empty(0)
    emit(
        stars.neighbour, stars.coefficient, stars.tangent, stars.gram, space.weights, rho,
        np.log(rho), xi, np.empty((0, n)), 0.0, chosen.active, chosen.address, curvature,
        np.empty_like(curvature), flux, np.empty(n), np.empty(n),
    )  # fmt: skip
    return flux[:-1].reshape(stars.neighbour.shape)


def exchanged(name: str, space: P1Space, rho: np.ndarray, xi: np.ndarray) -> np.ndarray:
    """Fluxes into each vertex by the rates of the implicit fluxes, without diffusion: (K, n)."""
    stars, n = space.stars, space.n_owned
    slopes, chosen = slopes_of(name, space, rho)[0], limiter(name)
    back = np.zeros(stars.tangent.shape, dtype=np.float32)
    for k in range(back.shape[0]):
        real = stars.neighbour[k] != np.arange(n)
        there, here = space.points[stars.neighbour[k, real]], space.points[:n][real]
        back[k][:, real] = space.manifold.tangents(there, here).T
    arriving, leaving = np.empty(stars.coefficient.shape), np.empty(n)
    exchange_rates(
        stars.neighbour, stars.coefficient, stars.tangent, back, xi, np.empty((0, n)), 0.0,
        chosen.active, chosen.address, math.inf, np.log(rho), slopes, arriving, leaving,
    )  # fmt: skip
    return arriving * rho[stars.neighbour]


# ------------------------------------------------------------------ the registry


@pytest.mark.parametrize("solver", [Eulerian, Implicit])
def test_each_scheme_of_a_case_has_a_limiter(solver: type) -> None:
    schemes = get_args(get_type_hints(solver)["scheme"])
    assert len(schemes) > 1
    assert set(schemes) <= set(LIMITERS)
    assert sorted(limiter(scheme).active for scheme in schemes)[0] is False


def test_each_limiter_can_be_chosen() -> None:
    schemes = {s for kind in (Eulerian, Implicit) for s in get_args(get_type_hints(kind)["scheme"])}
    assert schemes == set(LIMITERS)
    assert {limiter(name).active for name in LIMITERS} == {True, False}


def test_an_unknown_limiter() -> None:
    with pytest.raises(KeyError):
        limiter("none such")


@pytest.mark.parametrize("name", LIMITERS)
def test_compiled_as_written(name: str) -> None:
    of = edges(np.random.default_rng(0), 1001, 3.0)
    written = np.full(1001, np.nan)
    LIMITERS[name](*of, written)
    assert limited(name, *of).tobytes() == written.tobytes()


@pytest.mark.parametrize("name", LIMITED)
def test_what_every_limiter_keeps(name: str) -> None:
    forward, along, low, high, space = edges(np.random.default_rng(1), 1000, 5.0)
    reach = np.abs(forward)
    np.testing.assert_allclose(
        limited(name, forward, forward, -reach, reach, space), forward, rtol=1e-14
    )  # linear
    p = limited(name, forward, along, low, high, space)
    np.testing.assert_array_equal(limited(name, -forward, -along, -high, -low, space), -p)
    assert np.all(limited(name, *np.zeros((5, 9))) == 0.0)
    # At most twice the difference itself, and twice one back to the star, but for the room.
    assert np.all(np.abs(p) <= (2.0 * np.abs(forward) + space) * (1.0 + 1e-15))
    up, down = p - space > 1e-14, p + space < -1e-14
    assert np.all(p[up] - space[up] <= -2.0 * low[up] + 1e-14)
    assert np.all(p[down] + space[down] >= -2.0 * high[down] - 1e-14)


def test_the_room_of_curvatures() -> None:
    # Mixed signs, or one more than six times another: none. Else twice the least, at most 1; less
    # from where the largest is five times the least.
    for least, most, expected in (
        (-0.1, 0.1, 0.0), (0.0, 0.3, 0.0), (0.1, 0.6, 0.0), (0.1, 0.7, 0.0), (0.1, 0.5, 0.2),
        (0.1, 0.55, 0.1), (0.1, 0.1, 0.2), (-0.3, -0.2, 0.4), (-0.55, -0.1, 0.1), (0.8, 0.9, 1.0),
        (-20.0, -9.0, 1.0),
    ):  # fmt: skip
        assert room(least, most) == pytest.approx(expected, abs=1e-15), (least, most)


# ------------------------------------------------------------------ the two users


@pytest.mark.parametrize("name", LIMITERS)
@pytest.mark.parametrize(
    "which", [("unstructured", 700), ("circle", 60, 2), ("zonal", 50, 3)], ids=lambda w: w[0]
)
def test_both_users_have_the_same_difference(which: Any, name: str, make_space: Make) -> None:
    # e^{p/2} is what they make of it; the sweep has it to 1e-8. More vertices than one block has.
    space = make_space(*which)
    rng = np.random.default_rng(2)
    rho, xi = np.exp(3.0 * rng.standard_normal(space.n_owned)), rng.standard_normal(space.n_owned)
    out, into = swept(name, space, rho, xi), exchanged(name, space, rho, xi)
    emitted = np.append(out.ravel(), 0.0)[space.stars.reverse]
    assert np.count_nonzero(into) * 2 == np.count_nonzero(space.stars.coefficient)
    np.testing.assert_allclose(into, emitted, rtol=1e-7)
    # A front: differences are kept within the same bound.
    rho[::3] *= 1e-200
    out, into = swept(name, space, rho, xi), exchanged(name, space, rho, xi)
    np.testing.assert_allclose(into, np.append(out.ravel(), 0.0)[space.stars.reverse], rtol=1e-7)


@pytest.mark.parametrize("name", LIMITED)
@pytest.mark.parametrize("user", [swept, exchanged])
def test_mass_leaves_a_front(user: Any, name: str, make_space: Make) -> None:
    """What only a limiter gives: beside a jump an extrapolated edge density is next to nothing."""
    space = make_space("circle", 60, 2)
    angle = np.arctan2(space.points[:, 1], space.points[:, 0])
    rho, xi = np.where(np.cos(angle) > 0.0, 1.0, 1e-12), -np.cos(angle)  # pushed out of the half
    limited, upwind = user(name, space, rho, xi), user("upwind", space, rho, xi)
    crossing = (rho[space.stars.neighbour] < 1.0) & (rho > 0.5) if user is swept else (
        (rho[space.stars.neighbour] > 0.5) & (rho < 1.0)
    )  # fmt: skip
    crossing &= upwind > 0.0
    assert np.count_nonzero(crossing) == 2
    assert np.all(limited[crossing] >= (1.0 - 1e-14) * upwind[crossing])
    assert np.all(limited[crossing] <= (1.0 + 1e-14) * upwind[crossing])


def moved(user: str, name: str, space: P1Space) -> float:
    """d/dt of the mean of a smooth function, for a smooth density in a smooth potential."""
    angle = np.arctan2(space.points[:, 1], space.points[:, 0])
    rho, xi, f = np.exp(np.cos(angle - 1.0)), np.sin(2.0 * angle), np.cos(angle)
    if user == "sweep":
        out = swept(name, space, rho, xi)
        return float(np.sum(out * (f[space.stars.neighbour] - f)))
    into = exchanged(name, space, rho, xi)
    return float(np.sum(into * (f - f[space.stars.neighbour])))


@pytest.mark.parametrize("user", ["sweep", "fluxes"])
def test_second_order_is_the_limiters(user: str, make_space: Make) -> None:
    angle = np.linspace(-np.pi, np.pi, 4096, endpoint=False)
    exact = np.mean(
        np.exp(np.cos(angle - 1.0)) * 2.0 * np.cos(2.0 * angle) * -np.sin(angle)
    )  # int rho xi' f' dsigma
    found = {}
    for name in LIMITERS:

        def error(n: int, name: str = name) -> float:
            return float(abs(moved(user, name, make_space("circle", n, 2)) - exact))

        found[name] = rates(error, (80, 160, 320))
    for name in LIMITERS:
        if limiter(name).active:
            found[name].check(1.8, math.inf, 0.1 * found["upwind"].errors[-1])
        else:
            found[name].check(0.85, 1.15, math.inf)
