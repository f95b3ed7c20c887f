"""A result in a notebook, on several ranks, and of what the command line has run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cases import few_tokens, run, small
from processes import Job, needs_launcher, python, ranks

import meanfield as mf
from meanfield import cli

Start = Callable[..., Job]

CELLS = [
    "import meanfield as mf; result = mf.load('run'); result",
    "result.plot()",
    "result.plot('energy');",
    "import matplotlib.pyplot as plt; _, ax = plt.subplots(1, 2); result.plot(ax=ax[0]);",
    "print(plt.get_fignums())",
]


@pytest.mark.slow
def test_a_notebook_shows_each_picture_below_its_cell(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="no nbformat: pip install nbformat")
    nbclient = pytest.importorskip("nbclient", reason="no nbclient: pip install nbclient")
    run(few_tokens(time__end=0.5), tmp_path / "run")
    book = nbformat.v4.new_notebook()
    book.cells = [nbformat.v4.new_code_cell(text) for text in CELLS]
    client = nbclient.NotebookClient(
        book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    shown = [[kind for o in cell.outputs for kind in o.get("data", {})] for cell in book.cells]
    assert "<table>" in book.cells[0].outputs[0]["data"]["text/html"]
    assert ["image/png" in kinds for kinds in shown] == [False, True, True, True, False]
    assert book.cells[-1].outputs[-1]["text"] == "[]\n"  # all of them are shown, and closed


ASK = """
import json, sys
import numpy as np
import meanfield as mf
case = mf.Case.from_toml("case.toml")
x = np.eye(3)
found, results = {}, {}
for name, folder in (("disk", "out"), ("memory", None)):
    result = results[name] = mf.run(case, folder, progress=False)
    found[name] = [list(result.at(x)), None if folder is None else list(result.at(x, 0.3))]
    if folder is None:
        found["masses"] = float(result.fields.masses().sum())
    elif result.solver.comm.rank > 0:
        try:
            result.fields
        except mf.InputError as error:
            found["refused"] = str(error)
found["words"] = repr(results["disk"])
with open(f"rank{result.solver.comm.rank}.json", "w") as file:
    json.dump(found, file)
"""


@pytest.mark.slow
@pytest.mark.mpi
@needs_launcher
@pytest.mark.parametrize("solver", ["eulerian", "lagrangian"])
def test_two_ranks_ask_together(tmp_path: Path, start: Start, solver: str) -> None:
    changed = small.but({"solver.type": solver, "output.precision": "float64"})
    changed.write(tmp_path / "case.toml")
    (tmp_path / "ask.py").write_text(ASK, "utf-8")
    done = start(*ranks(2, "ask.py"), cwd=tmp_path).finish()
    assert done.code == 0, done.said
    one, two = (json.loads((tmp_path / f"rank{r}.json").read_text()) for r in (0, 1))
    assert one["disk"] == two["disk"] and one["memory"] == two["memory"]
    assert one["masses"] == two["masses"] == pytest.approx(1.0)
    assert two["refused"] == (
        "fields: the files of this run are read on rank 0: call it there, or mf.load('out')"
    )
    assert all("folder        out" in told["words"] for told in (one, two))
    loaded = mf.load(tmp_path / "out")
    for t, values in ((None, one["disk"][0]), (0.3, one["disk"][1]), (None, one["memory"][0])):
        np.testing.assert_allclose(loaded.at(np.eye(3), t), values, rtol=1e-9)


def test_what_the_command_line_has_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    few_tokens.write(tmp_path / "few.toml")
    assert cli.main(["run", "few.toml", "-o", "out"]) == 0
    result = mf.load("out")
    assert result.case == few_tokens() and result.folder == Path("out")
    np.testing.assert_array_equal(result.tokens(), run(few_tokens()).solver.x)


def test_looking_at_a_folder_loads_no_solver(tmp_path: Path, start: Start) -> None:
    run(few_tokens(time__end=0.5), tmp_path / "run")
    code = (
        "import sys, meanfield as mf; result = mf.load('run'); result.tokens(); repr(result); "
        "assert not {'dolfinx', 'matplotlib', 'pyvista'} & set(sys.modules); "
        "assert 'meanfield.dynamics.particles' not in sys.modules"
    )
    done = start(*python("-c", code), cwd=tmp_path).finish()
    assert done.code == 0, done.said
