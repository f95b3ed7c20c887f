"""Families of transformers: how their tensors and the numbers of their config.json are called.

Sources: huggingface/transformers, models/{bert,roberta,albert,gpt2}/modeling_*.py and
configuration_*.py. A family is a line in ``FAMILIES``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["FAMILIES", "PARTS", "Family"]

PARTS = ("query", "key", "value", "output", "inner", "outer", "first", "second")
"""What a layer is made of: see ``interaction.pretrained.Block``."""


@dataclass(frozen=True)
class Family:
    """Names.

    Attributes:
        prefixes: before all names of tensors, or nothing.
        tensors: by part of a layer, without ".weight" and ".bias"; {l} is the layer, {g} its group
            and {i} its place in the group. "entry", "last": norms before and after all layers.
        numbers: the keys of config.json.
        defaults: of keys that may be left out.
        only: keys that must have a certain value, if they are there.
        fused: query, key and value are one tensor, one beside the other.
        transposed: matrices are stored as (in, out).
        grouped: layers share weights by groups.
        pre: layer norms come before attention and perceptron.
        causal: token i sees the tokens j <= i.
    """

    prefixes: tuple[str, ...]
    tensors: Mapping[str, str]
    numbers: Mapping[str, str]
    defaults: Mapping[str, object]
    only: Mapping[str, object] = field(default_factory=dict)
    fused: bool = False
    transposed: bool = False
    grouped: bool = False
    pre: bool = False
    causal: bool = False


_LONG = {
    "d": "hidden_size",
    "heads": "num_attention_heads",
    "layers": "num_hidden_layers",
    "width": "intermediate_size",
    "act": "hidden_act",
    "eps": "layer_norm_eps",
}
_ENCODER = {"position_embedding_type": "absolute", "is_decoder": False}


def _bert(*prefixes: str) -> Family:
    at = "encoder.layer.{l}."
    return Family(
        prefixes=prefixes,
        tensors={
            "query": f"{at}attention.self.query",
            "key": f"{at}attention.self.key",
            "value": f"{at}attention.self.value",
            "output": f"{at}attention.output.dense",
            "inner": f"{at}intermediate.dense",
            "outer": f"{at}output.dense",
            "first": f"{at}attention.output.LayerNorm",
            "second": f"{at}output.LayerNorm",
            "entry": "embeddings.LayerNorm",
        },
        numbers=_LONG,
        defaults={"act": "gelu", "eps": 1e-12},
        only=_ENCODER,
    )


def _albert() -> Family:
    at = "encoder.albert_layer_groups.{g}.albert_layers.{i}."
    return Family(
        prefixes=("albert.",),
        tensors={
            "query": f"{at}attention.query",
            "key": f"{at}attention.key",
            "value": f"{at}attention.value",
            "output": f"{at}attention.dense",
            "inner": f"{at}ffn",
            "outer": f"{at}ffn_output",
            "first": f"{at}attention.LayerNorm",
            "second": f"{at}full_layer_layer_norm",
        },
        numbers={**_LONG, "groups": "num_hidden_groups", "inside": "inner_group_num"},
        defaults={"act": "gelu_new", "eps": 1e-12, "groups": 1, "inside": 1},
        only=_ENCODER,
        grouped=True,
    )


def _gpt2() -> Family:
    at = "h.{l}."
    return Family(
        prefixes=("transformer.",),
        tensors={
            "query": f"{at}attn.c_attn",
            "key": f"{at}attn.c_attn",
            "value": f"{at}attn.c_attn",
            "output": f"{at}attn.c_proj",
            "inner": f"{at}mlp.c_fc",
            "outer": f"{at}mlp.c_proj",
            "first": f"{at}ln_1",
            "second": f"{at}ln_2",
            "last": "ln_f",
        },
        numbers={
            "d": "n_embd",
            "heads": "n_head",
            "layers": "n_layer",
            "width": "n_inner",
            "act": "activation_function",
            "eps": "layer_norm_epsilon",
        },
        defaults={"width": None, "act": "gelu_new", "eps": 1e-5},
        only={
            "scale_attn_weights": True,
            "scale_attn_by_inverse_layer_idx": False,
            "add_cross_attention": False,
        },
        fused=True,
        transposed=True,
        pre=True,
        causal=True,
    )


FAMILIES: dict[str, Family] = {
    "bert": _bert("bert."),
    "roberta": _bert("roberta."),
    "albert": _albert(),
    "gpt2": _gpt2(),
}
"""By ``model_type`` of config.json."""
