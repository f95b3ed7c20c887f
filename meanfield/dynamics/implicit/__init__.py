"""The implicit solver of a density with or without diffusion: any step, kappa >= 0.

    (W + dt A(u^n)) rho^{n+1} = W rho^n,        A: edge fluxes of ``dynamics.fluxes``

with the drift u^n of the old density along the edges (``dynamics.drops``): differences of its
potential xi^n where it has one. What is *proved*, for every dt, every rough density and with the
limited fluxes as well as without (they only scale each edge by g_ij = g_ji > 0, taken from the old
density):

* any drift: rho >= 0 and mass is conserved (M-matrix with zero column sums), exactly as computed,
  too: see ``dynamics.linear``.
* rho ~ exp(xi/kappa) is at rest exactly, if xi is its own potential (Gibbs states).
* identity link (usa, kernels), any kappa >= 0: the free energy F = kappa H - E never increases. H
  is convex: H(rho') - H(rho) <= <log rho', m' - m>. E = E_+ - E_- by the signs of the kernel's
  coefficients, both convex: E_+(rho') - E_+(rho) >= <xi_+^n, m' - m> with the potential of the old
  density, -E_-(rho') + E_-(rho) >= <xi_-', m' - m> with that of the *new* one. So with
  xi = xi_+^n + xi_-' F(rho') - F(rho) <= <kappa log rho' - xi, m' - m> =
  -dt sum_edges c_ij F_ij (mu_i - mu_j), mu = kappa log rho' - xi, and F_ij has the sign of
  mu_i - mu_j.
* log link (sa), kappa = 0, all signs alike: E moves the right way: attractive, with the old
  potential, E(rho') - E(rho) >= <q^n, m' - m> = dt sum_edges c_ij F_ij (q_j - q_i) >= 0, as xi
  rises with q; repulsive, with the new one, likewise.

* no energy (repulsion beside a rotation, or a kernel in time): what repels takes the new density
  all the same, as a long step with the old one would go far beyond the uniform state. In time:
  what repels at all times.

The repulsive part xi_-' makes a step a fixed point in the few moments of that part, found by
Anderson acceleration (a linear solve an iteration), to a tolerance far below the change of F. A
step for which none is found is refused and halved; a fixed one stops the run.

*Monitored*: the same signs for the extrapolated step below, and where the old potential is taken
though not all of E is convex: the log link with mixed signs (sa, beta < 0), as the two times do not
mix in a logarithm, and heads whose symmetric matrices have eigenvalues below 0, whose moments do
not part by signs. The log link with noise has no known Lyapunov functional, and a field that is no
gradient has none: nothing is watched.

Nonlinear diffusion, H'' = rho^{m-2} (``interaction.diffusion``): drop and diffusion make one
velocity v_ij = u_ij - kappa (H'(rho'_j) - H'(rho'_i)) with the *new* density, and the flux takes
the new density from upwind, times g of the old one (``dynamics.porous``). All of the above holds,
for every dt: F_ij has the sign of mu_i - mu_j, mu = kappa H'(rho') - xi, as upwinding has; with v
given the matrix is an M-matrix with zero column sums; any g > 0, other from i to j than from j to
i as well, keeps both. At rest mu is constant on the support and no less beyond it. The step is
solved by Newton's method to round-off; where that does not converge the step is refused, a fixed
one led up to by shorter ones.

Second order in time: one step of dt (giving f) and two of dt/2 (giving h) are combined to h^2/f,
the extrapolation of log rho: positive whatever the step, and equal to the Richardson extrapolation
2h - f up to (h - f)^2/f = O(dt^4); its mass, 1 + O(dt^4), is divided out. h/f is kept within 1/2
and 2, so that nothing wild happens in tails that no step resolves. If its energy moves the wrong
way, h itself is taken, for which the above is proved; if that does, too (where it is not), the step
is rejected and halved.

kappa in time: each Euler step takes that of its end (before a jump there), so that modes that relax
within a step end where they should. Then F_kappa(rho') <= F_kappa(rho) with the kappa of each, and
over the two halves of a step, with kappa_1 and kappa_2,

    F_2(after) <= F_1(before) + (kappa_2 - kappa_1) H(between):

what kappa adds to F by changing is no violation. The first F of a step is F_1 where it was F_2 in
the step before: F itself need not fall.

Implicit potential: where next to nothing moves, the old potential holds every cluster where it was:
one that drifts at a speed v gets no further than v over its rate of relaxation, however long the
step. Such phases are stepped through with the potential of the *new* density,
(W + dt A(xi^{n+1})) rho^{n+1} = W rho^n, a fixed point in the few moments that make up the
potential. Positivity, mass and Gibbs states are untouched: these hold in any potential; where
attraction takes part the signs of the energy are monitored, and a step that fails is refused.
"auto" takes, of the two ways, the one that gets further for a linear solve, by trying the other
from time to time in slow phases (where everything repels, both are the same).

Error control: the distance of h and f in total variation, sum w |h - f|, is at most ``rtol`` times
the smaller of 1 and 100 times the change of the density over the step. The latter matters where
hardly anything moves: a perturbation of an unstable state, however small, grows at its own rate
only if steps resolve it. Changes below 1e-8 are not looked at: steps then double.

newton: steps of nonlinear diffusion; control: the next step and its potential; solver: steps.
"""

from __future__ import annotations

from meanfield.dynamics.implicit.solver import ImplicitSolver, ImplicitState

__all__ = ["ImplicitSolver", "ImplicitState"]
