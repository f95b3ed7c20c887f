"""What is installed by which way: lists of other package managers, files of the source archive."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import tarfile
import tomllib
import zipfile
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


def brought(extra: str) -> set[str]:
    """The extras that one names, with those that these name."""
    lines = PROJECT["project"]["optional-dependencies"][extra]
    named = [m[1].split(",") for line in lines if (m := re.match(r"meanfield\[(.*)\]", line))]
    direct = {name for names in named for name in names}
    return direct.union(*(brought(name) for name in direct))


def test_h5py_comes_with_all_and_never_beside_another_dolfinx() -> None:
    """An environment to develop in may stand on a DOLFINx that has its own HDF5."""
    assert brought("all") == {*EXTRAS, "h5py"} - {"docs", "dev"}
    assert brought("dev") == set(EXTRAS) - {"dev"}
    lines = [line for one in (*brought("dev"), "dev")
             for line in PROJECT["project"]["optional-dependencies"][one]]  # fmt: skip
    assert not [line for line in lines if line.startswith("h5py")]


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
    assert {"results", ".git", ".meanfield-env", "docs/gallery", ".hypothesis"} <= set(ignored)
    steps = re.findall(r"^([A-Z]+) (.*)", (ROOT / "Dockerfile").read_text("utf-8"), re.M)
    words = [f"{word} {rest}" for word, rest in steps]
    first, code = (
        next(k for k, line in enumerate(words) if line.startswith(start))
        for start in ("RUN python -c", "COPY meanfield ")
    )
    assert first < code  # what is installed stays when the code changes
    # Each change of what is copied compiles all kernels again: it is what the wheel is made of.
    copied = {name for word, rest in steps if word == "COPY" for name in rest.split()[:-1]}
    project = PROJECT["project"]
    made_of = {"pyproject.toml", project["readme"], *project["license-files"]}
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert copied == made_of | {*wheel["packages"], *wheel["force-include"]}
    assert next(rest for word, rest in reversed(steps) if word == "USER") == "meanfield"


# ------------------------------------------------------------------ wheel and source archive

BUILDS = "import sys; from hatchling.cli import hatchling; sys.argv[0] = 'hatchling'; hatchling()"


def built(source: Path, target: Path, kind: str) -> Path:
    """What hatchling, which needs no network, makes of a folder."""
    words = [sys.executable, "-c", BUILDS, "build", "-t", kind, "-d", str(target)]
    done = subprocess.run(words, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(target.glob("*.whl" if kind == "wheel" else "*.tar.gz"))


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def test_wheel_and_source_archive_hold_the_same(tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    wheel, source = (built(ROOT, tmp_path / k, k) for k in ("wheel", "sdist"))
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    unpacked = next((tmp_path / "unpacked").iterdir())
    held = names(wheel)
    assert held == names(built(unpacked, tmp_path / "again", "wheel"))
    for folder in ("cases", "examples"):
        kinds = (".toml", ".npz", ".py")
        ours = [p for p in (ROOT / "scripts" / folder).iterdir() if p.suffix in kinds]
        assert {f"meanfield/shipped/{folder}/{path.name}" for path in ours} <= held
    inside = [p for p in (ROOT / "meanfield").rglob("*") if p.suffix in (".py", ".css", ".js")]
    assert {path.relative_to(ROOT).as_posix() for path in inside} <= held
    assert "meanfield/py.typed" in held and "meanfield/shipped/cases/stack.npz" in held
    assert {Path(name).name for name in held if "/licenses/" in name} == {"LICENSE", "LICENSE.GPL"}
    assert not [name for name in held if "__pycache__" in name or name.startswith("tests")]
    for name in ("tests/test_packaging.py", "docs/conf.py", "paper/paper.md", ".ci/run", "meshes"):
        assert (unpacked / name).exists(), name
    with zipfile.ZipFile(wheel) as archive:
        told = next(name for name in held if name.endswith("METADATA"))
        metadata = archive.read(told).decode()
    assert "\nAuthor: The meanfield maintainers\n" in metadata
    assert not re.search(r"^(Home-page|Project-URL|Download-URL):", metadata, re.M)


# ------------------------------------------------------------------ the paper

PAPER = ROOT / "paper"


def test_the_paper_has_its_length_and_its_references() -> None:
    text = (PAPER / "paper.md").read_text("utf-8").split("\n---\n", 1)[1]
    assert 750 <= len(text.split()) <= 1750
    known = re.findall(r"^@\w+\{(\w+),", (PAPER / "paper.bib").read_text("utf-8"), re.M)
    assert set(re.findall(r"@(\w+\d{4})", text)) == set(known) and len(known) == len(set(known))
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", text, re.S):
        assert (PAPER / picture).is_file()
    for heading in ("Summary", "Statement of need", "State of the field", "Software design"):
        assert f"\n# {heading}\n" in text


def test_the_figure_of_the_paper(tmp_path: Path) -> None:
    """Growth rates by its script, at a small size, against the formula in the paper."""
    script = runpy.run_path(str(PAPER / "figure.py"))
    picture = tmp_path / "growth.png"
    found = script["main"](["--vertices", "33", "--betas", "1", "4", "-o", str(picture)])
    assert len(found) == 6 and picture.stat().st_size > 10_000
    for (d, beta), rate in found.items():
        assert rate == pytest.approx(script["exact"](d, beta), rel=2e-8)
