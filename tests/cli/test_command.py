"""The command line: exit codes, one-line refusals, what is printed. The solver is not run here."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cases import plain
from fakeruns import Calls, error_line
from processes import Job, needs_launcher, python, ranks

from meanfield import cli, software
from meanfield.errors import InputError

Start = Callable[..., Job]

# ---------------------------------------------------------------------------------------------
# help and version


def test_help_names_every_verb_and_gives_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    for verb in ("run", "info", "plot", "mesh"):
        assert re.search(rf"^    {verb}  +\w", text, re.MULTILINE), verb
    assert "examples:" in text and "meanfield run scripts/cases/clustering.toml" in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run"], ["--set", "--overwrite", "--resume", "--dry-run", "--no-progress", "exit codes"]),
        (["info"], ["DIR", "example"]),
        (["plot"], ["DIR", "example"]),
        (["mesh"], ["make", "convert", "inspect", "examples:"]),
        (["mesh", "make"], ["sphere", "circle", "zonal", "unstructured"]),
        (["mesh", "make", "zonal"], ["--d", "--vertices", "FILE"]),
    ],
)
def test_help_of_each_verb(
    words: list[str], expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*words, "--help"]) == 0
    text = capsys.readouterr().out
    for word in expected:
        assert word in text


def test_no_words_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "examples:" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "dolfinx_version", lambda: None)
    assert cli.main(["--version"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [name for name, _ in lines] == ["meanfield", "dolfinx", "python"]
    assert lines[1][1] == "not found"
    assert lines[2][1] == sys.version.split()[0]


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_cheap_answers_load_nothing_heavy(option: str, start: Start) -> None:
    """What makes the answer slow must not be imported: a clock would say it less reliably."""
    code = (
        "import sys; from meanfield.cli import main; assert main([sys.argv[1]]) == 0;"
        "heavy = {'dolfinx', 'mpi4py', 'scipy', 'numba', 'matplotlib', 'meshio', 'h5py', 'ducc0'};"
        "print('loaded:', sorted(heavy & set(sys.modules)))"
    )
    done = start(*python("-c", code, option)).finish()
    assert done.out.splitlines()[-1] == "loaded: []"


# ---------------------------------------------------------------------------------------------
# Refusals: one line, exit code 2, nothing written, the simulation not reached


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["rn"], ["invalid choice: 'rn'", "did you mean 'run'?", "meanfield --help"]),
        (["mesh"], ["TASK", "meanfield mesh --help"]),
        (["run"], ["CASE", "meanfield run --help"]),
        (["run", "small.toml", "--overwite"], ["--overwite", "did you mean '--overwrite'?"]),
        (["run", "small.toml", "--over"], ["--over"]),
        (["run", "small.toml", "extra"], ["unrecognized arguments: extra"]),
        (["run", "small.toml", "--overwrite", "--resume"], ["--resume", "--overwrite"]),
        (["run", "smal.toml"], ["no case file smal.toml", "did you mean 'small.toml'?"]),
        (["run", "."], ["is a folder"]),
        (["run", "small.toml", "--set", "model.bta=3"], ["did you mean 'model.beta'?"]),
        (["run", "small.toml", "--set", "model.beta=x"], ["small.toml: model.beta", "'x'"]),
        (["run", "small.toml", "--set", "geometry.level=12"], ["167,772,162 vertices"]),
        (["run", "small.toml", "--resume"], ["no folder results/small"]),
        (["run", "small.toml", "-o", "small.toml"], ["small.toml is a file"]),
        (["run", "small.toml", "-o", "full"], ["full is not empty and no run made it"]),
        (["run", "small.toml", "-o", "full", "--overwrite"], ["left alone"]),
        (["info", "results"], ["there is no folder results"]),
        (["info", "full"], ["no run folder: case.toml and run.json missing"]),
        (["plot", "full"], ["no run folder"]),
        (["mesh", "inspect", "no.msh"], ["no.msh"]),
        (["mesh", "make", "sphere", "x.vtu"], ["--level"]),
        (["mesh", "make", "sphere", "--level", "two", "x.vtu"], ["--level", "'two'"]),
        (["mesh", "make", "zonal", "--d", "1", "--vertices", "9", "x.vtu"], ["d >= 2"]),
        (["mesh", "make", "circle", "--vertices", "9", "x.stl"], [".stl"]),
    ],
)
def test_refused_in_one_line(
    words: list[str],
    parts: list[str],
    here: Path,
    no_run: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (here / "full").mkdir()
    (here / "full" / "mine.txt").write_text("mine")
    before = sorted(here.rglob("*"))
    assert cli.main(words) == 2
    line = error_line(capsys)
    for part in parts:
        assert part in line
    assert sorted(here.rglob("*")) == before


def test_every_python_says_it_in_the_same_words(capsys: pytest.CaptureFixture[str]) -> None:
    """Of ``argparse``, each has its own for a choice, and some a suggestion too."""
    assert cli.main(["mesh", "mak"]) == 2
    assert error_line(capsys) == (
        "meanfield: error: argument TASK: invalid choice: 'mak' (choose from 'make', 'graded', "
        "'convert', 'inspect') (did you mean 'make'?); see `meanfield mesh --help`\n"
    )


def test_a_missing_section_is_told_with_an_example(
    here: Path, no_run: None, capsys: pytest.CaptureFixture[str]
) -> None:
    plain.without("initial").write(here / "small.toml")
    assert cli.main(["run", "small.toml"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("meanfield: error: small.toml: the section [initial] is missing")
    assert 'type = "standard"' in err


@pytest.mark.parametrize(("version", "word"), [(None, "not found"), ("0.5.2", "out of range")])
def test_missing_dolfinx_is_refused_before_anything_is_written(
    here: Path,
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    version: str | None,
    word: str,
) -> None:
    monkeypatch.setattr(software, "dolfinx_version", lambda: version)
    assert cli.main(["run", "small.toml"]) == 2
    line = error_line(capsys)
    assert word in line and "scripts/env" in line
    assert calls == [] and not (here / "results").exists()


def test_the_case_is_refused_before_dolfinx_is_looked_for(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(software, "dolfinx_version", lambda: None)
    assert cli.main(["run", "small.toml", "--set", "model.attention=xx"]) == 2
    assert "model.attention" in error_line(capsys)


def test_refusals_do_not_import_dolfinx(here: Path, start: Start) -> None:
    code = (
        "import sys; from meanfield.cli import main;"
        "code = main(['run', 'small.toml', '--set', 'model.beta=x']);"
        "print(code, sorted({'dolfinx', 'mpi4py', 'petsc4py'} & set(sys.modules)))"
    )
    done = start(*python("-c", code), cwd=here).finish()
    assert done.out.strip() == "2 []"


def test_an_input_error_of_the_simulation_is_one_line_too(
    here: Path, fake_run: Callable[..., Calls], capsys: pytest.CaptureFixture[str]
) -> None:
    fake_run(InputError("found this, expected that"))
    assert cli.main(["run", "small.toml"]) == 2
    assert capsys.readouterr() == ("", "meanfield: error: found this, expected that\n")


def test_a_programming_error_keeps_its_traceback(
    here: Path, fake_run: Callable[..., Calls]
) -> None:
    fake_run(ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError, match="ours"):
        cli.main(["run", "small.toml"])


# ---------------------------------------------------------------------------------------------
# Several processes


def test_only_rank_0_speaks(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "1")
    assert cli.main(["--help"]) == 0
    assert cli.main(["rn"]) == 2
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "0")
    assert cli.main(["rn"]) == 2
    assert "did you mean 'run'?" in error_line(capsys)


@pytest.mark.mpi
@needs_launcher
def test_a_refusal_under_mpirun_is_one_line_and_exit_code_2(here: Path, start: Start) -> None:
    pytest.importorskip("mpi4py")
    (here / "results").mkdir()
    (here / "results" / "small").write_text("in the way")
    done = start(*ranks(2, "-m", "meanfield", "run", "small.toml"), cwd=here).finish()
    assert done.code == 2
    (ours,) = done.lines("meanfield: ")
    assert "meanfield: error: " in ours and "results/small is a file" in ours


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_verbs_and_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--print-completion", shell]) == 0
    text = capsys.readouterr().out
    assert "stationary" in text and "--dry-run" in text
    if shell == "bash":
        assert "_shtab_meanfield_run_pos_0_COMPGEN=_shtab_compgen_files" in text
    else:
        assert ":a TOML case file:_files" in text


def test_doctor_tells_what_a_report_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert rows["python"].startswith(platform.python_version())
    assert f"numpy {np.__version__}" in rows["libraries"]
    assert {"MPI", "threads", "dolfinx", "OpenGL", "kernels", "folder"} <= set(rows)
