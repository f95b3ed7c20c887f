"""Templates of case files: valid as they are, complete, and true in each commented line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pretrained
import pytest
from fakeruns import error_line
from processes import needs_dolfinx

import meanfield as mf
from meanfield import cli
from meanfield.case import apply_overrides
from meanfield.case.reference import NESTED, SECTIONS
from meanfield.case.templateneeds import needs
from meanfield.case.templates import TEMPLATES, template
from meanfield.options import labels_of, options_of

SMALL = {
    "sphere": ["geometry.level=2"],
    "circle": ["geometry.vertices=40"],
    "zonal": ["geometry.vertices=40", "geometry.d=4"],
    "unmeshed": [],
}
ON_A_MESH = {"eulerian", "implicit"}


def small(name: str) -> mf.Case:
    """A template at a size for a test."""
    raw = tomllib.loads(template(name))
    changes = [*SMALL[raw["geometry"]["type"]], "output.figures=false", "time.end=0.5"]
    changes += ["time.outputs={ every = 0.5 }"]
    if "number" in raw["solver"]:
        changes += ["solver.number=12", "geometry.d=3" if name != "layers" else "geometry.d=8"]
    return mf.Case.from_dict(apply_overrides(raw, changes))


def runs(kind: str) -> list[str]:
    """Templates whose solver is on a mesh that stays, or the others."""
    solvers = {name: one.sections["solver"]["type"] for name, one in TEMPLATES.items()}  # type: ignore[call-overload]
    return [name for name, solver in solvers.items() if (solver in ON_A_MESH) == (kind == "mesh")]


def test_its_head_names_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "my own.toml"
    assert cli.main(["case", "--template", "perceptron", "-o", str(path)]) == 0
    assert f"meanfield run '{path}'" in capsys.readouterr().out
    text = path.read_text("utf-8")
    assert "#   meanfield run 'my own.toml'\n" in text and "perceptron.toml" not in text
    assert "\nb = [0.0, 0.0]\n" in text  # one number for each row of B


@pytest.mark.parametrize("name", TEMPLATES)
def test_it_is_a_case_as_it_is(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"{name}.toml"
    assert cli.main(["case", "--template", name, "-o", str(path)]) == 0
    assert f"meanfield run {path}" in capsys.readouterr().out
    assert cli.main(["case", "--template", name]) == 0
    assert capsys.readouterr().out == path.read_text("utf-8") == template(name)
    case = mf.Case.from_toml(path)
    assert "{" not in case.heading
    assert max(map(len, template(name).splitlines())) <= 112
    assert cli.main(["run", str(path), "--dry-run"]) == 0


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_key_of_its_sections_is_there_once_and_each_comment_holds(name: str) -> None:
    text = template(name)
    raw = tomllib.loads(text)
    case = mf.Case.from_dict(raw)
    parts = re.split(r"^\[+([\w.]+)\]+$", text, flags=re.MULTILINE)
    seen: set[str] = set()
    for section, body in zip(parts[1::2], parts[2::2], strict=True):
        if section in seen:
            continue
        seen.add(section)
        kinds = (SECTIONS | NESTED)[section]
        here = _table(raw, section)
        kind = next((k for k in kinds if here.get("type") in labels_of(k)), kinds[0])
        for option in options_of(kind, section):
            key = option.key.rpartition(".")[2]
            if option.key in TEMPLATES[name].sections:  # a table of its own
                continue
            lines = re.findall(rf"^(#?){key} = ", body, re.MULTILINE)
            if option.expected.startswith("table") or (
                option.expected == "a table" and not option.example
            ):
                assert f"[{option.key}]" in text
                continue
            assert lines == (["#"] if key not in here else [""]), option
            if key in here:
                continue
            changed = text.replace(body, re.sub(rf"(?m)^#({key} = )", r"\1", body), 1)
            table = tomllib.loads(changed)
            assert key in _table(table, section)
            if option.default:
                assert mf.Case.from_dict(table) == case, option


LINE = re.compile(r"^#(\w+) = (.+)$")


def commented(name: str) -> Iterator[tuple[str, str, object, str]]:
    """Each line behind a "#" of a template: section, key, value, the comment above it."""
    section, above = "", ""
    for line in template(name).splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif found := LINE.match(line):
            yield section, found[1], tomllib.loads(line[1:])[found[1]], above
        above = f"{above} {line[2:]}" if line.startswith("# ") else ""


def changed(name: str, sets: Mapping[str, object], gone: Collection[str]) -> dict[str, Any]:
    """The table of a template without some keys and tables, and with others."""
    raw = tomllib.loads(template(name))
    for path in gone:
        section, _, key = path.rpartition(".")
        _table(raw, section).pop(key) if section else raw[path].clear()
    for path, value in sets.items():
        section, _, key = path.rpartition(".")
        _table(raw, section)[key] = value
    return raw


def holds(raw: dict[str, Any], base: Path) -> bool:
    try:
        mf.Case.from_dict(raw, base)
    except mf.InputError:
        return False
    return True


@pytest.fixture(scope="module")
def own_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the examples name: matrices, and a transformer of 12 layers (of 16 dimensions)."""
    base = tmp_path_factory.mktemp("own")
    np.savez(base / "weights.npz", K0=np.eye(3))
    pretrained.write(base / "bert-base-uncased", "albert", num_hidden_layers=12)
    return base


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_commented_line_holds_with_what_its_comment_tells(name: str, own_files: Path) -> None:
    """With all of that; without any part of it, it does not."""
    for section, key, value, above in commented(name):
        path = f"{section}.{key}" if section else key
        need = needs(path, TEMPLATES[name].sections)
        words = need.words(section)
        assert above.endswith(f"] {words}" if words else "]"), (path, above)
        sets = {path: value, **need.sets}
        if "geometry.d" in need.sets and key == "pretrained":
            sets["geometry.d"] = pretrained.D
        assert holds(changed(name, sets, need.gone), own_files) == (not need.template), path
        assert need.template == "" or need.template in TEMPLATES
        for other in need.sets:
            fewer = {k: v for k, v in sets.items() if k != other}
            assert not holds(changed(name, fewer, need.gone), own_files), (path, other)
        for other in need.gone:
            assert not holds(changed(name, sets, set(need.gone) - {other}), own_files), (
                path,
                other,
            )
        if need.such:
            assert not holds(changed(name, sets, need.gone), own_files / "elsewhere"), path


def _table(raw: dict[str, Any], section: str) -> dict[str, Any]:
    for name in filter(None, section.split(".")):
        raw = raw.get(name, {})
        raw = raw[0] if isinstance(raw, list) else raw
    return raw


@needs_dolfinx
@pytest.mark.parametrize("name", runs("mesh"))
def test_those_on_a_mesh_run(name: str, tmp_path: Path) -> None:
    result = mf.run(small(name), tmp_path / "run", progress=False)
    assert result.stop_reason in ("end", "stationary")


@pytest.mark.parametrize("name", runs("none"))
def test_the_others_run(name: str, tmp_path: Path) -> None:
    assert mf.run(small(name), tmp_path / "run", progress=False).stop_reason == "end"


def test_the_list_names_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["case", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(TEMPLATES)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--template", "spere"], ["'spere' found", "did you mean 'sphere'?"]),
        (["--template", "sphere.toml"], ["the name of a template", "-o sphere.toml"]),
        (["--template", "Tokens"], ["did you mean 'tokens'?"]),
        ([], ["--template", "--list"]),
        (["--list", "-o", "x.toml"], ["-o: found with --list"]),
        (["--template", "sphere", "-o", "x.txt"], ["ends in .toml"]),
        (["--template", "sphere", "-o", "."], ["the folder . found", "./mine.toml"]),
        (["--template", "sphere", "-o", "there.toml"], ["there.toml is there already"]),
    ],
)
def test_what_is_wrong_is_told_in_a_line(
    words: list[str],
    parts: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.toml").write_text("mine", encoding="utf-8")
    assert cli.main(["case", *words]) == 2
    line = error_line(capsys)
    assert all(part in line for part in parts), line
    assert (tmp_path / "there.toml").read_text("utf-8") == "mine"
