"""Observers: begin, look, end; columns of their own; ending a run; and when they are called."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import plain, run, small
from processes import Job, needs_launcher, ranks

import meanfield as mf
from meanfield.errors import BrokenInvariantError

case = plain.but(
    {"geometry.type": "circle", "geometry.vertices": 60, "model.beta": 2.0},
    initial={"type": "von-mises-fisher", "mean": [1.0, 0.0], "concentration": 1.0},
    solver__type="eulerian",
    time={"end": 1.0, "outputs": {"every": 0.5}, "series_every": 2},
    output__figures=False,
)


class Diary(mf.Observer):
    def __init__(self, end_at: float = np.inf) -> None:
        self.seen: list[tuple[str, float]] = []
        self.end_at = end_at
        self.columns = (mf.Column("seen", "1", "Calls so far.", lambda view: len(self.seen)),)

    def initialise(self, view: object) -> None:
        self.seen.append(("initialise", view.t))  # type: ignore[attr-defined]

    def handle(self, view: object) -> str | None:
        self.seen.append(("handle", view.t))  # type: ignore[attr-defined]
        return "quite enough" if view.t >= self.end_at else None  # type: ignore[attr-defined]

    def finalise(self, view: object, reason: str) -> None:
        self.seen.append((f"finalise: {reason}", view.t))  # type: ignore[attr-defined]


def test_an_observer_begins_looks_and_ends() -> None:
    diary = Diary()
    mf.run(case(), observers=[diary])
    assert diary.seen == [
        ("initialise", 0.0),
        ("handle", 0.0),
        ("handle", 0.5),
        ("handle", 1.0),
        ("finalise: end", 1.0),
    ]


def test_an_observer_adds_columns(tmp_path: Path) -> None:
    tilt = mf.Column("tilt", "rad", "Direction of the mean.", lambda v: float(np.arctan2(*v.mean)))
    observer = mf.Observer()
    observer.columns = (tilt,)
    plain = mf.run(case())
    result = mf.run(case(), tmp_path / "run", observers=[observer, Diary()])
    assert list(result.series) == [*plain.series, "tilt", "seen"]
    np.testing.assert_array_equal(result.series["mean_1"], plain.series["mean_1"])
    expected = np.arctan2(result.series["mean_1"], result.series["mean_2"])
    np.testing.assert_allclose(result.series["tilt"], expected, rtol=1e-14)
    assert (tmp_path / "run/series.csv").read_text().splitlines()[0].endswith(",tilt,seen")
    longer = case(time__end=2.0)
    again = mf.run(longer, tmp_path / "run", resume=True, observers=[observer, Diary()])
    assert again.series["tilt"].size > result.series["tilt"].size
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()}
    with pytest.raises(mf.InputError, match=r"other columns .*also 'tilt', also 'seen'.*observers"):
        mf.run(case(time__end=3.0), tmp_path / "run", resume=True)
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before


def test_columns_need_names_of_their_own() -> None:
    observer = mf.Observer()
    observer.columns = (mf.Column("energy", "1", "Another one.", lambda view: 0.0),)
    with pytest.raises(mf.InputError, match="a column 'energy' of an observer found, another name"):
        mf.run(case(), observers=[observer])
    # This state has none, but the name has its meaning.
    observer.columns = (mf.Column("free_energy", "1", "Mine.", lambda view: 0.0),)
    with pytest.raises(mf.InputError, match="a column 'free_energy' of an observer found"):
        mf.run(case(), observers=[observer])


def test_a_column_that_is_no_number_breaks_the_run(tmp_path: Path) -> None:
    observer = mf.Observer()
    late = mf.Column("late", "1", "", lambda view: np.nan if view.t > 0.6 else 1.0)
    observer.columns = (late,)
    result = mf.run(case(), tmp_path / "run", observers=[observer])
    assert result.stop_reason.startswith("broken invariant: late not finite at t = ")
    assert np.all(result.series["late"] == 1.0) and result.t == 0.5


@pytest.mark.parametrize("solver", ["eulerian", "implicit", "lagrangian", "particles", "layers"])
def test_an_observer_ends_a_run_of_any_solver(solver: str, tmp_path: Path) -> None:
    given = {"type": solver}
    if solver in ("particles", "layers"):
        given |= {"number": 30, "tokens": "iid"}
    if solver == "layers":
        given["layers"] = 20
    diary = Diary(end_at=0.3)
    watch = mf.Watch(diary, mf.EverySteps(1))
    result = mf.run(case(solver=given), tmp_path / "run", observers=[watch])
    assert result.stop_reason == "quite enough" and 0.3 <= result.t < 1.0
    assert diary.seen[-1] == ("finalise: quite enough", result.t)
    assert result.series["t"][-1] == result.t  # with an output there
    # It can go on.
    again = mf.run(case(solver=given), tmp_path / "run", resume=True, observers=[Diary()])
    assert (again.stop_reason, again.t) == ("end", 1.0)


def test_an_observer_may_fail_a_run(tmp_path: Path) -> None:
    class Strict(mf.Observer):
        def handle(self, view: object) -> None:
            if view.t > 0.6:  # type: ignore[attr-defined]
                raise BrokenInvariantError("I have seen enough")

    watch = mf.Watch(Strict(), mf.EverySteps(1))
    result = mf.run(case(), tmp_path / "run", observers=[watch])
    assert result.stop_reason == "broken invariant: I have seen enough"


def test_an_observer_is_finalised_after_an_error(tmp_path: Path) -> None:
    diary = Diary()

    def fail(solver: object) -> None:
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        mf.run(case(), tmp_path / "run", observers=[diary, fail])
    assert diary.seen[-1] == ("finalise: failed: RuntimeError: no more", 0.0)
    assert [what for what, _ in diary.seen].count(diary.seen[-1][0]) == 1
    assert (
        '"stop_reason": "failed: RuntimeError: no more"' in (tmp_path / "run/run.json").read_text()
    )


def test_who_fails_at_the_end_spoils_neither_the_run_nor_the_others(tmp_path: Path) -> None:
    class Clumsy(Diary):
        columns = ()

        def __init__(self) -> None:
            self.seen, self.end_at = [], np.inf

        def finalise(self, view: object, reason: str) -> None:
            super().finalise(view, reason)
            raise OSError("no space")

    clumsy, diary = Clumsy(), Diary()
    with pytest.warns(mf.MeanfieldWarning, match="Clumsy.finalise failed: OSError: no space"):
        result = mf.run(case(), tmp_path / "run", observers=[clumsy, diary])
    assert result.stop_reason == "end" and result.warnings
    for one in (clumsy, diary):
        assert [what for what, _ in one.seen if what.startswith("fin")] == ["finalise: end"]


def test_who_was_not_begun_is_not_ended() -> None:
    class Unready(mf.Observer):
        def initialise(self, view: object) -> None:
            raise RuntimeError("not today")

    diary = Diary()
    with pytest.raises(RuntimeError, match="not today"):
        mf.run(case(), observers=[Unready(), diary])
    assert diary.seen == []


@pytest.mark.parametrize("first", [True, False])
def test_who_ends_a_run_does_not_silence_the_others(first: bool) -> None:
    seen: list[float] = []
    ender = mf.Watch(lambda solver: "over" if solver.t >= 0.5 else None)
    saver = mf.Watch(lambda solver: seen.append(solver.t))
    result = mf.run(case(), observers=[ender, saver] if first else [saver, ender])
    assert (result.stop_reason, seen) == ("over", [0.0, 0.5])


def test_the_run_lands_on_times_that_a_schedule_asks_for() -> None:
    met: list[float] = []
    times = [0.123, 0.5, 0.7, 7.0, -1.0]
    mf.run(case(), observers=[mf.Watch(lambda s: met.append(s.t), mf.AtTimes(times))])
    assert met == [0.123, 0.5, 0.7]  # exactly, and only those of the run
    for bad in (["late"], [np.nan], [np.inf], 3):
        with pytest.raises(mf.InputError, match=r"times(\[0\])?: .*(found|expected)"):
            mf.AtTimes(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("solver", ["eulerian", "implicit", "lagrangian"])
def test_times_that_are_output_times_but_for_round_off_cost_no_step(solver: str) -> None:
    wanted = case(time__end=2.0, time__outputs={"every": 0.1}, solver__type=solver)
    met: list[float] = []
    times = [k * 0.1 for k in range(21)]
    assert set(times) != set(wanted.output_times())  # 3 * 0.1 is not 0.3
    watched = mf.run(wanted, observers=[mf.Watch(lambda s: met.append(s.t), mf.AtTimes(times))])
    assert watched.steps == mf.run(wanted).steps
    assert tuple(met) == wanted.output_times()


def test_schedules_join() -> None:
    met: list[tuple[float, int]] = []
    when = mf.AtTimes([0.3]) | mf.EverySteps(3) | mf.AtOutputs()
    result = mf.run(case(), observers=[mf.Watch(lambda s: met.append((s.t, s.step)), when)])
    assert len(met) == len(set(met)) and result.steps > 3
    for t, step in met:
        assert t in (0.0, 0.3, 0.5, 1.0) or step % 3 == 0
    assert {0.0, 0.3, 0.5, 1.0} <= {t for t, _ in met} and 3 in {step for _, step in met}


def test_observers_are_called_on_schedule() -> None:
    called: dict[str, list[tuple[float, int]]] = {
        "steps": [],
        "outputs": [],
        "both": [],
        "never": [],
    }

    def note(name: str) -> Callable[[Any], None]:
        return lambda solver: called[name].append((solver.t, solver.step))

    every = 2
    steps: list[tuple[float, int]] = []
    result = run(
        small(),
        observers=[
            mf.Watch(lambda solver: steps.append((solver.t, solver.step)), mf.EverySteps(1)),
            mf.Watch(note("steps"), mf.EverySteps(every)),
            mf.Watch(note("outputs")),
            mf.Watch(note("both"), mf.EverySteps(every) | mf.AtOutputs()),
            mf.Watch(note("never"), mf.AtTimes([])),
        ],
    )
    assert [step for _, step in steps] == list(range(1, result.steps + 1))
    outputs = small().output_times()
    assert called["steps"] == [s for s in steps if s[1] % every == 0]
    assert tuple(t for t, _ in called["outputs"]) == outputs
    due = [s for s in steps if s[1] % every == 0 or s[0] in outputs]
    assert called["both"] == [(0.0, 0), *due]  # once where both are due
    assert called["never"] == []
    with pytest.raises(mf.InputError, match=r"a whole number, 1 or more, found 0"):
        mf.EverySteps(0)


def test_observers_do_not_change_the_run() -> None:
    alone = run(small())

    def curious(solver: Any) -> None:
        solver.velocity()
        solver.state()

    watched = run(small(), observers=[mf.Watch(curious, mf.EverySteps(1) | mf.AtOutputs())])
    np.testing.assert_array_equal(alone.solver.rho, watched.solver.rho)


def test_what_is_no_observer_is_one_line() -> None:
    for wrong in (3, Diary, None):
        with pytest.raises(
            mf.InputError,
            match=r"observers?.* found .*an Observer or a function|an Observer or a function exp",
        ):
            mf.run(case(), observers=[wrong])  # type: ignore[list-item]
    for when in (5, mf.EverySteps):
        with pytest.raises(mf.InputError, match=r"schedule .* found, one such as EverySteps\(5\)"):
            mf.Watch(print, when)  # type: ignore[arg-type]
    for steps in (0, 2.5, "a"):
        with pytest.raises(mf.InputError, match=r"EverySteps.steps: expected a whole number, 1 or"):
            mf.EverySteps(steps)  # type: ignore[arg-type]
    for name in ("a,b", "", "1st", "two words"):
        with pytest.raises(
            mf.InputError, match=r"a column '.*' found, letters, digits and '_' exp"
        ):
            mf.Column(name, "1", "", lambda view: 0.0)


def test_what_an_observer_may_say_and_have() -> None:
    class Odd(mf.Observer):
        def handle(self, view: object) -> bool:
            return True

    with pytest.raises(mf.InputError, match=r"Odd.handle gave True, a text .* or None expected"):
        mf.run(case(), observers=[Odd()])
    grouped = mf.Observer()
    grouped.columns = (mf.Column("g", "1", "", lambda view: 0.0, frozenset({"spectrum"})),)
    with pytest.raises(mf.InputError, match="column 'g' of an observer needs spectrum, which this"):
        mf.run(case(), observers=[grouped])


PROGRAM = """
import json
import sys
from pathlib import Path
import numpy as np
import meanfield as mf
from meanfield.software import load_mpi

world = load_mpi().COMM_WORLD
rank = world.rank
case = mf.Case.from_toml("small.toml")

class One(mf.Observer):
    def __init__(self, mode):
        self.mode = mode
        bad = {"nan": lambda view: np.nan if rank == 1 and view.t > 0.2 else 1.0,
               "raising": lambda view: 1.0 / (1 - rank)}.get(mode)
        if bad is not None:
            self.columns = (mf.Column("odd", "1", "", bad),)
        if mode == "columns" and rank == 1:
            self.columns = (mf.Column("more", "1", "", lambda view: 0.0),)

    def initialise(self, view):
        if self.mode == "begin" and rank == 1:
            raise RuntimeError("not here")

    def handle(self, view):
        if rank == 1 and view.t > 0.2:
            if self.mode == "handle":
                raise RuntimeError("not here")
            if self.mode == "broken":
                raise mf.BrokenInvariantError("seen on one rank")
            if self.mode == "end":
                return "one rank is enough"

    def finalise(self, view, reason):
        if self.mode == "finalise" and rank == 1:
            raise RuntimeError("not here")

told = {}
for mode in sys.argv[1:]:
    observers = [One(mode), lambda solver: solver.speed()]
    if mode == "wrong" and rank == 1:
        observers = [3]
    try:
        said = mf.run(case, mode, progress=False, observers=observers).stop_reason
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    told[mode] = world.gather(said, root=0)
if rank == 0:
    Path("told.json").write_text(json.dumps(told))
"""
ON_ONE_RANK = {
    "nan": "broken invariant: odd not finite at t = 0.5",
    "raising": "ZeroDivisionError: ",
    "columns": "InputError: observers with other columns on other ranks",
    "begin": "RuntimeError: not here",
    "handle": "RuntimeError: not here",
    "broken": "broken invariant: seen on one rank",
    "end": "one rank is enough",
    "finalise": "end",
    "wrong": "InputError: observer 3 found",
}


@pytest.mark.mpi
@needs_launcher
def test_what_happens_to_an_observer_on_one_rank_is_known_on_all(
    tmp_path: Path, start: Callable[..., Job]
) -> None:
    case.write(tmp_path / "small.toml", time__series_every=1000)
    (tmp_path / "program.py").write_text(PROGRAM, "utf-8")
    done = start(*ranks(2, "program.py", *ON_ONE_RANK), cwd=tmp_path).finish()
    assert done.code == 0, done.said
    told = json.loads((tmp_path / "told.json").read_text("utf-8"))
    for mode, expected in ON_ONE_RANK.items():
        assert len(told[mode]) == 2, mode
        for said in told[mode]:
            assert said.startswith(expected), (mode, told[mode])
