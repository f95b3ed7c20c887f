"""Initial laws on the sphere: one object each with ``density(x)`` and ``sample(n, rng)``.

A law is a function of unit vectors, independent of any mesh; its density is with respect to sigma,
the uniform probability measure (uniform = 1). Rooms: ``base`` (the protocol), ``closed`` (closed
forms in any dimension), ``mixture``, ``byposition``, ``modes`` (uniform plus harmonics),
``tabulated`` (values on a mesh), ``function`` (a user's function), ``files`` (both from files),
``spec`` (TOML tables).
NumPy and SciPy only.
"""

from meanfield.geometry.laws.base import Law
from meanfield.geometry.laws.byposition import ByPosition, law_at
from meanfield.geometry.laws.cap import Cap
from meanfield.geometry.laws.closed import (
    AngularGaussian,
    PoissonKernel,
    Uniform,
    VonMisesFisher,
)
from meanfield.geometry.laws.files import load_function, read_tabulated
from meanfield.geometry.laws.function import FunctionDensity
from meanfield.geometry.laws.mixture import Mixture, standard_density
from meanfield.geometry.laws.modes import Fourier, Gegenbauer, Harmonic
from meanfield.geometry.laws.spec import LAW_TYPES, LAWS, LawTable, law_from_spec, law_to_spec
from meanfield.geometry.laws.tabulated import TabulatedDensity, TabulatedProfile, density_law

__all__ = [
    "LAWS",
    "LAW_TYPES",
    "AngularGaussian",
    "ByPosition",
    "Cap",
    "Fourier",
    "FunctionDensity",
    "Gegenbauer",
    "Harmonic",
    "Law",
    "LawTable",
    "Mixture",
    "PoissonKernel",
    "TabulatedDensity",
    "TabulatedProfile",
    "Uniform",
    "VonMisesFisher",
    "density_law",
    "law_at",
    "law_from_spec",
    "law_to_spec",
    "load_function",
    "read_tabulated",
    "standard_density",
]
