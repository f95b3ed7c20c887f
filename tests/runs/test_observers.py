"""Observers: begin, look, end; columns of their own; ending a run; and when they are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import meanfield as mf
from meanfield.errors import BrokenInvariantError


def case(**changes: object) -> mf.Case:
    table = {
        "geometry": {"type": "circle", "vertices": 60},
        "model": {"attention": "sa", "beta": 2.0},
        "initial": {"type": "von-mises-fisher", "mean": [1.0, 0.0], "concentration": 1.0},
        "solver": {"type": "eulerian"},
        "time": {"end": 1.0, "outputs": {"every": 0.5}, "series_every": 2},
        "output": {"figures": False},
    }
    for name, value in changes.items():
        section, _, key = name.partition("__")
        table[section] = {**table[section], key: value}
    return mf.Case.from_dict(table)


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
    with pytest.raises(mf.InputError, match="other columns than this version writes"):
        mf.run(case(time__end=3.0), tmp_path / "run", resume=True)


def test_columns_need_names_of_their_own() -> None:
    observer = mf.Observer()
    observer.columns = (mf.Column("energy", "1", "Another one.", lambda view: 0.0),)
    with pytest.raises(mf.InputError, match="a column 'energy' of an observer found, another name"):
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
    changed = case()
    table = {**changed.to_dict(), "solver": given}
    diary = Diary(end_at=0.3)
    watch = mf.Watch(diary, mf.EverySteps(1))
    result = mf.run(mf.Case.from_dict(table), tmp_path / "run", observers=[watch])
    assert result.stop_reason == "quite enough" and 0.3 <= result.t < 1.0
    assert diary.seen[-1] == ("finalise: quite enough", result.t)
    assert result.series["t"][-1] == result.t  # with an output there
    # It can go on.
    again = mf.run(mf.Case.from_dict(table), tmp_path / "run", resume=True, observers=[Diary()])
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
    assert diary.seen[-1] == ("finalise: failed: no more", 0.0)


def test_the_run_lands_on_times_that_a_schedule_asks_for() -> None:
    met: list[float] = []
    times = [0.123, 0.5, 0.7, 7.0, -1.0]
    mf.run(case(), observers=[mf.Watch(lambda s: met.append(s.t), mf.AtTimes(times))])
    assert met == [0.123, 0.5, 0.7]  # exactly, and only those of the run
    with pytest.raises(mf.InputError, match="AtTimes"):
        mf.AtTimes([1.0, "late"])  # type: ignore[list-item]


def test_schedules_join() -> None:
    met: list[tuple[float, int]] = []
    when = mf.AtTimes([0.3]) | mf.EverySteps(3) | mf.AtOutputs()
    result = mf.run(case(), observers=[mf.Watch(lambda s: met.append((s.t, s.step)), when)])
    assert len(met) == len(set(met)) and result.steps > 3
    for t, step in met:
        assert t in (0.0, 0.3, 0.5, 1.0) or step % 3 == 0
    assert {0.0, 0.3, 0.5, 1.0} <= {t for t, _ in met} and 3 in {step for _, step in met}


def test_what_is_no_observer_is_one_line() -> None:
    with pytest.raises(mf.InputError, match="observer 3 found, a function expected"):
        mf.run(case(), observers=[3])  # type: ignore[list-item]
