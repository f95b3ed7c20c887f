r"""
Clusters form, and merge
========================

A smooth law of tokens on the sphere becomes three clusters, two of which merge. What the density
does after the clusters have formed is what three weighted points do: a system of six equations.

Paper: `arXiv 2312.10794 <https://arxiv.org/abs/2312.10794>`_, Sections 3 and 4 (clusters of
self-attention on the sphere, the energy that increases).

Full: 0.2 cpu-minutes; small: 6 seconds.
"""

# %%
# Tokens are points :math:`x \in S^2`, their law is :math:`\mu(t)`. Under softmax self-attention
# with :math:`Q = K = V = I` it moves by
#
# .. math:: \partial_t \mu + \operatorname{div}(X[\mu]\,\mu) = 0, \qquad
#           X[\mu](x) = P_x \frac{\int e^{\beta \langle x, y\rangle}\, y\, d\mu(y)}
#                                {\int e^{\beta \langle x, y\rangle}\, d\mu(y)},
#
# where :math:`P_x` projects on the tangent space at :math:`x`. Along the flow the interaction
# energy
#
# .. math:: E = \frac{1}{2\beta} \iint e^{\beta \langle x, y\rangle}\, d\mu\, d\mu
#
# increases, up to :math:`e^\beta / 2\beta` where all mass is in one point.
#
# The initial law has three bumps on a uniform background. Points follow the characteristics of the
# equation, each with its mass: clusters may then be as narrow as they like.

import os
import tempfile

import matplotlib.pyplot as plt
import numpy as np
from scipy.integrate import solve_ivp

import meanfield as mf

small = os.environ.get("MEANFIELD_EXAMPLE") == "small"
level = 3 if small else 5
beta, end = 4.0, 14.0

case = mf.Case(
    title="clusters form, and merge",
    geometry=mf.Sphere(level=level),
    model=mf.Model(attention="sa", beta=beta),
    initial=mf.standard_density(),
    solver=mf.Lagrangian(),
    time=mf.Time(end=end, outputs=mf.Every(1.0)),
    output=mf.Output(figures=False),
)
scratch = tempfile.TemporaryDirectory()
result = mf.run(case, f"{scratch.name}/run", progress=False)

# %%
# The density relative to the uniform one, seen from two sides. By :math:`t = 4` nearly all mass is
# in three clusters. From then on they creep towards each other, faster the nearer they are, and two
# of them become one. ``mf.plot`` writes a picture as a file, as ``meanfield plot`` does; the script
# reads it back and shows it.

seen = [4, 14] if small else [0, 2, 4, 14]
globes = mf.PlotOptions(projection="globe", times=seen, output=scratch.name)
(picture,) = mf.plot(result, "log-density", globes)
figure, ax = plt.subplots(figsize=(9.6, 5.0), layout="constrained")
ax.imshow(plt.imread(picture))
ax.set_axis_off()
plt.show()

# %%
# From :math:`t_0 = 6` on we let three points go on alone, at the centres :math:`c_i(t_0)` of the
# clusters and with their masses :math:`m_i`. The parts of the package are usable by themselves: a
# measure is points and weights, attention turns it into a field.

t0 = 6.0
clusters = result.clusters(t0)
masses = np.asarray(clusters.mass) / np.sum(clusters.mass)
attention = mf.Attention("sa", beta=beta, d=3, geometry="sphere")


def velocity(t, flat):
    x = flat.reshape(-1, 3)
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return attention.field(mf.Measure(x, masses)).velocity(x).ravel()


def nearest_pair(x):
    """The smallest angle between two of the points."""
    cosines = (x @ x.T)[np.triu_indices(len(x), 1)]
    return np.arccos(np.clip(cosines.max(), -1.0, 1.0))


points = solve_ivp(velocity, (t0, end), np.ravel(clusters.centre), rtol=1e-8, dense_output=True)
times = result.times[(result.times >= 4.0) & (result.times <= 13.0)]
tables = [result.clusters(float(t)) for t in times]
angles = np.array([nearest_pair(np.asarray(table.centre)) for table in tables])
alone = np.array([nearest_pair(points.sol(t).reshape(-1, 3)) for t in np.maximum(times, t0)])

# %%
# Energy of the density, and the angle between the two clusters that merge.

figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.4), layout="constrained")
result.plot("energy", ax=left)
left.axhline(np.exp(beta) / (2.0 * beta), color="0.6", linestyle=":", label=r"$e^\beta/2\beta$")
left.legend()
right.plot(times, angles, "o", label="density")
right.plot(times[times >= t0], alone[times >= t0], "-", label=f"three points, from $t = {t0:g}$ on")
right.set(xlabel="time  $t$", ylabel="angle between two clusters")
right.legend()
plt.show()

# %%
# What was found, and what must hold: the energy never falls, there are three clusters and then two,
# and the density and the three points agree.

energy = result.series["energy"]
difference = np.abs(angles - alone)[times >= t0].max()
print(f"clusters at t = 4: {len(tables[0])}; at t = {end:g}: {len(result.clusters())}")
print(f"largest difference of the angle from that of three points: {difference:.3f}")

assert np.all(np.diff(energy) >= -1e-9 * energy[-1])
assert len(tables[0]) == 3 and len(result.clusters()) == 2
assert difference < 0.05
