r"""
Where a transformer normalises
==============================

Every layer of a transformer normalises its tokens, before attention (Pre-LN), after it (Post-LN)
or both (Peri-LN), and that decides how fast tokens become alike. All of these are one flow of
directions and lengths, which is known exactly where tokens are *equiangular*: all cosines between
them the same. This page computes these curves, finds when tokens become alike, and runs tokens
under each scheme: exactly equiangular ones, which have to follow the curves, and independent ones
in high dimension, which are nearly so.

Paper: `arXiv 2510.22026 <https://arxiv.org/abs/2510.22026>`_ (normalisation in attention dynamics).

Full: 0.4 cpu-minutes; small: 6 seconds.
"""

# %%
# The size is picked first: small, by the tests, or in full.

import os

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf
from meanfield.analysis.equiangular import Equiangular, equiangular_curve, equiangular_time
from meanfield.case.normalisation import Ngpt, Peri, Post, Pre, Sandwich, Sqrt

small = os.environ.get("MEANFIELD_EXAMPLE") == "small"
n, d, end, seeds = (16, 128, 6.0, 1) if small else (64, 256, 15.0, 2)

# %%
# The schemes
# -----------
# A token is :math:`x_i = r_i\theta_i`, with a direction :math:`\theta_i` and a length :math:`r_i`,
# and :math:`A_i` is the output of attention at :math:`\theta_i`, with :math:`Q = K = V = I`. All
# schemes are
#
# .. math::
#    \dot\theta_i = \frac{1}{s_i} P_{\theta_i} A_i ,
#
# ================ ============================ ==========================================
# scheme            :math:`s_i`                  :math:`\dot r_i`
# ================ ============================ ==========================================
# post              1                            0
# pre               :math:`r_i`                  :math:`\langle\theta_i, A_i\rangle`
# peri              :math:`r_i |A_i|`            :math:`\langle\theta_i, A_i\rangle/|A_i|`
# sandwich          :math:`|A_i|`                0
# ngpt              :math:`|A_i|/\alpha`         0
# sqrt              :math:`\sqrt{t + 1}`         0
# ================ ============================ ==========================================

schemes = {
    "post": Post(), "pre": Pre(), "peri": Peri(), "sandwich": Sandwich(), "ngpt": Ngpt(alpha=2.0),
    "sqrt": Sqrt(),
}  # fmt: skip

# %%
# Equiangular tokens
# ------------------
# If :math:`\langle\theta_i,\theta_j\rangle = \gamma` for all :math:`i \neq j` and all lengths are
# :math:`r`, it stays so, and :math:`\gamma` and :math:`r` follow two ordinary differential
# equations: with :math:`w = e^{\beta\gamma}/(e^\beta + (n-1)e^{\beta\gamma})`,
#
# .. math::
#    \dot\gamma = \frac{2}{s}\, (1-\gamma)\,(1 + (n-1)\gamma)\, w .
#
# ``equiangular_curve`` solves them to round-off, ``equiangular_time`` tells when a cosine is
# reached. Here for 256 orthogonal tokens, :math:`\beta = 5`.

many = Equiangular(n=256, beta=5.0)
cosines = (0.5, 0.9, 0.99)
times = {
    name: [equiangular_time(cosine, many, scheme) for cosine in cosines]
    for name, scheme in schemes.items()
}
print("cosine       " + "".join(f"{cosine:9g}" for cosine in cosines))
for name, found in times.items():
    print(f"{name:12} " + "".join(f"{t:9.3f}" for t in found))

# %%
# Peri-LN is ahead of Pre-LN at the beginning, where outputs are short; both slow down
# as lengths grow. Late, when tokens are nearly one, :math:`A_i \approx \theta_i`, so that
#
# .. math::
#    \frac{d}{dt}(1-\gamma) \approx -\frac{2}{s}(1-\gamma) .
#
# With :math:`s = 1` cosines approach 1 like :math:`e^{-2t}`; with :math:`s = \sqrt{t+1}` like
# :math:`e^{-4\sqrt t}`; with :math:`s = r \approx t` (pre, peri) only like :math:`t^{-2}`.

late = np.geomspace(0.1, 1e4, 300)
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.9), layout="constrained")
t = np.linspace(0.0, 30.0, 301)
for name, scheme in schemes.items():
    left.plot(t, equiangular_curve(t, many, scheme).gamma, label=name)
    right.loglog(late, 1.0 - equiangular_curve(late, many, scheme).gamma)
right.loglog(late[200:], 1e3 * late[200:] ** -2.0, "k:", label="$t^{-2}$")
left.set(xlabel="$t$", ylabel=r"cosine $\gamma$", title=r"256 tokens, $\beta = 5$")
right.set(xlabel="$t$", ylabel=r"$1 - \gamma$", ylim=(1e-8, 2.0))
left.legend()
right.legend()

slopes = {}
for name in ("pre", "peri"):
    gamma = equiangular_curve([1e3, 1e4], many, schemes[name]).gamma
    slopes[name] = np.log10((1.0 - gamma[1]) / (1.0 - gamma[0]))
    print(f"{name}: 1 - gamma falls like t^{slopes[name]:.3f}")

# %%
# Tokens
# ------
# Now with the solver of tokens. The mean of all tokens tells their mean cosine: :math:`|m|^2 =
# \tfrac1n + (1 - \tfrac1n)\bar\gamma`.


def case(scheme: str | Ngpt, tokens: str, seed: int = 0) -> mf.Case:
    """Tokens in R^d under a scheme."""
    return mf.Case(
        title=f"normalisation, {scheme}",
        geometry=mf.Unmeshed(d),
        model=mf.Model(attention="sa", beta=3.0, normalisation=scheme),
        initial=mf.Uniform(d),
        solver=mf.Particles(number=n, tokens=tokens, cosine=0.0 if tokens != "iid" else None),
        time=mf.Time(end=end, outputs=mf.Every(0.5)),
        seed=seed,
    )


def mean_cosine(result: mf.Result) -> np.ndarray:
    """Over all pairs, at the times of the series."""
    return (n * result.series["mean_norm"] ** 2 - 1.0) / (n - 1)


tokens = Equiangular(n=n, beta=3.0)
figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
worst = {}
for k, (name, scheme) in enumerate(schemes.items()):
    result = mf.run(case(scheme, "equiangular"), progress=False)
    exact = equiangular_curve(result.series["t"], tokens, scheme).gamma
    worst[name] = float(np.abs(mean_cosine(result) - exact).max())
    ax.plot(result.series["t"], exact, "--", color=f"C{k}", lw=1)
    for seed in range(seeds):
        result = mf.run(case(scheme, "iid", seed + 1), progress=False)
        label = name if seed == 0 else None
        ax.plot(result.series["t"], mean_cosine(result), color=f"C{k}", lw=1, label=label)
    print(f"{name:10}: equiangular tokens, worst error of the cosine {worst[name]:.1e}")
ax.set(xlabel="$t$", ylabel="mean cosine", title=f"{n} independent tokens in $R^{{{d}}}$")
ax.legend(title="dashed: equiangular")
plt.show()

# %%
# What must hold
# --------------
# The times of the paper's flow for pre and peri, the late power, and that tokens follow their
# curves to the tolerance of the time stepper.

assert np.allclose(times["pre"], [8.159, 14.843, 35.250], atol=6e-4)
assert np.allclose(times["peri"], [3.714, 9.523, 29.599], atol=6e-4)
assert np.allclose(list(slopes.values()), -2.0, atol=0.01)
assert max(worst.values()) < 1e-5
