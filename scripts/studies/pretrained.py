"""How near is the flow of the papers to a transformer with the same weights?

A folder in the Hugging Face layout, or a small ALBERT-like one with random weights that is made
here (gains 1, no shifts). Tokens go through the network as it is, and by the flow of its heads and
perceptrons on the sphere; of random weights also through networks whose outputs are h times as
large, with 1/h times as many layers. Printed and drawn: the mean cosine of two tokens, by layer.

    scripts/env python scripts/studies/pretrained.py [--folder FOLDER --tokens EMBEDDINGS.npy]
        [--layers 12] [--h 1 0.25 0.0625] [-o results/pretrained]

Needs safetensors for weights that it makes: pip install safetensors.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import meanfield as mf
from meanfield.figures.style import drawing, save
from meanfield.geometry.sphere import Array

D, HEADS, WIDTH, NUMBER = 16, 2, 64, 32
AT = "encoder.albert_layer_groups.0.albert_layers.0."


def make(folder: Path, layers: int, h: float) -> Path:
    """A random network whose outputs are times h; gives its folder."""
    from safetensors.numpy import save_file

    rng = np.random.default_rng(0)
    sizes = {"attention.query": (D, D), "attention.key": (D, D), "attention.value": (D, D),
             "attention.dense": (D, D), "ffn": (WIDTH, D), "ffn_output": (D, WIDTH)}  # fmt: skip
    tensors = {}
    for name, shape in sizes.items():
        factor = h if name in ("attention.dense", "ffn_output") else 1.0
        tensors[f"{AT}{name}.weight"] = factor * rng.normal(size=shape) / np.sqrt(shape[1])
        tensors[f"{AT}{name}.bias"] = np.zeros(shape[0])
    for name in ("attention.LayerNorm", "full_layer_layer_norm"):
        tensors[f"{AT}{name}.weight"], tensors[f"{AT}{name}.bias"] = np.ones(D), np.zeros(D)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    config = {
        "model_type": "albert", "hidden_size": D, "num_attention_heads": HEADS,
        "num_hidden_layers": layers, "intermediate_size": WIDTH, "hidden_act": "gelu_new",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return folder


def cosines(folder: Path, tokens: Path, end: int, layers: int | None = None) -> tuple[Array, Array]:
    """Times and mean cosine of two tokens; through ``layers`` as they are, or by the flow."""
    d = mf.Checkpoint(folder).d
    solver: dict[str, object] = {"tokens": str(tokens), "type": "layers", "layers": 1}
    if layers is None:
        solver = {"tokens": str(tokens), "type": "particles", "normalise": True}
    time = float(end if layers is None else layers)
    result = mf.run(
        {
            "geometry": {"type": "unmeshed", "d": d},
            "model": {"pretrained": {"folder": str(folder), "exact": layers is not None}},
            "initial": {"type": "uniform"},
            "solver": solver,
            "time": {"end": time, "outputs": {"every": time / end}},
        },
        progress=False,
    )
    n, mean = len(np.load(tokens)), result.series["mean_norm"]
    return result.series["t"] * end / time, (n * mean**2 - 1.0) / (n - 1.0)


def main() -> None:
    """Print and draw the mean cosines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--tokens", type=Path)
    parser.add_argument("--layers", type=int, default=12, help="of weights that are made")
    parser.add_argument("--h", type=float, nargs="+", default=[1.0, 0.25, 0.0625])
    parser.add_argument("-o", "--output", type=Path, default=Path("results/pretrained"))
    given = parser.parse_args()
    if (given.folder is None) != (given.tokens is None):
        parser.error("--folder and --tokens: one of them found, expected both or neither")
    given.output.mkdir(parents=True, exist_ok=True)
    if given.folder is None:
        tokens, layers = given.output / "embeddings.npy", given.layers
        x = np.random.default_rng(1).normal(size=(NUMBER, D)) + 0.5 * np.arange(D) / D
        x -= x.mean(axis=1, keepdims=True)
        np.save(tokens, np.sqrt(D) * x / np.linalg.norm(x, axis=1, keepdims=True))
        folder = make(given.output / "flow", layers, 1.0)
        found = {}
        for h in given.h:
            count = round(layers / h)
            scaled = make(given.output / f"h{h:g}", count, h)
            found[f"network, h = {h:g}"] = cosines(scaled, tokens, layers, count)
    else:
        folder, tokens = given.folder, given.tokens
        layers = mf.Checkpoint(folder).layers
        found = {"network": cosines(folder, tokens, layers, layers)}
    found["flow"] = cosines(folder, tokens, layers)
    with drawing():
        figure = Figure(figsize=(5.0, 3.2), layout="constrained")
        axes = figure.add_subplot()
        for name, (t, cosine) in found.items():
            ends = [cosine[np.flatnonzero(t <= k + 1e-9)[-1]] for k in range(layers + 1)]
            axes.plot(range(layers + 1), ends, "-k" if name == "flow" else "o", ms=3, label=name)
            print(f"{name:20} " + " ".join(f"{value:.4f}" for value in ends))
        axes.set_xlabel("layer")
        axes.set_ylabel("mean cosine of two tokens")
        axes.legend(frameon=False)
        save(figure, given.output / "cosine.png")


if __name__ == "__main__":
    main()
