"""Attention of few tokens, many systems at once: what the kernels of ensembles are made of."""

from meanfield.interaction.batched.matrices import MatrixField
from meanfield.interaction.batched.model import BatchedHead, BatchedModel

__all__ = ["BatchedHead", "BatchedModel", "MatrixField"]
