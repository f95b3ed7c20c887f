r"""
Many heads, each with its own matrices in time
==============================================

A layer of a transformer has many heads, and every layer has other matrices. If these are
independent from head to head, many heads average out: the flow of the tokens tends to that of
infinitely many heads, and what is left is a fluctuation whose square falls like :math:`1/H`. This
page measures that for matrices that wander in time as Ornstein-Uhlenbeck processes, and then shows
what heads do to tokens on the sphere: one head alone makes two opposite clusters that follow its
axis.

Paper: `arXiv 2605.18870 <https://arxiv.org/abs/2605.18870>`_ (heads as gradient flows in time).

Full: 0.4 cpu-minutes; small: 6 seconds.
"""

# %%
# Tokens on :math:`S^2` move by unnormalised attention with :math:`H` heads,
#
# .. math:: \dot x_i = P_{x_i} \frac1H \sum_{h=1}^H \frac1n \sum_j
#           e^{\beta \langle x_i, D_h(t) x_j\rangle}\, D_h(t)\, x_j ,
#
# with symmetric matrices :math:`D_h`. At each time this climbs the energy
#
# .. math:: E(t) = \frac1H \sum_h \frac{1}{2\beta n^2} \sum_{i,j}
#           e^{\beta \langle x_i, D_h(t) x_j\rangle} ,
#
# which itself moves with the matrices. Each entry of each :math:`D_h` is an Ornstein-Uhlenbeck
# process of rate 1 and variance 2 about the same mean, :math:`\operatorname{diag}(6, 0, 0)`.

import os

import matplotlib.pyplot as plt
import numpy as np
import pyvista

import meanfield as mf

small = os.environ.get("MEANFIELD_EXAMPLE") == "small"
numbers, many, seeds = ((1, 3, 9), 30, 6) if small else ((1, 4, 16), 100, 16)
n, end = (40, 2.0) if small else (60, 6.0)
beta, per_unit = 0.05, 10
mean = np.diag([6.0, 0.0, 0.0])


def heads_in_time(number, first_seed):
    """So many heads, the seeds of whose paths are ``first_seed``, ``first_seed`` + 1, ..."""
    heads = []
    for k in range(number):
        path = mf.ornstein_uhlenbeck(mean, 1.0, 2.0, first_seed + k, end, 0.1, symmetric=True)
        a = mf.Combined((path,), lambda d: beta * d, (3, 3), beta * path.largest)
        v = mf.Combined((path,), lambda d: d / number, (3, 3), path.largest / number)
        heads.append(mf.MovingHead(a, v))
    return mf.Moving(tuple(heads), "usa", 3)


# %%
# The energy after each layer, of the same tokens under different heads. They begin around the axis
# of the mean, whose gap is wide, so that they become one cluster whatever :math:`H` is. (If one
# head made two clusters where many make one, distances would be those of these two states.)

start = mf.VonMisesFisher((1.0, 0.0, 0.0), 2.0).sample(n, np.random.default_rng(0))
depth = round(end * per_unit)
times = np.linspace(0.0, end, depth + 1)


def energies(number, first_seed):
    """E(t), (depth + 1,)."""
    interaction = heads_in_time(number, first_seed)
    states = mf.layers(interaction, start, depth, horizon=end)
    fields = (
        interaction.at(t).field(mf.Measure.equal(x), t) for t, x in zip(times, states, strict=True)
    )
    return np.array([field.energy() for field in fields])


reference = energies(many, 10**6)
curves = {H: np.array([energies(H, 1000 * (s + 1)) for s in range(seeds)]) for H in numbers}

# %%
# The heads and the reference (``many`` heads) fluctuate independently of each other, so that the
# mean squared distance is to be proportional to :math:`1/H + 1/H_{ref}`.

apart = {H: float(np.mean((curves[H] - reference) ** 2)) for H in numbers}
variable = np.array([1.0 / H + 1.0 / many for H in numbers])
slope = np.polyfit(np.log(variable), np.log(list(apart.values())), 1)[0]
for H in numbers:
    print(f"H = {H:3}: mean squared distance {apart[H]:.3e}, times H: {H * apart[H]:.3f}")
print(f"power of (1/H + 1/{many}): {slope:.3f}, expected 1")

figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.7), layout="constrained")
for H, colour in ((numbers[0], "tab:orange"), (numbers[-1], "tab:blue")):
    for s in range(min(seeds, 4)):
        label = f"$H = {H}$" if s == 0 else None
        left.plot(times, curves[H][s], color=colour, lw=0.8, label=label)
left.plot(times, reference, "k", lw=2, label=f"$H = {many}$")
left.set(xlabel="$t$", ylabel="energy $E(t)$")
left.legend()
right.loglog(variable, list(apart.values()), "o", label="measured")
middle = np.exp(np.mean(np.log(list(apart.values())) - np.log(variable)))
right.loglog(variable, middle * variable, "k:", label="slope 1")
right.set(xlabel=r"$1/H + 1/H_{ref}$", ylabel="mean squared distance of $E$")
right.legend()
plt.show()

# %%
# Tokens under one head, and under eight
# --------------------------------------
# Softmax attention now, tokens from the uniform law, and a mean that is indefinite,
# :math:`\operatorname{diag}(1, 0.5, -0.5)`: the case ``heads_in_time.toml``. One head alone makes
# two opposite clusters, which follow its axis as it wanders; under eight that wander on their own
# the axes average out, clusters form slowly, and join later. Layers are Euler steps of a tenth.

centre = [[1.0, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.0, -0.5]]


def wandering(count):
    """Heads of a case, the path of each by its seed."""
    return [
        mf.Head(
            beta=1.0,
            K={"mean": centre, "variance": 2.0, "rate": 1.0, "seed": k + 1, "symmetric": True},
            V={"ensemble": "Q^T K", "scale": 1.0 / count},
        )
        for k in range(count)
    ]


shown = {}
for count in (1, 8):
    case = mf.Case(
        title=f"{count} wandering heads",
        geometry=mf.Unmeshed(3),
        model=mf.Model(attention="sa", heads=wandering(count)),
        initial=mf.Uniform(3),
        solver=mf.Layers(number=50 if small else 200, layers=per_unit),
        time=mf.Time(end=4.0 if small else 10.0, outputs=[]),
        seed=1,
    )
    shown[count] = mf.run(case, progress=False)

plotter = pyvista.Plotter(shape=(1, 2), window_size=(900, 450), off_screen=True, border=False)
for k, (count, result) in enumerate(shown.items()):
    plotter.subplot(0, k)
    ball = pyvista.Icosphere(radius=0.98, nsub=5)
    plotter.add_mesh(ball, color="#9aa5b1", opacity=0.5, smooth_shading=True, ambient=0.4)
    plotter.add_points(
        result.tokens(), color="#d62728", point_size=10, render_points_as_spheres=True
    )
    heads = "1 head" if count == 1 else f"{count} heads"
    order = result.series["mean_norm"][-1]
    plotter.add_text(
        f"{heads}, t = {result.t:g}, length of the mean {order:.2f}", font_size=10, color="black"
    )
    plotter.camera_position = [(3.4, -2.4, 1.8), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0)]
plotter.show()

# %%
# What must hold: the power, within what so few seeds allow; and two clusters of one head are
# opposite, so that the second moments, not the mean, tell that tokens are on one axis.

x = shown[1].tokens()
aligned = np.linalg.eigvalsh(x.T @ x / len(x))[-1]
print(f"one head: largest second moment {aligned:.4f}, |m| = {np.linalg.norm(x.mean(axis=0)):.3f}")
assert abs(slope - 1.0) < (0.35 if small else 0.15)
assert aligned > 0.95
