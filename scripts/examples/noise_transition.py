r"""
Noise against attraction: a transition with hysteresis
======================================================

With noise, tokens gather only if it is weak. For unnormalised attention the transition is of first
order: there is an interval of noise in which the uniform law and a clustered one are both stable,
and the past decides. The diagram of stationary states is computed without time stepping; runs from
two initial laws end on it.

Paper: `arXiv 2312.10794 <https://arxiv.org/abs/2312.10794>`_, Section 9 (noise on the sphere); the
critical value is exact, the fold is computed here.

Full: 0.5 cpu-minutes; small: 7 seconds.
"""

# %%
# Axially symmetric laws on :math:`S^2` under ``usa`` with diffusion,
#
# .. math:: \partial_t \mu + \operatorname{div}(X[\mu]\,\mu) = \kappa\, \Delta \mu, \qquad
#           X = P_x \int e^{\beta \langle x, y\rangle}\, y\, d\mu(y),
#
# are the Wasserstein gradient flow of the free energy :math:`F = \kappa H - E` with the entropy
# :math:`H = \int \rho \log \rho`. The uniform law loses its stability where diffusion and
# attraction of the first harmonic balance, at
#
# .. math:: \kappa_c = \frac{\lambda_1(\beta)}{\beta}, \qquad
#           \lambda_1 = \frac{\cosh \beta}{\beta} - \frac{\sinh \beta}{\beta^2} .

import dataclasses
import os
import tempfile

import matplotlib.pyplot as plt
import numpy as np

import meanfield as mf

small = os.environ.get("MEANFIELD_EXAMPLE") == "small"
vertices, steps = (100, 3) if small else (200, 15)
beta = 4.0

case = mf.Case(
    title="hysteresis, kappa = {model.kappa:g}",
    geometry=mf.Zonal(d=3, vertices=vertices),
    model=mf.Model(attention="usa", beta=beta, kappa=1.4),
    initial=mf.VonMisesFisher((0.0, 0.0, 1.0), 4.0),
    solver=mf.Implicit(),
    time=mf.Time(end=1000.0, outputs=[], stationary=1e-6),
)

# %%
# All stationary states :math:`\mu \propto e^{Z / \beta\kappa}`, continued in :math:`\kappa` around
# the fold.

scratch = tempfile.TemporaryDirectory()
found = mf.branch(case, "kappa", 1.0, 1.8, f"{scratch.name}/branch", progress=False)
clustered = found.diagram.others[0]
kappa_c = (np.cosh(beta) / beta - np.sinh(beta) / beta**2) / beta
fold = clustered.column("parameter").max()

# %%
# Runs at each value of the noise, from a bump and from a law that is nearly uniform, until they
# are at rest.

kappas = np.linspace(1.05, 1.75, steps)
starts = {"from a bump": 4.0, "from nearly uniform": 0.02}
reached = {}
for name, concentration in starts.items():
    norms = []
    for kappa in kappas:
        one = dataclasses.replace(
            case,
            model=mf.Model(attention="usa", beta=beta, kappa=float(kappa)),
            initial=mf.VonMisesFisher((0.0, 0.0, 1.0), concentration),
        )
        norms.append(mf.run(one, progress=False).series["mean_norm"][-1])
    reached[name] = np.array(norms)

# %%
# The order parameter :math:`|m|`, :math:`m = \int x\, d\mu`. Between :math:`\kappa_c` and the fold
# the initial law decides; the unstable states (dashed) are between the two.

figure, ax = plt.subplots(figsize=(6.8, 4.0), layout="constrained")
kappa, norm, stable = (clustered.column("parameter"), clustered.column("c_1"), clustered.stable)
for part, style in ((stable, "-"), (~stable, "--")):
    ax.plot(np.where(part, kappa, np.nan), norm, style, color="0.3")
ax.plot([1.0, kappa_c], [0.0, 0.0], "--", color="0.3", label="stationary, unstable")
ax.plot([kappa_c, 1.8], [0.0, 0.0], "-", color="0.3", label="stationary, stable")
for (name, norms), marker in zip(reached.items(), "os", strict=True):
    ax.plot(kappas, norms, marker, label=f"run {name}", fillstyle="none", markersize=8)
for value, word in ((kappa_c, r"$\kappa_c$"), (fold, "fold")):
    ax.axvline(value, color="0.7", linewidth=0.8, linestyle=":")
    ax.annotate(word, (value, 0.45), ha="right", color="0.4")
ax.set(xlabel=r"noise  $\kappa$", ylabel=r"order parameter  $|m|$")
ax.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0.0, 0.05))
plt.show()

# %%
upper = kappa[stable & (norm > 0.1)], norm[stable & (norm > 0.1)]
order = np.argsort(upper[0])
exact = np.where(kappas < fold, np.interp(kappas, upper[0][order], upper[1][order]), 0.0)
difference = np.abs(reached["from a bump"] - exact).max()
print(f"kappa_c = {found.diagram.critical[0]:.9f}, exactly {kappa_c:.9f}")
print(f"fold at {fold:.6f}; runs from a bump differ from the branch by {difference:.1e}")

assert abs(found.diagram.critical[0] - kappa_c) < 1e-9
assert difference < 2e-3
both = (kappas > kappa_c) & (kappas < fold)
assert both.any() and np.all(reached["from nearly uniform"][both] < 1e-3)
assert np.all(reached["from nearly uniform"][kappas < kappa_c] > 0.9)
