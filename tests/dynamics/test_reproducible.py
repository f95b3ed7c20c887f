"""Tokens get the same bits wherever their arrays lie and whatever the number of threads."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from processes import Job, python

from meanfield.dynamics import rungekutta
from meanfield.dynamics.rungekutta import PAIRS, largest_row, try_step, weighted_sum
from meanfield.dynamics.tokens import initial_tokens
from meanfield.geometry.laws import standard_density
from meanfield.geometry.sphere import Array, uniform_points
from meanfield.interaction.attention import Attention
from meanfield.interaction.measure import Measure

OFFSETS = range(0, 64, 8)  # in a cache line


def moved(values: Array, offset: int) -> Array:
    """A copy that begins ``offset`` bytes after the begin of a cache line."""
    memory = np.empty(values.nbytes + 128, dtype=np.uint8)
    begin = -memory.ctypes.data % 64 + offset
    copy = memory[begin : begin + values.nbytes].view(np.float64).reshape(values.shape)
    copy[...] = values
    return copy


def test_a_weighted_sum_is_rounded_after_each_operation_in_order() -> None:
    """Exactly rounded in rational arithmetic: no fused operation, no other order of the sum."""
    rng = np.random.default_rng(1)
    stages, weights = rng.standard_normal((13, 700, 3)), rng.standard_normal(13)
    weights[[1, 2, 7]] = 0.0
    found = weighted_sum(weights, stages)
    for row, column in [(0, 0), (13, 1), (682, 2), (699, 2)]:  # 682, 2: the first of a new block
        total = 0.0
        for w, v in zip(weights, stages[:, row, column], strict=True):
            product = float(Fraction(float(w)) * Fraction(float(v)))
            total = float(Fraction(total) + Fraction(product))
        assert found[row, column] == total
    expected = np.zeros((700, 3))
    for w, stage in zip(weights, stages, strict=True):
        expected += w * stage
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("n", [2, 7, 200, 1001])
@pytest.mark.parametrize("d", [2, 3, 8])
def test_a_step_does_not_depend_on_where_arrays_lie(n: int, d: int) -> None:
    attention = Attention("sa", 4.0, d, method="direct")
    rng = np.random.default_rng(n + d)
    x = uniform_points(n, d, rng)
    weights = rng.random(n)
    weights /= np.sum(weights)
    results = set()
    for offset in OFFSETS:
        masses = moved(weights, (3 * offset + 8) % 64)

        def field(y: Array, t: float, offset: int = offset, masses: Array = masses) -> Array:
            at = moved(y, offset)
            return moved(attention.field(Measure(at, masses), t).velocity(at), (offset + 24) % 64)

        here = moved(x, (5 * offset + 16) % 64)
        trial = try_step(PAIRS["dop853"], field, here, field(here, 0.0), 0.0, 0.2, 0.2)
        assert trial.x is not None and largest_row(trial.x - x) > 0.0
        results.add((trial.x.tobytes(), trial.velocity.tobytes(), trial.error, trial.moved))
    assert len(results) == 1


PROGRAM = """\
import sys
import numpy as np
from meanfield.case import Particles
from meanfield.interaction.attention import Attention
from meanfield.dynamics.particles import ParticleSolver
from meanfield.dynamics.tokens import initial_tokens
from meanfield.geometry.laws import standard_density

found = []
for n, end in ((200, 0.5), (60_001, 0.02)):  # direct sums, transforms by more than one thread
    x = initial_tokens(standard_density(), n, 3, "iid")
    solver = ParticleSolver(Attention("sa", 4.0, 3, "sphere"), x, options=Particles(rtol=1e-5))
    while solver.t < end:
        solver.advance(end)
    found += [x, solver.x]
np.savez(sys.argv[1], *found)
"""


def test_a_run_is_the_same_on_any_number_of_threads_and_with_any_blas(
    tmp_path: Path, start: Callable[..., Job]
) -> None:
    """In processes of their own. OpenBLAS takes its kernels for the processor from a variable."""
    names = ("NUMBA_NUM_THREADS", "MEANFIELD_NUM_THREADS", "OMP_NUM_THREADS")
    variables = [
        dict.fromkeys(names, "1"),
        dict.fromkeys(names, "2") | {"OPENBLAS_CORETYPE": "Prescott"},  # no fused operations
    ]
    files = [tmp_path / "one.npz", tmp_path / "two.npz"]
    jobs = [
        start(*python("-c", PROGRAM, str(file)), **more)
        for file, more in zip(files, variables, strict=True)
    ]
    for job in jobs:
        ended = job.finish()
        assert ended.code == 0, ended.said
    one, two = (np.load(file) for file in files)
    assert len(one.files) == 4
    for name in one.files:
        np.testing.assert_allclose(one[name], two[name], rtol=0.0, atol=1e-13)


def test_tokens_are_moved_without_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its results may depend on the processor, the size and the number of threads."""

    def refused(*arguments: object, **options: object) -> None:
        raise AssertionError("a product by BLAS found on the way of tokens")

    for name in ("dot", "tensordot", "matmul", "inner", "vdot"):
        monkeypatch.setattr(rungekutta.np, name, refused)
    attention = Attention("sa", 4.0, 3, method="direct")
    x = initial_tokens(standard_density(), 50, 1, "iid")

    def field(y: Array, t: float) -> Array:
        return attention.field(Measure(y, np.full(50, 0.02)), t).velocity(y)

    for pair in PAIRS.values():
        assert try_step(pair, field, x, field(x, 0.0), 0.0, 0.1, 0.1).x is not None
