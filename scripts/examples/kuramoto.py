r"""
Kuramoto oscillators on the circle
==================================

On :math:`S^1` tokens are oscillators: a token is a phase :math:`\theta`, and the kernel says how
phases pull each other. With :math:`W = \cos\theta` and noise the law of tokens follows the
mean-field limit of the Kuramoto model with equal frequencies, whose stationary states are known in
closed form. This page

* finds the critical noise and the branch of synchronised states, and compares them with Bessel
  functions;
* runs the equation in time until it rests, at several noises;
* adds a second harmonic: oscillators first form two groups in antiphase, and much later one.

Paper: `arXiv 0911.1499 <https://arxiv.org/abs/0911.1499>`_ (stationary states of the noisy
Kuramoto model); attention on the circle: `arXiv 2312.10794 <https://arxiv.org/abs/2312.10794>`_.

Full: 0.2 cpu-minutes; small: 7 seconds.
"""

# %%
# The size is picked first: small, by the tests, or in full.

import os
import tempfile
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import ive

import meanfield as mf

small = os.environ.get("MEANFIELD_EXAMPLE") == "small"
vertices, noises = (100, [0.3]) if small else (400, [0.1, 0.2, 0.3, 0.4, 0.45, 0.55])
folder = tempfile.TemporaryDirectory()

# %%
# The equation
# ------------
# The law :math:`\mu = \rho\,d\theta/2\pi` of the phases follows
#
# .. math::
#    \partial_t \rho + \partial_\theta\bigl(\rho\, \partial_\theta (W * \mu)\bigr)
#       = \kappa\, \partial_\theta^2 \rho, \qquad W(\theta) = \cos\theta .
#
# For :math:`n` oscillators this is :math:`d\theta_i = \tfrac1n\sum_j \sin(\theta_j-\theta_i)\,dt +
# \sqrt{2\kappa}\,dB_i`: the coupling is :math:`K = 1`, the noise :math:`D = \kappa`.
#
# In harmonics :math:`W * e^{il\theta} = \lambda_l e^{il\theta}`, with :math:`\lambda_1 = 1/2`. At
# the uniform state a perturbation of degree :math:`l` grows at the rate :math:`l^2(\lambda_l -
# \kappa)`: below :math:`\kappa_c = 1/2` (which is the well-known :math:`K_c = 2D`) the uniform
# state is unstable.

case = mf.Case(
    title="Kuramoto oscillators",
    geometry=mf.Circle(vertices=vertices),
    model=mf.Model(interaction=mf.Series(legendre=(0.0, 1.0)), kappa=0.3),
    initial=mf.Fourier(cos=(0.1,)),
    solver=mf.Implicit(),
    time=mf.Time(end=400.0, outputs=mf.Geometric(first=0.2, number=12), stationary=1e-7),
)

# %%
# The branch, without time stepping
# ---------------------------------
# A stationary state is :math:`\rho \propto e^{(r/\kappa)\cos\theta}` with :math:`r = |m|` its own
# mean. Hence
#
# .. math::
#    r = \frac{I_1(r/\kappa)}{I_0(r/\kappa)} .
#
# With :math:`x = r/\kappa` that is an explicit curve: :math:`r = I_1(x)/I_0(x)`, :math:`\kappa =
# r/x`. ``branch`` knows nothing of it; it solves for the state and follows it.

states = mf.branch(case, "kappa", 0.1, 0.6, f"{folder.name}/branch", progress=False)
print("critical noise:", states.diagram.critical)
(synchronised,) = states.diagram.others
kappa, r = synchronised.column("parameter"), synchronised.column("c_1")
residual = np.abs(ive(1, r / kappa) / ive(0, r / kappa) - r).max()
print(f"{len(r)} states, |I_1/I_0 - r| <= {residual:.1e}")

# %%
# The equation in time
# --------------------
# From a weak preference for one phase the density settles on the branch, or, above
# :math:`\kappa_c`, at the uniform state. Runs end by themselves when the flux has become small
# (``stationary``).


def order_of(kappa: float) -> float:
    """The stationary order parameter, by Newton's method on Bessel functions."""
    if kappa >= 0.5:
        return 0.0
    x = np.sqrt(8.0 * (1.0 - 2.0 * kappa)) / kappa
    for _ in range(50):
        ratio = ive(1, x) / ive(0, x)
        x -= (ratio - kappa * x) / (1.0 - ratio / x - ratio**2 - kappa)
    return kappa * x


settled = {}
for noise in noises:
    result = mf.run(replace(case, model=replace(case.model, kappa=noise)), progress=False)
    settled[noise] = result.series["mean_norm"][-1]
    print(
        f"kappa = {noise}: |m| = {settled[noise]:.9f} at t = {result.t:.0f}, {result.stop_reason}; "
        f"exact {order_of(noise):.9f}"
    )

# %%
# Two harmonics
# -------------
# With :math:`W = \cos\theta + \tfrac32 \cos 2\theta` (Daido's order functions) the rates at
# :math:`\kappa = 0.45` are :math:`0.05` for :math:`l = 1` and :math:`1.2` for :math:`l = 2`. The
# second harmonic wins first: two groups in antiphase, whose mean vanishes. What is left of the
# first harmonic then grows slowly, and in the end one group has all. As long as :math:`m_1 = 0`,
# the second moment :math:`m_2` solves the same equation as above with :math:`\tfrac32 m_2/\kappa`
# in the place of :math:`r/\kappa`.

two = replace(
    case,
    title="two harmonics",
    model=mf.Model(interaction=mf.Series(legendre=(0.0, 1.0, 1.5)), kappa=0.45),
    initial=mf.Fourier(cos=(0.001, 0.3)),
    time=mf.Time(end=1000.0, outputs=mf.Geometric(first=0.2, number=40)),
    output=mf.Output(figures=False),
)
result = mf.run(two, f"{folder.name}/two", progress=False)
moments = []
for t in result.times:
    points, masses = result.fields.mesh(t).points, result.fields.masses(t)
    z = points[:, 0] + 1j * points[:, 1]
    moments.append([abs(masses @ z**degree) for degree in (1, 2)])
m1, m2 = np.array(moments).T
middle = int(np.argmax(result.times > 10.0))
antiphase = order_of(0.45 / 1.5)
print(
    f"two groups: |m_2| = {m2[middle]:.6f} at t = {result.times[middle]:.3g}, exact {antiphase:.6f}"
)

# %%
# The state at the end is found once more without time stepping, from a law with one bump.

one_bump = replace(two, initial=mf.Fourier(cos=(0.9,)))
rest = mf.stationary(one_bump, f"{folder.name}/rest", progress=False)
print(f"one group: |m_1| = {m1[-1]:.6f} in time, {rest.state.mean_norm:.6f} by stationary")

# %%
# Pictures
# --------

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained")
x = np.geomspace(1e-2, 12.0, 400)
ratio = ive(1, x) / ive(0, x)
left.plot(ratio / x, ratio, color="0.6", lw=5, label=r"$r = I_1(r/\kappa)/I_0(r/\kappa)$")
left.plot(kappa, r, "k-", lw=1, label="branch")
left.plot(list(settled), list(settled.values()), "o", color="tab:red", label="settled in time")
left.axvline(0.5, color="0.6", ls=":")
left.set(xlabel=r"noise $\kappa$", ylabel=r"$|m|$", xlim=(0.08, 0.6), ylim=(-0.03, 1.0))
left.set_title("one harmonic")
left.legend(loc="lower left")
right.semilogx(result.times[1:], m1[1:], label="$|m_1|$")
right.semilogx(result.times[1:], m2[1:], label="$|m_2|$")
right.axhline(antiphase, color="0.6", ls=":", label="$|m_2|$ of two groups, exact")
right.set(xlabel="$t$", ylim=(-0.03, 1.0))
right.set_title(r"two harmonics, $\kappa = 0.45$")
right.legend(loc="lower center", bbox_to_anchor=(0.48, 0.25))

# %%
# The density at three times: at the beginning, as two groups, and as one.

angles = np.linspace(-np.pi, np.pi, 361)
circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
for t in (0.0, result.times[middle], result.times[-1]):
    ax.plot(angles, result.at(circle, t), label=f"$t = {t:.0f}$")
ax.set(xlabel=r"$\theta$", ylabel=r"$\rho$ (uniform: 1)", xlim=(-np.pi, np.pi))
ax.set_xticks([-np.pi, 0.0, np.pi], [r"$-\pi$", "0", r"$\pi$"])
ax.legend()
plt.show()

# %%
# What must hold
# --------------
# The critical noise and the branch agree with the exact ones to round-off. So do the stationary
# states of the implicit scheme, but for what a run leaves to do when it stops: at rest the scheme
# has the exact exponential at its vertices, and sums over equal cells of a circle converge faster
# than any power.

assert abs(states.diagram.critical[0] - 0.5) < 1e-12
assert residual < 1e-12
for noise, found in settled.items():
    assert abs(found - order_of(noise)) < 1e-6, noise
assert abs(m2[middle] - antiphase) < 1e-5
assert m1[middle] < 0.01
assert abs(m1[-1] - rest.state.mean_norm) < 1e-5
