r"""
Orientation: Maier-Saupe and Onsager
====================================

Rods that prefer to be parallel are described by a law :math:`\mu` of their axes on :math:`S^2`,
with a kernel :math:`W(\langle x, y\rangle)` that is even: a rod has no head. Against noise they
order all at once: the transition from the isotropic to the nematic state is of first order. This
page follows the states of two classical kernels, Maier and Saupe's :math:`W = t^2` (1959) and
Onsager's :math:`W = -|\sin\theta|` (1949), without time stepping, and compares with what is known
exactly: where the isotropic state loses its stability, the fold at which the ordered one ends, and
the value in between at which both have the same free energy.

Papers: Onsager, Ann. N. Y. Acad. Sci. 51 (1949); Maier and Saupe, Z. Naturforsch. 14a (1959);
Fatkullin and Slastikov, Nonlinearity 18 (2005), all states of Maier and Saupe's kernel.

Full: 0.2 cpu-minutes; small: 10 seconds.
"""

# %%
# The size is picked first: small, by the tests, or in full.

import os
import tempfile
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pyvista
from scipy.optimize import brentq, minimize_scalar

import meanfield as mf

small = os.environ.get("MEANFIELD_EXAMPLE") == "small"
level = 2 if small else 4
folder = tempfile.TemporaryDirectory()

# %%
# The problem
# -----------
# .. math::
#    \partial_t \mu + \operatorname{div}\bigl(\mu\, \nabla (W * \mu)\bigr) = \kappa\, \Delta \mu
#    \quad\text{on } S^2
#
# is the Wasserstein gradient flow of :math:`F = \kappa H - \tfrac12 \iint W\,d\mu\,d\mu`, :math:`H
# = \int \rho\log\rho\,d\sigma`. The *order parameter* is :math:`S = c_2 = \int P_2(\langle e,
# x\rangle)\,d\mu` about the axis :math:`e`: 0 for the isotropic state, 1 for perfect order. The
# mean :math:`|m|` vanishes for both.
#
# The isotropic state loses its stability where the multiplier :math:`\lambda_2` of the kernel is
# :math:`\kappa`: at :math:`\kappa_c = 2/15` for :math:`t^2` and :math:`\pi/32` for
# :math:`-|\sin\theta|`.

case = mf.Case(
    title="nematic",
    geometry=mf.Zonal(d=3, vertices=100),
    model=mf.Model(interaction=mf.MaierSaupe(), kappa=0.1),
    initial=mf.Gegenbauer(3, (0.0, 0.5)),
    time=mf.Time(end=1.0),
)
rods = replace(case, model=mf.Model(interaction=mf.Onsager(), kappa=0.09))

diagrams = {
    "Maier-Saupe": mf.branch(case, "kappa", 0.1, 0.16, f"{folder.name}/ms", progress=False).diagram,
    "Onsager": mf.branch(
        rods, "kappa", 0.09, 0.12, f"{folder.name}/onsager", progress=False
    ).diagram,
}
for name, diagram in diagrams.items():
    (fold,), (equal,) = diagram.events("fold"), diagram.events("equal free energy")
    print(
        f"{name}: kappa_c = {diagram.critical[0]:.10f}; equal F at {equal.parameter:.8f}, "
        f"S = {equal.c_2:.6f}; fold at {fold.parameter:.10f}, S = {fold.c_2:.7f}"
    )

# %%
# Exactly, for Maier-Saupe
# ------------------------
# With :math:`W = t^2`, :math:`W * \mu = \tfrac13 + \tfrac23 S P_2`. A stationary state is
# :math:`\rho \propto e^{a P_2}`, :math:`a = 2S/3\kappa`, and one parameter tells all of them:
#
# .. math::
#    S(a) = \frac{\int_0^1 P_2\, e^{a P_2}\, dt}{\int_0^1 e^{a P_2}\, dt}, \qquad \kappa(a) =
#    \frac{2 S(a)}{3a} .
#
# The fold is the largest :math:`\kappa(a)`. Its value, 0.14856, is in the usual units (a potential
# :math:`-U S P_2`) the superheating limit :math:`kT/U = 0.22284`, and equal free energy the
# transition at :math:`kT/U = 0.22019` with :math:`S = 0.4290`. The exact curve goes on to :math:`S
# < 0`, states with rods near a great circle; ``branch`` ends where it meets the isotropic state.

t, weight = np.polynomial.legendre.leggauss(200)
p2 = 1.5 * t**2 - 0.5


def order(a: float) -> float:
    """S of the density e^{a P_2}."""
    density = weight * np.exp(a * (p2 - 1.0))
    return float(density @ p2 / density.sum())


exact = minimize_scalar(lambda a: -2.0 * order(a) / (3.0 * a), (1.0, 3.0), tol=1e-12)
print(f"exact fold: kappa = {-exact.fun:.10f}, S = {order(exact.x):.7f}")

figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.9), layout="constrained")
for ax, (name, diagram) in zip(axes, diagrams.items(), strict=True):
    (ordered,) = diagram.others
    kappa, s, stable = ordered.column("parameter"), ordered.column("c_2"), ordered.stable
    ax.plot(np.where(stable, kappa, np.nan), s, "k-", label="stable")
    ax.plot(np.where(stable, np.nan, kappa), s, "k--", label="unstable")
    low, high = diagram.interval
    ax.plot([diagram.critical[0], high], [0.0, 0.0], "k-")
    ax.plot([low, diagram.critical[0]], [0.0, 0.0], "k--")
    (fold,), (equal,) = diagram.events("fold"), diagram.events("equal free energy")
    ax.plot(fold.parameter, fold.c_2, "o", color="tab:red", label="fold")
    ax.plot(equal.parameter, equal.c_2, "s", color="tab:blue", label="equal free energy")
    ax.set(xlabel=r"noise $\kappa$", ylabel="$S$", title=name)
a = np.linspace(-6.0, 6.0, 400)
axes[0].plot([2 * order(b) / (3 * b) for b in a], [order(b) for b in a], color="tab:orange", lw=5,
             alpha=0.4, zorder=0, label="exact")  # fmt: skip
axes[0].set_xlim(diagrams["Maier-Saupe"].interval)
axes[0].set_ylim(-0.3, 0.9)
axes[0].legend(loc=(0.03, 0.3))

# %%
# In time, on the whole sphere
# ----------------------------
# Between :math:`\kappa_c` and the fold the initial law decides. With :math:`W = t^2` and
# :math:`\kappa = 0.145`, two bumps about an axis stay ordered, and a weak order about the same
# axis is forgotten. The axis is that of the initial law; it is no axis of the mesh.

axis = np.array([0.6, 0.0, 0.8])
bumps = mf.Mixture((mf.VonMisesFisher(axis, 6.0), mf.VonMisesFisher(-axis, 6.0)), (0.5, 0.5))
weak = mf.Mixture((bumps, mf.Uniform(3)), (0.15, 0.85))
noise, results = 0.145, {}
for name, law in (("ordered", bumps), ("weakly ordered", weak)):
    results[name] = mf.run(
        mf.Case(
            title=f"rods, {name}",
            geometry=mf.Sphere(level=level),
            model=mf.Model(interaction=mf.MaierSaupe(), kappa=noise),
            initial=law,
            solver=mf.Implicit(),
            time=mf.Time(end=80.0, outputs=mf.Geometric(first=0.2, number=15), stationary=1e-6),
            output=mf.Output(figures=False),
        ),
        f"{folder.name}/{name}",
        progress=False,
    )


def order_about(result: mf.Result, t: float) -> float:
    """S at an output: the largest eigenvalue of the tensor (3 <xx> - 1)/2."""
    x, masses = result.fields.mesh(t).points, result.fields.masses(t)
    return float(np.linalg.eigvalsh(1.5 * (x.T * masses) @ x - 0.5 * np.eye(3))[-1])


ordered, fading = results.values()
strength = brentq(lambda a: 2.0 * order(a) / (3.0 * a) - noise, exact.x, 6.0)
print(f"S at the end: {order_about(ordered, ordered.times[-1]):.6f}, exact: {order(strength):.6f}")
print(f"S of the other: {order_about(fading, fading.times[-1]):.6f}")

# %%
# The two densities at the end. A pyvista scene is made of what ``to_pyvista`` gives.

plotter = pyvista.Plotter(shape=(1, 2), window_size=(900, 460), off_screen=True, border=False)
for k, (name, result) in enumerate(results.items()):
    plotter.subplot(0, k)
    plotter.add_mesh(
        result.to_pyvista(), scalars="rho", cmap="viridis", clim=(0.0, 5.0), smooth_shading=True,
        ambient=0.8, diffuse=0.2, specular=0.0, copy_mesh=True,
        scalar_bar_args={"title": "density (uniform: 1)", "n_labels": 2, "color": "black"},
    )  # fmt: skip
    plotter.add_text(f"at the end; {name} at t = 0", font_size=10, color="black")
    plotter.camera_position = [4.8 * axis + (1.6, -1.7, -0.8), (0.0, 0.0, -0.2), (0.0, 0.0, 1.0)]
plotter.show()

# %%

figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for name, result in results.items():
    ax.semilogx(result.times[1:], [order_about(result, t) for t in result.times[1:]], label=name)
ax.axhline(order(strength), color="0.6", ls=":", label="exact")
ax.set(xlabel="$t$", ylabel="$S$", ylim=(0.0, 0.7))
ax.legend(title="at $t = 0$")
plt.show()

# %%
# What must hold
# --------------

(fold,), (equal,) = (
    diagrams["Maier-Saupe"].events("fold"),
    diagrams["Maier-Saupe"].events("equal free energy"),
)
assert abs(diagrams["Maier-Saupe"].critical[0] - 2.0 / 15.0) < 1e-9
assert abs(fold.parameter - 0.1485555999) < 1e-9
assert abs(fold.parameter + exact.fun) < 1e-9 and abs(fold.c_2 - order(exact.x)) < 1e-5
assert abs(equal.parameter * 1.5 - 0.22019) < 1e-4 and abs(equal.c_2 - 0.4290) < 1e-3
assert abs(diagrams["Onsager"].critical[0] - np.pi / 32.0) < 1e-9
assert abs(diagrams["Onsager"].events("fold")[0].parameter - 0.1126559950) < 1e-9
assert abs(order_about(ordered, ordered.times[-1]) - order(strength)) < (1e-2 if small else 1e-3)
assert order_about(fading, fading.times[-1]) < 0.05
