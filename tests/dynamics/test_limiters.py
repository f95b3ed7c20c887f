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
from meanfield.dynamics.fluxes import exchange_rates, log_gradients
from meanfield.dynamics.limiters import LIMITERS, limit_at, limiter
from meanfield.dynamics.space import P1Space
from meanfield.dynamics.sweep import emit

Make = Callable[..., Any]

LIMITED = [name for name in LIMITERS if limiter(name).active]


def limited(name: str, forward: Any, along: Any) -> np.ndarray:
    """p by the compiled limiter."""
    p = np.full(forward.size, np.nan)
    _called(limiter(name).address, forward, along, p)
    return p


@nb.njit
def _called(address: int, forward: Any, along: Any, p: Any) -> None:
    limit_at(address, forward, along, p)


def swept(name: str, space: P1Space, rho: np.ndarray, xi: np.ndarray) -> np.ndarray:
    """Fluxes out of each vertex by the explicit sweep: (K, n)."""
    stars, n = space.stars, space.n_owned
    flux, chosen = np.zeros(stars.neighbour.size + 1), limiter(name)
    emit(
        stars.neighbour, stars.coefficient, stars.tangent, stars.gram, space.weights, rho,
        np.log(rho), xi, np.empty((0, n)), 0.0, chosen.active, chosen.address, flux, np.empty(n),
        np.empty(n),
    )  # fmt: skip
    return flux[:-1].reshape(stars.neighbour.shape)


def exchanged(name: str, space: P1Space, rho: np.ndarray, xi: np.ndarray) -> np.ndarray:
    """Fluxes into each vertex by the rates of the implicit fluxes, without diffusion: (K, n)."""
    stars, n = space.stars, space.n_owned
    gradient, chosen = np.empty((2, n)), limiter(name)
    log_gradients(stars.neighbour, stars.tangent, stars.gram, np.log(rho), gradient)
    back = np.zeros(stars.tangent.shape, dtype=np.float32)
    for k in range(back.shape[0]):
        real = stars.neighbour[k] != np.arange(n)
        there, here = space.points[stars.neighbour[k, real]], space.points[:n][real]
        back[k][:, real] = space.manifold.tangents(there, here).T
    arriving, leaving = np.empty(stars.coefficient.shape), np.empty(n)
    exchange_rates(
        stars.neighbour, stars.coefficient, stars.tangent, back, xi, np.empty((0, n)), 0.0,
        chosen.active, chosen.address, math.inf, np.log(rho), gradient, arriving, leaving,
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
    rng = np.random.default_rng(0)
    forward, along = 3.0 * rng.standard_normal((2, 1001))
    written = np.full(1001, np.nan)
    LIMITERS[name](forward, along, written)
    assert limited(name, forward, along).tobytes() == written.tobytes()


@pytest.mark.parametrize("name", LIMITED)
def test_what_every_limiter_keeps(name: str) -> None:
    rng = np.random.default_rng(1)
    forward, along = 5.0 * rng.standard_normal((2, 1000))
    np.testing.assert_allclose(limited(name, forward, forward), forward, rtol=1e-14)  # linear
    p = limited(name, forward, along)
    np.testing.assert_array_equal(limited(name, -forward, -along), -p)
    assert np.all(limited(name, np.zeros(9), np.zeros(9)) == 0.0)
    # At most twice the difference itself, but for the allowance that smooth peaks have.
    assert np.all(np.abs(p) <= 2.0 * np.abs(forward) + 1.0)


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
    assert np.all(limited[crossing] >= 0.6 * upwind[crossing])  # e^{-1/2}: the allowance
    assert np.all(limited[crossing] <= upwind[crossing])


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
