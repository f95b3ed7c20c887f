r"""
Phase diagrams: when have two tokens met?
=========================================

The probability that two of 32 tokens have met, over time and temperature, by ensembles of random
initial tokens. In high dimension all tokens meet at once, at a time that one ordinary differential
equation tells; on the circle they form clusters first, which wait.

Paper: `arXiv 2312.10794 <https://arxiv.org/abs/2312.10794>`_, Figures 3 and 4.

Full: 0.3 cpu-minutes; small: 5 seconds.
"""

# %%
# Tokens :math:`x_1, \dots, x_n` start independent and uniform on :math:`S^{d-1}` and move by
# softmax self-attention with :math:`Q = K = V = I`. In high dimension they start nearly
# orthogonal. Tokens that are equally far from each other stay so, and their common inner product
# :math:`\gamma` obeys
#
# .. math:: \dot\gamma = \frac{2 e^{\beta\gamma}\,(1 - \gamma)\,((n - 1)\gamma + 1)}
#                            {e^\beta + (n - 1) e^{\beta\gamma}}, \qquad \gamma(0) = 0 .
#
# Two tokens have met when :math:`\langle x_1, x_2\rangle \ge 1 - \delta`, :math:`\delta = 10^{-3}`.

import os
import tempfile

import matplotlib.pyplot as plt
import numpy as np
from scipy.integrate import quad

import meanfield as mf

small = os.environ.get("MEANFIELD_EXAMPLE") == "small"
dimensions = (2, 512) if small else (2, 8, 32, 128, 512, 1024)
betas = np.linspace(0.5, 6.0, 6) if small else np.linspace(0.25, 9.0, 24)
seeds = 16 if small else 48
n, delta = 32, 1e-3

case = mf.Case(
    title="when do tokens meet? {solver.number} of them, d = {geometry.d}",
    geometry=mf.Unmeshed(d=dimensions[0]),
    model=mf.Model(attention="sa", beta=4.0),
    initial=mf.Uniform(dimensions[0]),
    solver=mf.Particles(number=n),
    time=mf.Time(end=30.0, outputs=mf.Every(0.1)),
)

# %%
# A sweep runs the case at all combinations of values, each with several seeds: here in blocks, by a
# kernel for ensembles of tokens.

scratch = tempfile.TemporaryDirectory()
axes = {"geometry.d": list(dimensions), "model.beta": [float(b) for b in betas]}
table = mf.sweep(
    case,
    axes,
    f"{scratch.name}/diagram",
    seeds=seeds,
    options=mf.SweepOptions(delta=delta, progress=False),
).table

# %%
# Of all pairs of tokens the fraction that has met has the same mean as the probability for one
# pair, and less noise. A row of panels for each group of dimensions; dashed is the time at which
# the equation for :math:`\gamma` reaches :math:`1 - \delta`.

met = table.columns["close"].mean.reshape(len(dimensions), len(betas), -1)


def meeting_time(beta):
    """When equiangular tokens that start orthogonal have met."""

    def inverse_speed(gamma):
        own, others = np.exp(beta), (n - 1) * np.exp(beta * gamma)
        pull = 2.0 * np.exp(beta * gamma) * (1.0 - gamma) * ((n - 1) * gamma + 1.0)
        return (own + others) / pull

    return quad(inverse_speed, 0.0, 1.0 - delta, limit=200)[0]


exact = np.array([meeting_time(beta) for beta in betas])

rows = (len(dimensions) + 2) // 3
figure, panels = plt.subplots(
    rows, min(3, len(dimensions)), figsize=(9.6, 2.8 * rows), layout="constrained", squeeze=False
)
for ax, d, values in zip(panels.flat, dimensions, met, strict=True):
    image = ax.pcolormesh(table.times, betas, values, vmin=0.0, vmax=1.0, cmap="magma")
    if d >= n:
        ax.plot(exact, betas, "--", color="tab:cyan", linewidth=1.2)
    ax.set(title=f"$d = {d}$", xlim=(0.0, 30.0), xlabel="time  $t$", ylabel=r"$\beta$")
figure.colorbar(image, ax=panels, label=r"P($\langle x_1, x_2\rangle \geq 1 - 10^{-3}$)")
plt.show()

# %%
# The circle nearer, at early times: clusters have formed by :math:`t = 6` whatever :math:`\beta`
# is, and then wait. For large :math:`\beta` they move at speeds like :math:`e^{-\beta(1 -
# \cos\alpha)}`, where :math:`\alpha` is the angle between them.

figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.4), layout="constrained")
early = table.times <= 15.0
image = left.pcolormesh(table.times[early], betas, met[0][:, early], cmap="magma", vmin=0, vmax=1)
left.set(title="$d = 2$", xlabel="time  $t$", ylabel=r"$\beta$")
figure.colorbar(image, ax=left, label="part of pairs that have met")
for beta, curve in list(zip(betas, met[0], strict=True))[:: max(1, len(betas) // 5)]:
    right.plot(table.times, curve, label=rf"$\beta = {beta:.2g}$")
right.set(xlabel="time  $t$", ylabel="part of pairs that have met, $d = 2$")
right.legend(fontsize=8)
plt.show()

# %%
# In the highest dimension half of the pairs have met when the equation says so; on the circle they
# have not met at the end.

half = np.array([table.times[np.argmax(values > 0.5)] for values in met[-1]])
sure = (betas <= 4.5) & (met[-1][:, -1] > 0.5)
error = np.abs(half / exact - 1.0)[sure].max()
print(
    f"d = {dimensions[-1]}, beta <= 4.5: times of meeting differ from the equation by {error:.1%}"
)
print(f"d = 2, beta = {betas[-1]:g}: {met[0][-1][-1]:.2f} of all pairs have met at t = 30")

assert error < 0.03
assert met[0][-1][-1] < 0.7 < met[0][0][-1]
