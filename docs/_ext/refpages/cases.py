"""Pages on the keys of a case file, a page for a section or for tables of one kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from meanfield.case.case import Case
from meanfield.case.helptext import TABLES
from meanfield.options import Option, label_of, labels_of, options_of
from refpages import formulas
from refpages.text import code, escaped, lead, see_also, words

__all__ = ["PAGES", "Page", "name_of", "pages"]

_GUIDE = "../../../guide"


@dataclass(frozen=True)
class Page:
    """A page of keys.

    Attributes:
        title: of it.
        about: what one can do with these keys, in MyST.
        sections: key paths of the tables it has, in order.
        also: titles and pages, see ``see_also``.
        formulas: LaTeX by the ``type`` of a table.
    """

    title: str
    about: str
    sections: tuple[str, ...]
    also: tuple[tuple[str, str], ...]
    formulas: Mapping[str, str] = field(default_factory=dict)


_TABLES: dict[str, tuple[type, ...]] = {**TABLES, "": (Case,)}

PAGES: dict[str, Page] = {
    "case": Page(
        "The top of a case file",
        "A case file is TOML. Two keys stand at its top, before all sections.",
        ("",),
        (("cases, runs and their folders", f"{_GUIDE}/running.md"),),
    ),
    "geometry": Page(
        "\\[geometry\\]: where the measure lives, and how finely it is meshed",
        "Chooses the sphere $S^{d-1}$ and its mesh.",
        ("geometry",),
        (("shipped cases", f"{_GUIDE}/cases.md"),),
    ),
    "model": Page(
        "\\[model\\]: who pulls whom, and the noise",
        "Sets the equation\n\n```{math}\n\\partial_t \\mu + \\operatorname{div}(X[\\mu]\\,\\mu) = "
        "\\kappa \\Delta \\mu \\quad \\text{on } S^{d-1}.\n```\n\nIn the short form (`attention`, "
        "`beta`, `value`) $X = P_x \\frac{1}{Z(x)} \\int e^{\\beta\\langle x, y\\rangle} V y\\, "
        "d\\mu(y)$ with $V = \\pm I$; `usa` leaves out $1/Z$.",
        ("model", "model.beta", "model.drift", "model.perceptron", "model.diffusion", "model.rope",
         "model.pretrained"),
        (("kinds of attention", f"{_GUIDE}/attention.md"), ("noise", f"{_GUIDE}/diffusion.md"),
         ("pretrained transformers", f"{_GUIDE}/pretrained.md")),
    ),
    "heads": Page(
        "\\[\\[model.heads\\]\\]: attention by any matrices",
        "Each head pulls with weights $e^{\\beta\\langle Qx, Ky\\rangle}$ along $Vy$. A matrix is "
        "a list of rows, the name of a file or of an ensemble, or a table of the last two.",
        ("model.heads", "ensemble", "file"),
        (("heads", f"{_GUIDE}/heads.md"), ("values in time", f"{_GUIDE}/time.md")),
    ),
    "interaction": Page(
        "\\[model.interaction\\]: kernels",
        "Sets $X = \\operatorname{grad} \\xi$ with $\\xi = s\\,\\ell(W * \\mu)$: $s$ is "
        "`strength`, $\\ell$ is `link`, and $t = \\langle x, y\\rangle$. It stands in place of "
        "`attention`, the short form; attention by `[[model.heads]]` is added to it.",
        ("model.interaction", "model.strength"),
        (("other interactions", f"{_GUIDE}/interactions.md"),),
        formulas.KERNELS | {f"model.strength:{k}": v for k, v in formulas.STRENGTHS.items()},
    ),
    "potential": Page(
        "\\[model.potential\\]: external potentials",
        "$-\\operatorname{grad} U$ is added to the velocity: mass gathers where $U$ is small. "
        "$s$ is `strength`.",
        ("model.potential",),
        (("other interactions", f"{_GUIDE}/interactions.md"),),
        formulas.POTENTIALS,
    ),
    "mask": Page(
        "\\[model.mask\\]: which tokens a token sees",
        "Multiplies the weights of attention by factors $M_{ij}$, for tokens in an order "
        "(`particles`, `layers`), and for densities by position.",
        ("model.mask",),
        (("masks and positions", f"{_GUIDE}/order.md"),),
        formulas.MASKS,
    ),
    "normalisation": Page(
        "\\[model.normalisation\\]: where a transformer normalises",
        "Sets what becomes of the output $A$ of attention at a token $x = r\\theta$, "
        "$|\\theta| = 1$.",
        ("model.normalisation", "model.normalisation.length"),
        (("normalisation", f"{_GUIDE}/normalisation.md"),),
        formulas.SCHEMES,
    ),
    "in_time": Page(
        "Values in time",
        "A table like these may stand for $\\beta$, $\\kappa$, the numbers of a kernel, and the "
        "matrices and vectors of heads, drifts and potentials.",
        ("in_time",),
        (("values in time", f"{_GUIDE}/time.md"),),
    ),
    "initial": Page(
        "\\[initial\\]: initial laws",
        "Sets the law at $t = 0$. All densities are relative to the uniform probability $\\sigma$: "
        "$\\int \\rho\\, d\\sigma = 1$.",
        ("initial",),
        (("from Python", f"{_GUIDE}/python.md"), ("shipped cases", f"{_GUIDE}/cases.md")),
        formulas.LAWS,
    ),
    "solver": Page(
        "\\[solver\\]: what moves, and with which accuracy",
        "Chooses a solver of the density or of tokens. `solver = \"auto\"` is the short form of "
        "a table with a type alone.",
        ("solver",),
        (("characteristics", f"{_GUIDE}/characteristics.md"), ("noise", f"{_GUIDE}/diffusion.md"),
         ("numerics", "../../../numerics.md")),
    ),
    "time": Page(
        "\\[time\\]: how long, and when to write",
        "Sets the end of a run and its output times.",
        ("time", "time.outputs", "time.outputs.geometric"),
        (("cases, runs and their folders", f"{_GUIDE}/running.md"),),
    ),
    "output": Page(
        "\\[output\\]: what a run folder holds",
        "Chooses fields, formats and checkpoints.",
        ("output",),
        (("files of a folder", "../files.md"), ("pictures", f"{_GUIDE}/pictures.md")),
    ),
}  # fmt: skip


def pages() -> dict[str, str]:
    """Every page."""
    return {f"cases/{name}": "\n".join(_page(page)) for name, page in PAGES.items()}


def name_of(section: str, kind: type, option: Option) -> str:
    """What a key is called in the index: with its type where tables of several types have it."""
    label = label_of(kind) or (kind.__name__ if section == "in_time" else "")
    return f"{option.key} ({label})" if label else option.key


def _page(page: Page) -> Iterator[str]:
    yield f"# {page.title}\n\n{page.about}\n"
    yield see_also(*page.also)
    for section in page.sections:
        kinds = _TABLES[section]
        if len(page.sections) > 1 or len(kinds) > 1:
            yield from _summary(section, kinds)
        for kind in kinds:
            yield from _kind(page, section, kind)


_HEADS = {
    "in_time": "In place of a value",
    "model.beta": "beta by the number of tokens",
    "ensemble": "A matrix by its ensemble",
    "file": "An array of a file",
}
"""Of tables that are no sections."""


def _head(section: str) -> str:
    name = f"[[{section}]]" if section == "model.heads" else f"[{section}]"
    return _HEADS.get(section, code(name))


def _summary(section: str, kinds: tuple[type, ...]) -> Iterator[str]:
    labels = [label for kind in kinds for label in labels_of(kind)]
    yield f"## {_head(section)}\n"
    if len(labels) > 1:
        yield f"`type` is one of {words(labels)}.\n"


def _kind(page: Page, section: str, kind: type) -> Iterator[str]:
    labels = labels_of(kind)
    if labels:
        types = " or ".join(code(f'type = "{label}"') for label in labels)
        yield f"### {types}\n"
    elif section == "in_time":
        keys = ", ".join(option.key for option in options_of(kind, ""))
        yield f"### {code('{ ' + keys + ' }')}\n"
    if section:
        yield lead(kind) + "\n"
    label = label_of(kind)
    formula = page.formulas.get(f"{section}:{label}", page.formulas.get(label, ""))
    if formula and section != "model.normalisation.length":
        yield f"```{{math}}\n{formula}\n```\n"
    told = [o for o in options_of(kind, section) if section or o.key in ("title", "seed")]
    for option in told:
        yield from _option(section, kind, option)


def _option(section: str, kind: type, option: Option) -> Iterator[str]:
    yield f"````{{confval}} {name_of(section, kind, option)}\n"
    facts = [f"*Takes* {escaped(option.expected)}"]
    if option.default is None:
        facts.append("**must be given**")
    else:
        facts.append(f"*default* {code(option.default)}" if option.default else "may be left out")
    if option.unit:
        facts.append(f"*unit* {code(option.unit)}")
    yield "; ".join(facts) + ".\n"
    yield escaped(option.about) + "\n"
    if option.example:
        name = option.key.rpartition(".")[2]
        yield f"For example `{name} = {option.example}`.\n"
    yield "````\n"
