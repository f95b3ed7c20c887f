"""The names for users: each has an example that runs, nothing else is shown, types go with them."""

from __future__ import annotations

import doctest
import importlib.resources
import inspect
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from processes import ROOT, needs_dolfinx

import meanfield as mf
from meanfield.geometry.mesh import write_mesh
from meanfield.software import dolfinx_version

MET = {"Interaction"}
"""What users are given by others (``Attention``, ``Model.on``), and do not make."""
NAMES = [name for name in mf.__all__ if name != "__version__"]
OF_DOLFINX = {name for name in NAMES if "dolfinx" in name}


def examples(name: str) -> list[doctest.Example]:
    found = doctest.DocTestParser().get_examples(inspect.getdoc(getattr(mf, name)) or "")
    assert all(isinstance(one, doctest.Example) for one in found)
    return found


def test_each_name_has_an_example() -> None:
    assert {name for name in NAMES if not examples(name)} == MET
    # Most of them can be run.
    run = [n for n in NAMES if not all(doctest.SKIP in e.options for e in examples(n))]
    assert len(run) > 0.9 * len(NAMES)


@pytest.fixture(scope="session")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the examples take as given: cases, a finished run, a mesh, tokens."""
    if dolfinx_version() is None:
        pytest.skip("a run of a density needs DOLFINx")
    place = tmp_path_factory.mktemp("examples")
    case = mf.Case(
        title="tokens",
        geometry=mf.Sphere(level=2),
        model=mf.Model(attention="sa", beta=2.0),
        initial=mf.standard_density(),
        time=mf.Time(end=4.0, outputs=mf.Every(2.0)),
    )
    (place / "clustering.toml").write_text(case.to_toml(), "utf-8")
    mf.run(case, place / "results" / "clustering", progress=False)
    shutil.copy(ROOT / "scripts" / "cases" / "noise.toml", place)
    write_mesh(place / "sphere.msh", mf.icosphere(1))
    for name, seed in (("first.npy", 0), ("second.npy", 1)):
        np.save(place / name, mf.Uniform(3).sample(50, np.random.default_rng(seed)))
    return place


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=needs_dolfinx if n in OF_DOLFINX else ()) for n in NAMES]
)
@pytest.mark.filterwarnings("ignore::meanfield.errors.MeanfieldWarning")
def test_the_examples_are_right(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    named = " ".join(e.source for e in examples(name) if doctest.SKIP not in e.options)
    if re.search(r"results/|\.(toml|msh|npy)\b", named):
        shutil.copytree(request.getfixturevalue("there"), tmp_path, dirs_exist_ok=True)
    before = set(tmp_path.iterdir())
    monkeypatch.chdir(tmp_path)
    names = {"mf": mf, "np": np}  # as everywhere in the texts
    test = doctest.DocTest(examples(name), names, name, None, None, None)
    said: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert result.failed == 0, "".join(said)
    assert set(tmp_path.iterdir()) == before, "an example has left files beside results"


def test_only_names_for_users_are_shown() -> None:
    code = "import meanfield as mf; mf.Sphere(2); print(*dir(mf))"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert shown == sorted(mf.__all__)
    for wanted in (
        "wasserstein", "Fourier", "Harmonic", "Gegenbauer", "FunctionDensity", "density_law",
        "compare", "sweep", "stationary", "branch", "Mesh", "BrokenInvariantError",
    ):  # fmt: skip
        assert wanted in shown
    # Those for type checkers are the same.
    text = Path(mf.__file__).read_text("utf-8").partition("if TYPE_CHECKING:")[2]
    assert all(f" {name}" in text for name in NAMES)


def test_the_types_are_shipped() -> None:
    assert importlib.resources.files("meanfield").joinpath("py.typed").is_file()


@pytest.mark.slow
def test_the_wheel_has_the_types(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("meanfield-*.whl")
    files = set(zipfile.ZipFile(wheel).namelist())
    assert {"meanfield/py.typed", "meanfield/__init__.py", "meanfield/case/case.py"} <= files
    assert not any(name.startswith("tests/") for name in files)
