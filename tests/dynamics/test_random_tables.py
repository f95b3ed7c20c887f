"""Tables of tokens as any program may write them: read back to the number, or refused in one line.

Tables are drawn by hypothesis, the same ones each time.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from meanfield.dynamics.tokenfiles import read_tokens
from meanfield.errors import InputError

same_each_time = settings(derandomize=True, database=None, deadline=None, max_examples=150)


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, str, np.ndarray, np.ndarray | None]:
    """The name and text of a file, and the points and weights in it."""
    d, n = draw(st.integers(2, 6)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    x = rng.standard_normal((n, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    names = draw(
        st.sampled_from(
            [
                [f"x{i + 1}" for i in range(d)],
                [f"Points:{i}" for i in range(d)],
                [f"Points_{i}" for i in range(d)],
                [f"{i}" for i in range(d)],
                list("xyzw")[:d] if d <= 4 else [f"x_{i}" for i in range(d)],
            ]
        )
    )
    columns = [(name, x[:, k]) for k, name in enumerate(names)]
    weights = None
    if draw(st.booleans()):
        weights = rng.uniform(0.1, 1.0, n)
        columns.append((draw(st.sampled_from(["weight", "mass", "Weights"])), weights))
    if draw(st.booleans()):
        columns.append(("cluster", rng.integers(0, 5, n).astype(float)))
    if names[0] != "0":  # where the names are numbers, the columns stand as they are counted
        columns = draw(st.permutations(columns))
    apart, ending = draw(st.sampled_from([(",", "csv"), (";", "csv"), ("\t", "csv"), (" ", "txt")]))
    quote = '"' if ending == "csv" and draw(st.booleans()) else ""
    lines = [apart.join(f"{quote}{name}{quote}" for name, _ in columns)]
    lines += [apart.join(repr(float(c[i])) for _, c in columns) for i in range(n)]
    end = draw(st.sampled_from(["\n", "\r\n"]))
    mark = draw(st.sampled_from(["", "\ufeff"]))
    return f"tokens.{ending}", mark + end.join(lines) + end, x, weights


@given(tables())
@same_each_time
def test_what_is_written_is_read(table: tuple[str, str, np.ndarray, np.ndarray | None]) -> None:
    name, text, x, weights = table
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_text(text, "utf-8", newline="")
        found = read_tokens(Path(folder) / name, x.shape[1])
    np.testing.assert_allclose(found.x, x, rtol=0, atol=1e-15)
    if weights is None:
        assert found.weights is None
    else:
        np.testing.assert_allclose(found.weights, weights, rtol=1e-14)


@given(tables(), st.data())
@same_each_time
def test_what_is_damaged_is_refused_or_whole(
    table: tuple[str, str, np.ndarray, np.ndarray | None], data: st.DataObject
) -> None:
    """A character is lost, changed or put in: one line, or unit vectors."""
    name, text, x, _ = table
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(["", ",", ";", "\n", "\0", "-", "e", "x", " ", "9", "nan"]))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_text(text[:at] + other + text[at + 1 :], "utf-8", newline="")
        try:
            found = read_tokens(Path(folder) / name, x.shape[1])
        except InputError as error:
            assert str(error) and "\n" not in str(error)
            return
    assert found.x.shape[1] == x.shape[1] and len(found.x) >= 1
    np.testing.assert_allclose(np.linalg.norm(found.x, axis=1), 1.0, rtol=1e-12)
