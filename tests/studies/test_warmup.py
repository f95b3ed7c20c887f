"""A warm-up compiles the kernels that runs use. Each part is a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cases import CIRCLE, ZONAL, few_tokens, plain
from processes import Job, needs_dolfinx, needs_launcher, python, ranks

from meanfield.cli import main
from meanfield.studies import warmup
from meanfield.studies.warmup import Warmed

ALL = """\
import pkgutil, importlib, meanfield
from pathlib import Path
for found in pkgutil.walk_packages(meanfield.__path__, "meanfield."):
    if found.name != "meanfield.__main__":
        importlib.import_module(found.name)
from meanfield.studies.warmup import kept_kernels
for name, kernel in kept_kernels().items():
    module, function = name.split(".")[-2:]
    line = kernel.py_func.__code__.co_firstlineno
    folder = Path(kernel.stats.cache_path)
    there = [*folder.glob(f"{module}.{function}-{line}.*.nbc")]
    print("kernel", name, len(there))
"""


def written(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.nb?")}


@pytest.mark.slow
@needs_dolfinx
@needs_launcher
def test_runs_after_a_warm_up_compile_nothing(tmp_path: Path, start: Callable[..., Job]) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()

    def done(command: tuple[str, ...]) -> str:
        ended = start(*command, NUMBA_CACHE_DIR=str(cache)).finish()
        assert ended.code == 0, ended.said
        return ended.out

    first = done(python("-m", "meanfield", "warm-up"))
    assert " compiled, " in first and str(cache) in first
    there = written(cache)
    assert "all " in (second := done(python("-m", "meanfield", "warm-up"))), second
    found = [line.split() for line in done(python("-c", ALL)).splitlines()]
    kernels = {name: int(number) for what, name, number in found if what == "kernel"}
    assert len(kernels) > 50 and [name for name, number in kernels.items() if number == 0] == []

    short = plain.but(geometry__level=3, time__end=0.02)
    cases = {
        "explicit": short,
        "implicit": short.but({"model.kappa": 0.1, "solver": {"type": "implicit"}}),
        "moving": short.but(solver__type="lagrangian"),
        "circle": short.but(CIRCLE),
        "zonal": short.but(ZONAL),
        "tokens": few_tokens.but(time={"end": 0.1}),
    }
    for name, case in cases.items():
        file = case.write(tmp_path / f"{name}.toml")
        words = ("-m", "meanfield", "run", str(file), "-o", str(tmp_path / name))
        done(python(*words))
        assert written(cache) == there, name
    words = ("-m", "meanfield", "run", str(tmp_path / "explicit.toml"), "-o", str(tmp_path / "two"))
    done(ranks(2, *words))
    assert written(cache) == there, "two ranks"


@pytest.mark.parametrize("compiled", [("a.b", "a.c"), ()])
def test_what_the_verb_says(
    compiled: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = Warmed(compiled, ("d.e",), Path("/somewhere"), ("densities: no DOLFINx",), 1.25)
    monkeypatch.setattr(warmup, "warm_up", lambda: done)
    assert main(["warm-up"]) == 0
    said = capsys.readouterr()
    assert "/somewhere" in said.out and "1.2 s" in said.out
    assert ("2 compiled, 1 were there" if compiled else "all 1 were there") in said.out
    assert said.err == "meanfield: warning: left out: densities: no DOLFINx\n"


def test_nothing_to_compile_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(warmup.numba_config, "DISABLE_JIT", 1)
    assert main(["warm-up"]) == 2
    told = capsys.readouterr().err
    assert "NUMBA_DISABLE_JIT: found 1, by which nothing is compiled" in told
    assert len(told.splitlines()) == 1
    monkeypatch.setattr(warmup.numba_config, "DISABLE_JIT", 0)
    monkeypatch.setattr(warmup, "small_cases", tuple)
    monkeypatch.setattr(warmup, "kept_kernels", dict)
    monkeypatch.setattr(warmup, "_CALLS", ())
    assert warmup.warm_up().folder is None
    assert main(["warm-up"]) == 0
    assert "numba keeps no kernels here" in capsys.readouterr().out
