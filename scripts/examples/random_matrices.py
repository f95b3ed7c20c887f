r"""
Random matrices: V decides whether tokens meet
==============================================

The phase diagram of tokens when Q and K are random matrices, for four choices of V. Whether all
tokens end in one cluster or in several is decided by V.

Paper: `arXiv 2312.10794 <https://arxiv.org/abs/2312.10794>`_, Figure 5 (here with the scaling of
matrices told below).

Full: 0.3 cpu-minutes; small: 4 seconds.
"""

# %%
# Softmax self-attention with matrices,
#
# .. math:: \dot x_i = P_{x_i} \frac{\sum_j e^{\beta \langle Q x_i, K x_j\rangle}\, V x_j}
#                                  {\sum_j e^{\beta \langle Q x_i, K x_j\rangle}} .
#
# Q and K have independent normal entries (the real Ginibre ensemble), scaled such that those of
# :math:`Q^T K` have variance 1. V is :math:`\pm Q^T K / \sqrt{d}`, another matrix of the ensemble
# divided by :math:`\sqrt{d}`, or the identity. The matrices are the same for all realisations; what
# differs are the tokens at the start, which are independent and uniform.

import os
import tempfile

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

small = os.environ.get("MEANFIELD_EXAMPLE") == "small"
d, n = (32, 16) if small else (64, 32)
betas = [1.0, 4.0] if small else [float(b) for b in np.linspace(1.0, 9.0, 5)]
seeds = 8
delta = 1e-3

values = {
    r"$V = Q^T K$": {"ensemble": "Q^T K", "scale": d**-0.5},
    r"$V = -Q^T K$": {"ensemble": "Q^T K", "scale": -(d**-0.5)},
    r"$V$ of its own": {"ensemble": "ginibre", "seed": 3, "scale": d**-0.5},
    r"$V = I$": "identity",
}
head = {
    "beta": 4.0,
    "Q": {"ensemble": "ginibre", "seed": 1, "scale": d**-0.25},
    "K": {"ensemble": "ginibre", "seed": 2, "scale": d**-0.25},
    "V": values[r"$V = Q^T K$"],
}
case = {
    "title": "when do tokens meet? random matrices",
    "geometry": {"type": "unmeshed", "d": d},
    "model": {"attention": "sa", "heads": [head]},
    "initial": {"type": "uniform"},
    "solver": {"type": "particles", "number": n},
    "time": {"end": 60.0, "outputs": {"every": 0.5}},
}

# %%
# A case may be a table like this one, which is what a case file gives. The sweep takes all
# combinations of V and :math:`\beta`.

scratch = tempfile.TemporaryDirectory()
table = mf.sweep(
    case,
    {"model.heads.0.V": list(values.values()), "model.heads.0.beta": betas},
    f"{scratch.name}/matrices",
    seeds=seeds,
    options=mf.SweepOptions(delta=delta, progress=False),
).table
met = table.columns["close"].mean.reshape(*table.shape, -1)

# %%
# The fraction of pairs with :math:`\langle x_i, x_j\rangle \ge 1 - 10^{-3}`.

figure, axes = plt.subplots(1, 4, figsize=(10.4, 3.0), layout="constrained", sharey=True)
for ax, name, part in zip(axes, values, met, strict=True):
    image = ax.pcolormesh(table.times, betas, part, vmin=0.0, vmax=1.0, cmap="magma")
    ax.set(title=name, xlabel="time  $t$")
axes[0].set_ylabel(r"$\beta$")
figure.colorbar(image, ax=axes, label=r"P($\langle x_i, x_j\rangle \geq 1 - 10^{-3}$)")
plt.show()

# %%
# With :math:`V = -Q^T K`, or a matrix of its own, all tokens join. With :math:`V = Q^T K` they do
# not: clusters last. Which ones, is a matter of the matrices. Where the eigenvalue of V of the
# largest real part is real (it is for these seeds in 32 and 128 dimensions), tokens were seen to
# come to one axis: to two clusters, opposite to each other, or to one. In 64 dimensions it is one
# of a complex pair, and there are other clusters, too. If there are only two, opposite to each
# other, and a pair has met with probability :math:`P`, the mean inner product is :math:`2P - 1`;
# the numbers printed below are what is above that. With the identity there are several clusters for
# large :math:`\beta`.

mean = table.columns["mean_inner_product"].mean.reshape(met.shape)
for name, part, inner in zip(values, met[:, :, -1], mean[:, :, -1], strict=True):
    apart = np.round(inner - 2.0 * part + 1.0, 3)
    ends = f"at the end {part.min():.2f} to {part.max():.2f} of the pairs have met"
    word = name.replace("$", "")
    print(f"{word}: {ends}; mean minus (2P - 1): {apart}")

both, negative, own, identity = met[:, :, -1]
assert both.max() < 0.97
assert negative.min() > 0.99 and own.min() > 0.99
assert identity[0] > 0.99 and identity[-1] < 0.9
