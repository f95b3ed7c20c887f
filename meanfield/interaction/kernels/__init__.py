"""Zonal kernels by their name in a case file. A new one: its file, and its line here."""

from __future__ import annotations

from meanfield.interaction.kernels.base import Kernel
from meanfield.interaction.kernels.bounded import BoundedConfidence
from meanfield.interaction.kernels.exponential import Exponential
from meanfield.interaction.kernels.function import FunctionKernel
from meanfield.interaction.kernels.gaussian import Gaussian
from meanfield.interaction.kernels.log import Log
from meanfield.interaction.kernels.onsager import Onsager
from meanfield.interaction.kernels.power import MaierSaupe, Power
from meanfield.interaction.kernels.riesz import Riesz
from meanfield.interaction.kernels.series import Series

__all__ = [
    "KERNELS",
    "BoundedConfidence",
    "Exponential",
    "FunctionKernel",
    "Gaussian",
    "Kernel",
    "Log",
    "MaierSaupe",
    "Onsager",
    "Power",
    "Riesz",
    "Series",
]

KERNELS: dict[str, type[Kernel]] = {
    str(kernel.type): kernel
    for kernel in (
        Exponential,
        Power,
        MaierSaupe,
        Onsager,
        Log,
        Riesz,
        Series,
        Gaussian,
        BoundedConfidence,
        FunctionKernel,
    )
}
"""Each kernel by its ``type`` in [model.interaction]."""
