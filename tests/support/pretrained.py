"""Small pretrained transformers in the Hugging Face layout, with random weights; no download."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from meanfield.geometry.sphere import Array

__all__ = ["FAMILIES", "HEADS", "LAYERS", "WIDTH", "D", "Weights", "as_bfloat16", "write"]

Weights = dict[str, Array]

D, HEADS, LAYERS, WIDTH = 16, 2, 3, 40
_SIZES = {"hidden_size": D, "num_attention_heads": HEADS, "num_hidden_layers": LAYERS,
          "intermediate_size": WIDTH}  # fmt: skip
CONFIGS: dict[str, dict[str, object]] = {
    "bert": {**_SIZES, "hidden_act": "gelu", "layer_norm_eps": 1e-12},
    "albert": {**_SIZES, "hidden_act": "gelu_new", "layer_norm_eps": 1e-12, "num_hidden_groups": 1},
    "gpt2": {"n_embd": D, "n_head": HEADS, "n_layer": LAYERS, "n_inner": WIDTH,
             "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5},
}  # fmt: skip
FAMILIES = tuple(CONFIGS)


def _linear(made: Weights, name: str, rows: int, columns: int, draw: Callable[..., Array]) -> None:
    made[f"{name}.weight"] = draw(size=(rows, columns)) / np.sqrt(D)
    made[f"{name}.bias"] = 0.3 * draw(size=rows)


def _norm(made: Weights, name: str, draw: Callable[..., Array]) -> None:
    made[f"{name}.weight"] = 1.0 + 0.2 * draw(size=D)
    made[f"{name}.bias"] = 0.1 * draw(size=D)


def _encoder(draw: Callable[..., Array]) -> Weights:
    made: Weights = {}
    _norm(made, "bert.embeddings.LayerNorm", draw)
    for l in range(LAYERS):
        at = f"bert.encoder.layer.{l}"
        for name in ("query", "key", "value"):
            _linear(made, f"{at}.attention.self.{name}", D, D, draw)
        _linear(made, f"{at}.attention.output.dense", D, D, draw)
        _norm(made, f"{at}.attention.output.LayerNorm", draw)
        _linear(made, f"{at}.intermediate.dense", WIDTH, D, draw)
        _linear(made, f"{at}.output.dense", D, WIDTH, draw)
        _norm(made, f"{at}.output.LayerNorm", draw)
    return made


def _shared(draw: Callable[..., Array]) -> Weights:
    made: Weights = {}
    at = "albert.encoder.albert_layer_groups.0.albert_layers.0"
    for name in ("query", "key", "value", "dense"):
        _linear(made, f"{at}.attention.{name}", D, D, draw)
    _norm(made, f"{at}.attention.LayerNorm", draw)
    _linear(made, f"{at}.ffn", WIDTH, D, draw)
    _linear(made, f"{at}.ffn_output", D, WIDTH, draw)
    _norm(made, f"{at}.full_layer_layer_norm", draw)
    return made


def _decoder(draw: Callable[..., Array]) -> Weights:
    made: Weights = {}
    for l in range(LAYERS):
        at = f"transformer.h.{l}"
        for name, rows, columns in (
            ("attn.c_attn", 3 * D, D), ("attn.c_proj", D, D), ("mlp.c_fc", WIDTH, D),
            ("mlp.c_proj", D, WIDTH),
        ):  # fmt: skip
            _linear(made, f"{at}.{name}", rows, columns, draw)
            made[f"{at}.{name}.weight"] = np.ascontiguousarray(made[f"{at}.{name}.weight"].T)
        _norm(made, f"{at}.ln_1", draw)
        _norm(made, f"{at}.ln_2", draw)
    _norm(made, "transformer.ln_f", draw)
    return made


_MAKERS = {"bert": _encoder, "albert": _shared, "gpt2": _decoder}


def write(folder: Path, family: str, seed: int = 0, **config: object) -> Weights:
    """A folder with config.json and model.safetensors (float64); gives the tensors by name."""
    folder.mkdir(parents=True, exist_ok=True)
    made = _MAKERS[family](np.random.default_rng(seed).normal)
    made |= {"cls.unused.weight": np.zeros((2, 2))}
    save_file(made, folder / "model.safetensors")
    said = {"model_type": family, **CONFIGS[family], **config}
    (folder / "config.json").write_text(json.dumps(said), "utf-8")
    return made


def as_bfloat16(path: Path, made: Weights) -> Weights:
    """Write tensors in bfloat16; gives what they are then."""
    halves = {n: (x.astype("<f4").view("<u4") >> 16).astype("<u2") for n, x in made.items()}
    header: dict[str, object] = {}
    data = b""
    for name, half in halves.items():
        offsets = [len(data), len(data) + half.nbytes]
        header[name] = {"dtype": "BF16", "shape": list(half.shape), "data_offsets": offsets}
        data += half.tobytes()
    said = json.dumps(header).encode()
    path.write_bytes(len(said).to_bytes(8, "little") + said + data)
    return {n: (x.astype("<u4") << 16).view("<f4").astype(np.float64) for n, x in halves.items()}
