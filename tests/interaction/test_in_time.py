"""Numbers and matrices that depend on time: tables, waves, functions, random paths."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.interaction.intime import (
    Combined,
    FunctionInTime,
    InTime,
    TableInTime,
    WaveInTime,
    at_time,
    instants_of,
    is_moving,
    is_piecewise,
    largest_of,
    next_jump_of,
    ornstein_uhlenbeck,
)

RNG = np.random.default_rng(0)
TURN = np.array([[0.0, -1.0], [1.0, 0.0]])

# ------------------------------------------------------------------ tables


def test_steps_hold_from_their_time_on() -> None:
    values = RNG.normal(size=(3, 2, 2))
    table = TableInTime([0.0, 1.0, 2.5], values)  # type: ignore[arg-type]
    for t, k in ((-3.0, 0), (0.0, 0), (0.999, 0), (1.0, 1), (2.4, 1), (2.5, 2), (1e9, 2)):
        assert np.array_equal(table.at(t), values[k])
    assert table.shape == (2, 2)
    assert table.largest == max(np.linalg.norm(v, 2) for v in values)
    # Before the first time it has the first value: nothing jumps there.
    assert [table.next_jump(t) for t in (-1.0, 0.0, 1.0, 2.5)] == [1.0, 1.0, 2.5, math.inf]
    with pytest.raises(ValueError, match="read-only"):
        table.at(1.0)[0, 0] = 3.0


def test_what_stays_the_same_is_no_jump() -> None:
    table = TableInTime(np.arange(4.0), np.array([1.0, 1.0, 2.0, 2.0]))
    assert (table.next_jump(0.0), table.next_jump(2.0)) == (2.0, math.inf)
    assert TableInTime(np.zeros(1), np.ones(1), "linear").next_jump(-1.0) == math.inf


def test_lines_between_nodes_which_are_kinks() -> None:
    table = TableInTime(np.array([1.0, 3.0]), np.array([[2.0, 0.0], [0.0, -4.0]]), "linear")
    assert table.at(0.0) == pytest.approx([2.0, 0.0])
    assert table.at(1.5) == pytest.approx([1.5, -1.0])
    assert table.at(7.0) == pytest.approx([0.0, -4.0])
    assert table.largest == 4.0
    assert [table.next_jump(t) for t in (0.0, 1.0, 3.0)] == [1.0, 3.0, math.inf]
    many = TableInTime(np.arange(1001.0), np.arange(1001.0), "linear")
    assert many.next_jump(0.0) == math.inf
    assert many.at(10.25) == 10.25


# ------------------------------------------------------------------ waves, functions, combinations


def test_a_wave_and_its_bound() -> None:
    mean, amplitude = RNG.normal(size=(2, 3, 3))
    wave = WaveInTime(mean, amplitude, 0.7, 0.3)
    for t in np.linspace(0.0, 3.0, 200):
        cosine = math.cos(2.0 * math.pi * t / 0.7 + 0.3)
        assert wave.at(t) == pytest.approx(mean + cosine * amplitude)
        assert np.linalg.norm(wave.at(t), 2) <= wave.largest * (1.0 + 1e-14)
    assert wave.largest < np.linalg.norm(mean, 2) + np.linalg.norm(amplitude, 2)
    assert wave.next_jump(0.0) == math.inf


def test_functions_are_checked_when_they_are_asked() -> None:
    turning = FunctionInTime(lambda t: np.cos(t) * np.eye(2) + np.sin(t) * TURN, (2, 2), 1.0, [2.0])
    assert turning.at(0.5)[1, 0] == math.sin(0.5)
    assert (turning.next_jump(0.0), turning.next_jump(2.0)) == (2.0, math.inf)

    def message(function: Callable[[float], object]) -> str:
        value = FunctionInTime(function, (2,), 3.0)  # type: ignore[arg-type]
        with pytest.raises(InputError) as caught:
            value.at(0.25)
        return str(caught.value)

    assert "array of shape (2,)" in message(lambda t: 1.0) and "t = 0.25" in message(lambda t: 1.0)
    assert "not finite" in message(lambda t: [math.nan, 0.0])
    assert "of size 5" in message(lambda t: [3.0, 4.0])
    assert "ZeroDivisionError" in message(lambda t: [t / 0.0, 0.0])
    assert "expected real numbers at t = 0.25" in message(lambda t: "text")


def test_combined_parts_each_at_its_time() -> None:
    steps = TableInTime(np.array([0.0, 1.0]), np.array([np.eye(2), TURN]))
    wave = WaveInTime(np.array(0.0), np.array(2.0), 4.0)
    product = Combined((steps, TURN, wave), lambda a, b, c: c * a @ b.T, (2, 2), 2.0)
    for t in (0.0, 0.3, 1.0, 1.7):
        expected = 2.0 * math.cos(0.5 * math.pi * t) * steps.at(t) @ TURN.T
        assert product.at(t) == pytest.approx(expected)
    assert (product.next_jump(0.0), product.next_jump(1.0)) == (1.0, math.inf)
    small = Combined((steps,), lambda a: 3.0 * a, (2, 2), 2.0)
    with pytest.raises(InputError, match=r"size 3 found at t = 0.5, at most 2 expected"):
        small.at(0.5)


def test_what_moves() -> None:
    wave = WaveInTime(np.array(1.0), np.array(2.0), 4.0)
    assert is_moving(wave) and not is_moving(TURN)
    assert at_time(wave, 0.0) == 3.0 and at_time(TURN, 5.0) is TURN


def test_which_values_are_taken_and_whether_they_stay_between_jumps() -> None:
    steps = TableInTime(np.arange(200.0), np.arange(200.0) % 7.0)
    lines = TableInTime(np.array([2.0, 3.0]), np.ones(2), "linear")
    wave = WaveInTime(np.array(1.0), np.array(2.0), 4.0)
    assert [is_piecewise(v) for v in (TURN, steps, lines, wave)] == [True, True, False, False]
    assert is_piecewise(Combined((steps, TURN), lambda a, b: a * b, (2, 2), 99.0))
    assert not is_piecewise(Combined((steps, wave), lambda a, b: a * b, (), 99.0))
    found = instants_of([TURN, steps, wave])
    assert found[0] == 0.0 and found[-1] == 199.0 and len(found) < 60
    assert {wave.at(float(t)).item() for t in found} >= {3.0, -1.0}
    assert np.array_equal(instants_of([lines]), [0.0, 2.0, 3.0])
    assert next_jump_of([TURN, steps, lines, wave], 2.0) == 3.0
    assert [largest_of(v) for v in (TURN, wave, steps)] == [1.0, 3.0, 6.0]


def test_fingerprints_tell_values_apart() -> None:
    def step(last: float, way: str = "step") -> InTime:
        return TableInTime(np.array([0.0, 1.0]), np.array([2.0, last]), way)  # type: ignore[arg-type]

    def combined(factor: float, part: InTime) -> InTime:
        return Combined((part,), lambda a: factor * a, (), 99.0)

    every = [
        step(3.0), step(4.0), step(3.0, "linear"),
        WaveInTime(np.array(1.0), np.array(2.0), 3.0),
        WaveInTime(np.array(1.0), np.array(2.0), 3.0, 0.1),
        FunctionInTime(lambda t: np.array(t), (), 99.0),
        FunctionInTime(lambda t: np.array(2.0 * t), (), 99.0),
        combined(1.0, step(3.0)), combined(2.0, step(3.0)), combined(1.0, step(4.0)),
    ]  # fmt: skip
    found = [value.fingerprint() for value in every]
    assert len(set(found)) == len(every)
    assert all(len(one) == 64 for one in found)
    assert found == [value.fingerprint() for value in every]
    assert step(3.0).fingerprint() == found[0]


# ------------------------------------------------------------------ random paths


def test_law_of_random_paths() -> None:
    """Mean, variance and covariances e^{-rate |t - s|} of 4000 paths."""
    rate, variance, step = 1.3, 2.0, 0.25
    mean = np.array([[1.0, -2.0], [-2.0, 0.5]])
    paths = [
        ornstein_uhlenbeck(mean, rate, variance, seed, 1.0, step, symmetric=True)
        for seed in range(4000)
    ]
    values = np.stack([path.values for path in paths]) - mean
    assert np.array_equal(values, np.swapaxes(values, -1, -2))
    root = math.sqrt(len(paths))
    entries = np.stack([values[..., 0, 0], values[..., 0, 1], values[..., 1, 1]], axis=-1)
    assert np.max(np.abs(entries.mean(axis=0))) <= 4.5 * math.sqrt(variance) / root
    covariance = np.einsum("pti,psj->tsij", entries, entries) / len(paths)
    times = step * np.arange(5)
    decay = variance * np.exp(-rate * np.abs(times[:, None] - times))
    expected = decay[:, :, None, None] * np.eye(3)
    assert np.max(np.abs(covariance - expected)) <= 4.5 * math.sqrt(2.0) * variance / root


def test_paths_hang_on_the_seed_alone() -> None:
    def path(seed: int, until: float) -> Array:
        return ornstein_uhlenbeck(np.zeros((3, 3)), 1.0, 2.0, seed, until, 0.1).values

    assert np.array_equal(path(3, 2.0), path(3, 2.0))
    assert not np.array_equal(path(3, 2.0), path(4, 2.0))
    assert np.array_equal(path(3, 7.0)[:21], path(3, 2.0))
    assert len(path(3, 2.0)) == 21
    number = ornstein_uhlenbeck(np.array(1.0), 1.0, 0.0, 0, 0.0, 0.1)
    assert number.shape == () and number.at(5.0) == 1.0


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: TableInTime([0.0, 0.0], [1.0, 2.0]), "times: 0 after 0 found (given twice)"),  # type: ignore[arg-type]
        (lambda: TableInTime([1.0, 0.0], [1.0, 2.0]), "times: 0 after 1 found (out of order)"),  # type: ignore[arg-type]
        (lambda: TableInTime([], []), "times: an array of shape (0,)"),  # type: ignore[arg-type]
        (lambda: TableInTime([math.inf], [1.0]), "times: numbers that are not finite"),  # type: ignore[arg-type]
        (lambda: TableInTime([0.0, 1.0], [1.0]), "values: found 1 of them for 2 times"),  # type: ignore[arg-type]
        (lambda: TableInTime([0.0], [math.nan]), "values: numbers that are not finite"),  # type: ignore[arg-type]
        (lambda: TableInTime([0.0], [1.0], "linaer"), "did you mean 'linear'?"),  # type: ignore[arg-type]
        (lambda: WaveInTime(1.0, np.ones(2), 1.0), "amplitude: an array of shape (2,)"),  # type: ignore[arg-type]
        (lambda: WaveInTime(1.0, 1.0, 0.0), "period: found 0"),  # type: ignore[arg-type]
        (lambda: ornstein_uhlenbeck(np.eye(2), 0.0, 1.0, 0, 1.0, 0.1), "rate: found 0"),
        (lambda: ornstein_uhlenbeck(np.eye(2), 1.0, -1.0, 0, 1.0, 0.1), "variance: found -1"),
        (lambda: ornstein_uhlenbeck(np.eye(2), 1.0, 1.0, -1, 1.0, 0.1), "seed: found -1"),
        (lambda: ornstein_uhlenbeck(TURN, 1.0, 1.0, 0, 1.0, 0.1, True), "a symmetric matrix"),
        (lambda: ornstein_uhlenbeck(TURN, 1.0, 1.0, 0, 1e9, 1e-3), "at most 1e8 numbers"),
    ],
)
def test_bad_input_is_one_line(make: Callable[[], object], said: str) -> None:
    with pytest.raises(InputError) as caught:
        make()
    assert said in str(caught.value) and "\n" not in str(caught.value)
