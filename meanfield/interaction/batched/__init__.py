"""Attention of few tokens, many systems at once: what the kernels of ensembles are made of."""

from meanfield.interaction.batched.coordinates import coordinate_velocity, inner_products
from meanfield.interaction.batched.exponential import Numbers, numbers_of, scaled_energy
from meanfield.interaction.batched.gram import gram_velocity
from meanfield.interaction.batched.matrices import MatrixField
from meanfield.interaction.batched.model import BatchedHead, BatchedModel

__all__ = [
    "BatchedHead",
    "BatchedModel",
    "MatrixField",
    "Numbers",
    "coordinate_velocity",
    "gram_velocity",
    "inner_products",
    "numbers_of",
    "scaled_energy",
]
