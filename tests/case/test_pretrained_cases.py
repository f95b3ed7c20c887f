"""[model.pretrained] in cases: what is read of a folder, run, refused in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from pretrained import FAMILIES, LAYERS, D, as_bfloat16, write
from safetensors.numpy import save_file

import meanfield as mf
from meanfield.case import as_case
from meanfield.cli.words import case_words
from meanfield.dynamics.pretrained import TransformerSolver
from meanfield.dynamics.tokensolver import TokenSolver
from meanfield.errors import InputError
from meanfield.geometry.sphere import Array

N = 8


def embeddings(folder: Path) -> Array:
    x = 2.0 * np.random.default_rng(1).normal(size=(N, D)) + 0.2
    np.save(folder / "embeddings.npy", x)
    return np.asarray(x)


def table(folder: str, exact: bool = False, **keys: object) -> dict[str, object]:
    solver: dict[str, object] = {"tokens": "embeddings.npy", "type": "layers", "layers": 1}
    if not exact:
        solver = {"tokens": "embeddings.npy", "type": "particles", "normalise": True}
    found: dict[str, object] = {
        "geometry": {"type": "unmeshed", "d": D},
        "model": {"pretrained": {"folder": folder, **({"exact": True} if exact else {})}},
        "initial": {"type": "uniform"},
        "solver": solver,
        "time": {"end": float(LAYERS), "outputs": {"every": 0.5}},
    }
    for key, value in keys.items():
        section, _, name = key.partition("__")
        part = dict(found[section])  # type: ignore[call-overload]
        found[section] = {**part, name: value} if name else value
    return found


def case(base: Path, folder: str, exact: bool = False, **keys: object) -> mf.Case:
    return mf.Case.from_dict(table(folder, exact, **keys), base)


# ------------------------------------------------------------------ what is run


def ends(result: mf.Result) -> Array:
    assert isinstance(result.solver, TokenSolver)
    return result.solver.x


@pytest.mark.parametrize("family", FAMILIES)
def test_the_network_as_it_is(family: str, tmp_path: Path) -> None:
    write(tmp_path / family, family)
    x = embeddings(tmp_path)
    states = mf.Checkpoint(tmp_path / family).transformer().states(x)
    result = mf.run(case(tmp_path, family, exact=True), tmp_path / "run", progress=False)
    solver = result.solver
    assert isinstance(solver, TransformerSolver)
    np.testing.assert_allclose(solver.hidden, states[-1], rtol=0.0, atol=1e-13)
    directions = states / np.linalg.norm(states, axis=2, keepdims=True)
    np.testing.assert_allclose(solver.x, directions[-1], rtol=0.0, atol=1e-14)
    np.testing.assert_allclose(solver.lengths, np.linalg.norm(states[-1], axis=1), rtol=1e-13)
    # Between the ends of layers tokens are those of the layer before.
    means = np.linalg.norm(directions.mean(axis=1), axis=1)
    found = result.series["mean_norm"][np.isin(result.series["t"], [0.0, 0.5, 1.0, 1.5, 3.0])]
    np.testing.assert_allclose(found, means[[0, 0, 1, 1, 3]], rtol=0.0, atol=1e-12)


def test_output_times_that_are_whole_but_for_round_off(tmp_path: Path) -> None:
    """Three times a third is less than one: the first layer is over then."""
    write(tmp_path / "gpt2", "gpt2")
    states = mf.Checkpoint(tmp_path / "gpt2").transformer().states(embeddings(tmp_path))
    made = case(tmp_path, "gpt2", exact=True, time__outputs={"every": 1.0 / 3.0})
    series = mf.run(made, tmp_path / "run", progress=False).series
    directions = states / np.linalg.norm(states, axis=2, keepdims=True)
    means = np.linalg.norm(directions.mean(axis=1), axis=1)
    layers = [int(np.floor(t + 1e-9)) for t in series["t"]]
    np.testing.assert_allclose(series["mean_norm"], means[layers], rtol=0.0, atol=1e-12)
    assert np.nextafter(1.0, 0.0) in series["t"] and layers[-1] == LAYERS


def test_a_run_of_the_network_goes_on(tmp_path: Path) -> None:
    write(tmp_path / "gpt2", "gpt2")
    embeddings(tmp_path)
    mf.run(case(tmp_path, "gpt2", True, time__end=1.5), tmp_path / "run", progress=False)
    whole = case(tmp_path, "gpt2", True)
    later = mf.run(whole, tmp_path / "run", resume=True, progress=False)
    once = mf.run(whole, tmp_path / "once", progress=False)
    assert isinstance(later.solver, TransformerSolver)
    assert isinstance(once.solver, TransformerSolver)
    np.testing.assert_array_equal(later.solver.hidden, once.solver.hidden)
    write(tmp_path / "gpt2", "gpt2", seed=1)  # other weights of the same shapes
    with pytest.raises(InputError, match=r"model\.pretrained\.folder"):
        mf.run(whole, tmp_path / "run", resume=True, progress=False)


def test_the_velocity_is_that_of_the_next_layer(tmp_path: Path) -> None:
    write(tmp_path / "bert", "bert")
    x = embeddings(tmp_path)
    checkpoint = mf.Checkpoint(tmp_path / "bert")
    network = checkpoint.transformer()
    made = case(tmp_path, "bert", True)
    solver = TransformerSolver(made.model.on(made.geometry), x, transformer=network)
    r = np.linalg.norm(x, axis=1, keepdims=True)
    change = (network.states(x)[1] - x) / r
    change -= np.sum(change * x / r, axis=1, keepdims=True) * x / r
    np.testing.assert_allclose(solver.velocity(), change, rtol=0.0, atol=1e-13)
    while solver.t < LAYERS:
        solver.advance(solver.t + 0.75)
    assert solver.t == LAYERS
    assert np.abs(solver.velocity()).max() == 0.0  # no layer follows
    with pytest.raises(InputError, match="a token without a direction"):
        TransformerSolver(made.model.on(made.geometry), 0.0 * x, transformer=network)


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_the_flow(family: str, tmp_path: Path) -> None:
    """By particles and by layers, whose error is of first order, over jumps between the layers."""
    write(tmp_path / family, family)
    embeddings(tmp_path)
    sharp = case(tmp_path, family, solver__rtol=1e-9, time__end=1.5)
    exact = mf.run(sharp, tmp_path / "run", progress=False)
    assert 1.0 in exact.series["t"]
    errors = []
    for count in (40, 80):
        solver = {"type": "layers", "tokens": "embeddings.npy", "normalise": True, "layers": count}
        made = case(tmp_path, family, solver=solver, time__end=1.5)
        found = mf.run(made, tmp_path / f"layers{count}", progress=False)
        errors.append(np.abs(ends(found) - ends(exact)).max())
    assert errors[0] < 0.1 and 1.7 < errors[0] / errors[1] < 2.4


def test_parts_that_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / "bert", "bert")
    x = embeddings(tmp_path)
    x /= np.linalg.norm(x, axis=1, keepdims=True)

    def velocity(**options: object) -> Array:
        made = case(tmp_path, "bert", model__pretrained={"folder": "bert", **options})
        return made.model.on(made.geometry).field(mf.Measure.equal(x)).own_velocity()

    attention, feed = mf.Checkpoint(tmp_path / "bert").block(0).on_sphere()
    for option, expected in (
        (velocity(), (attention.outputs(x, x) + feed(x)) / 4.0),
        (velocity(perceptron=False), attention.outputs(x, x) / 4.0),
    ):
        expected = expected - expected.mean(axis=1, keepdims=True)
        expected = expected - np.sum(expected * x, axis=1, keepdims=True) * x
        np.testing.assert_allclose(option, expected, rtol=0.0, atol=1e-13)
    block = mf.Checkpoint(tmp_path / "bert").block(0)
    bare = block.attention.outputs(x, x) + block.perceptron(x)
    bare -= np.sum(bare * x, axis=1, keepdims=True) * x
    np.testing.assert_allclose(velocity(norms=False), bare, rtol=0.0, atol=1e-13)


def test_noise_and_time_beyond_the_layers(tmp_path: Path) -> None:
    write(tmp_path / "bert", "bert")
    write(tmp_path / "albert", "albert")
    embeddings(tmp_path)
    noisy = case(tmp_path, "bert", model__kappa=0.01, time__end=0.1)
    assert mf.run(noisy, progress=False).stop_reason == "end"
    case(tmp_path, "albert", time__end=24.0)
    case(tmp_path, "bert", model__pretrained={"folder": "bert", "repeat": True}, time__end=24.0)
    with pytest.raises(InputError, match=r"^time\.end: found 24, expected at most 3, one for each"):
        case(tmp_path, "bert", time__end=24.0)


def test_a_case_is_written_and_read_again(tmp_path: Path) -> None:
    write(tmp_path / "bert", "bert")
    embeddings(tmp_path)
    made = case(tmp_path, "bert", model={"pretrained": "bert"})  # by its folder alone
    assert made.model.pretrained == mf.Pretrained(folder=tmp_path / "bert")
    assert mf.Case.from_dict(made.to_dict()) == made
    assert as_case(table("bert", model={"pretrained": str(tmp_path / "bert")}, solver={
        "type": "particles", "number": 4})).model == made.model  # fmt: skip
    assert set(made.file_digests()) == {"model.pretrained.folder", "solver.tokens"}
    assert "bert, 3 layers, 2 heads, d = 16" in made.model.describe()
    exact = case(tmp_path, "bert", True)
    words = "8 tokens on S^15 (embeddings.npy), layer by layer, pretrained bert"
    assert case_words(exact).startswith(words)


# ------------------------------------------------------------------ what is in a folder


def test_types_shards_prefixes_and_old_names(tmp_path: Path) -> None:
    """All ways in which the same numbers may be stored give the same states."""
    x, found = embeddings(tmp_path), {}

    def states(name: str) -> Array:
        return mf.Checkpoint(tmp_path / name).transformer().states(x)

    w = write(tmp_path / "whole", "bert")
    config = tmp_path / "whole" / "config.json"
    for name in ("half", "brain", "shards", "bare", "old"):
        (tmp_path / name).mkdir()
        shutil.copy(config, tmp_path / name)
    short = {name: value.astype(np.float16) for name, value in w.items()}
    save_file(short, tmp_path / "half" / "model.safetensors")
    save_file(
        {name: value.astype(np.float64) for name, value in short.items()},
        tmp_path / "whole" / "model.safetensors",
    )
    found["half"] = states("whole")
    brain = as_bfloat16(tmp_path / "brain" / "model.safetensors", w)
    save_file(brain, tmp_path / "whole" / "model.safetensors")
    found["brain"] = states("whole")
    names = sorted(w)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, held in parts.items():
        save_file({name: w[name] for name in held}, tmp_path / "shards" / file)
    where = {name: file for file, held in parts.items() for name in held}
    index = {"metadata": {}, "weight_map": where}
    (tmp_path / "shards" / "model.safetensors.index.json").write_text(json.dumps(index))
    bare = {name.removeprefix("bert."): value for name, value in w.items()}
    save_file(bare, tmp_path / "bare" / "model.safetensors")
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("Norm.bias", "Norm.beta"): value
        for name, value in w.items()
    }
    save_file(old, tmp_path / "old" / "model.safetensors")
    save_file(w, tmp_path / "whole" / "model.safetensors")
    found |= dict.fromkeys(("shards", "bare", "old"), states("whole"))
    for name, expected in found.items():
        np.testing.assert_array_equal(states(name), expected)
    assert np.abs(found["half"] - found["brain"]).max() > 1e-3


def test_groups_of_albert(tmp_path: Path) -> None:
    """Layers take the groups in turn, as many of each: i G/L, rounded down."""
    from safetensors.numpy import load_file

    w = write(tmp_path, "albert", num_hidden_groups=2, num_hidden_layers=4)
    del w["cls.unused.weight"]
    at = "albert_layer_groups"
    other = {name: value * 1.1 for name, value in w.items()}
    both = w | {name.replace(f"{at}.0", f"{at}.1"): v for name, v in other.items()}
    save_file(both, tmp_path / "model.safetensors")
    checkpoint = mf.Checkpoint(tmp_path)
    assert not checkpoint.shared and checkpoint.layers == 4
    key = "albert.encoder.albert_layer_groups.{g}.albert_layers.0.ffn.weight"
    for layer, group in enumerate((0, 0, 1, 1)):
        expected = load_file(tmp_path / "model.safetensors")[key.format(g=group)]
        np.testing.assert_array_equal(checkpoint.block(layer).perceptron.inner.matrix, expected)


def test_only_what_is_needed_is_read(tmp_path: Path) -> None:
    w = write(tmp_path, "gpt2")
    checkpoint = mf.Checkpoint(tmp_path)
    first = checkpoint.block(0)
    assert checkpoint.block(0) is first
    checkpoint.block(1)
    checkpoint.block(2)
    assert checkpoint.block(0) is not first  # one is kept
    name = "transformer.h.2.mlp.c_fc.bias"
    save_file({**w, name: np.full(40, np.nan)}, tmp_path / "model.safetensors")
    checkpoint = mf.Checkpoint(tmp_path)
    checkpoint.block(0)
    with pytest.raises(InputError, match=rf"found numbers in {name} that are not finite"):
        checkpoint.block(2)


FAULTS: dict[str, tuple[object, str]] = {
    "no folder": (None, r"found no folder .*gpt \(did you mean 'gpt2'\?\)"),
    "family": ({"model_type": "brt"}, r"found the text 'brt' for model_type, .*gpt2 \(did you .*"),
    "no family": ({"model_type": None}, "found nothing for model_type, expected one of bert"),
    "act": ({"activation_function": "gelu_ne"}, r"for activation_function.*\(did you mean 'gelu_n"),
    "size": ({"n_embd": "16"}, "found the text '16' for n_embd, expected a whole number"),
    "heads": ({"n_head": 3}, "found n_embd = 16 with n_head = 3, expected a multiple of it"),
    "scale": ({"scale_attn_by_inverse_layer_idx": True}, "for scale_attn_by_inverse_layer_idx"),
    "more layers": ({"n_layer": 4}, r"no tensor transformer\.h\.3\.attn\.c_attn\.weight .*did you"),
    "shape": (
        {"n_inner": 41},
        r"found 16 x 40 for transformer\.h\.0\.mlp\.c_fc\.weight, expected ",
    ),
    "eps": ({"layer_norm_epsilon": -1}, "found -1 for layer_norm_epsilon, expected a number from"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_folders_are_one_line(fault: str, tmp_path: Path) -> None:
    config, message = FAULTS[fault]
    write(tmp_path / "gpt2", "gpt2", **(config or {}))  # type: ignore[arg-type]
    embeddings(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        case(tmp_path, "gpt2" if config else "gpt")
    said = str(caught.value)
    assert said.startswith("model.pretrained.folder: ") and "\n" not in said and len(said) < 500


def test_faults_of_files_are_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "gpt2"
    w = write(folder, "gpt2")

    def refused(message: str) -> None:
        with pytest.raises(InputError, match=message) as caught:
            checkpoint = mf.Checkpoint(folder)
            checkpoint.block(0)
        assert "\n" not in str(caught.value)

    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text("{")
    refused(r"config\.json is no JSON")
    (folder / "config.json").write_text("[]")
    refused(r"config\.json: found a list, expected a table")
    (folder / "config.json").unlink()
    refused(r"found no file .*config\.json")
    (folder / "config.json").write_text(config)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:100])
    refused("is no whole .safetensors file")
    name = "transformer.h.0.ln_1.weight"
    save_file({**w, name: np.full(D, np.nan)}, folder / "model.safetensors")
    refused(rf"found numbers in {name} that are not finite")
    save_file({**w, name: np.ones(D, dtype=np.int64)}, folder / "model.safetensors")
    refused(r"found a tensor of I64 in .*model\.safetensors, expected F64")
    (folder / "model.safetensors").rename(folder / "models.safetensors")
    refused(r"found no model\.safetensors .*\(did you mean 'models\.safetensors'\?\)")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    refused(r"found pytorch_model\.bin in .*may run code.*expected model\.safetensors")
    for given, message in (
        ({}, "found no weight_map"),
        ({"weight_map": {"a": "../x.safetensors"}}, "of the same folder"),
        ({"weight_map": {"a": "x.bin"}}, "expected the name of a .safetensors file"),
        ({"weight_map": {"a": "x.safetensors"}}, r"found no file .*x\.safetensors, which"),
    ):
        (folder / "model.safetensors.index.json").write_text(json.dumps(given))
        refused(message)


# ------------------------------------------------------------------ what does not go together


REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "a gain": (
        {"model__normalisation": {"type": "post", "gain": 2.0}},
        r"normalisation\.gain: found beside pretrained",
    ),
    "dimension": ({"geometry__d": 8}, r"geometry\.d: found 8, expected 16, the hidden size of"),
    "attention": ({"model__attention": "sa"}, "attention: found beside pretrained"),
    "mask and attention": (
        {"model__mask": "causal", "model__attention": "sa"}, "attention: found beside",
    ),
    "mask": (
        {"model__mask": {"type": "padding", "length": 4}}, r"mask: found beside pretrained, whose",
    ),
    "rope": ({"model__rope": {}}, r"rope: found beside pretrained, whose"),
    "drift": ({"model__drift": {"matrix": np.eye(D).tolist()}}, "drift: found beside pretrained"),
    "own terms": ({"solver__exclude_self": True}, "solver.exclude_self: found true with"),
    "density": (
        {"geometry": {"type": "sphere", "level": 1}, "solver": "eulerian"},
        r"model\.pretrained: found, but a density has none",
    ),
    "lengths": ({"solver__normalise": False}, r"solver\.normalise = true makes them"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_go_with_a_flow(name: str, tmp_path: Path) -> None:
    keys, message = REFUSED[name]
    write(tmp_path / "bert", "bert")
    embeddings(tmp_path)
    with pytest.raises(InputError, match=message):
        mf.run(case(tmp_path, "bert", False, **keys), progress=False)


EXACT: dict[str, tuple[dict[str, object], str]] = {
    "particles": (
        {"solver": {"type": "particles", "tokens": "embeddings.npy"}},
        r"solver\.type: found 'particles' with model\.pretrained\.exact = true, expected 'layers'",
    ),
    "layers": ({"solver__layers": 4}, r"solver\.layers: found 4 with .*, expected 1"),
    "tokens": (
        {"solver": {"type": "layers", "layers": 1, "number": 4}},
        r"solver\.tokens: found 'iid' .*expected a file of embeddings",
    ),
    "number": ({"solver__number": 3}, r"embeddings\.npy: 8 tokens found, 3 expected"),
    "parts": (
        {"model__pretrained": {"folder": "bert", "exact": True, "norms": False}},
        r"norms: found false with exact = true",
    ),
    "normalise": (
        {"solver__normalise": True},
        r"solver\.normalise: found true with .*, whose hidden states keep their lengths",
    ),
    "noise": ({"model__kappa": 0.1}, r"model\.kappa: found noise with .*exact"),
    "a residual weight": ({"solver__residual": 0.5}, r"solver\.residual: found '0\.5' with"),
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_what_does_not_go_with_a_network_as_it_is(name: str, tmp_path: Path) -> None:
    keys, message = EXACT[name]
    write(tmp_path / "bert", "bert")
    embeddings(tmp_path)
    with pytest.raises(InputError, match=message):
        mf.run(case(tmp_path, "bert", True, **keys), progress=False)


def test_embeddings_in_another_dimension(tmp_path: Path) -> None:
    write(tmp_path / "bert", "bert")
    for exact in (False, True):
        np.save(tmp_path / "embeddings.npy", np.ones((3, 5)))
        with pytest.raises(InputError, match=r"shape \(3, 5\) found, n rows of d = 16 numbers"):
            mf.run(case(tmp_path, "bert", exact), progress=False)
    bad = np.ones((3, D))
    bad[1] = 0.0
    np.save(tmp_path / "embeddings.npy", bad)
    with pytest.raises(InputError, match=r"point 1 is .*a direction expected"):
        mf.run(case(tmp_path, "bert", True), progress=False)


def test_stationary_states_and_ensembles_have_none(tmp_path: Path) -> None:
    from meanfield.case.batched import batched_model

    write(tmp_path / "bert", "bert")
    model = mf.Model(pretrained=mf.Pretrained(folder=tmp_path / "bert"))
    with pytest.raises(InputError, match=r"model\.pretrained: found, but a stationary density"):
        model.gibbs(D)
    made = case(tmp_path, "bert", solver={"type": "particles", "number": 4})
    with pytest.raises(InputError, match=r"model\.pretrained: found, expected attention alone"):
        batched_model(made)
