r"""
Mode selection: how many clusters grow out of noise
===================================================

The uniform law is at rest, and unstable. Small noise grows in all Fourier modes at once, and the
mode that grows fastest decides how many clusters there will be: about :math:`\sqrt{2\beta}` of
them. The rates are known exactly; the runs start from the same noise at several :math:`\beta`.

Paper: `arXiv 2410.23228 <https://arxiv.org/abs/2410.23228>`_ (emergence of meta-stable clustering
in mean-field transformer models: the mode of largest growth rate is selected).

Full: 0.1 cpu-minutes; small: 2 seconds.
"""

# %%
# On the circle, unnormalised self-attention is
#
# .. math:: \partial_t \rho + \partial_\varphi(\rho\, \partial_\varphi \xi) = 0, \qquad
#           \xi = \frac1\beta \int e^{\beta \cos(\varphi - \psi)}\, d\mu(\psi) .
#
# As :math:`e^{\beta \cos\varphi} = I_0(\beta) + 2 \sum_k I_k(\beta) \cos k\varphi`, a perturbation
# :math:`\rho = 1 + \varepsilon \cos k\varphi` grows like :math:`e^{r_k t}`,
#
# .. math:: r_k = \frac{k^2 I_k(\beta)}{\beta} .
#
# The initial noise is of size :math:`10^{-4}` in each of the modes 1 to 8, the same for all
# :math:`\beta`. The column ``power_k`` of a run is half the square of the amplitude of mode
# :math:`k`.

import os

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import iv

import meanfield as mf

small = os.environ.get("MEANFIELD_EXAMPLE") == "small"
betas = (2.0, 5.0) if small else (1.0, 2.0, 5.0, 8.0, 13.0, 18.0)
vertices = 200 if small else 400
modes = np.arange(1, 9)

size, phases = 1e-4, np.array([0.7, 2.8, 1.2, 6.2, 1.9, 5.4, 3.3, 1.4])
noise = mf.Fourier(cos=list(size * np.cos(phases)), sin=list(size * np.sin(phases)))


def rates(beta):
    """Growth rates of the modes 1 to 8 at the uniform state."""
    return modes**2 * iv(modes, beta) / beta


# %%
# Each run lasts until the fastest mode, if it went on to grow like that, would have grown by a
# factor of :math:`e^{11}`: it is then far from small.

results = {}
for beta in betas:
    case = mf.Case(
        title="what grows out of noise, beta = {model.beta:g}",
        geometry=mf.Circle(vertices=vertices),
        model=mf.Model(attention="usa", beta=beta),
        initial=noise,
        solver=mf.Lagrangian(),
        time=mf.Time(end=11.0 / rates(beta).max(), outputs=[], series_every=1),
    )
    results[beta] = mf.run(case, progress=False)

# %%
# The power of each mode against time (in units of the fastest growth) at one :math:`\beta`, with
# what the rates say (dotted), and the density at the end.

shown = 5.0
series, fastest = results[shown].series, rates(shown).max()
figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.6), layout="constrained")
for k in modes[:6]:
    (line,) = left.semilogy(fastest * series["t"], series[f"power_{k}"], label=f"$k = {k}$")
    growth = np.exp(2.0 * rates(shown)[k - 1] * series["t"])
    left.semilogy(fastest * series["t"], size**2 / 2.0 * growth, ":", color=line.get_color())
left.set(xlabel=r"$t\, \max_k r_k$", ylabel="power of mode $k$", ylim=(1e-9, 10.0))
left.set_title(rf"$\beta = {shown:g}$", fontsize=10)
left.legend(fontsize=8)
results[shown].plot("density", ax=right)
plt.show()

# %%
# Which mode is the strongest when their power is 0.005 together (that is an amplitude of 0.1):
# what is seen, and the largest rate.


def when_seen(series):
    """Row of the series at which the modes have grown to this power."""
    return int(np.argmax(sum(series[f"power_{k}"] for k in modes) > 0.005))


selected, measured = [], []
for beta, result in results.items():
    row = when_seen(result.series)
    powers = np.array([result.series[f"power_{k}"] for k in modes])
    selected.append(int(modes[np.argmax(powers[:, row])]))
    # The rate of the fastest mode while all of them are small.
    early = int(np.argmax(powers.sum(axis=0) > 1e-5))
    k = np.argmax(rates(beta))
    measured.append(0.5 * np.log(powers[k, early] / powers[k, 0]) / result.series["t"][early])
predicted = [int(modes[np.argmax(rates(beta))]) for beta in betas]

fine = np.linspace(0.5, 19.0, 400)
figure, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
ax.step(fine, [modes[np.argmax(rates(b))] for b in fine], color="0.5", label="largest $r_k$")
ax.plot(fine, np.sqrt(2.0 * fine), ":", color="0.5", label=r"$\sqrt{2\beta}$")
ax.plot(betas, selected, "o", label="seen")
ax.set(xlabel=r"$\beta$", ylabel="mode that wins")
ax.legend()
plt.show()

# %%
for beta, k, rate in zip(betas, selected, measured, strict=True):
    exact = rates(beta).max()
    print(f"beta = {beta:g}: mode {k}, its rate {rate:.5g}, exactly {exact:.5g}")

assert selected == predicted
assert np.allclose(measured, [rates(beta).max() for beta in betas], rtol=2e-3)
