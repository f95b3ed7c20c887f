"""What is installed by which way: lists of other package managers, files of the source archive."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

# Names that conda-forge has for packages of PyPI; None: comes with another one.
ELSEWHERE = {"matplotlib": "matplotlib-base", "llvmlite": None, "meanfield": None}
EXTRAS = ("film", "report", "notebook", "tables", "completion", "docs", "dev")
NOTEBOOK = {"trame", "trame-vtk", "trame-vuetify", "ipywidgets"}
"""What pyvista[jupyter] brings; extras there are none of elsewhere."""


def wanted() -> dict[str, str]:
    """The packages that both lists need, by their names there, with their ranges."""
    project = PROJECT["project"]
    lines = list(project["dependencies"])
    for extra in EXTRAS:
        lines += project["optional-dependencies"][extra]
    found = {}
    for line in lines:
        name, versions = re.fullmatch(r"([\w.-]+)(?:\[\w+\])?(.*)", line).groups()  # type: ignore[union-attr]
        other = ELSEWHERE.get(name.lower(), name.lower())
        if other is not None:
            found[other] = versions
    return found


@pytest.mark.parametrize("path", ["environment.yml", "pixi.toml"])
def test_lists_of_other_package_managers_are_complete(path: str) -> None:
    text = (ROOT / path).read_text("utf-8")
    if path == "pixi.toml":
        table = tomllib.loads(text)["dependencies"]
        listed = {name: value for name, value in table.items() if isinstance(value, str)}
    else:
        lines = re.findall(r"^  - ([\w-]+) ?([^#\n=]*[<>]=?[^#\n]*)?", text, re.M)
        listed = {name: versions.strip() for name, versions in lines}
    for name, versions in wanted().items():
        assert listed.get(name) == versions, name
    everywhere = re.findall(r"^(?:  - )?([\w-]+)", text, re.M)
    assert set(everywhere) >= NOTEBOOK
    # One build of MPI for everything that is linked with it.
    assert text.count("mpi_openmpi*") == 2
    # Real numbers: what says so is the build of petsc; that of petsc4py does not any more.
    assert re.search(r"^(?:  - )?petsc ?= ?.*real_\*", text, re.M)
    assert not re.search(r"^(?:  - )?petsc4py", text, re.M)


def test_the_extras_are_all_of_them() -> None:
    assert {*EXTRAS, "all", "dolfinx", "h5py"} == set(PROJECT["project"]["optional-dependencies"])


def test_the_source_archive_names_what_is_there() -> None:
    named = PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    missing = [name for name in named if not (ROOT / name).exists()]
    assert missing == []
    top = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    ours = {"README.md", "pyproject.toml"}  # always in it
    others = {"results", "runs", "build", "dist"}  # never
    assert top - others - ours - {name for name in top if name.endswith(".egg-info")} <= set(named)
    assert PROJECT["project"]["authors"] == [{"name": "The meanfield maintainers"}]


def test_the_image_keeps_results_out_and_is_no_root() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert {"results", ".git", ".meanfield-env"} <= set(ignored)
    steps = re.findall(r"^([A-Z]+) (.*)", (ROOT / "Dockerfile").read_text("utf-8"), re.M)
    words = [f"{word} {rest}" for word, rest in steps]
    first, code = (
        next(k for k, line in enumerate(words) if line.startswith(start))
        for start in ("RUN python -c", "COPY . ")
    )
    assert first < code  # what is installed stays when the code changes
    assert next(rest for word, rest in reversed(steps) if word == "USER") == "meanfield"
