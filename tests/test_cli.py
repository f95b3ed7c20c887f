"""The command line: exit codes, one-line refusals, what is printed. The solver is not run here."""

from __future__ import annotations

import dataclasses
import re
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import Job, needs_launcher, python, ranks

from meanfield import cli, software
from meanfield.case import Case
from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.mesh import read_mesh
from meanfield.results.folder import RunFolder

SMALL = """\
title = "Small"
[geometry]
type = "sphere"
level = 1
[model]
attention = "sa"
beta = 4.0
[initial]
type = "uniform"
[time]
end = 12.0
"""


@dataclasses.dataclass
class FakeResult:
    stop_reason: str = "end"
    t: float = 12.0
    steps: int = 4321
    series: dict[str, Any] = dataclasses.field(
        default_factory=lambda: {
            "t": np.array([0.0, 12.0]),
            "energy": np.array([1.0, 44.9911]),
            "energy_scaled": np.array([0.1, 0.82]),
            "mean_norm": np.array([0.0, 0.53125]),
            "clusters": np.array([0, 3]),
        }
    )
    folder: Path | None = None
    timings: dict[str, float] = dataclasses.field(
        default_factory=lambda: {"set-up": 1.0, "field": 30.0}
    )
    warnings: list[str] = dataclasses.field(default_factory=list)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the case small.toml in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "small.toml").write_text(SMALL)
    return tmp_path


Calls = list[dict[str, Any]]
Start = Callable[..., Job]


@pytest.fixture
def fake_run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Calls]]:
    """Put a simulation in place that leaves the files of a run and ends as it is told."""

    def install(result: FakeResult | BaseException | None = None) -> Calls:
        calls: Calls = []

        def run(case: Case, path: Path, **options: Any) -> FakeResult:
            calls.append({"case": case, "folder": path, **options})
            folder = (
                RunFolder.open(path)
                if options["resume"]
                else RunFolder.create(path, options["overwrite"])
            )
            folder.write_case(case)
            outcome = FakeResult() if result is None else result
            if not isinstance(outcome, InputError):
                options["announce"]()
            reason = getattr(outcome, "stop_reason", "interrupted")
            folder.write_run(
                {
                    "meanfield": "0.1.0",
                    "dolfinx": "0.9.0",
                    "python": "3.13.5",
                    "ranks": 2,
                    "threads": "1",
                    "stop_reason": reason,
                    "t": 12.0,
                    "steps": 4321,
                    "started": "2026-01-01T00:00:00+00:00",
                    "timings": {"set-up": 1.0, "field": 3.0},
                    "warnings": ["energy fell by 1e-12"],
                    "mesh": {"vertices": 42, "h_min": 0.5},
                }
            )
            with folder.series(["t", "mass", "energy", "mean_norm", "clusters"]) as series:
                series.write(
                    {"t": 12, "mass": 1, "energy": 44.9911, "mean_norm": 0.5, "clusters": 3}
                )
            folder.checkpoint_path.write_bytes(b"state")
            folder.fields_path.write_bytes(b"fields")
            folder.figures_dir.mkdir(exist_ok=True)
            (folder.figures_dir / "density.png").write_bytes(b"picture")
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        fake = types.ModuleType("meanfield.runs.simulation")
        fake.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "meanfield.runs.simulation", fake)
        monkeypatch.setattr("meanfield.runs.simulation", fake, raising=False)
        monkeypatch.setattr(software, "dolfinx_version", lambda: "0.9.0")
        return calls

    yield install


@pytest.fixture
def no_run(fake_run: Callable[..., Calls]) -> Iterator[None]:
    """Fail if the simulation is reached."""
    calls = fake_run()
    yield
    assert calls == []


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed must be one line on stderr, of the one form."""
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"meanfield: error: [^\n]+\n", err), err
    return err


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


def test_a_missing_section_is_told_with_an_example(
    here: Path, no_run: None, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "small.toml").write_text(SMALL.split("[initial]")[0] + "[time]\nend = 1.0\n")
    assert cli.main(["run", "small.toml"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("meanfield: error: small.toml: the section [initial] is missing")
    assert 'type = "standard"' in err


@pytest.mark.parametrize(("version", "word"), [(None, "not found"), ("0.5.2", "out of range")])
def test_missing_dolfinx_is_refused_before_anything_is_written(
    here: Path,
    fake_run: Callable[..., Calls],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    version: str | None,
    word: str,
) -> None:
    calls = fake_run()
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
# run


def test_run_hands_over_and_sums_up(
    here: Path, fake_run: Callable[..., Calls], capsys: pytest.CaptureFixture[str]
) -> None:
    calls = fake_run(FakeResult(warnings=["mind this"]))
    assert cli.main(["run", "small.toml", "--set", "model.beta=9", "--no-progress"]) == 0
    (call,) = calls
    assert call["case"] == Case.from_toml("small.toml", ["model.beta=9"])
    assert call["folder"] == Path("results/small")
    assert (call["overwrite"], call["resume"], call["progress"]) == (False, False, False)
    out = capsys.readouterr().out
    for words in (
        "Small",
        "42 vertices",
        "sa, beta = 9, V = +I",
        r"stopped   end, at t = 12",
        r"steps     4,321 in 31.0 s",
        r"E         44.9911 (E e^-|beta| = 0.82)",
        r"|m|       0.53125",
        r"clusters  3",
        r"warning   mind this",
        r"picture   results/small/figures/density.png",
        r"series    results/small/series.csv",
        r"ParaView  results/small/fields.vtkhdf",
    ):
        assert words in out, words


def test_run_options(here: Path, fake_run: Callable[..., Calls]) -> None:
    calls = fake_run()
    assert cli.main(["run", "small.toml", "-o", "out"]) == 0
    assert cli.main(["run", "small.toml", "-o", "out"]) == 2, "it exists now"
    assert cli.main(["run", "small.toml", "-o", "out", "--overwrite"]) == 0
    assert cli.main(["run", "small.toml", "-o", "out", "--resume"]) == 0
    assert [(c["overwrite"], c["resume"], c["progress"]) for c in calls] == [
        (False, False, None),
        (True, False, None),
        (False, True, None),
    ]
    assert {str(c["folder"]) for c in calls} == {"out"}


def test_resume_from_the_folder_alone(
    here: Path, fake_run: Callable[..., Calls], capsys: pytest.CaptureFixture[str]
) -> None:
    calls = fake_run()
    assert cli.main(["run", "small.toml", "--set", "model.beta=9"]) == 0
    assert cli.main(["run", "results/small", "--resume", "--set", "time.end=20"]) == 0
    assert calls[1]["folder"] == Path("results/small") and calls[1]["resume"]
    assert calls[1]["case"].model.beta == 9.0 and calls[1]["case"].time.end == 20.0
    capsys.readouterr()
    assert cli.main(["run", "results/small"]) == 2
    assert "add --resume" in error_line(capsys)


def test_resume_of_another_problem_is_refused(
    here: Path, fake_run: Callable[..., Calls], capsys: pytest.CaptureFixture[str]
) -> None:
    calls = fake_run()
    assert cli.main(["run", "small.toml"]) == 0
    capsys.readouterr()
    assert cli.main(["run", "small.toml", "--resume", "--set", "model.beta=5"]) == 2
    assert "differs from the one that was begun in model.beta" in error_line(capsys)
    Path("results/small/checkpoint.npz").unlink()
    assert cli.main(["run", "small.toml", "--resume"]) == 2
    assert "no checkpoint" in error_line(capsys)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("outcome", "code", "words"),
    [
        (FakeResult(stop_reason="stationary"), 0, "stopped   stationary"),
        (FakeResult(stop_reason="wall limit"), 0, "meanfield run results/small --resume"),
        (FakeResult(stop_reason="interrupted"), 130, "meanfield run results/small --resume"),
        (KeyboardInterrupt(), 130, "interrupted: the run can be resumed with"),
        (FakeResult(stop_reason="broken invariant: NaN"), 3, "broken invariant: NaN"),
        (BrokenInvariantError("mass is 1.1"), 3, "broken invariant: mass is 1.1"),
    ],
)
def test_exit_codes(
    here: Path,
    fake_run: Callable[..., Calls],
    capsys: pytest.CaptureFixture[str],
    outcome: FakeResult | BaseException,
    code: int,
    words: str,
) -> None:
    fake_run(outcome)
    assert cli.main(["run", "small.toml"]) == code
    out, err = capsys.readouterr()
    assert words in (err if code else out)


def test_interrupted_before_the_first_checkpoint(
    here: Path,
    fake_run: Callable[..., Calls],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fake_run()

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["meanfield.runs.simulation"], "run", stop)
    assert cli.main(["run", "small.toml"]) == 130
    assert "nothing to resume from" in capsys.readouterr().err


def test_the_resume_command_is_quoted_for_the_shell(
    here: Path, fake_run: Callable[..., Calls], capsys: pytest.CaptureFixture[str]
) -> None:
    fake_run(KeyboardInterrupt())
    assert cli.main(["run", "small.toml", "-o", "my results"]) == 130
    assert "meanfield run 'my results' --resume" in capsys.readouterr().err


def test_dry_run_shows_everything_and_writes_nothing(
    here: Path, no_run: None, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(here.rglob("*"))
    assert cli.main(["run", "small.toml", "--set", "time.outputs.every=4", "--dry-run"]) == 0
    out = capsys.readouterr().out
    for words in (
        "results/small (new)",
        "42 vertices",
        "4, from t = 0 to 12",
        "rho, log10_rho, velocity: 3.4 kB",
        "dolfinx  0.9.0",
        "  cfl = 0.9",
        "nothing was run or written",
    ):
        assert words in out, words
    resolved = out.split("resolved case:\n\n")[1].split("\nnothing was")[0]
    (here / "resolved.toml").write_text(resolved)
    assert Case.from_toml(here / "resolved.toml") == Case.from_toml(
        here / "small.toml", ["time.outputs.every=4"]
    )
    (here / "resolved.toml").unlink()
    assert sorted(here.rglob("*")) == before


def test_dry_run_tells_what_would_be_refused(
    here: Path,
    fake_run: Callable[..., Calls],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fake_run()
    assert cli.main(["run", "small.toml"]) == 0
    monkeypatch.setattr(software, "dolfinx_version", lambda: None)
    capsys.readouterr()
    assert cli.main(["run", "small.toml", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "REFUSED: the folder results/small already holds a run" in out
    assert "REFUSED: DOLFINx was not found" in out
    assert cli.main(["run", "small.toml", "--dry-run", "--overwrite"]) == 0
    assert "(will be overwritten)" in capsys.readouterr().out
    assert cli.main(["run", "small.toml", "--dry-run", "--resume"]) == 0
    assert "(will be resumed)" in capsys.readouterr().out
    assert cli.main(["run", "small.toml", "--dry-run", "--set", "model.beta=x"]) == 2


# ---------------------------------------------------------------------------------------------
# info, plot


def test_info(
    here: Path, fake_run: Callable[..., Calls], capsys: pytest.CaptureFixture[str]
) -> None:
    fake_run()
    cli.main(["run", "small.toml"])
    capsys.readouterr()
    assert cli.main(["info", "results/small"]) == 0
    out = capsys.readouterr().out
    for words in (
        "Small",
        "type = sphere, level = 1",
        "attention = sa, beta = 4.0",
        "stopped   end",
        "12 of 12, 4321 steps",
        "vertices = 42",
        "E         44.9911",
        "|m|       0.5",
        "clusters  3",
        "mass      1",
        "4.00 s",
        "set-up 1.00 s (25%), field 3.00 s (75%)",
        "dolfinx 0.9.0",
        "ranks     2, threads 1",
        "energy fell by 1e-12",
    ):
        assert words in out, words
    for name in ("case.toml", "run.json", "series.csv", "fields.vtkhdf", "figures/density.png"):
        assert re.search(rf"{re.escape(name)} +[\d.]+ (bytes|kB)$", out, re.MULTILINE), name


def test_info_of_a_run_that_was_killed_early(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder.create("run")
    folder.write_case(Case.from_toml("small.toml"))
    folder.write_run({"meanfield": "0.1.0"})
    folder.series(["t", "mass"]).close()
    assert cli.main(["info", "run"]) == 0
    out = capsys.readouterr().out
    assert "still running, or was killed" in out and "unknown of 12" in out


def test_plot_draws_and_names_the_pictures(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = RunFolder.create("run")
    folder.write_case(Case.from_toml("small.toml"))
    folder.write_run({"meanfield": "0.1.0"})
    plots = types.ModuleType("meanfield.results.plots")
    given: list[Path] = []
    plots.make_figures = lambda path: given.append(path) or [Path("a.png"), Path("b.png")]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "meanfield.results.plots", plots)
    monkeypatch.setattr("meanfield.results.plots", plots, raising=False)
    assert cli.main(["plot", "run"]) == 0
    assert given == [Path("run")]
    assert capsys.readouterr().out.split() == ["a.png", "b.png"]


# ---------------------------------------------------------------------------------------------
# mesh


def test_mesh_make_inspect_convert(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["mesh", "make", "sphere", "--level", "2", "ball.vtu"]) == 0
    assert "162 vertices, 320 cells" in capsys.readouterr().out
    assert cli.main(["mesh", "make", "sphere", "--level", "1", "ball.vtu"]) == 2
    assert "exists already" in error_line(capsys)
    assert cli.main(["mesh", "inspect", "ball.vtu"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"vertices +162\n", out) and "Delaunay" in out and "area" in out
    assert cli.main(["mesh", "convert", "ball.vtu", "ball.msh"]) == 0
    assert np.array_equal(read_mesh("ball.msh").points, read_mesh("ball.vtu").points)
    assert cli.main(["mesh", "make", "sphere", "--level", "1", "ball.vtu", "--overwrite"]) == 0
    assert len(read_mesh("ball.vtu").points) == 42


@pytest.mark.parametrize(
    ("words", "geometry", "d", "count"),
    [
        (["circle", "--vertices", "20"], "circle", 2, 20),
        (["zonal", "--d", "8", "--vertices", "15"], "zonal", 8, 15),
        (["unstructured", "--vertices", "100", "--seed", "1"], "sphere", 3, 100),
    ],
)
def test_mesh_make_of_each_kind(
    here: Path, words: list[str], geometry: str, d: int, count: int
) -> None:
    assert cli.main(["mesh", "make", *words, "made.vtu"]) == 0
    mesh = read_mesh("made.vtu")
    assert (mesh.geometry, mesh.d, len(mesh.points)) == (geometry, d, count)


def test_repairs_are_told_as_notices(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["mesh", "make", "sphere", "--level", "1", "ball.obj"])
    text = (here / "ball.obj").read_text()
    scaled = re.sub(
        r"^v (\S+) (\S+) (\S+)",
        lambda m: "v " + " ".join(repr(2.0 * float(x)) for x in m.groups()),
        text,
        flags=re.MULTILINE,
    )
    (here / "big.obj").write_text(scaled)
    capsys.readouterr()
    assert cli.main(["mesh", "inspect", "big.obj"]) == 0
    out, err = capsys.readouterr()
    assert re.match(r"meanfield: notice: big\.obj: .*radius 2", err), err
    assert "42" in out


def test_warnings_of_the_package_are_one_line(
    here: Path, no_run: None, capsys: pytest.CaptureFixture[str]
) -> None:
    test_repairs_are_told_as_notices(here, capsys)
    word = 'geometry={type="file", file="big.obj"}'
    assert cli.main(["run", "small.toml", "--set", word, "--dry-run"]) == 0
    err = capsys.readouterr().err
    assert re.fullmatch(r"meanfield: warning: big\.obj: [^\n]+\n", err), err


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
