"""Energy of the interaction; attention: arXiv 2312.10794, (3.5)."""

from meanfield.analysis.columns.base import Column

COLUMNS = (
    Column(
        "energy",
        "energy",
        "Interaction energy E: 1/2 iint W dmu dmu; attention: (1/2 beta) iint e^{beta <x, y>} dmu "
        "dmu, which increases for V = +I; heads: sum of c/2 iint e^{<Ax, y>} dmu dmu, V = cA, less "
        "int U dmu, which always increases. A closed tail (solver.tail) is part of it. Left out "
        "for |beta| > 700, where it is no double, and for models that have no energy.",
        lambda view: view.energy,
        frozenset({"energy", "double energy"}),
    ),
    Column(
        "energy_scaled",
        "energy",
        "The energy in numbers of order one: E e^{-|beta|} for the exponential kernel, E e^{-|A|}, "
        "A the largest, for heads, else E.",
        lambda view: view.energy_scaled,
        frozenset({"energy"}),
    ),
)
