"""Code that a case file names: who lets it run, and what it may do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import small_tokens

import meanfield as mf
from meanfield.checks import called
from meanfield.cli import main
from meanfield.geometry.laws import FunctionDensity

CODE = """
from pathlib import Path
import sys
Path(__file__).with_name("was-run").touch()

def rho(x):
    return 1.0 + 0.5 * x[:, -1]

def pull(t):
    return t

def leave(x):
    sys.exit(3)
"""
LAW = small_tokens.but(
    model__kappa=0.5,
    solver__number=5,
    time__end=0.1,
    initial={"type": "function", "path": "code.py", "name": "rho"},
    output={"figures": False},
)
KERNEL = small_tokens.but(
    solver__number=5, time__end=0.1, output={"figures": False},
    model={"interaction": {"type": "function", "path": "code.py", "call": "pull"}, "kappa": 0.5},
)  # fmt: skip
VERBS = {
    "run": ["run", "case.toml", "-o", "out", "--no-progress"],
    "compare": ["compare", "case.toml", "-o", "out", "--particles", "10", "--no-progress"],
    "stationary": ["stationary", "case.toml", "-o", "out", "--no-progress"],
    "branch": ["branch", "case.toml", "-o", "out", "--parameter", "kappa", "--from", "1",
               "--to", "1.1", "--no-progress"],
}  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code.py").write_text(CODE, "utf-8")
    return tmp_path


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("case", [LAW, KERNEL], ids=["law", "kernel"])
def test_no_verb_runs_code_that_is_not_trusted(
    verb: str, case: Any, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case.write(here / "case.toml")
    assert main(VERBS[verb]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "code.py is Python code" in said and "--trust" in said
    assert not (here / "was-run").exists() and not (here / "out").exists()


@pytest.mark.parametrize("case", [LAW, KERNEL], ids=["law", "kernel"])
def test_code_that_is_trusted(case: Any, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = case.write(here / "case.toml")
    for more in (["--dry-run"], ["--dry-run", "--trust"]):
        assert main([*VERBS["run"], *more]) == 2
        assert "--dry-run does not run" in capsys.readouterr().err
        assert not (here / "was-run").exists()
    assert main([*VERBS["run"], "--trust"]) == 0
    assert (here / "was-run").exists()
    (here / "was-run").unlink()
    assert mf.run(path, progress=False).stop_reason == "end"  # who calls from Python runs code
    assert (here / "was-run").exists()


def test_code_that_leaves(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    LAW.write(here / "case.toml", initial__name="leave")
    assert main([*VERBS["run"], "--trust"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "the density function raised SystemExit: 3" in said
    (here / "code.py").write_text("import sys\nsys.exit('no')\n", "utf-8")
    assert main([*VERBS["run"], "--trust"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "raised SystemExit: no" in said


def exits(x: Any) -> None:
    raise SystemExit(0)


def doubles(x: Any) -> Any:
    x *= 2.0
    return x[..., -1] ** 2


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (exits, "raised SystemExit: 0"),
        (doubles, "it changes its argument, which it must not"),
        (lambda x: (1.0 + 0j) * x[..., -1] ** 2, "gave an array of complex128"),
        (lambda x: np.full(x[..., -1].shape, "a"), "gave an array of <U1"),
        (lambda x: np.full(x[..., -1].shape, None), "gave an array of object"),
    ],
)
def test_functions_that_are_none(function: Any, message: str) -> None:
    for make in (
        lambda: FunctionDensity(function, 3),
        lambda: mf.FunctionKernel(function=lambda t: function(np.atleast_1d(t))),
    ):
        with pytest.raises(mf.InputError) as caught:
            make()
        said = str(caught.value)
        assert "\n" not in said
        assert message in said or "numbers" in said


def test_what_functions_may_give() -> None:
    x = np.array([0.25, 0.5])
    for function in (lambda x: x, lambda x: x > 0.3, lambda x: [1, 2], lambda x: np.float32(3.0)):
        found = called("key", "it", function, x)
        assert found.dtype == np.float64
        found[...] = 7.0  # ours, to be changed
        assert x.tolist() == [0.25, 0.5]
    with pytest.raises(KeyboardInterrupt):
        called("key", "it", _interrupted, x)


def _interrupted(x: Any) -> None:
    raise KeyboardInterrupt
