r"""
A perceptron beside attention
=============================

The other half of a transformer's layer is a perceptron. With output weights along its input
weights it is one more potential, and the flow of a law of tokens climbs the sum of two energies.
This page starts with the perceptron alone, for which the solution is known at all times, then adds
attention: mass runs to the ridges, and gathers on them in points.

Paper: `arXiv 2601.21366 <https://arxiv.org/abs/2601.21366>`_ (critical points with a perceptron are
in general atomic, and localised); the equation: `arXiv 2312.10794
<https://arxiv.org/abs/2312.10794>`_, (2.8).

Full: 0.1 cpu-minutes; small: 2 seconds.
"""

# %%
# Tokens on :math:`S^2` move by unnormalised attention and a perceptron with two neurons,
#
# .. math:: X[\mu](x) = P_x\Bigl( \int e^{\beta\langle x, y\rangle}\, y\, d\mu(y)
#           + W \sigma(B x) \Bigr), \qquad B = (e_1, e_2)^T,\quad W = 4 B^T,\quad \sigma(s) = s_+ .
#
# Because :math:`W` is a multiple of :math:`B^T`, the perceptron is a gradient, of :math:`R(x) =
# 2 (x_1)_+^2 + 2 (x_2)_+^2`, and the flow climbs
#
# .. math:: \frac{1}{2\beta} \iint e^{\beta\langle x, y\rangle}\, d\mu\, d\mu + \int R\, d\mu .

import os
import tempfile

import matplotlib.pyplot as plt
import numpy as np
import pyvista

import meanfield as mf

small = os.environ.get("MEANFIELD_EXAMPLE") == "small"
level = 3 if small else 4
beta = 2.0
neurons = mf.Perceptron(
    B=[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
    W=[[4.0, 0.0], [0.0, 4.0], [0.0, 0.0]],
    activation="relu",
)

# %%
# The perceptron alone
# --------------------
# No token knows of the others, and the signs of :math:`x_1` and :math:`x_2` stay as they are.
# Where both are positive the flow is that of a matrix, :math:`x(t) = D x_0/|D x_0|` with :math:`D
# = \operatorname{diag}( e^{4t}, e^{4t}, 1)`; where only :math:`x_1` is, :math:`D =
# \operatorname{diag}(e^{4t}, 1, 1)`; where none is, both neurons are silent and tokens stay. So in
# the end a quarter of the mass each is at :math:`e_1`, at :math:`e_2`, on the arc between them,
# and where it was. The density is the reciprocal of the Jacobian, :math:`\rho =
# |D^{-1}x|^{-3}/\det D` at :math:`x`.


def exact_density(x, t):
    """rho of the perceptron alone at points (m, 3), from the uniform law."""
    grown = np.where(x[:, :2] > 0.0, np.exp(4.0 * t), 1.0)
    back = np.column_stack([x[:, :2] / grown, x[:, 2]])
    return np.linalg.norm(back, axis=1) ** -3.0 / grown.prod(axis=1)


horizon = 0.3
alone = mf.run(
    mf.Case(
        title="a perceptron alone",
        geometry=mf.Sphere(level=level),
        model=mf.Model(perceptron=neurons),
        initial=mf.Uniform(3),
        solver=mf.Lagrangian(),
        time=mf.Time(end=horizon, outputs=[]),
    ),
    progress=False,
)
probes = mf.Uniform(3).sample(400, np.random.default_rng(1))
probes = probes[np.abs(probes[:, :2]).min(axis=1) > 0.2]
found, exact = alone.at(probes, horizon), exact_density(probes, horizon)
error = np.abs(found / exact - 1.0).max()
print(f"density at {len(probes)} points off the kinks, {exact.min():.3f} to {exact.max():.3f}:")
print(f"largest relative error {error:.1e}")

# %%
# With attention
# --------------
# Now the arc is no longer at rest: its mass attracts itself and the mass at its ends. The law is
# symmetric in :math:`x_1` and :math:`x_2`, so that it gathers at :math:`c = (e_1 + e_2)/\sqrt2`.
# What began where the neurons are silent, and is not drawn out of there in time, gathers too, at
# :math:`-c`: two opposite atoms are a critical point. With the mass :math:`a` at :math:`c` the
# energy is
#
# .. math:: \frac{1}{2\beta}\bigl( (a^2 + (1-a)^2)\, e^\beta + 2a(1-a)\, e^{-\beta} \bigr) + 2a .

scratch = tempfile.TemporaryDirectory()
case = mf.Case(
    title="attention and a perceptron",
    geometry=mf.Sphere(level=level),
    model=mf.Model(attention="usa", beta=beta, perceptron=neurons),
    initial=mf.Uniform(3),
    solver=mf.Eulerian(),
    time=mf.Time(end=4.0, outputs=[0.3, 0.6]),
    output=mf.Output(figures=False),
)
whole = mf.run(case, f"{scratch.name}/run", progress=False)
energy = whole.series["energy"]
mean = whole.fields.masses() @ whole.fields.mesh().points
a = 0.5 * (1.0 + np.linalg.norm(mean))  # two opposite atoms have |m| = 2a - 1
pairs = (a**2 + (1.0 - a) ** 2) * np.exp(beta) + 2.0 * a * (1.0 - a) * np.exp(-beta)
atoms = pairs / (2.0 * beta) + 2.0 * a

plotter = pyvista.Plotter(shape=(1, 3), window_size=(1200, 460), off_screen=True, border=False)
for k, t in enumerate((0.0, 0.3, 0.6)):
    plotter.subplot(0, k)
    surface = whole.to_pyvista(t)
    surface["log10 density"] = np.log10(np.maximum(surface["rho"], 1e-3))
    plotter.add_mesh(
        surface, scalars="log10 density", cmap="magma", clim=(-1.5, 1.5), smooth_shading=True,
        ambient=0.85, diffuse=0.15, specular=0.0, show_scalar_bar=k == 1,
        scalar_bar_args={"n_labels": 2, "color": "black"},
    )  # fmt: skip
    plotter.add_text(f"t = {t:g}", font_size=10, color="black")
    plotter.camera_position = [(3.6, 2.6, 2.0), (0.0, 0.0, -0.15), (0.0, 0.0, 1.0)]
plotter.show()

# %%

figure, ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
ax.plot(whole.series["t"], energy, label=r"$E + \int R\,d\mu$")
ax.axhline(atoms, color="0.6", ls=":", label="two atoms")
ax.plot(whole.series["t"], whole.series["mean_norm"], label="$|m|$")
ax.set(xlabel="$t$", ylim=(0.0, 3.2))
ax.legend(loc="center right")
plt.show()

# %%
# What must hold.

table = whole.clusters()
print(f"masses {np.round(table.mass, 4)}, centres {np.round(table.centre, 3).tolist()}")
print(f"energy at the end {energy[-1]:.5f}, of two atoms {atoms:.5f}")
middle = np.array([1.0, 1.0, 0.0]) / np.sqrt(2.0)
edge = 0.14 if small else 0.07  # about the length of an edge of the mesh
assert error < 1e-6
assert np.all(np.diff(energy) > -1e-9)
assert abs(energy[-1] / atoms - 1.0) < 0.01
assert len(table) == 2
assert np.linalg.norm(table.centre[0] - middle) < edge
assert np.linalg.norm(table.centre[1] + middle) < edge
