"""Pretrained transformers: layers against a forward pass in NumPy, and the flow on the sphere."""

from __future__ import annotations

import gc
from math import erf, pi, sqrt
from pathlib import Path

import numpy as np
import pytest
from pretrained import FAMILIES, HEADS, LAYERS, D, Weights, write

import meanfield as mf
from meanfield.case.pretrained.tensors import Tensors
from meanfield.dynamics.particles import ParticleSolver
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array, tangent_project
from meanfield.interaction.pretrained import FeedForward, Network

# ------------------------------------------------------------------ a forward pass, independent


def layer_norm(x: Array, w: Weights, name: str, eps: float) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
    return np.asarray(centred / deviation * w[f"{name}.weight"] + w[f"{name}.bias"])


def gelu(x: Array) -> Array:
    return np.asarray(0.5 * x * (1.0 + np.vectorize(erf)(x / sqrt(2.0))))


def gelu_new(x: Array) -> Array:
    return np.asarray(0.5 * x * (1.0 + np.tanh(sqrt(2.0 / pi) * (x + 0.044715 * x**3))))


def attention(q: Array, k: Array, v: Array, causal: bool) -> Array:
    """Heads cut out of the columns of q, k, v; one token after the other."""
    out, size = np.zeros_like(q), D // HEADS
    for i in range(len(q)):
        seen = i + 1 if causal else len(q)
        for h in range(HEADS):
            at = slice(h * size, (h + 1) * size)
            e = np.exp(k[:seen, at] @ q[i, at] / sqrt(size))
            out[i, at] = (e / e.sum()) @ v[:seen, at]
    return out


def linear(x: Array, w: Weights, name: str) -> Array:
    return np.asarray(x @ w[f"{name}.weight"].T + w[f"{name}.bias"])


def conv1d(x: Array, w: Weights, name: str) -> Array:
    return np.asarray(x @ w[f"{name}.weight"] + w[f"{name}.bias"])


def bert(x: Array, w: Weights) -> list[Array]:
    states = [x]
    for l in range(LAYERS):
        at = f"bert.encoder.layer.{l}"
        q, k, v = (linear(x, w, f"{at}.attention.self.{n}") for n in ("query", "key", "value"))
        y = linear(attention(q, k, v, False), w, f"{at}.attention.output.dense")
        x = layer_norm(x + y, w, f"{at}.attention.output.LayerNorm", 1e-12)
        y = linear(gelu(linear(x, w, f"{at}.intermediate.dense")), w, f"{at}.output.dense")
        x = layer_norm(x + y, w, f"{at}.output.LayerNorm", 1e-12)
        states.append(x)
    return states


def albert(x: Array, w: Weights) -> list[Array]:
    states, at = [x], "albert.encoder.albert_layer_groups.0.albert_layers.0"
    for _ in range(LAYERS):
        q, k, v = (linear(x, w, f"{at}.attention.{n}") for n in ("query", "key", "value"))
        y = linear(attention(q, k, v, False), w, f"{at}.attention.dense")
        x = layer_norm(x + y, w, f"{at}.attention.LayerNorm", 1e-12)
        y = linear(gelu_new(linear(x, w, f"{at}.ffn")), w, f"{at}.ffn_output")
        x = layer_norm(x + y, w, f"{at}.full_layer_layer_norm", 1e-12)
        states.append(x)
    return states


def gpt2(x: Array, w: Weights) -> list[Array]:
    states = [x]
    for l in range(LAYERS):
        at = f"transformer.h.{l}"
        y = conv1d(layer_norm(x, w, f"{at}.ln_1", 1e-5), w, f"{at}.attn.c_attn")
        q, k, v = np.split(y, 3, axis=1)
        x = x + conv1d(attention(q, k, v, True), w, f"{at}.attn.c_proj")
        y = gelu_new(conv1d(layer_norm(x, w, f"{at}.ln_2", 1e-5), w, f"{at}.mlp.c_fc"))
        x = x + conv1d(y, w, f"{at}.mlp.c_proj")
        states.append(x)
    states[-1] = layer_norm(x, w, "transformer.ln_f", 1e-5)
    return states


FORWARD = {"bert": bert, "albert": albert, "gpt2": gpt2}


def tokens(n: int, seed: int = 7) -> Array:
    return np.asarray(2.0 * np.random.default_rng(seed).normal(size=(n, D)) + 0.3)


@pytest.mark.parametrize("family", FAMILIES)
def test_hidden_states_are_those_of_the_forward_pass(family: str, tmp_path: Path) -> None:
    w = write(tmp_path, family)
    x = tokens(9)
    found = mf.Checkpoint(tmp_path).transformer().states(x)
    np.testing.assert_allclose(found, np.stack(FORWARD[family](x, w)), rtol=0.0, atol=1e-12)


def test_after_the_last_layer(tmp_path: Path) -> None:
    x = tokens(5)
    for family in FAMILIES:
        write(tmp_path / family, family)
        whole = mf.Checkpoint(tmp_path / family).transformer()
        ahead = whole.after(x, LAYERS)
        if family == "albert":
            np.testing.assert_array_equal(ahead, whole.after(x, 0))
        else:
            np.testing.assert_array_equal(ahead, x)
        again = mf.Checkpoint(tmp_path / family).transformer(repeats=True)
        np.testing.assert_array_equal(again.after(x, LAYERS), whole.after(x, 0))
        assert (family == "albert") == (not whole.ends) and not again.ends


def test_other_dimensions_and_layers_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "bert")
    checkpoint = mf.Checkpoint(tmp_path)
    with pytest.raises(InputError, match=r"shape \(3, 4\) found, \(n, 16\) expected"):
        checkpoint.transformer().states(np.ones((3, 4)))
    with pytest.raises(InputError, match="layer: found 3, expected one from 0 to 2"):
        checkpoint.block(3)


# ------------------------------------------------------------------ the flow


def centred(x: Array) -> Array:
    return np.asarray(x - x.mean(axis=1, keepdims=True))


def unit(n: int, seed: int = 3) -> Array:
    """Directions of mean 0."""
    x = centred(tokens(n, seed))
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))


@pytest.mark.parametrize("family", FAMILIES)
def test_heads_alone_are_those_of_a_composite(family: str, tmp_path: Path) -> None:
    """Without shifts, norms and perceptrons: A = Q^T K/sqrt(k), V = W_O W_V of rank k, dense."""
    w = write(tmp_path, family)
    for name in w:
        if name.endswith(".bias"):
            w[name] *= 0.0
    from safetensors.numpy import save_file

    save_file(w, tmp_path / "model.safetensors")
    checkpoint = mf.Checkpoint(tmp_path)
    network = Network(checkpoint.transformer(), perceptron=False, norms=False)
    x, m = unit(7), np.arange(1.0, 8.0) / 28.0
    for layer in range(LAYERS):
        block = checkpoint.block(layer)
        heads = tuple(block.attention.head(h) for h in range(HEADS))
        assert [np.linalg.matrix_rank(head.V) for head in heads] == [D // HEADS] * HEADS
        assert network.largest >= max(head.size for head in heads) * (1.0 - 1e-12)
        alone = mf.Composite(heads, "sa", D)
        dense = mf.Masked(alone, mf.Causal()) if family == "gpt2" else alone
        t = layer + 0.5
        np.testing.assert_allclose(
            network.outputs(x, m, t), dense.outputs(x, m), rtol=0.0, atol=1e-13
        )
        measure = mf.Measure(x, m)
        np.testing.assert_allclose(
            network.field(measure, t).own_velocity(), dense.field(measure).own_velocity(),
            rtol=0.0, atol=1e-13,
        )  # fmt: skip
    sizes = [h.size for l in range(LAYERS) for h in map(checkpoint.block(l).attention.head, (0, 1))]
    np.testing.assert_allclose(network.largest, max(sizes), rtol=1e-12)


@pytest.mark.parametrize("family", FAMILIES)
def test_norms_are_folded_in_exactly(family: str, tmp_path: Path) -> None:
    """Of unit vectors of mean 0 the folded layer is that of their norms (eps = 0)."""
    write(tmp_path, family, layer_norm_eps=0.0, layer_norm_epsilon=0.0)
    checkpoint = mf.Checkpoint(tmp_path)
    network = Network(checkpoint.transformer())
    x, m = unit(6), np.full(6, 1.0 / 6.0)
    for layer in range(LAYERS):
        block = checkpoint.block(layer)
        at, between = block.entry(x), block.second if block.pre else block.first
        expected = block.attention.outputs(at, at, causal=block.causal)
        expected = centred(expected + block.perceptron(between(x))) / 4.0
        found = network.outputs(x, m, layer + 0.25)
        np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-12)
        beside = network.outputs(x, m, layer + 0.25, beside=False)
        alone = centred(block.perceptron(between(x))) / 4.0
        np.testing.assert_allclose(found - beside, alone, rtol=0.0, atol=1e-12)
    if family == "gpt2":
        assert block.entry is block.first
    else:
        before = checkpoint.block(LAYERS - 2).second
        np.testing.assert_array_equal(block.entry.gain, before.gain)


def test_a_small_layer_is_a_step_of_the_flow(tmp_path: Path) -> None:
    """Of GPT-2 with outputs times h, directions move by h X + O(h^2): at |x| = sqrt(d), mean 0."""
    w = write(tmp_path, "gpt2", layer_norm_epsilon=0.0)
    from safetensors.numpy import save_file

    x, errors = unit(6), []
    for h in (1e-2, 5e-3):
        small = dict(w)
        for l in range(LAYERS):
            for name in ("attn.c_proj", "mlp.c_proj"):
                for part in ("weight", "bias"):
                    key = f"transformer.h.{l}.{name}.{part}"
                    small[key] = h * w[key]
        save_file(small, tmp_path / "model.safetensors")
        transformer = mf.Checkpoint(tmp_path).transformer()
        y = centred(transformer.block(0)(4.0 * x))
        y /= np.linalg.norm(y, axis=1, keepdims=True)
        velocity = Network(transformer).field(mf.Measure.equal(x)).own_velocity()
        np.testing.assert_allclose(np.sum(x * velocity, axis=1), 0.0, atol=1e-15)
        errors.append(np.abs(tangent_project(x, y - x) - velocity).max() / np.abs(velocity).max())
    assert errors[0] < 0.1 and 1.7 < errors[0] / errors[1] < 2.3


def test_the_flow_is_the_limit_of_the_network(tmp_path: Path) -> None:
    """Of ALBERT with plain norms: outputs times h and 1/h times as many layers, error O(h)."""
    from safetensors.numpy import save_file

    w = write(tmp_path, "albert", layer_norm_eps=0.0)
    at = "albert.encoder.albert_layer_groups.0.albert_layers.0"
    for name in (f"{at}.attention.LayerNorm", f"{at}.full_layer_layer_norm"):
        w[f"{name}.weight"], w[f"{name}.bias"] = np.ones(D), np.zeros(D)
    save_file(w, tmp_path / "model.safetensors")
    x = unit(6)
    network = Network(mf.Checkpoint(tmp_path).transformer())
    options = mf.Particles(number=6, rtol=1e-10, atol=1e-12)
    flow = ParticleSolver(network, x, options=options)
    while flow.t < 2.0:
        flow.advance(2.0)
    errors = []
    for layers in (200, 400):
        small = dict(w)
        for name in (f"{at}.attention.dense", f"{at}.ffn_output"):
            for part in ("weight", "bias"):
                small[f"{name}.{part}"] = 2.0 / layers * w[f"{name}.{part}"]
        save_file(small, tmp_path / "model.safetensors")
        last = mf.Checkpoint(tmp_path).transformer().states(4.0 * x, layers)[-1] / 4.0
        errors.append(np.abs(last - flow.x).max())
    assert errors[0] < 0.02 < np.abs(flow.x - x).max() and 1.8 < errors[0] / errors[1] < 2.2


def test_a_field_of_tokens(tmp_path: Path) -> None:
    write(tmp_path / "bert", "bert")
    write(tmp_path / "gpt2", "gpt2")
    x = unit(6)
    network = Network(mf.Checkpoint(tmp_path / "bert").transformer())
    field = network.field(mf.Measure.equal(x))
    at = np.concatenate([x[:2], unit(2, 11)])
    np.testing.assert_allclose(field.velocity(at)[:2], field.own_velocity()[:2], atol=1e-14)
    causal = Network(mf.Checkpoint(tmp_path / "gpt2").transformer())
    own = causal.field(mf.Measure.equal(x)).own_velocity()
    with pytest.raises(InputError, match="points: others than the tokens"):
        causal.field(mf.Measure.equal(x)).velocity(at)
    first = causal.field(mf.Measure.equal(x[:3])).own_velocity()  # nobody sees who comes later
    np.testing.assert_allclose(own[:3], first, rtol=0.0, atol=1e-14)
    assert causal.one_point_each and not network.one_point_each
    with pytest.raises(InputError, match="a mesh found"):
        network.on_mesh(12)
    with pytest.raises(InputError, match="a divergence asked for"):
        field.divergence(x)


def test_masses_of_nothing_are_not_seen(tmp_path: Path) -> None:
    x, m = unit(5), np.array([0.0, 0.5, 0.0, 0.3, 0.2])
    for family in ("bert", "gpt2"):
        write(tmp_path / family, family)
        network = Network(mf.Checkpoint(tmp_path / family).transformer())
        seen = network.outputs(x, m)
        few = network.outputs(x[m > 0.0], m[m > 0.0])
        np.testing.assert_allclose(seen[m > 0.0], few, rtol=0.0, atol=1e-13)


def test_layers_in_time(tmp_path: Path) -> None:
    write(tmp_path / "bert", "bert")
    write(tmp_path / "albert", "albert")
    whole = mf.Checkpoint(tmp_path / "bert").transformer()
    network, again = Network(whole), Network(
        mf.Checkpoint(tmp_path / "bert").transformer(repeats=True)
    )  # fmt: skip
    x, m = unit(4), np.full(4, 0.25)
    each = [network.outputs(x, m, l + 0.5) for l in range(LAYERS)]
    assert np.abs(each[0] - each[1]).max() > 1e-2 < np.abs(each[2] - each[1]).max()
    for t, layer in ((0.0, 0), (1.0, 1), (np.nextafter(2.0, 0.0), 1), (3.0, 2), (7.0, 2)):
        np.testing.assert_array_equal(network.outputs(x, m, t), each[layer])
        np.testing.assert_array_equal(network.at(t).outputs(x, m), each[layer])
    np.testing.assert_array_equal(again.outputs(x, m, 4.2), each[1])
    assert [network.next_jump(t) for t in (0.0, 0.5, 1.0, 2.0, 9.0)] == [1, 1, 2, np.inf, np.inf]
    assert again.next_jump(2.0) == 3.0 and network.moves and network.piecewise
    shared = Network(mf.Checkpoint(tmp_path / "albert").transformer())
    assert not shared.moves and shared.next_jump(0.5) == np.inf


@pytest.mark.parametrize("norms", [True, False])
def test_no_more_than_three_layers_are_in_memory(
    norms: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one is read the one before is held; then as it is, and folded, beside that."""

    def held() -> int:
        gc.collect()
        parts = [p for p in gc.get_objects() if isinstance(p, FeedForward)]
        return len({id(p.inner.matrix) for p in parts})

    write(tmp_path, "gpt2")
    network = Network(mf.Checkpoint(tmp_path).transformer(repeats=True), norms=norms)
    x, m, before, counts = unit(4), np.full(4, 0.25), held(), {"read": 0, "after": 0}
    read = Tensors.read

    def counted(self: Tensors, owner: str, part: str) -> Array:
        counts["read"] = max(counts["read"], held() - before)
        return read(self, owner, part)

    monkeypatch.setattr(Tensors, "read", counted)
    for place in range(6):
        network.outputs(x, m, place + 0.5)
        counts["after"] = max(counts["after"], held() - before)
    assert counts == {"read": 2, "after": 3 if norms else 2}


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_that_repeat_are_behind_the_last_norm(family: str, tmp_path: Path) -> None:
    """Before layer 0 there is the norm of the embeddings once, then that of the last layer."""
    w = write(tmp_path, family)
    checkpoint = mf.Checkpoint(tmp_path)
    once, again = (Network(checkpoint.transformer(repeats)) for repeats in (False, True))
    x, m = unit(4), np.full(4, 0.25)
    np.testing.assert_array_equal(again.outputs(x, m, 0.5), once.outputs(x, m, 0.5))
    np.testing.assert_array_equal(again.outputs(x, m, 4.5), again.outputs(x, m, 1.5))
    expected = once.outputs(x, m, 0.5)
    if family == "bert":
        norm = f"bert.encoder.layer.{LAYERS - 1}.output.LayerNorm"
        shifted = sqrt(D) * x * w[f"{norm}.weight"] + w[f"{norm}.bias"]
        block = checkpoint.block(0)
        expected = block.attention.outputs(shifted, shifted) + block.on_sphere()[1](x)
        expected = centred(expected) / sqrt(D)
    for t in (3.5, 6.0):
        np.testing.assert_allclose(again.outputs(x, m, t), expected, rtol=0.0, atol=1e-13)
        np.testing.assert_allclose(again.at(t).outputs(x, m), expected, rtol=0.0, atol=1e-13)
    assert (np.abs(expected - once.outputs(x, m, 0.5)).max() > 1e-2) == (family == "bert")
    assert again.largest > 0.0


def test_one_layer_that_repeats_is_another_later(tmp_path: Path) -> None:
    write(tmp_path, "bert", num_hidden_layers=1)
    again = Network(mf.Checkpoint(tmp_path).transformer(repeats=True))
    x, m = unit(4), np.full(4, 0.25)
    assert again.moves and again.next_jump(0.5) == 1.0
    assert np.abs(again.outputs(x, m, 1.5) - again.outputs(x, m, 0.5)).max() > 1e-2
    np.testing.assert_array_equal(again.outputs(x, m, 2.5), again.outputs(x, m, 1.5))
