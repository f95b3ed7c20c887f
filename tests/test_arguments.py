"""What users call refuses arguments of another type by one line that names the argument."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import GEOMETRIES, small, small_tokens

import meanfield as mf
from meanfield.analysis.clustertable import clusters_of_density, clusters_of_tokens
from meanfield.analysis.equiangular import Equiangular, equiangular_curve, equiangular_time
from meanfield.analysis.pairlaw import TokenPairs, law_of_power
from meanfield.analysis.staircase import plateaus
from meanfield.analysis.twosample import kernel_distance, two_sample
from meanfield.analysis.wasserstein import quantise, wasserstein
from meanfield.arguments import Count, PathLike, checked_arguments, checked_fields
from meanfield.case.normalisation import Post, Pre
from meanfield.dynamics.ensembles import Watch, run_ensemble
from meanfield.dynamics.layers import LayerSolver
from meanfield.dynamics.particles import ParticleSolver
from meanfield.dynamics.pretrained import TransformerSolver
from meanfield.dynamics.schemes import SchemeSolver
from meanfield.geometry.laws import Fourier, FunctionDensity, Gegenbauer, Harmonic, Law
from meanfield.geometry.mesh import (
    circle,
    delaunay_weights,
    inspect_mesh,
    unstructured_sphere,
    write_mesh,
    zonal_interval,
)
from meanfield.interaction.batched import BatchedModel
from meanfield.paraview import write_state
from meanfield.studies.compare import compare
from meanfield.studies.settings import Clouds

BAD: dict[str, Any] = {
    "none": None, "five": 5, "negative": -1.5, "text": "text", "bytes": b"x", "true": True,
    "list": [1, 2], "ragged": [[1], [1, 2]], "dict": {"a": 1}, "complex": 1j, "nan": float("nan"),
    "object": object(), "matrix": np.zeros((2, 2)), "words": np.array(["a"]), "scalar": np.array(3),
    "function": lambda x: x, "type": int,
}  # fmt: skip
RNG = np.random.default_rng(0)
X = mf.Uniform(3).sample(10, RNG)
M = mf.Measure.equal(X)
SA = mf.Attention("sa", 4.0, 3)
PARTS: dict[str, Any] = {
    "geometry": mf.Sphere(level=1),
    "model": mf.Model(attention="sa", beta=1.0),
    "initial": mf.Uniform(3),
    "time": mf.Time(end=1.0),
}

LAWS: dict[str, Law] = {
    "uniform": mf.Uniform(3),
    "vmf": mf.VonMisesFisher((0.0, 0.0, 1.0), 2.0),
    "poisson": mf.PoissonKernel((0.0, 0.0, 0.3)),
    "gaussian": mf.AngularGaussian(np.eye(3)),
    "cap": mf.Cap((0.0, 0.0, 1.0), 0.5),
    "mixture": mf.standard_density(),
    "by position": mf.ByPosition(mf.Uniform(3), mf.Cap((0.0, 0.0, 1.0), 0.5)),
    "fourier": Fourier((0.1,), ()),
    "gegenbauer": Gegenbauer(3, (0.1,)),
    "harmonic": Harmonic(((1, 0, 0.1),)),
    "function": FunctionDensity(lambda x: np.ones(len(x)), 2),
}

TOKENS_3, FEW = np.eye(3)[None], BatchedModel(3, 3, True, 1.0)
TIMES_TAKEN = {"five", "list", "matrix", "scalar"}
WATCHED = Watch(np.array([0.0, 1.0]), np.zeros(0, dtype=np.int64))

DOORS: dict[str, tuple[Callable[[Any], object], set[str]]] = {
    "run case": (lambda b: mf.run(b, progress=False), set()),
    "DensityInTime": (mf.DensityInTime, set()),
    "load": (mf.load, set()),
    "Case.from_toml": (mf.Case.from_toml, set()),
    "Case.from_dict": (mf.Case.from_dict, set()),
    "icosphere": (mf.icosphere, {"five"}),
    "circle": (circle, {"five"}),
    "graded": (lambda b: mf.graded(b, 2.0), set()),
    "graded factor": (lambda b: mf.graded(mf.icosphere(0), b), {"five"}),
    "graded centre": (lambda b: mf.graded(mf.icosphere(0), 2.0, b), {"none"}),
    "zonal_interval theta": (lambda b: zonal_interval(3, theta=b), {"none"}),
    "unstructured_sphere seed": (lambda b: unstructured_sphere(8, b), {"five"}),
    "read_mesh": (mf.read_mesh, set()),
    "write_mesh": (lambda b: write_mesh(b, "mesh.vtu"), set()),
    "inspect_mesh": (inspect_mesh, set()),
    "delaunay_weights": (delaunay_weights, set()),
    "read_fields": (mf.read_fields, set()),
    "plot": (mf.plot, set()),
    "plot what": (lambda b: mf.plot("nowhere", b), set()),
    "plot options": (lambda b: mf.plot("nowhere", (), b), set()),
    "PlotOptions times": (lambda b: mf.PlotOptions(times=b), {"none", "list"}),
    "PlotOptions size": (lambda b: mf.PlotOptions(size=b), {"none", "list"}),
    "export": (lambda b: mf.export(b, "npz"), set()),
    "write_state": (lambda b: write_state(b), set()),
    "export to": (lambda b: mf.export("nowhere", b), set()),
    "export times": (lambda b: mf.export("nowhere", "npz", times=b), {"none", "list"}),
    "RunFolder.open": (mf.RunFolder.open, set()),
    "stationary": (lambda b: mf.stationary(b, "nowhere"), set()),
    "branch": (lambda b: mf.branch(b, "beta", 1.0, 2.0, "nowhere"), set()),
    "sweep case": (lambda b: mf.sweep(b, {}, "nowhere"), set()),
    "ensemble model": (lambda b: run_ensemble(b, TOKENS_3, WATCHED), set()),
    "ensemble watch": (lambda b: run_ensemble(FEW, TOKENS_3, b), set()),
    "ensemble noise": (lambda b: run_ensemble(FEW, TOKENS_3, WATCHED, noise=b), set()),
    "sweep vary": (lambda b: mf.sweep(small_tokens(), b, "nowhere"), set()),
    "SweepOptions": (lambda b: mf.SweepOptions(jobs=b), {"five"}),
    "distance": (lambda b: mf.distance(b, "nowhere.npy"), set()),
    "distance time": (lambda b: mf.distance("a.npy", "b.npy", time=b), {"none"}),
    "film": (mf.film, set()),
    "film options": (lambda b: mf.film("nowhere", options=b), {"none"}),
    "Film": (lambda b: mf.Film(frames=b), {"five"}),
    "Look": (lambda b: mf.Look(cmap=b), set()),
    "converge": (lambda b: mf.converge(b, "nowhere", [2, 3, 4]), set()),
    "converge resolutions": (lambda b: mf.converge(small(), "nowhere", b), set()),
    "converge against": (lambda b: mf.converge(small(), "nowhere", [2, 3, 4], against=b), set()),
    "report": (lambda b: mf.report(b), set()),
    "report output": (lambda b: mf.report("nowhere", b), set()),
    "compare": (lambda b: compare(b, Clouds([10], 2), "nowhere"), set()),
    "compare anything": (lambda b: mf.compare(b, X, 1.0), set()),  # type: ignore[call-overload]
    "compare points t": (lambda b: mf.compare("nowhere", X, b), set()),
    "compare draws": (lambda b: mf.compare("nowhere", X, draws=b), set()),
    "compare pair": (lambda b: mf.compare("nowhere", "there", time=b), set()),
    "Clouds": (lambda b: compare(small(), Clouds(b, 2), "nowhere"), {"list"}),
    "Clouds case": (lambda b: Clouds([10], 2, b), {"none"}),
    "Interaction term": (lambda b: mf.Interaction(b, 3), set()),
    "Attention model": (lambda b: mf.Attention(b, 1.0, 3), set()),
    "field": (SA.field, set()),
    "field comm": (lambda b: SA.field(M, 0.0, b), {"none"}),
    "velocity": (SA.field(M).velocity, set()),
    "by": (SA.by, set()),
    "SelfAttention": (lambda b: mf.SelfAttention(b, 1.0), set()),
    "Measure.equal": (lambda b: SA.field(mf.Measure.equal(b)), set()),
    "wasserstein": (lambda b: wasserstein(M, b), set()),
    "wasserstein effort": (lambda b: wasserstein(M, M, effort=b), set()),
    "wasserstein method": (lambda b: wasserstein(M, M, 2, b), set()),
    "quantise": (lambda b: quantise(b, 3), set()),
    "plateaus": (lambda b: plateaus(RNG.random(2), RNG.random(2), flat=b), set()),
    "plateaus t": (lambda b: plateaus(b, np.ones(2)), {"list"}),
    "clusters_of_tokens": (
        lambda b: clusters_of_tokens(b, np.ones(1), np.zeros(1, dtype=int)),
        set(),
    ),
    "clusters_of_tokens labels": (lambda b: clusters_of_tokens(X, np.ones(len(X)), b), set()),
    "clusters_of_density": (lambda b: clusters_of_density(b, np.ones(12)), set()),
    "clusters_of_density rho": (lambda b: clusters_of_density(mf.icosphere(0), b), set()),
    "law_of_power": (lambda b: law_of_power(b, 3, 8), {"list"}),
    "TokenPairs": (lambda b: TokenPairs(b, 8), {"list"}),
    "law_of_power d": (lambda b: law_of_power(np.ones(3), b, 8), {"five"}),
    "TokenPairs bins": (lambda b: TokenPairs(np.ones(3), b), {"five"}),
    "carry": (lambda b: ParticleSolver(SA, X).carry(b), {"five"}),
    "kernel_distance": (lambda b: kernel_distance(M, b), set()),
    "two_sample": (lambda b: two_sample(b, M), set()),
    "two_sample statistic": (lambda b: two_sample(M, M, b), set()),
    "two_sample width": (lambda b: two_sample(M, M, "mmd", width=b), {"none", "five"}),
    "tokens": (lambda b: ParticleSolver(SA, b), set()),
    "interaction": (lambda b: ParticleSolver(b, X), set()),
    "scheme": (lambda b: SchemeSolver(SA, X, scheme=b), set()),
    "scheme tokens": (lambda b: SchemeSolver(SA, b, scheme=Pre()), set()),
    "scheme length": (lambda b: Pre(length=b), {"five"}),
    "scheme gain": (lambda b: Post(gain=b), {"none", "five", "list"}),
    "Equiangular n": (lambda b: Equiangular(b, 1.0), {"five"}),
    "equiangular times": (lambda b: equiangular_curve(b, Equiangular(3, 1.0)), TIMES_TAKEN),
    "equiangular tokens": (lambda b: equiangular_curve(1.0, b), set()),
    "equiangular cosine": (lambda b: equiangular_time(b, Equiangular(3, 1.0)), set()),
    "layers": (lambda b: LayerSolver(b, X, layer_step=0.1), set()),
    "LayerSolver block": (lambda b: LayerSolver(SA, X, layer_step=0.1, block=b), {"none"}),
    "layers depth": (lambda b: mf.layers(SA, X, b), {"five"}),
    "Block scheme": (lambda b: mf.Block(b), set()),
    "Block step": (lambda b: mf.Block(step=b), {"none", "five"}),
    "Block sublayers": (lambda b: mf.Block(sublayers=b), set()),
    "AtTimes": (mf.AtTimes, {"list"}),
    "Watch": (mf.Watch, {"function"}),
    "schedule": (lambda b: mf.Watch(print, b), set()),
    "Column name": (lambda b: mf.Column(b, "1", "", lambda v: 0.0), {"text"}),
    "Column value": (lambda b: mf.Column("a", "1", "", b), {"function", "type"}),
    "FunctionKernel": (lambda b: mf.FunctionKernel(function=b), {"function", "type"}),
    "Mixture": (lambda b: mf.Mixture(b, [1.0]), set()),
    "Head beta": (lambda b: mf.Head(beta=b), {"five", "negative"}),
    "Head V": (lambda b: mf.Head(beta=1.0, V=b), {"none", "matrix"}),
    "Head A": (lambda b: mf.Head(A=b), {"matrix"}),
    "Drift": (lambda b: mf.Drift(matrix=b), {"matrix"}),
    "Model heads": (lambda b: mf.Model(attention="sa", heads=b), set()),
    "Model drift": (lambda b: mf.Model(drift=b), set()),
    "Composite model": (lambda b: mf.Composite((), b, 3), set()),
    "Composite heads": (lambda b: mf.Composite(b, "sa", 3), set()),
    "FunctionPotential": (lambda b: mf.FunctionPotential(function=b), {"function", "type"}),
    "UnitsPotential": (lambda b: mf.UnitsPotential(directions=b, weights=(1.0,)).on(3), set()),
    "MeshPotential": (lambda b: mf.MeshPotential(path=b).on(3), set()),
    "Together": (lambda b: mf.Together(b), set()),
    "PowerStrength": (lambda b: mf.PowerStrength(exponent=b), {"five"}),
    "FunctionStrength": (lambda b: mf.FunctionStrength(function=b), {"function"}),
    "Strong base": (lambda b: mf.Strong(b, mf.PowerStrength()), set()),
    "Strong strength": (lambda b: mf.Strong(SA, b), set()),
    "Masked": (lambda b: mf.Masked(b, mf.Causal()), set()),
    "Masked mask": (lambda b: mf.Masked(mf.Composite((), "sa", 3), b), {"none"}),
    "Window": (mf.Window, {"five", "negative"}),
    "Padding": (mf.Padding, {"five"}),
    "Sequences": (mf.Sequences, {"five", "list"}),
    "RandomSequences": (lambda b: mf.RandomSequences(1, b), {"five"}),
    "Alibi": (mf.Alibi, {"five", "negative"}),
    "GivenMask": (mf.GivenMask, {"matrix"}),
    "Checkpoint": (mf.Checkpoint, set()),
    "Pretrained": (lambda b: mf.Pretrained(folder=b), set()),
    "Model pretrained": (lambda b: mf.Model(pretrained=b), {"none"}),
    "Network": (mf.Network, set()),
    "Transformer": (lambda b: mf.Transformer(3, 1, b), {"function", "type"}),
    "TransformerSolver": (lambda b: TransformerSolver(SA, X, transformer=b), set()),
    "Rope": (lambda b: mf.Rope(base=b), {"five", "none"}),
    "Model mask": (lambda b: mf.Model(attention="sa", beta=1.0, mask=b), {"none"}),
    "HeadMatrices": (lambda b: mf.HeadMatrices(b, np.eye(2)), {"matrix"}),
    "Moving heads": (lambda b: mf.Moving(b, "sa", 3), set()),
    "MovingHead": (lambda b: mf.MovingHead(b, np.eye(2)), {"matrix"}),
    "MovingDrift": (lambda b: mf.MovingDrift((), b), set()),
    "TableInTime times": (lambda b: mf.TableInTime(b, [1.0, 2.0]), {"list"}),
    "TableInTime values": (lambda b: mf.TableInTime([1.0, 2.0], b), {"list", "matrix"}),
    "WaveInTime": (lambda b: mf.WaveInTime(1.0, 1.0, b), {"five", "scalar"}),
    "FunctionInTime": (lambda b: mf.FunctionInTime(b, (), 1.0).at(3.0), set()),
    "Combined": (lambda b: mf.Combined(b, abs, (), 1.0), set()),
    "EndlessPath mean": (
        lambda b: mf.EndlessPath(b, 1.0, 1.0),
        {"five", "negative", "list", "matrix", "scalar"},
    ),
    "EndlessPath rate": (lambda b: mf.EndlessPath(1.0, b, 1.0), {"five", "scalar"}),
    "ornstein_uhlenbeck": (
        lambda b: mf.ornstein_uhlenbeck(b, 1.0, 1.0, 0, 1.0, 0.1),
        {"five", "negative", "list", "matrix", "scalar"},
    ),
}
"""How each is called with one bad argument, and which of them are none."""


def refused(call: Callable[[Any], object], bad: Any) -> str:
    with pytest.raises(mf.InputError) as caught:
        call(bad)
    said = str(caught.value)
    assert "\n" not in said and len(said) < 500
    return said


@pytest.mark.parametrize("door", DOORS)
def test_what_is_of_no_type_that_is_taken(
    door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call, fine = DOORS[door]
    for name, bad in BAD.items():
        if name not in fine:
            refused(call, bad)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", LAWS)
def test_what_laws_are_asked(name: str) -> None:
    law = LAWS[name]
    for kind, bad in BAD.items():
        for ask in (law.density, law.log_density):
            assert refused(ask, bad).startswith("points")
        if kind != "five":
            assert refused(lambda b: law.sample(b, RNG), bad).startswith("n: ")
        assert refused(lambda b: law.sample(3, b), bad).startswith("rng: ")
    assert "0 or more" in refused(lambda b: law.sample(b, RNG), -1)
    x = law.sample(4, RNG)
    for wrong in (2.0 * x, x[0], x[:, 1:], x + 0j, np.full_like(x, np.nan), x.astype(str)):
        assert refused(law.density, wrong).startswith("points")
    np.testing.assert_array_equal(law.density(x.tolist()), law.density(x))  # type: ignore[arg-type]


@pytest.mark.parametrize("part", [*PARTS, "solver", "output", "title", "seed"])
def test_parts_of_a_case(part: str) -> None:
    fine = {"title": "text", "seed": "five"}.get(part)
    for name, bad in BAD.items():
        if name != fine:
            assert part in refused(lambda b: mf.Case(**{**PARTS, part: b}), bad)


@pytest.mark.parametrize("name", ["folder", "overwrite", "resume", "progress", "observers", "comm"])
def test_arguments_of_a_run_are_named(name: str, tmp_path: Path) -> None:
    for bad in (b"x", -1.5, 1j, lambda x: x):
        said = refused(lambda b: mf.run(small_tokens(), **{name: b}), bad)
        assert said.startswith(f"{name}: found ")


# ------------------------------------------------------------------ what is taken


def test_a_case_is_itself_its_path_or_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = small_tokens.but(time__end=0.1, solver__number=5)
    path = short.write(tmp_path / "case.toml")
    expected = mf.run(short(), progress=False).series["energy"]
    monkeypatch.chdir(tmp_path)
    for given in (path, str(path), "case.toml", short.table()):
        found = mf.run(given, progress=False).series["energy"]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    with pytest.raises(mf.InputError, match=r"there is no case file cas.*did you mean 'case"):
        mf.run("cas.toml")
    noisy = short.but(model__kappa=2.0, initial={"type": "uniform"})
    state = mf.stationary(noisy.write(tmp_path / "noisy.toml"), tmp_path / "out", progress=False)
    assert state.state is not None


def bump(x: Any) -> Any:
    return 1.0 + 0.5 * x[:, -1]


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_density_is_a_function_or_values_at_the_vertices(name: str) -> None:
    case = small(GEOMETRIES[name])
    mesh = case.geometry.build_mesh()  # type: ignore[union-attr]
    parts = {"geometry": case.geometry, "model": case.model, "time": case.time}
    x = mesh.embedded()
    by_function = mf.Case(**parts, initial=bump)  # type: ignore[arg-type]
    np.testing.assert_allclose(by_function.initial.density(x), bump(x), rtol=1e-9)
    order = np.random.default_rng(1).permutation(mesh.n_vertices)
    values = 7.0 + np.argsort(order)  # told apart, so that another order would show
    by_values = mf.Case(**parts, initial=values)  # type: ignore[arg-type]
    found = by_values.initial.density(x)
    np.testing.assert_allclose(found / found[0], values / values[0], rtol=1e-9)
    for wrong in (values[1:], -values, values * np.nan, values + 0j, values[:, None]):
        with pytest.raises(mf.InputError, match=r"^initial: values"):
            mf.Case(**parts, initial=wrong)  # type: ignore[arg-type]
    with pytest.raises(mf.InputError, match=r"^initial: .*raised ValueError: no"):
        mf.Case(**parts, initial=_fails)  # type: ignore[arg-type]


def _fails(x: object) -> None:
    raise ValueError("no")


def test_tokens_have_no_vertices() -> None:
    tokens = small_tokens()
    parts = {"geometry": tokens.geometry, "model": tokens.model, "time": tokens.time}
    solver = mf.Particles(number=5)
    with pytest.raises(mf.InputError, match=r"^initial: .* 'unmeshed' has no vertices"):
        mf.Case(**parts, solver=solver, initial=np.ones(3))  # type: ignore[arg-type]
    case = mf.Case(**parts, solver=solver, initial=bump)  # type: ignore[arg-type]
    assert mf.run(case, progress=False).stop_reason == "end"


# ------------------------------------------------------------------ the decorators


@checked_arguments
def sample(
    n: Count,
    x: float = 1.0,
    words: Sequence[str] = (),
    path: PathLike | None = None,
    *,
    on: bool = True,
) -> str:
    """Takes a bit of everything."""
    return f"{n} {x} {list(words)} {path} {on}"


def test_what_fits_is_handed_on() -> None:
    assert sample(np.int64(3), np.float32(0.5), ["a"], Path("b"), on=np.bool_(True)) == (  # type: ignore[arg-type]
        "3 0.5 ['a'] b True"
    )
    assert sample(0, 2) == "0 2 [] None True"
    assert sample.__name__ == "sample" and sample.__doc__ == "Takes a bit of everything."
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'n'"):
        sample()  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n": -1}, "n: found -1, expected a whole number, 0 or more"),
        ({"n": 1.0}, r"n: found 1\.0, expected a whole number"),
        ({"n": True}, "n: found true .*, expected a whole number"),
        ({"n": 1, "x": float("nan")}, "x: found nan, expected a number"),
        ({"n": 1, "words": "abc"}, r"words: found the text 'abc', expected a list .a text each"),
        ({"n": 1, "words": ["a", 1]}, r"words\[1\]: found 1, expected a text"),
        ({"n": 1, "path": 1}, "path: found 1, expected a path or None"),
        ({"n": 1, "on": 1}, "on: found 1, expected true or false"),
    ],
)
def test_what_does_not_fit_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(mf.InputError, match=f"^{message}"):
        sample(**given)


def test_fields_are_arguments() -> None:
    import dataclasses

    @checked_fields
    @dataclasses.dataclass(frozen=True)
    class Pair:
        first: int
        second: tuple[int, ...] = ()

    assert dataclasses.replace(Pair(1), first=2) == Pair(2)
    with pytest.raises(mf.InputError, match=r"^second: found a list, expected a tuple"):
        Pair(1, [2])  # type: ignore[arg-type]
