"""Heads and potentials beside nonlinear diffusion: against sums over pairs, on every geometry."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize
from scipy.special import ive

import meanfield as mf
from meanfield import cli
from meanfield.errors import MeanfieldWarning
from meanfield.geometry.laws import VonMisesFisher
from meanfield.geometry.manifolds import CircleGrid, SphereGrid
from meanfield.interaction.composite import KINDS, HeadMatrices
from meanfield.interaction.composite.gibbs import GibbsHeads
from meanfield.interaction.external import External
from meanfield.interaction.kernels import Power
from meanfield.steady.equation import Equation
from meanfield.steady.newton import find_stationary
from meanfield.steady.spectrum import arnoldi_spectrum, spectrum
from meanfield.steady.state import StationaryState
from meanfield.steady.turned import TurnedState
from meanfield.steady.verbs import verdict

Array = NDArray[np.float64]
Head = tuple[tuple[float, ...], float]
"""A diagonal A, and c of V = c A."""


def heads(kind: str, *pairs: Head) -> GibbsHeads:
    """Heads A with V = c A."""
    made = tuple(HeadMatrices(np.diag(a), c * np.diag(a)) for a, c in pairs)
    return GibbsHeads(made, KINDS[kind](), len(pairs[0][0]))


def along(d: int) -> VonMisesFisher:
    return VonMisesFisher(tuple(np.eye(d)[-1]), 3.0)


def smooth_nodes(ends: list[float], n: int = 60) -> tuple[Array, Array]:
    """Nodes and weights in an angle, as for functions of roots of the distance to all ends."""
    v, w = np.polynomial.legendre.leggauss(n)
    v, w = 0.5 * (1.0 + v), 0.5 * w
    parts = [(a + (b - a) * v * v * (3.0 - 2.0 * v), (b - a) * 6.0 * v * (1.0 - v) * w)
             for a, b in pairwise(ends)]  # fmt: skip
    x, lengths = (np.concatenate(column) for column in zip(*parts, strict=True))
    return x, lengths


def rule(state: StationaryState) -> tuple[Array, Array, Callable[[Array], Array]]:
    """Angles with weights of the uniform measure, split at edges, and the kernel of a diagonal A.

    Zonal: e^{<A x, y>} averaged over a turn about e_3.
    """
    parts = state.point.parts
    edges = [] if parts is None else [float(x) for x in parts.ends.ravel()]
    if state.grid.d == 2:
        ends = {0.5 * math.pi, 1.5 * math.pi, *(x % (2.0 * math.pi) for x in edges)}
        theta, w = smooth_nodes([0.0, *sorted(ends), 2.0 * math.pi])
        x = np.stack([np.cos(theta), np.sin(theta)], axis=1)
        return theta, w / (2.0 * math.pi), lambda a: np.asarray(np.exp(x @ np.diag(a) @ x.T))
    theta, w = smooth_nodes(sorted({0.0, math.pi, *edges}))
    s, t = np.sin(theta), np.cos(theta)

    def turned(a: Array) -> Array:
        across = a[0] * np.outer(s, s)
        return np.asarray(ive(0, across) * np.exp(np.abs(across) + a[2] * np.outer(t, t)))

    return theta, 0.5 * w * s, turned


ROUND: Head = ((1.0, 1.0, 1.0), 0.5)
TWO: tuple[Head, ...] = (((0.6, 0.6, 1.4), 1.0), ((0.5, 0.5, -1.0), 0.5))
FLAT: tuple[Head, ...] = (((0.6, 1.4), 1.0), ((0.5, -1.0), 0.5))
BESIDE: list[tuple[str, tuple[Head, ...], float, float]] = [
    *(("usa", pairs, m, kappa) for pairs in (TWO, FLAT)
      for m, kappa in ((2.0, 0.2), (3.0, 0.2), (0.5, 0.3))),
    ("usa", (ROUND, TWO[0]), 2.0, 0.2),
    ("sa", (((1.0, 1.0, 2.0), 0.5),), 2.0, 0.1),
    ("sa", (((1.0, 2.0), 0.5),), 3.0, 0.1),
    ("sa", (((1.0, 1.0, 6.0), -0.2),), 2.0, 0.1),
    ("sa", (((1.0, 4.0), -0.3),), 2.0, 0.1),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "pairs", "m", "kappa"), BESIDE)
def test_states_by_sums_over_pairs(
    kind: str, pairs: tuple[Head, ...], m: float, kappa: float
) -> None:
    """kappa H'(rho) = xi - c on the support and xi < c beyond; energies, of the uniform one too."""
    d = len(pairs[0][0])
    geometry = "circle" if d == 2 else "zonal"
    state = find_stationary(Equation(heads(kind, *pairs), kappa, d, m=m), along(d), geometry)
    assert state.residual < 1e-13 and not state.is_uniform
    assert (state.point.parts is not None) == (m > 1.0)
    theta, w, kernel = rule(state)
    x = np.stack([np.cos(theta), np.sin(theta)], axis=1) if d == 2 else theta[:, None]
    rho = state.density(x)
    masses, z = w * rho, [kernel(np.array(a)) for a, _ in pairs]
    assert masses.sum() == pytest.approx(1.0, abs=1e-10)
    factors = [c for _, c in pairs]

    def energy(mu: Array) -> float:
        return sum(0.5 * c * float(mu @ one @ mu) for c, one in zip(factors, z, strict=True))

    assert state.energy == pytest.approx(energy(masses), rel=1e-9)
    assert state.energy_excess == pytest.approx(energy(masses) - energy(w), rel=1e-8)
    entropy = float(w @ (rho**m - rho)) / (m * (m - 1.0))
    assert state.entropy == pytest.approx(entropy, rel=1e-8)
    if kind == "sa":
        xi = factors[0] * np.log(z[0] @ masses)
        assert math.isnan(state.free_energy_excess)
    else:
        xi = np.sum([c * (one @ masses) for c, one in zip(factors, z, strict=True)], axis=0)
        free = kappa * entropy - energy(masses) + energy(w)
        assert state.free_energy_excess == pytest.approx(free, rel=1e-8)
    inside = rho > 0.0
    level = xi[inside] - kappa * rho[inside] ** (m - 1.0) / (m - 1.0)
    assert np.ptp(level) < 1e-8 * np.ptp(xi)
    assert np.all(xi[~inside] < level.mean() + 1e-8 * np.ptp(xi))
    assert inside.all() == (m < 1.0)


# ------------------------------------------------------------------ on S^2

FIELD = External(3, (), mf.LinearPotential(field=(0.0, 0.0, 0.1)))
TIED = [
    Equation(Power(k=1), 0.2, 3, FIELD, m=2.0),
    Equation(heads("usa", TWO[0]), 0.15, 3, m=2.0),
    Equation(heads("usa", *TWO), 0.2, 3, FIELD, m=3.0),
    Equation(heads("sa", ((1.0, 1.0, 2.0), 0.5)), 0.1, 3, m=2.0),
]


@pytest.mark.parametrize("equation", TIED)
@pytest.mark.parametrize("axis", [(0.0, 0.0, 1.0), (0.6, 0.0, 0.8)])
def test_on_the_sphere_about_the_axis_of_the_model(
    equation: Equation, axis: tuple[float, ...], recwarn: pytest.WarningsRecorder
) -> None:
    """All of its zonal form, from any law: energies and eigenvalues, too, and nothing is warned."""
    zonal = find_stationary(equation, along(3))
    state = find_stationary(equation, VonMisesFisher(axis, 3.0), "sphere")
    assert isinstance(state, TurnedState) and state.residual < 1e-13
    assert state.mean == pytest.approx(zonal.mean, abs=1e-12) and zonal.mean_norm > 0.5
    assert state.c2 == pytest.approx(zonal.c2, abs=1e-12)
    for name in ("energy", "energy_excess", "entropy", "free_energy_excess"):
        expected = pytest.approx(getattr(zonal, name), abs=1e-11, nan_ok=True)
        assert getattr(state, name) == expected
    assert spectrum(state).leading == pytest.approx(spectrum(zonal).leading, rel=1e-8)
    assert not recwarn.list


def test_a_cap_in_a_field() -> None:
    """m = 2, W = t, U = -h t: (1 - s)^2 (|m| + h) = 4 kappa, |m| = (2 + s)/3, s its edge."""
    kappa, h = 0.2, 0.1
    s = optimize.brentq(
        lambda s: (1.0 - s) ** 2 * ((2.0 + s) / 3.0 + h) - 4.0 * kappa, -1.0, 1.0, xtol=1e-15
    )
    mean = (2.0 + s) / 3.0
    state = find_stationary(TIED[0], along(3), "sphere")
    assert state.mean == pytest.approx([0.0, 0.0, mean], abs=1e-13)
    energy = 0.5 * mean**2 + h * mean
    assert state.energy == pytest.approx(energy, abs=1e-13)
    assert state.entropy == pytest.approx(4.0 / (3.0 * (1.0 - s)) - 0.5, abs=1e-13)
    assert state.free_energy_excess == pytest.approx(kappa * state.entropy - energy, abs=1e-13)


def test_a_reflection_is_turned_about_its_own_axis_only() -> None:
    """<A x, y> with A = diag(1, 1, -1): for a state about e_1 what the identity is, about e_3 not.

    Half a turn about e_3 is the identity for states about e_3.
    """
    same = find_stationary(Equation(heads("usa", ((1.0, 1.0, 1.0), 1.0)), 0.15, 3, m=2.0), along(3))
    mirror = Equation(heads("usa", ((1.0, 1.0, -1.0), 1.0)), 0.15, 3, m=2.0)
    assert mirror.is_free and not mirror.is_isotropic
    with pytest.warns(MeanfieldWarning, match="is not symmetric about e_3 together with the model"):
        state = find_stationary(mirror, VonMisesFisher((1.0, 0.0, 0.0), 3.0), "sphere")
    assert not isinstance(state, TurnedState)
    assert state.mean == pytest.approx([same.mean_norm, 0.0, 0.0], abs=3e-6)
    assert state.energy == pytest.approx(same.energy, abs=5e-6)
    assert state.free_energy_excess == pytest.approx(same.free_energy_excess, abs=1e-7)
    assert find_stationary(mirror, along(3), "sphere").is_uniform
    half = Equation(heads("usa", ((-1.0, -1.0, 1.0), 1.0)), 0.15, 3, m=2.0)
    state = find_stationary(half, along(3), "sphere")
    assert isinstance(state, TurnedState)
    assert state.mean == pytest.approx([0.0, 0.0, same.mean_norm], abs=1e-12)


TALL: tuple[Head, ...] = (((2.0, 1.0, -0.5), 0.5), ((0.5, 0.2, 1.0), 0.4))


@pytest.mark.parametrize(
    ("m", "kappa", "error"), [(2.0, 0.2, 1e-4), (2.0, 2.0, 1e-11), (0.5, 0.8, 1e-9)]
)
@pytest.mark.filterwarnings("ignore:the state has edges and is not symmetric")
def test_without_an_axis_by_sums_over_pairs(m: float, kappa: float, error: float) -> None:
    """To round-off without edges; nodes that do not keep to them leave errors, of sums here, too.

    Eigenvalues are not known there.
    """
    equation = Equation(heads("usa", *TALL), kappa, 3, m=m)
    state = find_stationary(equation, VonMisesFisher((0.6, 0.64, 0.48), 3.0), "sphere")
    assert not state.is_axially_symmetric
    grid = SphereGrid(4, 64)
    x, w = grid.unit_vectors, grid.weights
    rho = state.density(x)
    masses, factors = w * rho, [c for _, c in TALL]
    z = [np.exp(x @ np.diag(a) @ x.T) for a, _ in TALL]
    assert masses.sum() == pytest.approx(1.0, abs=error)
    xi = np.sum([c * (one @ masses) for c, one in zip(factors, z, strict=True)], axis=0)
    flat = np.sum([c * (one @ w) for c, one in zip(factors, z, strict=True)], axis=0)
    energy, entropy = 0.5 * xi @ masses, w @ (rho**m - rho) / (m * (m - 1.0))
    assert state.energy == pytest.approx(energy, rel=error)
    assert state.entropy == pytest.approx(entropy, abs=error)
    free = kappa * entropy - energy + 0.5 * flat @ w
    assert state.free_energy_excess == pytest.approx(free, abs=error)
    inside = rho > 0.0
    assert inside.all() == (error < 1e-5)
    level = xi[inside] - kappa * rho[inside] ** (m - 1.0) / (m - 1.0)
    assert np.ptp(level) < 10.0 * error * np.ptp(xi)
    if not inside.all():
        found = spectrum(state)
        assert not found.is_known and not found.is_stable and math.isnan(found.leading)
        assert verdict(found).startswith("stability unknown")


def test_arnoldi_without_edges_and_without_isotropy() -> None:
    """m = 2, positive everywhere: the eigenvalues of the zonal form are among those of all."""
    state = find_stationary(Equation(heads("usa", TWO[0]), 0.8, 3, m=2.0), along(3), "sphere")
    assert isinstance(state, TurnedState) and abs(state.c2) > 0.01 and not state.is_uniform
    ours, theirs = arnoldi_spectrum(state, 6), spectrum(state)
    every = sorted(
        (v.real for mode in theirs.modes for v in mode.eigenvalues
         for _ in range(1 if mode.order == 0 else 2)), reverse=True
    )  # fmt: skip
    assert ours.is_known
    assert [v.real for v in ours.leading_mode.eigenvalues] == pytest.approx(every[:6], rel=1e-8)


# ------------------------------------------------------------------ eigenvalues


@pytest.mark.parametrize(
    ("kind", "m", "kappa"),
    [
        ("usa", 0.5, 1.0),
        ("usa", 2.0, 1.2),
        ("usa", 3.0, 0.7),
        ("sa", 0.5, 0.35),
        ("sa", 2.0, 0.6),
    ],
)
def test_eigenvalues_by_differences_of_the_flow(kind: str, m: float, kappa: float) -> None:
    """Of d_t rho = kappa (rho^m)''/m - (rho xi')' at nodes of S^1, where rho > 0 everywhere.

    Two have nodes on panels all the same, since an edge is not far.
    """
    a, c = ((1.8, 0.7), 0.6) if kind == "usa" else ((2.5, 1.0), 0.4)
    law = VonMisesFisher((0.6, 0.8), 2.0)
    state = find_stationary(Equation(heads(kind, (a, c)), kappa, 2, m=m), law, "circle")
    n = 128
    grid = CircleGrid(n // 2 - 1, n)
    x = grid.unit_vectors
    z = np.exp(x @ np.diag(a) @ x.T) / n
    k = np.fft.fftfreq(n, 1.0 / n)
    k[n // 2] = 0.0

    def slope(values: Array) -> Array:
        return np.asarray(np.fft.ifft(1j * k * np.fft.fft(values)).real)

    def flow(rho: Array) -> Array:
        xi = c * (np.log(z @ rho) if kind == "sa" else z @ rho)
        return kappa / m * slope(slope(rho**m)) - slope(rho * slope(xi))

    rho, h = state.density(x), 1e-5
    assert rho.min() > 0.1 and np.ptp(rho) > 0.3
    assert np.abs(flow(rho)).max() < 1e-9
    jacobian = np.stack([(flow(rho + h * e) - flow(rho - h * e)) / (2.0 * h) for e in np.eye(n)], 1)
    # Mass, and the mode that slopes do not see, are no changes.
    values = np.sort(np.linalg.eigvals(jacobian).real)[::-1]
    values = values[np.abs(values) > 1e-7]
    found = spectrum(state, 3).modes[0].eigenvalues.real
    assert found == pytest.approx(values[:3], rel=1e-6)


@pytest.mark.parametrize(("m", "kappa"), [(1.5, 0.45), (1.8, 0.48)])
def test_all_of_a_circle_on_panels(m: float, kappa: float) -> None:
    """W = t, positive everywhere with an edge not far: as by the orders 0 and 1 about the axis."""
    equation = Equation(Power(k=1), kappa, 2, m=m)
    circle, zonal = (find_stationary(equation, along(2), on) for on in ("circle", "zonal"))
    parts = circle.point.parts
    assert parts is not None and not np.any(parts.edges)
    every = sorted((v.real for k in spectrum(zonal, 3).modes for v in k.eigenvalues), reverse=True)
    found = spectrum(circle, 3)
    assert found.modes[0].eigenvalues.real == pytest.approx(every[:3], rel=1e-10)
    assert found.rotation_error < 1e-12


# ------------------------------------------------------------------ by the verb

CASE = """
title = "no axis"
[geometry]
type = "sphere"
level = 2
[model]
attention = "usa"
kappa = 0.2
[[model.heads]]
A = [[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -0.5]]
V = [[1.0, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, -0.25]]
[model.diffusion]
exponent = 2.0
[initial]
type = "von-mises-fisher"
mean = [0.6, 0.8, 0.0]
concentration = 3.0
[solver]
type = "implicit"
[time]
end = 1.0
"""


def test_the_verb_writes_a_state_without_known_eigenvalues(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "case.toml", tmp_path / "out"
    path.write_text(CASE, "utf-8")
    assert cli.main(["stationary", str(path), "-o", str(out)]) == 0
    told = capsys.readouterr()
    assert "stability unknown" in told.out and "Traceback" not in told.err
    assert "and no eigenvalues are" in told.err
    with open(out / "stationary.csv", encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["leading"] == row["stable"] == "nan" and float(row["c_1"]) > 0.8
    assert (out / "figures" / "density.png").stat().st_size > 0
