"""A process that compiles and one that loads from the cache compute the same numbers, bit for bit.

Numba compiles a parallel loop twice, for the process and for its cache: the two agree only where
the compiler has no choice, of the order of a sum above all.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import Job, python

import meanfield

PACKAGE = Path(meanfield.__path__[0])

PROGRAM = """\
import sys
import numpy as np
from meanfield.analysis.coupling import search, tree
from meanfield.dynamics import drops, sweep
from meanfield.dynamics.ensembles import Watch, kernel, run_ensemble
from meanfield.dynamics.limiters import limiter
from meanfield.geometry.manifolds import of_vectors
from meanfield.interaction import direct, maskedsums, outputsums, pairs
from meanfield.interaction.batched import BatchedModel
from meanfield.interaction.composite import HeadMatrices, logistic, sums
from meanfield.interaction.composite.kinds import hardmax
from meanfield.interaction.kernels import Riesz
from meanfield.interaction.masks import Alibi, GivenMask

rng = np.random.default_rng(1)
found = []
for n, d in ((50, 2), (333, 3), (1100, 5)):
    x = rng.standard_normal((n, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    m = rng.random(n) / n
    for beta in (4.0, -3.0, 900.0):
        found += direct.pair_sums(x, x[::-1], m, beta)
    head = HeadMatrices(rng.standard_normal((d, d)), rng.standard_normal((d, d)))
    found += [part for part in sums.head_sums(head, x, x[::-1], m, 2, of_vectors(d)) if part.size]
    for normalised in (True, False):
        found += outputsums.summed_output((head.A, head.V), x, x[::-1], m, normalised)
    many = sums.Stack.of([head, HeadMatrices(9.0 * head.V, head.A)])
    found += [sums.summed_flow(many, x, x[::-1], m, unit) for unit in (None, 3.0)]
    found.append(sums.summed_exponentials(many, x, x[::-1], m, np.array([0.3, -0.7])))
    on = of_vectors(d)
    found.append(logistic.logistic_sums(head, -0.5, x, x[::-1], m, 0, on).z)
    found += logistic.logistic_sums(head, -0.5, x, x[::-1], m, 2, on)[1:]
    best = np.zeros((n, d))
    hardmax._maximisers(x @ head.A.T, x, m, best)
    found.append(best)
    for mask in (Alibi(3.0), GivenMask(np.tri(n) * rng.random((n, n)) + np.eye(n))):
        found += maskedsums.masked_sums(x @ head.A.T, x, x, m, mask.seen(n))
    found.append(pairs.kernel_sums(Riesz(s=0.5), x, x, m, of_vectors(d), 0.0, 1, False).gradient)
    for p in (1, 2):
        found += search.smallest(search.Points(x), search.Points(x[::-1]), 9.0 * m, p, 3)
        some = search.Points(np.hstack([x, m[:, None], m[:, None], 0.0 * x])[:, :5])
        found += search.smallest(some, some, 9.0 * m, p, 3)

n, width = 1300, 6
def real(*shape):
    return rng.random(shape)
neighbour = rng.integers(0, n, (width, n)).astype(np.int32)
tangent = (real(width, 2, n) - 0.5).astype(np.float32)
rho, flux, (outflow, rate, new) = np.exp(9.0 * real(n) - 5.0), np.zeros(width * n + 1), real(3, n)
of = limiter("log-muscl")
for limited in (False, True):
    bends = np.empty(n)
    sweep.emit(
        neighbour, real(width, n), tangent, real(3, n), real(n), rho, np.log(rho), real(n),
        np.empty((0, n)), 0.5, limited, of.address, real(n), bends, flux, outflow, rate,
    )
    found += [bends] if limited else []
    reverse = rng.permutation(width * n).reshape(width, n).astype(np.int32)
    sweep.collect(reverse, real(n), rho, flux, outflow, real(n), 0.1, 0.25, real(n), new)
    found += [flux.copy(), outflow.copy(), rate.copy(), new.copy()]
u = np.empty((width, n))
drops.edge_drops(neighbour, real(width, n), real(3, n), real(n), real(3, n), u)
found.append(u)
many = rng.standard_normal((3, 18, 20))
many /= np.linalg.norm(many, axis=2, keepdims=True)
for form in ("gram", "coordinates"):
    for tolerance in (1e-5, 1e-7):
        watch = Watch(np.linspace(0.0, 4.0, 21), np.array([0, 9, 20]))
        out = run_ensemble(
            BatchedModel(18, 20, True, 3.0), many, watch, tolerance=tolerance, form=form
        )
        found += [*out.columns.values(), *out.snapshots.values()]
assert all(np.all(np.isfinite(one)) for one in found)
np.savez(sys.argv[1], *found)
for compiled in (
    direct._pair_sums, pairs._pull, sums._head_sums, sums._all_heads, sweep.emit, sweep.collect,
    drops.edge_drops, logistic._logistic_sums, hardmax._maximisers, maskedsums._masked_sums,
    tree._fit_models, search._search_boxes, search._search_all, kernel.advance,
    outputsums._output_sums,
):
    hits, misses = compiled.stats.cache_hits, compiled.stats.cache_misses
    print(compiled.py_func.__name__, sum(hits.values()) > 0, sum(misses.values()) > 0)
"""


@pytest.mark.slow  # a minute of a processor: all kernels are compiled
def test_cold_and_warm_are_the_same(tmp_path: Path, start: Callable[..., Job]) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    data = {}
    for name, hits in (("cold", False), ("warm", True)):
        file = tmp_path / f"{name}.npz"
        ended = start(*python("-c", PROGRAM, str(file)), NUMBA_CACHE_DIR=str(cache)).finish()
        assert ended.code == 0, ended.said
        told = [line.split() for line in ended.out.splitlines()]
        assert {function for function, *_ in told} == set(parallel())
        assert all(line[1:] == [str(hits), str(not hits)] for line in told), ended.out
        data[name] = file.read_bytes()
    assert data["cold"] == data["warm"]


def marks() -> Iterator[tuple[str, dict[str, str]]]:
    """Name of each function that is compiled, and what numba is told of it."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            for mark in node.decorator_list if isinstance(node, ast.FunctionDef) else ():
                if isinstance(mark, ast.Call) and "jit" in ast.unparse(mark.func):
                    told = {str(word.arg): ast.unparse(word.value) for word in mark.keywords}
                    yield node.name, told


def parallel() -> list[str]:
    return [name for name, told in marks() if "parallel" in told]


def test_no_sum_is_in_an_order_that_the_compiler_chooses() -> None:
    assert len(list(marks())) > 20 and len(parallel()) > 3
    chosen = {name: told.get("fastmath") for name, told in marks()}
    # Contraction is no choice where one product is added to a sum.
    assert set(chosen.values()) == {None, "{'contract'}"}, chosen


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 32, 100, 1023])
def test_sums_in_lanes(n: int) -> None:
    import numba as nb
    import numpy as np

    from meanfield.interaction.lanes import lane_max, lane_moments, lane_pull

    @nb.njit
    def sums(e, t, x):  # type: ignore[no-untyped-def]
        return lane_max(t, x, e.size), lane_moments(e, t, e.size), lane_pull(e, t, x, e.size)

    e, t = np.random.default_rng(n).standard_normal((2, n))
    for x in (-0.7, 3.0):
        top, moments, pull = sums(e, t, x)
        assert top == np.max(x * t, initial=-np.inf)
        np.testing.assert_allclose(moments, [np.sum(e * t**k) for k in range(3)], atol=1e-12)
        np.testing.assert_allclose(pull, np.sum(e * (t - x)), atol=1e-12)


def test_lanes_are_for_contiguous_arrays() -> None:
    """They read memory as it lies: others are refused by the compiler."""
    import numba as nb
    import numpy as np

    from meanfield.interaction.lanes import lane_max

    function = nb.njit(lambda t: lane_max(t, 1.0, t.size))
    for bad in (np.zeros(8)[::2], np.zeros(4, dtype=np.float32), np.zeros((2, 2))):
        with pytest.raises(nb.errors.TypingError, match="contiguous"):
            function(bad)
