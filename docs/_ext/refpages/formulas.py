"""What the code says in letters, as formulas: laws, kernels, potentials, schemes, columns."""

from __future__ import annotations

__all__ = ["KERNELS", "LAWS", "MASKS", "POTENTIALS", "SCHEMES", "STRENGTHS", "SYMBOLS"]

LAWS: dict[str, str] = {
    "uniform": r"\rho(x) = 1",
    "von-mises-fisher": r"\rho(x) = \frac{e^{k\langle x, m\rangle}}{\lambda_0(k)}, \qquad "
    r"\lambda_0(k) = \int e^{k\langle x, m\rangle}\,d\sigma(x), \quad "
    r"m = \text{mean}/|\text{mean}|, \ k = \text{concentration}",
    "mixture": r"\rho = \sum_i w_i \rho_i \Big/ \sum_i w_i",
    "by-position": r"\rho_s = (1 - s)\,\rho_{\text{first}} + s\,\rho_{\text{last}}, \qquad "
    r"0 < s \le 1",
    "harmonic": r"\rho(x) = 1 + \sum a_{lm}\,\frac{Y_{lm}(x)}{\max |Y_{lm}|}",
    "fourier": r"\rho(\varphi) = 1 + \sum_{k \ge 1} a_k \cos k\varphi + b_k \sin k\varphi",
    "gegenbauer": r"\rho(x) = 1 + \sum_{l \ge 1} a_l\,P_l(\langle x, \text{axis}\rangle), \qquad "
    r"P_l(1) = 1",
    "poisson-kernel": r"\rho(x) = \left(\frac{1 - |w|^2}{|x - w|^2}\right)^{d-1}",
    "angular-gaussian": r"\rho(x) = (\det S)^{-1/2}\,(x^T S^{-1} x)^{-d/2}",
    "cap": r"\rho(x) = \frac{1}{\sigma(C)}\,1_C(x), \qquad "
    r"C = \{x : \arccos\langle x, \text{centre}\rangle \le \text{angle}\}",
    "file": r"\rho(x) = \text{values at vertices, linear between them, divided by their integral}",
    "function": r"\rho(x) = f(x) \Big/ \int f\,d\sigma",
    "standard": r"\rho = 0.25\,f_{(0, 0, 1),\,4} + 0.35\,f_{(1, 0.3, -0.2),\,6} "
    r"+ 0.2\,f_{(-1, 1, -0.5),\,5} + 0.2, \qquad f_{m,k} \text{ von Mises--Fisher}",
}
"""Densities relative to the uniform probability."""

KERNELS: dict[str, str] = {
    "exponential": r"W(t) = e^{\beta t}",
    "power": r"W(t) = t^k",
    "maier-saupe": r"W(t) = t^2",
    "onsager": r"W(t) = -(1 - t^2)^s",
    "log": r"W(t) = -\tfrac12 \log(2 - 2t) = -\log|x - y|",
    "riesz": r"W(t) = (2 - 2t)^{-s/2} = |x - y|^{-s}",
    "series": r"W(t) = \sum_l \lambda_l \dim(H_l)\,P_l(t) = \sum_l b_l\,P_l(t), \qquad P_l(1) = 1",
    "gaussian": r"W = e^{-\theta^2/(2 w^2)}, \qquad \theta = \arccos t,\ w = \text{width}",
    "bounded-confidence": r"W(t) = w \log\left(1 + e^{(t - c)/w}\right), \qquad w = \text{width}",
    "function": r"W(t) = f(t) \quad\text{or}\quad f(\arccos t)",
}
"""Kernels, t = <x, y>."""

POTENTIALS: dict[str, str] = {
    "linear": r"U(x) = -s\,\langle\text{field}, x\rangle",
    "cap": r"U(x) = -\tfrac{s}{2}\,\langle\text{axis}, x\rangle_+^2, \qquad |\text{axis}| = 1",
    "bumps": r"U(x) = -s \sum_k e^{\text{concentration}\,(\langle\text{centres}_k, x\rangle - 1)}, "
    r"\qquad |\text{centres}_k| = 1",
    "harmonic": r"U(x) = -s \sum_l \text{coefficients}_l\,P_l(\langle\text{axis}, x\rangle), "
    r"\qquad P_l(1) = 1, \quad |\text{axis}| = 1",
    "units": r"U(x) = -\tfrac{s}{2} \sum_j \text{weights}_j\,\varphi(\langle\text{directions}_j, "
    r"x\rangle + \text{shifts}_j), \qquad \varphi = \text{function}",
    "charge": r"U(x) = \begin{cases} -s \log|x - \text{at}| & \text{exponent} = 0 \\ "
    r"s\,|x - \text{at}|^{-\text{exponent}} & \text{else} \end{cases} "
    r"\quad \text{outside of core}, \quad |\text{at}| = 1",
    "function": r"U(x) = s\,f(x)",
    "mesh": r"U(x) = s\,u(x), \qquad u \text{ given at points}",
}
"""Potentials, s = strength; other words are keys (of directions those of length 1)."""

STRENGTHS: dict[str, str] = {
    "power": r"\nu(|m|) = \text{factor}\;|m|^{\text{exponent}}",
    "function": r"\nu(|m|) = f(|m|)",
}

MASKS: dict[str, str] = {
    "causal": r"M_{ij} = 1_{j \le i}",
    "window": r"M_{ij} = 1_{|i - j| \le \text{width}} \quad (\text{causal: times } 1_{j \le i})",
    "alibi": r"M_{ij} = e^{-(\text{slope}/n)\,|i - j|}\,1_{j \le i} \ (\text{causal}), \quad"
    r"\text{else } e^{-(\text{slope}/n)\,|i - j|}",
    "matrix": r"M_{ij} = \text{the given matrix}",
    "padding": r"M_{ij} = 1_{j \le \text{length}}",
    "sequences": r"M_{ij} = 1_{i, j \text{ in one sequence}} "
    r"\quad (\text{causal: times } 1_{j \le i})",
}
"""Factors of weights of the tokens i (which sees) and j."""

SCHEMES: dict[str, str] = {
    "post": r"\theta' = P_\theta A",
    "pre": r"\theta' = \tfrac1r P_\theta A, \qquad r' = \langle\theta, A\rangle",
    "mix": r"\theta' = P_\theta A \ (t < \text{switch}), \quad\text{then as pre}",
    "peri": r"\theta' = \frac{P_\theta A}{r|A|}, \qquad r' = \frac{\langle\theta, A\rangle}{|A|}",
    "ngpt": r"\theta' = \alpha\,\frac{P_\theta A}{|A|}",
    "sqrt": r"\theta' = \frac{P_\theta A}{\sqrt{t + 1}}",
    "sandwich": r"\theta' = \frac{P_\theta A}{|A|}",
    "none": r"x' = A(x)",
}
"""Of a token x = r theta and its output A of attention."""

SYMBOLS: dict[str, str] = {
    "t": "t",
    "step": "k",
    "dt": r"\Delta t",
    "mass": r"\int d\mu",
    "rho_min": r"\min \rho",
    "rho_max": r"\max \rho",
    "energy": "E",
    "energy_scaled": r"E \text{ (scaled)}",
    "entropy": "H",
    "free_energy": r"F = \kappa H - E",
    "dissipation": r"\int Z\,\lvert X\rvert^2 d\mu \text{ (sa)}, \ "
    r"\int \lvert X\rvert^2 d\mu \text{ (else)}, \ -\dot F \text{ (noise); scaled}",
    "energy_residual": r"(\Delta E - \int \dot E\,dt)/E",
    "mean": r"m_i",
    "mean_norm": r"\lvert m\rvert",
    "m2": r"\lambda_i\left(\int x x^T d\mu\right)",
    "rank": r"\operatorname{rank}",
    "effective_dimension": r"(\sum s^2)^2/\sum s^4",
    "power": r"\sum_m \lvert\hat\mu_{lm}\rvert^2",
    "mean_length": r"\bar r",
    "smallest_length": r"\min r",
    "largest_length": r"\max r",
    "rescaled_length": r"\overline{\lvert e^{-tV}x\rvert}",
    "clusters": r"\#",
    "largest_cluster": r"\max_c \mu(c)",
    "points": r"\#",
    "variance_min": r"\min \sigma^2",
    "variance_max": r"\max \sigma^2",
    "nonaffine": r"\eta",
    "jacobian_norm": r"\lVert\partial x(t)/\partial x(0)\rVert",
    "lyapunov": r"\tfrac1t \log\lVert\partial x(t)/\partial x(0)\rVert",
}
"""Of the columns of the series."""
