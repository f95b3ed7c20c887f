"""The documentation is built without a warning, from what the extra ``docs`` brings, whole."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from processes import ROOT

pytest.importorskip("sphinx", reason="no Sphinx here: pip install '.[docs]'")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder MEANFIELD_SITE, built before; else the pages without what the gallery draws."""
    if built := os.environ.get("MEANFIELD_SITE"):
        assert (Path(built) / "index.html").is_file(), f"MEANFIELD_SITE: no site in {built}"
        return Path(built).resolve()
    place = tmp_path_factory.mktemp("site")
    made = shutil.ignore_patterns("_build", "gallery", "generated", "sg_*", "__pycache__")
    for name in ("docs", "scripts", "meshes", "meanfield"):  # pages link to files of all
        shutil.copytree(ROOT / name, place / name, ignore=made)
    for path in (*ROOT.glob("*.md"), ROOT / "CITATION.cff", ROOT / "pyproject.toml"):
        shutil.copy(path, place)
    told = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "docs", "html"],
        cwd=place,
        env={**os.environ, "MEANFIELD_GALLERY": "none", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stderr
    return place / "html"


class _Page(HTMLParser):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids |= {value for name in ("id", "name") if (value := given.get(name))}
        where = given.get("href") if tag in ("a", "link") else given.get("src")
        if where:
            (self.links if tag == "a" else self.loaded).append(where)


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[Path, _Page]:
    found = (path for path in site.rglob("*.html") if "_static" not in path.parts)
    return {path: _Page(path) for path in found}


def _broken(site: Path, pages: dict[Path, _Page]) -> Iterator[tuple[str, str]]:
    for path, page in pages.items():
        for link in {*page.links, *page.loaded}:
            url = urlsplit(link)
            if url.scheme or url.netloc or not (url.path or url.fragment):
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            if target.is_dir():
                target /= "index.html"
            known = pages.get(target)
            if not target.exists() or (known and url.fragment not in {"", "top", *known.ids}):
                yield str(path.relative_to(site)), link


@pytest.mark.slow
def test_no_link_of_the_site_is_dead(site: Path, pages: dict[Path, _Page]) -> None:
    assert len(pages) > 25
    assert sorted(_broken(site, pages)) == []


@pytest.mark.slow
def test_pages_load_nothing_from_the_network(site: Path, pages: dict[Path, _Page]) -> None:
    """They are read from a disk, also without a network: equations are MathML."""
    loaded = {link for page in pages.values() for link in page.loaded if urlsplit(link).netloc}
    assert loaded == set()
    assert "<math" in (site / "index.html").read_text("utf-8")


@pytest.mark.slow
def test_no_page_offers_to_be_edited(pages: dict[Path, _Page]) -> None:
    for page in pages.values():
        assert not any("/edit/" in link or "github.com" in link for link in page.links)


@pytest.mark.slow
def test_all_pages_are_reached_from_the_front(site: Path, pages: dict[Path, _Page]) -> None:
    """By links of the navigation, that is by tables of contents."""
    alone = {"genindex.html", "search.html", "py-modindex.html", "sg_execution_times.html"}
    reached, ahead = set(), [(site / "index.html").resolve()]
    while ahead:
        path = ahead.pop()
        if path in reached or path not in pages:
            continue
        reached.add(path)
        ahead += [
            (path.parent / unquote(urlsplit(link).path)).resolve() for link in pages[path].links
        ]
    missed = {str(path.relative_to(site)) for path in pages.keys() - reached}
    assert {name for name in missed if Path(name).name not in alone} == set()


# ------------------------------------------------------------------ the extra


def _needed(lines: list[str], extras: frozenset[str], seen: set[str]) -> None:
    """Names of all that is installed for these requirements."""
    from packaging.requirements import Requirement

    for line in lines:
        one = Requirement(line)
        if one.marker and not any(one.marker.evaluate({"extra": e}) for e in (*extras, "")):
            continue
        name = re.sub(r"[-_.]+", "-", one.name.lower())
        if name in seen and not one.extras:
            continue
        seen.add(name)
        try:
            further = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        _needed(further, frozenset(one.extras), seen)


def test_the_extra_brings_what_the_build_loads() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    brought: set[str] = set()
    _needed(project["dependencies"] + extras["docs"], frozenset(), brought)
    conf = ast.parse((ROOT / "docs" / "conf.py").read_text("utf-8"))
    given = {
        target.id: ast.literal_eval(one.value)
        for one in conf.body
        if isinstance(one, ast.Assign) and isinstance(target := one.targets[0], ast.Name)
        if target.id in ("extensions", "html_theme")
    }
    loaded = [*given["extensions"], given["html_theme"]]
    sources = [ROOT / "docs" / "conf.py", *(ROOT / "docs" / "_ext").rglob("*.py")]
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                loaded += [name.name for name in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                loaded.append(node.module)
    own = {path.stem for path in (*ROOT.glob("docs/**/*.py"), *ROOT.glob("scripts/**/*.py"))}
    own |= {path.parent.name for path in ROOT.glob("docs/*/*.py")}
    own |= {"meanfield", "scripts", "refpages", "__future__"}
    from_where = importlib.metadata.packages_distributions()
    missing = {}
    for top in {one.partition(".")[0] for one in loaded} - own - set(sys.stdlib_module_names):
        given = {re.sub(r"[-_.]+", "-", name.lower()) for name in from_where.get(top, [])}
        if not given & brought:
            missing[top] = given
    assert missing == {}


# ------------------------------------------------------------------ equations


FORMULAS = r"""
\partial_t \mu + \operatorname{div}(X[\mu]\mu) = \kappa\,\Delta\mu \quad\text{on } S^{d-1}
X[\mu](x) = P_x\Bigl(\frac{1}{Z(x)}\int e^{\beta\langle x,y\rangle} V y\,\mathrm{d}\mu(y)\Bigr)
\big| x \big| \Big\{ \bigg( \frac{1}{2} \Bigg) A \iff B \stackrel{d}{=} C \coloneqq D
\frac{2\,\big(1+(n-1)\gamma\big)\,\Bigl\langle x \Bigr\rangle \bigm| y}{e^{\beta} + \big[ n \big]}
\begin{align} a &= b \notag \\ c &= d \label{eq:c} \end{align}
a = b \\ c = d
x_1, \dots, x_n \log n \texttt{a}
\frac12 \tfrac1{2} \frac 1 2 x^12 \frac{a}2 \sqrt2 \sum_{l=0}^L \int_0^1 \lim_{n\to\infty}
\begin{cases} 1 & x > 0 \\ 0 & \text{else} \end{cases} \begin{pmatrix} 1 & 0 \\ 0 & 1 \end{pmatrix}
\lambda_\ell = \frac{|S^{d-2}|}{|S^{d-1}|} \int_{-1}^1 W(t) P_\ell(t) (1-t^2)^{(d-3)/2}\,dt
\mathbb{R}^d, \mathcal{P}, \boldsymbol{\mu}, A^{\mathsf T}, \hat\rho_l, \overline{z}, \nabla, \sup_x
""".strip().splitlines()


@pytest.mark.parametrize("formula", FORMULAS)
def test_formulas_become_mathml(formula: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    from mathml import converted

    assert converted(formula, as_block=True).startswith("<math")


def test_digits_are_arguments_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in TeX; docutils would make 12/+ of it."""
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    from mathml import converted

    plain = re.sub(
        r"<[^>]*>|\s", " ", converted(r"\frac12 + \tfrac1n + x^23", as_block=False)
    ).split()
    assert plain == ["1", "2", "+", "1", "n", "+", "x", "2", "3"]


def test_signs_and_bars_are_close_to_what_they_belong_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    from mathml import converted

    made = converted(r"a - b = -|x|/2", as_block=False)
    assert made.count('form="prefix"') == 1 and made.count('lspace="0"') == 3


def _tags(formula: str) -> str:
    from mathml import converted

    made = re.sub(r"<(\w+)[^>]*>", r"<\1>", converted(formula, as_block=True))
    return re.sub(r"\s", "", made).removeprefix("<math>").removesuffix("</math>")


def test_indices_of_accents_stand_beside_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    hat = "<mover><mi>\u03bc</mi><mo>\u02c6</mo></mover>"
    assert _tags(r"\hat\mu_{lm}") == f"<msub>{hat}<mrow><mi>l</mi><mi>m</mi></mrow></msub>"
    assert _tags(r"{\hat\mu}_l") == _tags(r"\hat\mu_l") == f"<msub>{hat}<mi>l</mi></msub>"
    assert _tags(r"\hat\mu_l^2") == f"<msubsup>{hat}<mi>l</mi><mn>2</mn></msubsup>"
    assert _tags(r"\sum_l^n").startswith("<munderover>")
    assert _tags(r"\max_c").startswith("<munder>")
    assert _tags(r"\overset{d}{X}").startswith("<mover>")


def test_overlines_are_as_long_as_what_they_are_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    from mathml import converted

    for formula in (r"\overline{z}", r"\overline{\lvert e^{-tV}x\rvert}", r"\overline{z}_k^2"):
        made = converted(formula, as_block=False)
        assert made.count('<mrow style="border-top:') == 1 and "_" not in made
    assert _tags(r"\overline{z}_k^2").startswith("<msubsup><mrow><mi>z</mi></mrow>")


def test_what_is_no_formula_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    from docutils.utils.math import MathError
    from mathml import converted

    with pytest.raises(MathError, match="nosuch"):
        converted(r"\nosuch{x}", as_block=False)
    monkeypatch.setattr(
        "mathml.tex2mathml", lambda *_, **__: "<math><mfrac><mn>12</mn></mfrac></math>"
    )
    with pytest.raises(MathError, match="wrong mfrac"):
        converted(r"\frac12", as_block=False)
