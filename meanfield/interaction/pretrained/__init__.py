"""Transformers with given weights: BERT-like encoders and GPT-2-like decoders, layer by layer.

``block``: what a layer is made of and does to vectors. ``transformer``: the layers one after
another, as the network has them. ``network``: the flow on the sphere whose steps they are. Knows
nothing of files.
"""

from meanfield.interaction.pretrained.block import ACTS, Affine, Block, FeedForward, MultiHead, Norm
from meanfield.interaction.pretrained.network import Network
from meanfield.interaction.pretrained.transformer import Transformer

__all__ = [
    "ACTS",
    "Affine",
    "Block",
    "FeedForward",
    "MultiHead",
    "Network",
    "Norm",
    "Transformer",
]
