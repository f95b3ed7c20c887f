"""Formats of field files behind one registry: what runs write and figures read goes by it."""

from __future__ import annotations

import pkgutil
import sys
import types
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from cases import CIRCLE, plain

import meanfield as mf
from meanfield.case.output import FormatName
from meanfield.results import formats
from meanfield.results.formats import format_named, read_fields


def test_every_format_of_a_case_is_a_module_and_the_other_way_round() -> None:
    modules = {info.name for info in pkgutil.iter_modules(formats.__path__)} - {"base"}
    assert modules == set(get_args(FormatName))
    for name in modules:
        made = format_named(name)
        assert callable(made.fields) and callable(made.tokens)
        assert callable(made.read_fields) and callable(made.read_tokens)


def test_an_unknown_format_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(mf.InputError, match=r'output.format: .*"vtkhdf".* found .*did you mean'):
        mf.Output(format="vtkhfd")  # type: ignore[arg-type]


class _Memory:
    """A format that keeps everything here."""

    def __init__(self) -> None:
        self.written: dict[str, list[tuple[float, object]]] = {}

    def fields(self, path: Path, *given: object, **options: object) -> _MemoryFile:
        return _MemoryFile(path, self.written)

    tokens = fields

    def read_fields(self, path: Path) -> object:
        return self.written[path.name]


class _MemoryFile:
    last_time = -np.inf

    def __init__(self, path: Path, written: dict[str, list[tuple[float, object]]]) -> None:
        path.write_text("it is elsewhere")
        self._steps = written.setdefault(path.name, [])

    def write(self, t: float, *values: object) -> None:
        self.last_time = t
        self._steps.append((t, values[0]))

    def close(self) -> None:
        self._steps.append((np.inf, None))


@pytest.mark.parametrize("solver", ["eulerian", "lagrangian", "particles"])
def test_a_run_writes_and_a_reader_reads_whatever_is_registered(
    solver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, module = _Memory(), types.ModuleType("meanfield.results.formats.memory")
    module.FORMAT = memory  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    module.__spec__ = types.SimpleNamespace(name=module.__name__)  # type: ignore[assignment]
    output = mf.Output(figures=False)
    object.__setattr__(output, "format", "memory")
    particles = {"type": "particles", "number": 20}
    case = plain(
        {**CIRCLE, "model.beta": 2.0},
        solver=particles if solver == "particles" else {"type": solver},
        time={"end": 0.2, "outputs": {"every": 0.1}},
    )
    object.__setattr__(case, "output", output)
    monkeypatch.setattr(mf.Case, "to_toml", lambda self: "title = 'not of this format'\n")
    mf.run(case, tmp_path / "run", progress=False)
    name = "particles.memory" if solver == "particles" else "fields.memory"
    assert [t for t, _ in memory.written[name]] == [0.0, 0.1, 0.2, np.inf]
    folder = mf.RunFolder(tmp_path / "run")
    assert name in folder.files()
    assert name in (folder.fields_path.name, folder.particles_path.name)
    if solver != "particles":
        assert read_fields(folder.fields_path) is memory.written[name]
        assert {"rho", "log10_rho", "velocity"} <= set(memory.written[name][0][1])  # type: ignore[call-overload]


def test_what_a_user_puts_beside_the_field_file_is_no_field_file(tmp_path: Path) -> None:
    folder = mf.RunFolder(tmp_path)
    folder.write_run({"meanfield": "0"})
    (tmp_path / "fields.backup").mkdir()
    for name in ("fields.csv", "fields.pvsm", "particles.png"):
        (tmp_path / name).write_text("mine")
    assert folder.fields_path == tmp_path / "fields.vtkhdf"
    folder.file("fields.npz").write_bytes(b"")
    assert folder.fields_path == tmp_path / "fields.npz"
    assert folder.particles_path == tmp_path / "particles.vtkhdf"
