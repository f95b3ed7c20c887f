"""Branches that leave others, and branches along which the parameter does not change."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize
from scipy.special import iv

from meanfield.cli import main
from meanfield.errors import MeanfieldWarning
from meanfield.geometry.laws import Gegenbauer, Law, Uniform, VonMisesFisher
from meanfield.geometry.sphere import Array
from meanfield.interaction.attention import SelfAttention
from meanfield.interaction.drifts import LinearDrift
from meanfield.interaction.external import External
from meanfield.interaction.kernels import Log, Power, Series
from meanfield.steady.branch import find_branches
from meanfield.steady.crossing import other_direction, settled_crossing
from meanfield.steady.curve import Curve
from meanfield.steady.diagram import Diagram
from meanfield.steady.equation import Equation
from meanfield.steady.follow import follow
from meanfield.steady.special import Junctions
from meanfield.steady.symmetric import find_symmetric_branches
from meanfield.steady.symmetry import symmetry_named
from meanfield.steady.verbs import BranchResult

# W = cos + a cos 2 on the circle (Kuramoto and Daido): two clusters, c_2 = A(z), z = a c_2/kappa,
# A = I_1/I_0, which <cos> breaks where kappa = <cos^2> = (1 + c_2)/2.
SECOND = 1.5


def ratio(z: float) -> float:
    return float(iv(1, z) / iv(0, z))


def two_clusters_break_up() -> tuple[float, float]:
    """kappa and c_2 there."""

    def defect(z: float) -> float:
        return SECOND * ratio(z) / z - 0.5 * (1.0 + ratio(z))

    z = float(optimize.brentq(defect, 0.01, 5.0, xtol=1e-15))
    return 0.5 * (1.0 + ratio(z)), ratio(z)


def even_at_the_crossing() -> list[float]:
    """The first three columns of a table there."""
    kappa, c_2 = two_clusters_break_up()
    return [kappa, 0.0, c_2]


def daido_equation(kappa: float) -> Equation:
    return Equation(Series(legendre=(0.0, 1.0, SECOND)), kappa, 2)


def daido(start: float, end: float, law: Law | None = None, secondary: bool = True) -> Diagram:
    law = Uniform(2) if law is None else law
    return find_branches(daido_equation(start), "kappa", start, end, law, secondary=secondary)


def averages(kappa: float, c_1: float, c_2: float) -> tuple[float, float]:
    """Of cos and cos 2 in the density that these exert, by another quadrature."""
    phi = 2.0 * math.pi * np.arange(4000) / 4000
    rho = np.exp((c_1 * np.cos(phi) + SECOND * c_2 * np.cos(2.0 * phi)) / kappa)
    rho /= rho.sum()
    return float(rho @ np.cos(phi)), float(rho @ np.cos(2.0 * phi))


@pytest.fixture(scope="module")
def diagram() -> Diagram:
    return daido(0.9, 0.3)


def test_two_clusters_are_left_where_one_may_swallow_the_other(diagram: Diagram) -> None:
    kappa, c_2 = two_clusters_break_up()
    (crossing,) = diagram.events("secondary")
    assert crossing.parameter == pytest.approx(kappa, abs=1e-11)
    assert crossing.c_2 == pytest.approx(c_2, abs=1e-10)
    assert crossing.mean_norm < 1e-9 and crossing.order == 0
    assert not diagram.events("branch point")[1:]  # of the uniform state: it is told once
    even, other = diagram.branches[1:]
    assert np.abs(even.column("c_1")).max() < 1e-9 and even.parent == ""
    assert (other.name, other.parent) == ("secondary 1", "clustered")  # its mirror image is no more


def test_what_leaves_them_are_states(diagram: Diagram) -> None:
    other = diagram.branches[2]
    kappa, _ = two_clusters_break_up()
    assert other.table[0, :3] == pytest.approx(even_at_the_crossing(), abs=1e-9)
    assert np.all(np.abs(other.column("c_1")[1:]) > 1e-3)
    for row in other.table[1::6]:
        assert averages(*row[:3]) == pytest.approx(row[1:3], abs=1e-10)
    # Unstable up to the fold, where the other state is stable.
    (fold,) = [e for e in other.events if e.kind == "fold"]
    assert fold.parameter > kappa
    m = np.abs(other.column("c_1"))
    away = np.abs(m - fold.mean_norm) > 1e-6
    assert np.array_equal(other.stable[away][1:], (m > fold.mean_norm)[away][1:])
    p, f, h = (other.column(name) for name in ("parameter", "free_energy_excess", "entropy"))
    integral = np.cumsum(0.5 * (h[1:] + h[:-1]) * np.diff(p))
    assert np.abs(f[1:] - f[0] - integral).max() < 2e-3 * np.ptp(f)


def test_none_is_followed_unasked(diagram: Diagram) -> None:
    found = daido(0.9, 0.3, secondary=False)
    assert len(found.branches) == 2 and not found.events("secondary")
    place = [e.parameter for e in found.branches[1].events if e.kind == "branch point"]
    assert place == pytest.approx([two_clusters_break_up()[0]], abs=1e-10)


def test_a_crossing_of_two_branches_that_begin_elsewhere_begins_none() -> None:
    """From one cluster: the branch runs into the crossing, the other way is that of two."""
    found = daido(0.5, 0.9, VonMisesFisher((0.0, 1.0), 4.0))
    assert [b.parent for b in found.branches] == ["", "", ""]
    places = {round(e.parameter, 9) for e in found.events("secondary")}
    assert places == {round(two_clusters_break_up()[0], 9)}


def test_a_branch_that_began_at_a_crossing_ends_at_one_that_is_known(diagram: Diagram) -> None:
    """Not beyond it, where it is its own mirror image."""
    other = diagram.branches[2]
    curve = Curve(daido_equation(0.5), "kappa", (0.3, 0.9))
    (crossing,) = diagram.events("secondary")
    junctions = Junctions(wanted=True)
    x = curve.uniform(crossing.parameter)
    x[: curve.size] = other.moments[0, 1:]
    assert junctions.pass_by("clustered", curve, x, curve.uniform(1.0)) == ""
    junctions.leave("secondary 1", "clustered")
    # From the other side: a state of one cluster, towards the fold and the crossing behind it.
    k = int(np.argmin(np.abs(other.column("parameter") - 0.6)))
    start = curve.uniform(other.table[k, 0])
    start[: curve.size] = other.moments[k, 1:]
    tangent = curve.tangent(start, curve.uniform(1.0))
    found = follow(curve, "secondary 1", start, tangent, 0.03, lambda *_: None, junctions)
    assert found.stopped == "a crossing with clustered" and found.is_complete
    assert found.table[-1, :3] == pytest.approx(even_at_the_crossing(), abs=1e-9)
    assert junctions.found[0].met and len(junctions.found) == 1


def test_both_ways_are_followed_where_they_are_different() -> None:
    """W with modes 2 and 3: three clusters are left, where <cos^2 2> = 1/2 is kappa."""
    equation = Equation(Series(legendre=(0.0, 0.0, 1.0, 1.05)), 0.6, 2)
    found = find_branches(equation, "kappa", 0.55, 0.45, Uniform(2), secondary=True)
    (crossing,) = found.events("secondary")
    assert crossing.parameter == pytest.approx(0.5, abs=1e-11)
    one, two = found.branches[2:]
    assert (one.parent, two.parent) == ("clustered", "clustered")
    assert one.column("c_2")[1] * two.column("c_2")[1] < 0.0  # transcritical
    assert abs(abs(one.column("c_2")[-1]) - abs(two.column("c_2")[-1])) > 0.1


@pytest.mark.slow
def test_two_clusters_on_the_sphere() -> None:
    """W = t + a P_2 in d = 3: kappa = <t^2> on the branch rho ~ exp(a c_2 P_2/kappa)."""
    a, (t, w) = 1.7, np.polynomial.legendre.leggauss(60)
    p = 1.5 * t * t - 0.5

    def of(z: float) -> tuple[float, float]:
        rho = w * np.exp(z * p)
        return float(rho @ p / rho.sum()), float(rho @ (t * t) / rho.sum())

    z = optimize.brentq(lambda z: a * of(z)[0] / z - of(z)[1], 1e-3, 5.0, xtol=1e-14)
    equation = Equation(Series(legendre=(0.0, 1.0, a)), 0.4, 3)
    found = find_branches(equation, "kappa", 0.4, 0.2, Uniform(3), secondary=True)
    (crossing,) = found.events("secondary")
    assert crossing.parameter == pytest.approx(of(z)[1], abs=1e-10)
    assert crossing.c_2 == pytest.approx(of(z)[0], abs=1e-8)
    assert found.branches[2].parent == "clustered"


@pytest.mark.parametrize("s", [1.0, -1.0])
def test_beside_an_even_potential(s: float) -> None:
    """W = t, U = -s t^2/2 in d = 3: <x> breaks rho ~ exp(-U/kappa) where kappa is <x_i^2>.

    Along the axis that is another axial branch; with mass at the equator (s < 0) it leaves it.
    """
    t, w = np.polynomial.legendre.leggauss(60)

    def second(kappa: float) -> float:
        rho = w * np.exp(0.5 * s * t * t / kappa)
        along = float(rho @ (t * t) / rho.sum())
        return along if s > 0.0 else 0.5 * (1.0 - along)

    kappa = optimize.brentq(lambda k: second(k) - k, 0.2, 0.9, xtol=1e-14)
    external = External(3, (LinearDrift(np.diag([0.0, 0.0, s])),), None)
    equation = Equation(Power(k=1), 0.6, 3, external)
    law = Gegenbauer(3, (0.0, 0.1))
    found = find_branches(equation, "kappa", 0.6, 0.35, law, secondary=True)
    (event,) = [e for b in found.branches for e in b.events if e.kind != "end"]
    assert event.parameter == pytest.approx(kappa, abs=1e-10)
    if s > 0.0:
        assert (event.kind, event.order) == ("secondary", 0)
        assert [b.parent for b in found.branches] == ["", "aligned"]
        assert abs(found.branches[1].table[-1, 1]) > 0.3
    else:
        assert (event.kind, event.order) == ("branch point", 1) and len(found.branches) == 1
        words = dict(BranchResult(found, "", Path()).rows())["branch point"]
        assert words.endswith("azimuthal order 1: it leaves the symmetry")


def test_among_states_of_another_symmetry() -> None:
    """Modes 2 and 4 on the circle are modes 1 and 2 of twice the angle: the same crossing."""
    equation = Equation(Series(legendre=(0.0, 0.0, 1.0, 0.0, SECOND)), 0.8, 2)
    found = find_symmetric_branches(
        equation, "kappa", 0.76, 0.65, symmetry_named("polygon:2", 2), secondary=True
    )
    (crossing,) = found.events("secondary")
    assert crossing.parameter == pytest.approx(two_clusters_break_up()[0], abs=1e-10)
    assert found.critical == pytest.approx((0.75,), abs=1e-12)
    assert [b.parent for b in found.branches] == ["", "", "polygon:2"]
    assert abs(found.branches[2].column("c_2")[-1]) > 0.2


def test_what_is_not_followed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meanfield.steady.secondary._MOST", 0)
    with pytest.warns(MeanfieldWarning, match=r"clustered at kappa = 0\.6918198\d+ is located"):
        found = daido(0.8, 0.65)
    assert len(found.branches) == 2 and len(found.events("secondary")) == 1


def test_a_regular_point_is_left_in_no_direction(diagram: Diagram) -> None:
    even = diagram.branches[1]
    curve = Curve(daido_equation(0.5), "kappa", (0.3, 0.9))
    x = np.concatenate([even.moments[-1, 1:], [even.table[-1, 0]]])
    assert np.abs(curve.defect(x)).max() < 1e-12
    assert other_direction(curve, x, curve.tangent(x, curve.uniform(1.0))) is None
    assert settled_crossing(curve, x) is x


def test_the_sign_of_a_crossing_does_not_change_at_a_fold() -> None:
    equation = Equation(SelfAttention("usa", 4.0), 0.5, 3)
    found = find_branches(equation, "kappa", 0.6, 1.0, Gegenbauer(3, (0.0, 0.8)), secondary=True)
    assert len(found.events("fold")) == 1 and not found.events("secondary")


# ------------------------------------------------------------------ vertical branches


@pytest.mark.parametrize("d", [2, 3, 5])
def test_the_logarithmic_gas_is_vertical(d: int) -> None:
    """Images of the uniform state under conformal maps of the sphere, at kappa = 1/(2 (d - 1))."""
    kappa = 0.5 / (d - 1)
    found = find_branches(Equation(Log(), kappa, d), "kappa", 1.2 * kappa, 0.8 * kappa, Uniform(d))
    assert found.critical == pytest.approx((kappa,), abs=1e-12)
    (branch,) = found.others
    assert branch.is_vertical and branch.is_complete
    assert branch.stopped == (
        f"vertical: kappa = {kappa:.9g} all along it, while its states narrow without end"
    )
    assert np.abs(branch.column("parameter") - kappa).max() < 1e-10
    assert [event.kind for event in branch.events] == ["uniform"]  # round-off has no signs
    assert len(branch.table) < 100 and np.abs(branch.column("c_1")).max() > 0.7
    # The free energy is that of the uniform state, for all of them (Onofri's inequality is sharp).
    assert np.abs(branch.column("free_energy_excess")).max() < 1e-9
    # rho ~ (1 - r t)^{-(d - 1)}, compared by its second moment at the same mean.
    t, w = np.polynomial.legendre.leggauss(400)
    theta = 0.5 * math.pi * (t + 1.0)
    x, w = np.cos(theta), w * np.sin(theta) ** (d - 2)

    def averages_of(r: float) -> tuple[float, float]:
        rho = w * (1.0 - r * x) ** (1 - d)
        rho = rho / rho.sum()
        return float(rho @ x), float(rho @ ((d * x * x - 1.0) / (d - 1.0)))

    for row in branch.table[5::8]:
        m = abs(row[1])
        r = optimize.brentq(lambda r, m=m: averages_of(r)[0] - m, 0.0, 1.0 - 1e-6, xtol=1e-15)
        assert averages_of(r)[1] == pytest.approx(row[2], abs=1e-9)


def test_folded_vertical_branches_of_polygons() -> None:
    """On the circle modes k, 2k, ... alone are the gas of k times the angle, 1/k as strong."""
    found = find_symmetric_branches(
        Equation(Log(), 0.25, 2), "kappa", 0.3, 0.2, symmetry_named("polygon:2", 2)
    )
    (branch,) = found.branches[1:]
    assert branch.is_vertical
    assert np.abs(branch.column("parameter") - 0.25).max() < 1e-10
    c = branch.moments[-1]  # r^j of angle 2 phi
    assert c[2:5] == pytest.approx(c[1] ** np.arange(2, 5), abs=1e-9)


def test_a_pitchfork_is_not_vertical() -> None:
    found = daido(0.9, 0.7)
    assert not any(b.is_vertical for b in found.branches)


# ------------------------------------------------------------------ as users give it


CASE = """
[geometry]
type = "circle"
vertices = 60
[model]
kappa = 0.9
[model.interaction]
type = "{kernel}"
{more}
[initial]
type = "uniform"
[time]
end = 1.0
"""


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = tmp_path / "daido.toml"
    case.write_text(CASE.format(kernel="series", more="legendre = [0.0, 1.0, 1.5]"), "utf-8")
    arguments = ["branch", str(case), "--parameter", "kappa", "--no-progress"]
    ends = ["--from", "0.9", "--to", "0.5", "-o", str(tmp_path / "b")]
    assert main([*arguments, *ends, "--secondary"]) == 0
    out = capsys.readouterr().out
    assert "leaves clustered" in out and "0.691819851" in out
    with open(tmp_path / "b" / "events.csv", encoding="utf-8", newline="") as file:
        (row,) = [row for row in csv.DictReader(file) if row["kind"] == "secondary"]
    assert float(row["parameter"]) == pytest.approx(two_clusters_break_up()[0], abs=1e-10)
    with np.load(tmp_path / "b" / "branch.npz") as data:
        assert data["names"].tolist() == ["uniform", "clustered", "secondary 1"]
        assert data["parents"].tolist() == ["", "", "clustered"]
    assert (tmp_path / "b" / "figures" / "branch.png").exists()


def test_command_of_a_vertical_branch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = tmp_path / "gas.toml"
    case.write_text(CASE.format(kernel="log", more=""), "utf-8")
    arguments = ["branch", str(case), "--parameter", "kappa", "--no-progress"]
    assert main([*arguments, "--from", "0.6", "--to", "0.4", "-o", str(tmp_path / "b")]) == 0
    out = capsys.readouterr().out
    assert "end: vertical: kappa = 0.5 all along it" in out
    assert "vertical: at kappa = 0.5 states of any width are stationary" in out
    assert "warning" not in out


def test_the_determinant_changes_sign_across_the_crossing() -> None:
    kappa, c_2 = two_clusters_break_up()
    curve = Curve(daido_equation(kappa), "kappa", (0.3, 0.9))

    def two_clusters(z: float) -> Array:
        x = curve.uniform(SECOND * ratio(z) / z)
        x[1] = ratio(z)
        return x

    z = SECOND * c_2 / kappa
    signs = []
    for at in (0.9 * z, 1.1 * z):
        x = two_clusters(at)
        assert np.abs(curve.defect(x)).max() < 1e-12
        signs.append(curve.crossing(x, curve.tangent(x, two_clusters(at + 0.1) - x)))
    assert signs[0] * signs[1] < 0.0
