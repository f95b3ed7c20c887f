r"""
Inner products through depth
============================

Histograms of all inner products of tokens, layer by layer, as they have been drawn for trained
transformers: they move to 1. In high dimension all at once, along a curve that one equation tells;
in low dimension by way of clusters.

Paper: `arXiv 2312.10794 <https://arxiv.org/abs/2312.10794>`_, Figure 1, here for the model, not
for a trained network.

Full: 0.1 cpu-minutes; small: 6 seconds.
"""

# %%
# A layer of the model moves each token by a step of attention, projected on the tangent space, and
# normalises it,
#
# .. math:: x_i \leftarrow N\Bigl(x_i + h\, P_{x_i}
#                                   \frac{\sum_j e^{\beta \langle x_i, x_j\rangle} x_j}
#                                               {\sum_j e^{\beta \langle x_i, x_j\rangle}}\Bigr),
#           \qquad N(x) = x / |x| ,
#
# with :math:`Q = K = V = I`. For small :math:`h` it is an Euler step of the flow. Tokens start
# independent and uniform, in many dimensions (nearly orthogonal) and in three.

import os
import tempfile

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

small = os.environ.get("MEANFIELD_EXAMPLE") == "small"
n = 64 if small else 128
dimensions = (1024, 3)
beta, layers_a_time, end = 4.0, 10, 12.0
shown = (0.0, 1.0, 2.0, 4.0, 6.0, 12.0)

scratch = tempfile.TemporaryDirectory()
results = {}
for d in dimensions:
    case = mf.Case(
        title="inner products through depth, d = {geometry.d}",
        seed=1,
        geometry=mf.Unmeshed(d=d),
        model=mf.Model(attention="sa", beta=beta),
        initial=mf.Uniform(d),
        solver=mf.Layers(number=n, layers=layers_a_time),
        time=mf.Time(end=end, outputs=mf.Every(0.5)),
        output=mf.Output(figures=False),
    )
    results[d] = mf.run(case, f"{scratch.name}/{d}", progress=False)


def inner_products(result, t):
    """Of all pairs of different tokens at an output."""
    x = result.tokens(t)
    return (x @ x.T)[np.triu_indices(len(x), 1)]


# %%
# Histograms at some depths, in layers: one layer is :math:`N(x + h\, P_x A)` with the output
# :math:`A` of attention, as above, and :math:`h = 1/10`.

figure, panels = plt.subplots(
    len(dimensions), len(shown), figsize=(11.0, 4.2), layout="constrained", sharex=True
)
edges = np.linspace(-1.0, 1.0, 41)
for row, d in zip(panels, dimensions, strict=True):
    for ax, t in zip(row, shown, strict=True):
        ax.hist(inner_products(results[d], t), bins=edges, density=True, color="tab:blue")
        ax.set_yticks([])
        if d == dimensions[0]:
            ax.set_title(f"layer {t * layers_a_time:g}", fontsize=10)
    row[0].set_ylabel(f"$d = {d}$")
figure.supxlabel(r"$\langle x_i, x_j\rangle$", fontsize=10)
plt.show()

# %%
# Tokens that are equally far from each other stay so. With their common inner product
# :math:`\gamma`, the output of a layer is :math:`a x_i + b \sum_{j \ne i} x_j`, of which the inner
# products follow: :math:`\gamma` obeys a recursion, layer by layer.

own = np.exp(beta)
gamma, curve = 0.0, [0.0]
for _ in range(round(end * layers_a_time)):
    others = np.exp(beta * gamma)
    total = own + (n - 1) * others
    step = 1.0 / layers_a_time
    radial = (own + (n - 1) * others * gamma) / total  # what the projection takes away
    a, b = 1.0 + step * (own / total - radial), step * others / total
    squares = a * a + 2.0 * a * b * (n - 1) * gamma + b * b * (n - 1) * (1.0 + (n - 2) * gamma)
    sum_of_squares = n * ((a + b * (n - 1)) ** 2) * (1.0 + (n - 1) * gamma)  # |sum of outputs|^2
    gamma = (sum_of_squares / n - squares) / (n - 1) / squares
    curve.append(gamma)
curve = np.array(curve)

# Of each run the mean of all inner products follows from that of the tokens.
means, depths = {}, {}
for d, result in results.items():
    depths[d] = result.series["t"] * layers_a_time
    means[d] = (n * result.series["mean_norm"] ** 2 - 1.0) / (n - 1)

figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
for d in dimensions:
    ax.plot(depths[d], means[d], "o", markersize=3, label=f"$d = {d}$")
ax.plot(np.arange(len(curve)), curve, "-", color="0.4", label="equiangular tokens")
ax.set(xlabel="layer", ylabel=r"mean of $\langle x_i, x_j\rangle$")
ax.legend()
plt.show()

# %%
# While the mean is between 0.2 and 0.8 we ask in which layer the curve has this value. It varies
# from seed to seed, as tokens of finite dimension are not exactly orthogonal at the start.

mean, depth = means[dimensions[0]], depths[dimensions[0]]
between = (mean > 0.2) & (mean < 0.8)
ratio = depth[between] / np.interp(mean[between], curve, np.arange(len(curve)))
apart = np.mean(inner_products(results[3], end) < 0.9)
print(f"d = {dimensions[0]}: depth over that of the curve", np.round(ratio, 3))
print(f"d = 3: {apart:.0%} of all pairs are still apart after {end * layers_a_time:g} layers")

assert between.any() and np.abs(ratio - 1.0).max() < 0.05
assert inner_products(results[dimensions[0]], end).min() > 0.99
assert apart > 0.2
