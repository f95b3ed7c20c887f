"""Links of README, CHANGELOG, CONTRIBUTING and the pages: files, anchors, addresses."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from blocks import MADE, PAGES
from markdown_it import MarkdownIt
from markdown_it.token import Token
from processes import ROOT

TEXTS = ("CHANGELOG.md", "CONTRIBUTING.md", "meshes/README.md", *PAGES)
HOSTS = {
    "arxiv.org": r"/abs/(?:\d{4}\.\d{4,5}(?:v\d+)?|[a-z-]+/\d{7})",
    "doi.org": r"/10\.\d{4,9}/\S+",
    "gitlab.mpcdf.mpg.de": r"/mtr/ducc/?",
    "pythonot.github.io": r"/?",
    "fenicsproject.org": r"/.*",
    "docs.fenicsproject.org": r"/.*",
    "docs.pyvista.org": r"/.*",
    "www.paraview.org": r"/.*",
    "docs.paraview.org": r"/.*",
    "numpy.org": r"/.*",
    "scipy.org": r"/?",
    "docs.scipy.org": r"/.*",
    "numba.pydata.org": r"/?",
    "matplotlib.org": r"/.*",
    "pytorch.org": r"/?",
    "docs.python.org": r"/3/.*",
    "peps.python.org": r"/pep-\d{4}/?",
    "packaging.python.org": r"/.*",
    "conda-forge.org": r"/.*",
    "pixi.sh": r"/.*",
    "docs.docker.com": r"/.*",
    "slurm.schedmd.com": r"/.*",
    "www.mpich.org": r"/?",
    "www.open-mpi.org": r"/?",
    "learn.microsoft.com": r"/.*wsl.*",
    "json-schema.org": r"/.*",
    "toml.io": r"/.*",
    "joss.theoj.org": r"/?",
    "geuz.org": r"/?",
    "gmsh.info": r"/?",
    "semver.org": r"/.*",
    "keepachangelog.com": r"/.*",
    "no-color.org": r"/?",
    "plotly.com": r"/python/?",
    "jupyter.org": r"/?",
    "huggingface.co": r"/docs/.*",
    "www.sphinx-doc.org": r"/.*",
    "myst-parser.readthedocs.io": r"/.*",
    "sphinx-gallery.github.io": r"/.*",
    "taplo.tamasfe.dev": r"/?",
}
"""Where a link may lead, and the form of its path. None of them is asked: a test has no network."""


def _parsed(text: str) -> list[Token]:
    # In formulas X[mu](x) is no link.
    text = re.sub(r"\$\$.*?\$\$|\$[^$`\n]+\$", lambda m: m[0].replace("[", "("), text, flags=re.S)
    return MarkdownIt("commonmark", {"linkify": False}).enable("table").parse(text)


def _links(found: list[Token], line: int = 0) -> Iterator[tuple[int, str]]:
    for token in found:
        line = token.map[0] + 1 if token.map else line
        for name in ("href", "src"):
            if value := token.attrs.get(name):
                yield line, unquote(str(value))
        if token.type == "fence" and token.info.startswith("{"):
            yield from ((line, where) for _, where in _links(_parsed(token.content)))
            # Figures and files that are included; cards with an address (others are of Sphinx).
            word, _, argument = token.info.partition(" ")
            if word in ("{figure}", "{image}", "{include}", "{literalinclude}"):
                yield line, argument.strip()
            for link in re.findall(r"^:link: *(\S+://\S+)", token.content, re.M):
                yield line, link
        yield from _links(token.children or [], line)


@cache
def _anchors(path: Path) -> frozenset[str]:
    """Anchors of the headings of a page, as GitHub and myst make them, and labels."""
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.M | re.S)
    found: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6} +(.*?) *$", text, re.M):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found[slug] = found.get(slug, -1) + 1
    many = {f"{slug}-{k}" for slug, last in found.items() for k in range(1, last + 1)}
    return frozenset({*found, *many, *re.findall(r"^\(([\w-]+)\)=", text, re.M)})


def _all() -> list[tuple[str, int, str]]:
    return [
        (name, line, link)
        for name in TEXTS
        for line, link in _links(_parsed((ROOT / name).read_text("utf-8")))
    ]


def test_links_to_files_lead_somewhere() -> None:
    wrong = []
    for name, line, link in _all():
        if urlsplit(link).scheme:
            continue
        where, _, anchor = link.partition("#")
        path = Path(os.path.normpath(ROOT / Path(name).parent / where)) if where else ROOT / name
        made = not where or str(path.relative_to(ROOT)).startswith(MADE)
        if where and made:
            continue
        if not path.exists() and not path.with_suffix(".md").exists():
            wrong.append((name, line, link, "no file"))
        elif anchor and path.suffix == ".md" and anchor not in _anchors(path):
            wrong.append((name, line, link, "no heading"))
    assert wrong == []


def test_addresses_are_of_known_places() -> None:
    wrong = []
    for name, line, link in _all():
        url = urlsplit(link)
        if not url.scheme:
            continue
        form = HOSTS.get(url.netloc)
        if url.scheme != "https" or form is None or not re.fullmatch(form, url.path or "/"):
            wrong.append((name, line, link))
    assert wrong == []


def test_addresses_are_links() -> None:
    """A bare address, in the text of a page, is none."""
    wrong = []
    for name in TEXTS:
        text = (ROOT / name).read_text("utf-8")
        linked = {link for _, link in _links(_parsed(text))}
        plain = re.sub(r"^( *)(`{3,}).*?^\1\2|`[^`\n]*`", "", text, flags=re.M | re.S)
        for url in re.findall(r"https?://[^\s)>\]\"']+", plain):
            if url.rstrip(".,;") not in linked:
                wrong.append((name, url))
    assert wrong == []


def test_papers_are_told_by_numbers_that_can_be() -> None:
    """The first four digits of an arXiv number are a year and a month."""
    wrong = []
    for name in TEXTS:
        text = (ROOT / name).read_text("utf-8")
        for number in re.findall(r"(?:arXiv[: ]|abs/|\()(\d{4}\.\d{5})(?!\d)", text):
            if not (7 <= int(number[:2]) <= 26 and 1 <= int(number[2:4]) <= 12):
                wrong.append((name, number))
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "link"),
    [("[a](b.md#c)", "b.md#c"), ("| [a](b.md) |\n|---|\n", "b.md"), ("![a](c.png)", "c.png")],
)
def test_links_are_found(text: str, link: str) -> None:
    assert [where for _, where in _links(_parsed(text))] == [link]
