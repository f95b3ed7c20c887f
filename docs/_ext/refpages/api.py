"""Pages on the public names of the package, by theme."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import meanfield as mf
from refpages.text import see_also

__all__ = ["THEMES", "Theme", "pages"]

_GUIDE = "../../../guide"


@dataclass(frozen=True)
class Theme:
    """A page of names.

    Attributes:
        title: of it.
        about: what one can do with them, in MyST.
        names: in their order.
        also: see ``see_also``.
    """

    title: str
    about: str
    names: tuple[str, ...]
    also: tuple[tuple[str, str], ...] = ()


THEMES: dict[str, Theme] = {
    "running": Theme(
        "Runs and their results",
        "Run a case, load a run, ask for densities, tokens, clusters and series, watch a run.",
        ("run", "load", "Result", "ClusterTable", "DensityInTime", "RunFolder", "read_fields",
         "Observer", "Watch", "AtOutputs", "AtTimes", "EverySteps", "Column", "View"),
        (("from Python", f"{_GUIDE}/python.md"), ("own observers", "../../../howto/observer.md")),
    ),
    "cases": Theme(
        "Cases",
        "Say in Python what a case file says. Keys, ranges and units: "
        "[the reference of cases](../cases/case.md).",
        ("Case", "Sphere", "Circle", "Zonal", "MeshFile", "Unmeshed", "Model", "Head", "Drift",
         "Perceptron", "Diffusion", "Rope", "Pretrained", "Time", "Every", "Geometric", "Output"),
        (("cases, runs and their folders", f"{_GUIDE}/running.md"),),
    ),
    "solvers": Theme(
        "Solvers",
        "Choose what moves, and with which accuracy: options of `Case(solver=...)`.",
        ("Eulerian", "Implicit", "Lagrangian", "Gaussians", "Particles", "Layers", "auto_solver"),
        (("options of solvers", "../cases/solver.md"), ("numerics", "../../../numerics.md")),
    ),
    "laws": Theme(
        "Initial laws",
        "Probability laws on the sphere, with densities relative to the uniform one and samplers.",
        ("Uniform", "VonMisesFisher", "Mixture", "Cap", "Harmonic", "Fourier", "Gegenbauer",
         "PoissonKernel", "AngularGaussian", "ByPosition", "FunctionDensity", "density_law",
         "standard_density"),
        (("formulas", "../cases/initial.md"),),
    ),
    "kernels": Theme(
        "Kernels, potentials, strengths",
        "What a model is made of beside attention.",
        ("Exponential", "Power", "MaierSaupe", "Onsager", "Log", "Riesz", "Series", "Gaussian",
         "BoundedConfidence", "FunctionKernel", "LinearPotential", "CapPotential", "BumpPotential",
         "HarmonicPotential", "UnitsPotential", "ChargePotential", "FunctionPotential",
         "MeshPotential", "PowerStrength", "FunctionStrength"),
        (("formulas of kernels", "../cases/interaction.md"),
         ("of potentials", "../cases/potential.md")),
    ),
    "studies": Theme(
        "Studies",
        "Ensembles and maps of parameters, comparisons, orders of convergence, stationary states, "
        "distances.",
        ("sweep", "SweepOptions", "SweepResult", "compare", "Clouds", "converge", "Convergence",
         "stationary", "branch", "Problem", "distance", "wasserstein", "two_sample",
         "kernel_distance"),
        (("sweeps", f"{_GUIDE}/sweeps.md"), ("comparisons", f"{_GUIDE}/compare.md"),
         ("stationary states", f"{_GUIDE}/stationary.md")),
    ),
    "pictures": Theme(
        "Pictures, films, reports, exports",
        "Show a run, and hand it to other programs.",
        ("plot", "PlotOptions", "film", "Film", "Look", "report", "export"),
        (("pictures", f"{_GUIDE}/pictures.md"),),
    ),
    "meshes": Theme(
        "Meshes",
        "Make, read and grade meshes; to and from DOLFINx.",
        ("Mesh", "icosphere", "graded", "read_mesh", "mesh_from_dolfinx", "density_from_dolfinx",
         "density_to_dolfinx"),
    ),
    "interactions": Theme(
        "Interactions by themselves",
        "Evaluate the field of any measure, without a run: for own solvers and checks.",
        ("Attention", "SelfAttention", "Interaction", "Measure", "Field", "Composite",
         "HeadMatrices", "LinearDrift", "Together", "Strong", "Masked", "Causal", "Window", "Alibi",
         "GivenMask", "Padding", "Sequences", "RandomSequences", "layers", "Block", "Checkpoint",
         "Transformer", "Network"),
        (("heads", f"{_GUIDE}/heads.md"), ("masks", f"{_GUIDE}/order.md")),
    ),
    "in_time": Theme(
        "Values in time",
        "Parameters and matrices that depend on time.",
        ("InTime", "TableInTime", "WaveInTime", "FunctionInTime", "EndlessPath",
         "ornstein_uhlenbeck", "Combined", "Moving", "MovingHead", "MovingDrift", "MovingKernel"),
        (("values in time", f"{_GUIDE}/time.md"),),
    ),
    "errors": Theme(
        "Errors",
        "What is raised, and what is warned of. `meanfield.__version__` is the version.",
        ("InputError", "BrokenInvariantError", "MeanfieldWarning"),
    ),
}  # fmt: skip


def pages() -> dict[str, str]:
    """A page for each theme, and one that lists them."""
    made = {f"api/{name}": _page(theme) for name, theme in THEMES.items()}
    lines = [
        "# Python",
        "",
        "All public names, `import meanfield as mf`. They are loaded when first used; what else "
        "is in the package may change without notice.",
        "",
        "```{toctree}\n:maxdepth: 1\n\n" + "\n".join(THEMES) + "\n```",
        "",
    ]
    return made | {"api/index": "\n".join(lines)}


def _page(theme: Theme) -> str:
    lines = [f"# {theme.title}", "", theme.about, ""]
    if theme.also:
        lines += [see_also(*theme.also)]
    for name in theme.names:
        lines += ["```{eval-rst}", f".. auto{_kind(name)}:: meanfield.{name}"]
        if inspect.isclass(getattr(mf, name)) and not issubclass(getattr(mf, name), BaseException):
            lines += ["   :members:"]
        lines += ["```", ""]
    return "\n".join(lines)


def _kind(name: str) -> str:
    found = getattr(mf, name)
    if inspect.isclass(found):
        return "exception" if issubclass(found, BaseException) else "class"
    return "function"
