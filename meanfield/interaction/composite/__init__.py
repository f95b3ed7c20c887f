"""Interactions that are sums: heads of attention with any matrices, and drifts.

    X(x) = sum_h P_x V_h N_h(x)/Z_h(x) + P_x M x        (sa; usa: without 1/Z_h)
    Z_h = int e^{<A_h x, y>} dmu(y),  N_h = int e^{<A_h x, y>} y dmu(y),  A_h = beta_h K_h^T Q_h

(arXiv 2312.10794, (2.7)). One adjoint transform serves all heads. Other kinds of attention have
other weights, see ``kinds``. Matrices and drifts may depend on time (``Moving``).
"""

from meanfield.interaction.composite.interaction import Composite
from meanfield.interaction.composite.kind import Kind
from meanfield.interaction.composite.kinds import KINDS
from meanfield.interaction.composite.matrices import HeadMatrices
from meanfield.interaction.composite.moving import Moving, MovingDrift, MovingHead

__all__ = ["KINDS", "Composite", "HeadMatrices", "Kind", "Moving", "MovingDrift", "MovingHead"]
