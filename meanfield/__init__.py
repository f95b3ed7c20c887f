# ruff: noqa: F401  (imports for type checkers; the names are exported through _WHERE)
"""meanfield: mean-field equations on spheres, self-attention's first of all, by finite elements.

    d_t mu + div(X[mu] mu) = kappa Laplace(mu)    on S^{d-1}

for the law mu of tokens that interact by (softmax or unnormalised) self-attention, with any
matrices and heads: see arXiv 2312.10794; or by any kernel W(<x, y>). The names below are loaded
when first used, so that importing the package is cheap and needs no DOLFINx.

Example:
    >>> import meanfield as mf
    >>> case = mf.Case(
    ...     title="a first run",
    ...     geometry=mf.Sphere(level=3),
    ...     model=mf.Model(attention="sa", beta=4.0),
    ...     initial=mf.standard_density(),
    ...     time=mf.Time(end=1.0),
    ... )
    >>> result = mf.run(case)  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from meanfield.surroundings import keep_kernels

keep_kernels()

_WHERE = {
    "meanfield.case": (
        "Case",
        "Circle",
        "Diffusion",
        "Drift",
        "Eulerian",
        "Every",
        "Gaussians",
        "Geometric",
        "Head",
        "Implicit",
        "Lagrangian",
        "Layers",
        "MeshFile",
        "Model",
        "Output",
        "Particles",
        "Perceptron",
        "Rope",
        "Sphere",
        "Time",
        "Unmeshed",
        "Zonal",
        "auto_solver",
    ),
    "meanfield.dynamics.blocks": ("Block",),
    "meanfield.dynamics.dolfinxmeshes": ("density_from_dolfinx", "mesh_from_dolfinx"),
    "meanfield.dynamics.layers": ("layers",),
    "meanfield.case.pretrained.checkpoint": ("Checkpoint",),
    "meanfield.case.pretrained.option": ("Pretrained",),
    "meanfield.errors": ("BrokenInvariantError", "InputError", "MeanfieldWarning"),
    "meanfield.films": ("Film", "film"),
    "meanfield.geometry.laws": (
        "AngularGaussian",
        "ByPosition",
        "Cap",
        "Fourier",
        "FunctionDensity",
        "Gegenbauer",
        "Harmonic",
        "Mixture",
        "PoissonKernel",
        "Uniform",
        "VonMisesFisher",
        "density_law",
        "standard_density",
    ),
    "meanfield.geometry.mesh": ("Mesh", "graded", "icosphere", "read_mesh"),
    "meanfield.interaction.attention": ("Attention", "SelfAttention"),
    "meanfield.interaction.composite": (
        "Composite",
        "HeadMatrices",
        "Moving",
        "MovingDrift",
        "MovingHead",
    ),
    "meanfield.interaction.drifts": ("LinearDrift",),
    "meanfield.interaction.drifts.given": ("FunctionPotential", "MeshPotential"),
    "meanfield.interaction.drifts.potentials": (
        "BumpPotential",
        "CapPotential",
        "ChargePotential",
        "HarmonicPotential",
        "LinearPotential",
        "UnitsPotential",
    ),
    "meanfield.interaction.field": ("Field",),
    "meanfield.interaction.interaction": ("Interaction",),
    "meanfield.interaction.movingkernel": ("MovingKernel",),
    "meanfield.interaction.intime": (
        "Combined",
        "EndlessPath",
        "FunctionInTime",
        "InTime",
        "TableInTime",
        "WaveInTime",
        "ornstein_uhlenbeck",
    ),
    "meanfield.interaction.kernels": (
        "BoundedConfidence",
        "Exponential",
        "FunctionKernel",
        "Gaussian",
        "Log",
        "MaierSaupe",
        "Onsager",
        "Power",
        "Riesz",
        "Series",
    ),
    "meanfield.interaction.masked": ("Masked",),
    "meanfield.interaction.masks": (
        "Alibi",
        "Causal",
        "GivenMask",
        "Padding",
        "RandomSequences",
        "Sequences",
        "Window",
    ),
    "meanfield.interaction.measure": ("Measure",),
    "meanfield.interaction.pretrained": ("Network", "Transformer"),
    "meanfield.interaction.strength": ("FunctionStrength", "PowerStrength"),
    "meanfield.interaction.strong": ("Strong",),
    "meanfield.interaction.together": ("Together",),
    "meanfield.reports.report": ("report",),
    "meanfield.figures": ("PlotOptions", "plot"),
    "meanfield.results.exporting": ("export",),
    "meanfield.results.formats": ("read_fields",),
    "meanfield.results.folder": ("RunFolder",),
    "meanfield.analysis.clustertable": ("ClusterTable",),
    "meanfield.analysis.columns": ("Column", "View"),
    "meanfield.analysis.twosample": ("kernel_distance", "two_sample"),
    "meanfield.analysis.wasserstein": ("wasserstein",),
    "meanfield.runs.dolfinxdensity": ("density_to_dolfinx",),
    "meanfield.runs.observers": ("AtOutputs", "AtTimes", "EverySteps", "Observer", "Watch"),
    "meanfield.runs.pointwise": ("DensityInTime",),
    "meanfield.runs.loading": ("load",),
    "meanfield.runs.result": ("Result",),
    "meanfield.runs.simulation": ("run",),
    "meanfield.scenes": ("Look",),
    "meanfield.steady.problem": ("Problem",),
    "meanfield.steady.verbs": ("branch", "stationary"),
    "meanfield.studies.comparing": ("compare",),
    "meanfield.studies.converge": ("Convergence", "converge"),
    "meanfield.studies.distance": ("distance",),
    "meanfield.studies.settings": ("Clouds",),
    "meanfield.studies.sweep.plan": ("SweepOptions",),
    "meanfield.studies.sweep.sweep": ("SweepResult", "sweep"),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}

__all__ = sorted([*_MODULE_OF, "__version__"])


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("meanfield")
    if name in _MODULE_OF:
        value = getattr(importlib.import_module(_MODULE_OF[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'meanfield' has no attribute '{name}'")


def __dir__() -> list[str]:
    return list(__all__)


if TYPE_CHECKING:
    from meanfield.analysis.clustertable import ClusterTable
    from meanfield.analysis.columns import Column, View
    from meanfield.analysis.twosample import kernel_distance, two_sample
    from meanfield.analysis.wasserstein import wasserstein
    from meanfield.case import (
        Case,
        Circle,
        Diffusion,
        Drift,
        Eulerian,
        Every,
        Gaussians,
        Geometric,
        Head,
        Implicit,
        Lagrangian,
        Layers,
        MeshFile,
        Model,
        Output,
        Particles,
        Perceptron,
        Rope,
        Sphere,
        Time,
        Unmeshed,
        Zonal,
        auto_solver,
    )
    from meanfield.case.pretrained.checkpoint import Checkpoint
    from meanfield.case.pretrained.option import Pretrained
    from meanfield.dynamics.blocks import Block
    from meanfield.dynamics.dolfinxmeshes import density_from_dolfinx, mesh_from_dolfinx
    from meanfield.dynamics.layers import layers
    from meanfield.errors import BrokenInvariantError, InputError, MeanfieldWarning
    from meanfield.figures import PlotOptions, plot
    from meanfield.films import Film, film
    from meanfield.geometry.laws import (
        AngularGaussian,
        ByPosition,
        Cap,
        Fourier,
        FunctionDensity,
        Gegenbauer,
        Harmonic,
        Mixture,
        PoissonKernel,
        Uniform,
        VonMisesFisher,
        density_law,
        standard_density,
    )
    from meanfield.geometry.mesh import Mesh, graded, icosphere, read_mesh
    from meanfield.interaction.attention import Attention, SelfAttention
    from meanfield.interaction.composite import (
        Composite,
        HeadMatrices,
        Moving,
        MovingDrift,
        MovingHead,
    )
    from meanfield.interaction.drifts import LinearDrift
    from meanfield.interaction.drifts.given import FunctionPotential, MeshPotential
    from meanfield.interaction.drifts.potentials import (
        BumpPotential,
        CapPotential,
        ChargePotential,
        HarmonicPotential,
        LinearPotential,
        UnitsPotential,
    )
    from meanfield.interaction.field import Field
    from meanfield.interaction.interaction import Interaction
    from meanfield.interaction.intime import (
        Combined,
        EndlessPath,
        FunctionInTime,
        InTime,
        TableInTime,
        WaveInTime,
        ornstein_uhlenbeck,
    )
    from meanfield.interaction.kernels import (
        BoundedConfidence,
        Exponential,
        FunctionKernel,
        Gaussian,
        Log,
        MaierSaupe,
        Onsager,
        Power,
        Riesz,
        Series,
    )
    from meanfield.interaction.masked import Masked
    from meanfield.interaction.masks import (
        Alibi,
        Causal,
        GivenMask,
        Padding,
        RandomSequences,
        Sequences,
        Window,
    )
    from meanfield.interaction.measure import Measure
    from meanfield.interaction.movingkernel import MovingKernel
    from meanfield.interaction.pretrained import Network, Transformer
    from meanfield.interaction.strength import FunctionStrength, PowerStrength
    from meanfield.interaction.strong import Strong
    from meanfield.interaction.together import Together
    from meanfield.reports.report import report
    from meanfield.results.exporting import export
    from meanfield.results.folder import RunFolder
    from meanfield.results.formats import read_fields
    from meanfield.runs.dolfinxdensity import density_to_dolfinx
    from meanfield.runs.loading import load
    from meanfield.runs.observers import AtOutputs, AtTimes, EverySteps, Observer, Watch
    from meanfield.runs.pointwise import DensityInTime
    from meanfield.runs.result import Result
    from meanfield.runs.simulation import run
    from meanfield.scenes import Look
    from meanfield.steady.problem import Problem
    from meanfield.steady.verbs import branch, stationary
    from meanfield.studies.comparing import compare
    from meanfield.studies.converge import Convergence, converge
    from meanfield.studies.distance import distance
    from meanfield.studies.settings import Clouds
    from meanfield.studies.sweep.plan import SweepOptions
    from meanfield.studies.sweep.sweep import SweepResult, sweep
