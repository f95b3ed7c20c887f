"""The reference: each key, law, column, verb, file and public name stands where it should."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from processes import ROOT

import meanfield as mf
from meanfield.analysis.columns import COLUMNS
from meanfield.case.helptext import TABLES
from meanfield.case.masks import MASKS
from meanfield.case.normalisation import SCHEMES
from meanfield.cli.command import make_parser
from meanfield.geometry.laws import LAWS
from meanfield.interaction.drifts.potentials import POTENTIALS
from meanfield.interaction.kernels import KERNELS
from meanfield.interaction.strength import STRENGTHS
from meanfield.options import label_of, labels_of, options_of
from meanfield.results.filelist import FILES

sys.path.insert(0, str(ROOT / "docs" / "_ext"))

import refpages
from refpages import api, autodoc, cases, columns, formulas, text, verbs


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """All of them, as they are written."""
    return refpages.pages()


def entries(page: str) -> list[str]:
    """Names of the keys that a page tells."""
    return re.findall(r"^````\{confval\} (.*)$", page, re.MULTILINE)


# ------------------------------------------------------------------ keys


def test_every_key_is_told_once_on_the_page_of_its_section(pages: dict[str, str]) -> None:
    home = {section: name for name, page in cases.PAGES.items() for section in page.sections}
    assert home.keys() == TABLES.keys() | {""}
    told = [(name, key) for name in pages for key in entries(pages[name])]
    assert len(told) == len(set(told))
    expected = [("cases/case", "title"), ("cases/case", "seed")]
    for section, kinds in TABLES.items():
        for kind in dict.fromkeys(kinds):
            expected += [
                (f"cases/{home[section]}", cases.name_of(section, kind, option))
                for option in options_of(kind, section)
            ]
    assert set(expected) == set(told)


def test_each_key_says_what_help_says(pages: dict[str, str]) -> None:
    for name, page in cases.PAGES.items():
        body = pages[f"cases/{name}"]
        for section in page.sections:
            for kind in TABLES.get(section, ()):
                for option in options_of(kind, section):
                    title = cases.name_of(section, kind, option)
                    after = body.partition(f"{{confval}} {title}\n")[2].partition("\n````\n")[0]
                    assert text.escaped(option.about) in after
                    assert text.escaped(option.expected) in after
                    assert (f"*unit* `{option.unit}`" in after) == bool(option.unit), title
                    if option.default:
                        assert f"*default* `{option.default}`" in after
                    assert ("**must be given**" in after) == (option.default is None)


def test_every_type_has_its_heading_and_its_formula(pages: dict[str, str]) -> None:
    for name, page in cases.PAGES.items():
        body = pages[f"cases/{name}"]
        for section in page.sections:
            for kind in TABLES.get(section, ()):
                for label in labels_of(kind):
                    assert f'type = "{label}"' in body, (section, label)
    for known, kinds in (
        (formulas.LAWS, LAWS),
        (formulas.KERNELS, KERNELS),
        (formulas.POTENTIALS, POTENTIALS),
        (formulas.STRENGTHS, STRENGTHS),
        (formulas.MASKS, MASKS),
        (formulas.SCHEMES, SCHEMES),
    ):
        assert list(known) == list(kinds)
        assert all(
            any(f"\n{one}\n```" in page for page in pages.values()) for one in known.values()
        )
    assert all(label_of(kind) == name for name, kind in LAWS.items())


def test_every_unit_is_on_its_page() -> None:
    page = (ROOT / "docs/reference/units.md").read_text("utf-8")
    told = set(re.findall(r"`([^`]*)`", "".join(re.findall(r"^\| (.*?) \|", page, re.M))))
    units = {entry.unit for entry in COLUMNS}
    for section, kinds in TABLES.items():
        units |= {option.unit for kind in kinds for option in options_of(kind, section)}
    assert units - {None, ""} <= told


KNOWN = {"outside of core", " given at points", "else"}


def test_formulas_name_keys_and_tell_of_causal_masks() -> None:
    for name, kind in POTENTIALS.items():
        keys = {option.key for option in options_of(kind, "")}
        words = set(re.findall(r"\\text\{([^}]*)\}", formulas.POTENTIALS[name]))
        assert words - KNOWN <= keys, name
    for name, kind in MASKS.items():
        causal = any(option.key == "causal" for option in options_of(kind, ""))
        assert ("causal" in formulas.MASKS[name]) == causal, name
    assert "Z" in formulas.SYMBOLS["dissipation"] and "F" in formulas.SYMBOLS["dissipation"]
    assert "beta" not in formulas.SYMBOLS["energy_scaled"]  # of the exponential kernel only


# ------------------------------------------------------------------ columns, files, verbs, names


def test_every_column_and_file(pages: dict[str, str]) -> None:
    body = pages["columns"]
    heads = re.findall(r"^## `(.*)`$", body, re.MULTILINE)
    assert heads == [columns.header(entry) for entry in COLUMNS]
    assert list(formulas.SYMBOLS) == [entry.name for entry in COLUMNS]
    assert {need for entry in COLUMNS for need in entry.needs} == set(columns.NEEDS)
    for entry in COLUMNS:
        assert f"*Unit* `{entry.unit}`" in body and text.escaped(entry.meaning) in body
    names = re.findall(r"^`(.*)` \(.*\)\n: ", pages["files"], re.MULTILINE)
    assert names == [one.name for one in FILES]


def test_every_verb_and_all_its_options(pages: dict[str, str]) -> None:
    names = verbs.verbs(make_parser())
    assert {f"verbs/{name}" for name in names} == {p for p in pages if p.startswith("verbs/")} - {
        "verbs/index"
    }
    for name, parser in names.items():
        body = pages[f"verbs/{name}"]
        assert body.startswith(f"# `meanfield {name}`\n") and name in pages["verbs/index"]
        for word in re.findall(r"(?<![\w-])--[a-z][\w-]*", parser.format_usage()):
            assert re.search(rf"^```\{{option\}} .*{word}(?![\w-])", body, re.MULTILINE), word
        for task in verbs.verbs(parser):
            assert f"## `meanfield {name} {task}`" in body
    for number in verbs.EXIT_CODES:
        assert f"\n`{number}`\n: " in pages["verbs/index"]


def test_every_public_name_has_one_place(pages: dict[str, str]) -> None:
    found = [
        name
        for page in pages.values()
        for name in re.findall(r"^\.\. auto\w+:: meanfield\.(\w+)$", page, re.MULTILINE)
    ]
    assert sorted(found) == sorted(set(mf.__all__) - {"__version__"})
    assert "`meanfield.__version__`" in pages["api/errors"]
    index = pages["api/index"]
    assert all(f"\n{theme}\n" in index for theme in api.THEMES)
    listed = (ROOT / "docs/reference/index.md").read_text("utf-8")
    for name in pages:
        if name.count("/") < 2 and not re.match(r"(verbs|api)/(?!index)", name):
            assert f"\ngenerated/{name}\n" in listed, name


# ------------------------------------------------------------------ making them


def test_pages_need_no_dolfinx(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "sys.modules['dolfinx'] = None; sys.path.insert(0, sys.argv[1])\n"
        "import refpages; refpages.write(Path(sys.argv[2]))\n"
        "assert 'basix' not in sys.modules and 'petsc4py' not in sys.modules\n"
    )
    words = [sys.executable, "-c", program, str(ROOT / "docs" / "_ext"), str(tmp_path)]
    (tmp_path / "old.md").write_text("gone", encoding="utf-8")
    subprocess.run(words, check=True, cwd=ROOT)
    made = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert made == {f"{name}.md" for name in refpages.pages()} | {"case.schema.json"}
    schema = json.loads((tmp_path / "case.schema.json").read_text("utf-8"))
    assert schema["$defs"]["Time"]["properties"]["end"]["x-unit"] == "time"


def test_texts_are_shown_as_they_are() -> None:
    assert text.escaped("|m|, x_1 and ``e^{-t}``") == r"\|m\|, x\_1 and `e^{-t}`"
    assert autodoc.plain(["|m| and K_ of ``a|b``", "", ">>> f(*a)"]) == [
        r"\|m\| and K\_ of ``a|b``", "", ">>> f(*a)",
    ]  # fmt: skip
    assert autodoc.plain(["* an item, 2 * x"]) == [r"* an item, 2 \* x"]


def test_signatures_are_what_a_caller_writes() -> None:
    assert autodoc.signature(mf.Sphere) == "(level, *, factor=None, centre=None)"
    assert autodoc.signature(mf.load) == "(folder)"
    assert autodoc.signature(mf.InputError) is None
    assert "<" not in str(autodoc.signature(mf.Film)) + str(autodoc.signature(mf.Case))
