"""Pretrained transformers: the network as it is, and the flow with the same weights."""

from __future__ import annotations

import sys
import tempfile
from math import pi, sqrt
from pathlib import Path

import numpy as np

import meanfield as mf
from meanfield.geometry.sphere import Array

from .table import Table, Values

table = Table("pretrained")

STUDIES = Path(__file__).parents[1] / "studies"


def _study() -> tuple[object, object]:
    """Of scripts/studies/pretrained.py, loaded by its path: this module has its name."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("pretrained_study", STUDIES / "pretrained.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.make, module.cosines


def _forward(x: Array, folder: Path, layers: int) -> Array:
    """ALBERT's forward pass, written out: one layer's weights for all, gains 1, no shifts."""
    from safetensors.numpy import load_file

    w = load_file(folder / "model.safetensors")
    at, heads = "encoder.albert_layer_groups.0.albert_layers.0.", 2

    def linear(y: Array, name: str) -> Array:
        return np.asarray(y @ w[f"{at}{name}.weight"].T + w[f"{at}{name}.bias"])

    def norm(y: Array) -> Array:
        y = y - y.mean(axis=1, keepdims=True)
        return np.asarray(y / np.sqrt((y**2).mean(axis=1, keepdims=True) + 1e-12))

    size = x.shape[1] // heads
    for _ in range(layers):
        q, k, v = (linear(x, f"attention.{name}") for name in ("query", "key", "value"))
        out = np.zeros_like(x)
        for h in range(heads):
            part = slice(h * size, (h + 1) * size)
            e = np.exp(q[:, part] @ k[:, part].T / sqrt(size))
            out[:, part] = (e / e.sum(axis=1, keepdims=True)) @ v[:, part]
        x = norm(x + linear(out, "attention.dense"))
        y = linear(x, "ffn")
        y = 0.5 * y * (1.0 + np.tanh(sqrt(2.0 / pi) * (y + 0.044715 * y**3)))
        x = norm(x + linear(y, "ffn_output"))
    return x


def _embeddings() -> Array:
    x = np.random.default_rng(1).normal(size=(32, 16)) + 0.5 * np.arange(16) / 16
    x -= x.mean(axis=1, keepdims=True)
    return np.asarray(4.0 * x / np.linalg.norm(x, axis=1, keepdims=True))


@table.row(
    "hidden states of a small random ALBERT ($d = 16$, 2 heads, 6 layers, 32 tokens): largest "
    "difference", "{:.0e}", source="a forward pass in NumPy", quick=True, rough=True,
)  # fmt: skip
def hidden_states() -> Values:
    make, _ = _study()
    with tempfile.TemporaryDirectory() as folder:
        made = make(Path(folder), 6, 1.0)  # type: ignore[operator]
        x = _embeddings()
        states = mf.Checkpoint(made).transformer().states(x)
        return (float(np.max(np.abs(states[-1] - _forward(x, made, 6)))),)


@table.row(
    "the same weights: mean cosine of two tokens after 6 layers; outputs times $h$ and $6/h$ "
    "layers, $h = 1, 1/4, 1/16$", "{:.4f}, {:.4f}, {:.4f}", source="the flow, next row",
)  # fmt: skip
def networks() -> Values:
    make, cosines = _study()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        tokens = Path(folder) / "embeddings.npy"
        np.save(tokens, _embeddings())
        for h in (1.0, 0.25, 0.0625):
            count = round(6 / h)
            made = make(Path(folder) / f"h{h:g}", count, h)  # type: ignore[operator]
            found.append(float(cosines(made, tokens, 6, count)[1][-1]))  # type: ignore[operator]
    return tuple(found)


@table.row(
    "the same weights: mean cosine at $t = 6$ of the flow on the sphere", "{:.4f}",
    source="the limit $h \\to 0$ of the row above",
)  # fmt: skip
def flow() -> Values:
    make, cosines = _study()
    with tempfile.TemporaryDirectory() as folder:
        tokens = Path(folder) / "embeddings.npy"
        np.save(tokens, _embeddings())
        made = make(Path(folder) / "flow", 6, 1.0)  # type: ignore[operator]
        return (float(cosines(made, tokens, 6)[1][-1]),)  # type: ignore[operator]
