r"""
The mean-field limit: n tokens and their density
================================================

As the number of tokens grows, their empirical measure follows the continuity equation. How fast?
This page measures the Wasserstein distance :math:`W_2` of clouds of :math:`n` tokens to the
density, on the circle, and holds it against the *sampling floor*: the distance that :math:`n`
independent draws of the density have. Both fall like :math:`n^{-1/2}`. The comparison is
``mf.compare``, which takes tokens from anywhere.

Paper: `arXiv 2312.10794 <https://arxiv.org/abs/2312.10794>`_, Section 3 (the continuity equation,
and Dobrushin's estimate).

Full: 0.5 cpu-minutes; small: 7 seconds.
"""

# %%
# Tokens follow :math:`\dot x_i = X[\mu_n](x_i)` with their empirical measure :math:`\mu_n(t) =
# \frac1n \sum_i \delta_{x_i(t)}`, and the density :math:`\mu(t)` follows the same equation.
# Dobrushin's estimate,
#
# .. math:: W_1(\mu_n(t), \mu(t)) \le e^{Ct}\, W_1(\mu_n(0), \mu(0)),
#
# bounds what becomes of the initial sampling error. On :math:`S^1` that is of the order
# :math:`n^{-1/2}` (in :math:`d - 1 \ge 3` dimensions of the order :math:`n^{-1/(d-1)}`: there the
# distance is no good measure of agreement).

import os
import tempfile
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

small = os.environ.get("MEANFIELD_EXAMPLE") == "small"
numbers, replicas = ((64, 512), 3) if small else ((64, 256, 1024, 4096), 8)
times = (0.0, 1.0)
scratch = tempfile.TemporaryDirectory()

# %%
# The density, along characteristics: its own error is far below all that follows.

density = mf.Case(
    title="a law on the circle",
    geometry=mf.Circle(vertices=400),
    model=mf.Model(attention="sa", beta=4.0),
    initial=mf.Fourier(cos=(0.3, 0.4), sin=(0.2,)),
    solver=mf.Lagrangian(),
    time=mf.Time(end=times[-1], outputs=list(times)),
    output=mf.Output(figures=False, precision="float64"),
)
result = mf.run(density, f"{scratch.name}/density", progress=False)

# %%
# Clouds of tokens are drawn from the initial law, and run. ``compare`` returns the distance, and
# the floor of as many independent draws of the density at that time.


def cloud(n, seed):
    """Tokens at the output times, a run of their own."""
    case = replace(
        density,
        geometry=mf.Unmeshed(2),
        solver=mf.Particles(number=n),
        seed=seed,
    )
    return mf.run(case, f"{scratch.name}/{n}-{seed}", progress=False)


distance = np.empty((len(times), len(numbers), replicas))
floor = np.empty((len(times), len(numbers)))
for k, n in enumerate(numbers):
    clouds = [cloud(n, seed) for seed in range(1, replicas + 1)]
    for i, t in enumerate(times):
        found = [mf.compare(result, tokens.tokens(t), t=t, draws=8) for tokens in clouds]
        distance[i, k] = [one.w2 for one in found]
        floor[i, k] = np.mean([one.floor.value for one in found])

mean = np.sqrt((distance**2).mean(axis=2))
slopes = np.array([np.polyfit(np.log(numbers), np.log(row), 1)[0] for row in mean])
for i, t in enumerate(times):
    print(f"t = {t:g}: W_2 ~ n^{slopes[i]:.2f}")
    for k, n in enumerate(numbers):
        ratio = mean[i, k] / floor[i, k]
        print(f"   n = {n:5}: W_2 = {mean[i, k]:.4f}, floor {floor[i, k]:.4f}, ratio {ratio:.2f}")

# %%
# At :math:`t = 0` tokens are independent draws, and the ratio to the floor is 1 but for chance.
# Later it is above 1: where the flow is unstable the fluctuations of the low harmonics grow with
# it, of which fresh draws know nothing. The distance itself falls with :math:`n` as it does at the
# beginning: that is the mean-field limit.

figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.8), layout="constrained")
for i, t in enumerate(times):
    left.loglog(numbers, mean[i], "o-", color=f"C{i}", label=f"tokens, $t = {t:g}$")
    left.loglog(numbers, floor[i], "--", color=f"C{i}", label=f"floor, $t = {t:g}$")
left.loglog(numbers, 1.5 * mean[0, 0] * (np.array(numbers) / numbers[0]) ** -0.5, "k:",
            label="$n^{-1/2}$")  # fmt: skip
left.set(xlabel="number of tokens $n$", ylabel="$W_2$")
left.legend()
result.plot("density", t=times[-1], ax=right)
last = clouds[0].tokens(times[-1])
angles = np.arctan2(last[:, 1], last[:, 0])
right.hist(angles, bins=60, density=False, weights=np.full(len(angles), 60.0 / len(angles)),
           color="0.8", zorder=0, label=f"{len(angles)} tokens")  # fmt: skip
right.legend()
plt.show()

# %%
# A cloud of one's own: one comparison
# ------------------------------------
# Tokens from anywhere, as an array of unit vectors. Independent draws of the initial law agree
# with the density at :math:`t = 0`, and not with that at :math:`t = 1`. The p-value is that of a
# test of moments of degree 1 to 4, for independent points.

draws = density.initial.sample(2000, np.random.default_rng(5))
agrees, differs = (mf.compare(result, draws, t=t) for t in times)
for one in (agrees, differs):
    print(
        f"t = {one.t:g}: W_2 = {one.w2:.4f}, ratio {one.ratio:.2f}, p = {one.p_value:.2g}: "
        f"{one.verdict.partition(':')[0]}"
    )

# %%
# What must hold.

assert np.all(np.abs(slopes + 0.5) < (0.25 if small else 0.1))
assert np.all(np.abs(mean[0] / floor[0] - 1.0) < (0.7 if small else 0.4))
assert agrees.p_value > 0.01 and agrees.ratio < 2.0
assert differs.p_value < 1e-6 and differs.ratio > 2.0
