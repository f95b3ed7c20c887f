"""Templates of case files: the usual keys of a problem, and all others as comments.

Owns the problems. What is said of each key is that of the options (``options_of``); nothing of it
is written here.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from meanfield.case.case import Case
from meanfield.case.reference import NESTED, SECTIONS
from meanfield.case.templateneeds import needs
from meanfield.errors import InputError, suggest
from meanfield.options import Option, label_of, labels_of, options_of
from meanfield.options.fields import written

__all__ = ["TEMPLATES", "Template", "template"]

Table = Mapping[str, object]
Sections = Mapping[str, Table | list[Table]]


@dataclass(frozen=True)
class Template:
    """A problem by the keys that it sets.

    Attributes:
        name: of it.
        about: what it is, in a line.
        title: of the case.
        sections: tables by their key paths, in the order of the file; a list of them for
            [[model.heads]].
    """

    name: str
    about: str
    title: str
    sections: Sections


_SPHERE: Table = {"type": "sphere", "level": 4}
_SA: Table = {"attention": "sa", "beta": 4.0}
_STANDARD: Table = {"type": "standard"}
_TOKENS: Table = {"type": "particles", "number": 1000}
_TITLE = "{model.attention}, beta = {model.beta}"
_EVERY: Table = {"end": 10.0, "outputs": {"every": 1.0}}
_FIXED: Table = {"type": "eulerian"}
_IMPLICIT: Table = {"type": "implicit"}


def _until(end: float, every: float) -> Table:
    return {"end": end, "outputs": {"every": every}}


_ALL = (
    Template(
        "sphere",
        "a density on the sphere S^2 under softmax self-attention: clusters form",
        f"A density on the sphere, {_TITLE}",
        {"geometry": _SPHERE, "model": _SA, "initial": _STANDARD, "solver": _FIXED, "time": _EVERY},
    ),
    Template(
        "circle",
        "a density on the circle S^1, by its Fourier modes",
        f"Modes on the circle, {_TITLE}",
        {
            "geometry": {"type": "circle", "vertices": 400},
            "model": _SA,
            "initial": {"type": "fourier", "cos": [0.1, 0.0, 0.2]},
            "solver": _FIXED,
            "time": _EVERY,
        },
    ),
    Template(
        "zonal",
        "an axially symmetric density on S^{d-1}, any d, at the cost of an interval",
        f"Axially symmetric, d = {{geometry.d}}, {_TITLE}",
        {
            "geometry": {"type": "zonal", "d": 8, "vertices": 400},
            "model": _SA,
            "initial": {"type": "gegenbauer", "coefficients": [0.3, 0.25]},
            "solver": _FIXED,
            "time": _until(8.0, 0.5),
        },
    ),
    Template(
        "characteristics",
        "a density by its characteristics (kappa = 0): spectral accuracy, metastable times",
        f"Characteristics on the circle, {_TITLE}",
        {
            "geometry": {"type": "circle", "vertices": 240},
            "model": {"attention": "sa", "beta": 9.0},
            "initial": {"type": "fourier", "cos": [0.02, 0.0, 0.6], "sin": [0.01, 0.01]},
            "solver": {"type": "lagrangian"},
            "time": {"end": 1e6, "outputs": {"geometric": {"first": 0.1, "number": 40}}},
        },
    ),
    Template(
        "noise",
        "a density with noise (diffusion kappa) until it is at rest, by implicit steps",
        f"Attraction and noise, {_TITLE}, kappa = {{model.kappa}}",
        {
            "geometry": _SPHERE,
            "model": {**_SA, "kappa": 0.1},
            "initial": {"type": "von-mises-fisher", "mean": "e_3", "concentration": 1.0},
            "solver": _IMPLICIT,
            "time": {"end": 200.0, "outputs": {"every": 20.0}, "stationary": 1e-5},
        },
    ),
    Template(
        "gaussians",
        "clusters of small noise as Gaussians that move, too narrow for a mesh",
        f"Two narrow clusters, {_TITLE}, kappa = {{model.kappa}}",
        {
            "geometry": {"type": "unmeshed", "d": 3},
            "model": {**_SA, "kappa": 1e-3},
            "initial": {
                "type": "mixture",
                "components": [
                    {
                        "weight": 0.6,
                        "type": "von-mises-fisher",
                        "mean": "e_3",
                        "concentration": 300.0,
                    },
                    {
                        "weight": 0.4,
                        "type": "von-mises-fisher",
                        "mean": [0.7, 0.0, 0.7],
                        "concentration": 300.0,
                    },
                ],
            },
            "solver": {"type": "gaussians"},
            "time": _EVERY,
        },
    ),
    Template(
        "tokens",
        "tokens in any dimension instead of their density",
        f"{{solver.number:,}} tokens, d = {{geometry.d}}, {_TITLE}",
        {
            "geometry": {"type": "unmeshed", "d": 3},
            "model": _SA,
            "initial": {"type": "uniform"},
            "solver": _TOKENS,
            "time": _EVERY,
        },
    ),
    Template(
        "layers",
        "tokens through the layers of a transformer",
        f"{{solver.number}} tokens, d = {{geometry.d}}, through layers, {_TITLE}",
        {
            "geometry": {"type": "unmeshed", "d": 128},
            "model": {"attention": "sa", "beta": 2.0},
            "initial": {"type": "uniform"},
            "solver": {"type": "layers", "number": 64, "layers": 20},
            "time": _EVERY,
        },
    ),
    Template(
        "heads",
        "several heads of attention with any matrices Q, K and V",
        "Two heads, {model.attention}",
        {
            "geometry": {"type": "unmeshed", "d": 3},
            "model": {"attention": "sa"},
            "model.heads": [
                {"beta": 1.0, "Q": {"ensemble": "ginibre", "seed": 1}, "V": "identity"},
                {"beta": 1.0, "K": {"ensemble": "goe", "seed": 2}, "V": "Q^T K"},
            ],
            "initial": {"type": "uniform"},
            "solver": _TOKENS,
            "time": _until(5.0, 0.5),
        },
    ),
    Template(
        "kernel",
        "another interaction than attention, by a kernel W(<x, y>), with noise",
        "Nematic order, kernel {model.interaction.type}, kappa = {model.kappa}",
        {
            "geometry": _SPHERE,
            "model": {"kappa": 0.1},
            "model.interaction": {"type": "maier-saupe", "strength": 1.0},
            "initial": {"type": "harmonic", "modes": [{"l": 2, "m": 0, "amplitude": 0.3}]},
            "solver": _IMPLICIT,
            "time": {"end": 100.0, "outputs": {"every": 10.0}, "stationary": 1e-6},
        },
    ),
    Template(
        "potential",
        "attention in an external potential U(x)",
        f"{_TITLE}, in a field",
        {
            "geometry": _SPHERE,
            "model": _SA,
            "model.potential": {"type": "linear", "field": [0.0, 0.0, 0.1]},
            "initial": {"type": "uniform"},
            "solver": _FIXED,
            "time": _EVERY,
        },
    ),
    Template(
        "perceptron",
        "attention and a perceptron, P_x(W sigma(B x + b))",
        f"{_TITLE}, and a perceptron ({{model.perceptron.activation}})",
        {
            "geometry": _SPHERE,
            "model": {"attention": "usa", "beta": 2.0},
            "model.perceptron": {
                "W": [[4.0, 0.0], [0.0, 4.0], [0.0, 0.0]],
                "B": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
                "b": [0.0, 0.0],
                "activation": "relu",
            },
            "initial": _STANDARD,
            "solver": _FIXED,
            "time": _until(1.5, 0.25),
        },
    ),
    Template(
        "mask",
        "tokens that see those before them alone: a causal mask",
        f"{{solver.number}} tokens under a mask ({{model.mask.type}}), {_TITLE}",
        {
            "geometry": {"type": "unmeshed", "d": 3},
            "model": _SA,
            "model.mask": {"type": "causal"},
            "initial": {"type": "uniform"},
            "solver": {"type": "particles", "number": 200},
            "time": _EVERY,
        },
    ),
    Template(
        "normalisation",
        "where a transformer normalises: tokens with lengths",
        f"Normalisation {{model.normalisation.type}}, {_TITLE}",
        {
            "geometry": {"type": "unmeshed", "d": 128},
            "model": {"attention": "sa", "beta": 3.0},
            "model.normalisation": {"type": "pre"},
            "initial": {"type": "uniform"},
            "solver": {"type": "particles", "number": 64},
            "time": _EVERY,
        },
    ),
    Template(
        "in_time",
        "parameters that depend on time: beta by a table",
        "{model.attention}, beta in time",
        {
            "geometry": _SPHERE,
            "model": {
                "attention": "sa",
                "beta": {"times": [0.0, 5.0], "values": [1.0, 6.0], "interpolate": "linear"},
            },
            "initial": _STANDARD,
            "solver": _FIXED,
            "time": _EVERY,
        },
    ),
)

TEMPLATES: dict[str, Template] = {one.name: one for one in _ALL}
"""Each by its name."""

_HEAD = """\
# {about}.
#
#   meanfield run {file}
#   meanfield run {file} --dry-run     what would be run
#
# Keys that are set have a value; all others of these sections stand behind a "#" with their
# default, or with an example where they have none. In brackets: what a key takes, and its unit:
# 1 is a pure number, time that in which V = I moves with speed 1; "Here": what else a line needs
# in this file. `meanfield help KEY` says the same of a key."""


def template(name: str, file: str = "") -> str:
    """The text of a case file: it is valid, and runs, as it is.

    Args:
        name: of the template.
        file: where it will stand; "": NAME.toml.

    Raises:
        InputError: there is no such template.
    """
    if name not in TEMPLATES:
        stem = name.removesuffix(".toml")
        if stem != name and stem in TEMPLATES:
            raise InputError(
                f"--template: '{name}' found, the name of a template expected: {stem} (and "
                f"-o {name} to write it there)"
            )
        raise InputError(
            f"--template: '{name}' found{suggest(stem, TEMPLATES)}, expected one of "
            + ", ".join(TEMPLATES)
        )
    made = TEMPLATES[name]
    lines = [
        _HEAD.format(about=made.about[0].upper() + made.about[1:], file=file or f"{name}.toml")
    ]
    lines += _keys(Case, "", {"title": made.title}, {name: {} for name in SECTIONS})
    for section, table in {**made.sections, "output": {}}.items():
        tables = table if isinstance(table, list) else [table]
        for k, one in enumerate(tables):
            name = f"[[{section}]]" if isinstance(table, list) else f"[{section}]"
            lines += ["", name, *_section(section, one, made.sections, again=k > 0)]
    return "\n".join(lines) + "\n"


def _section(section: str, table: Table, all_of: Sections, again: bool) -> Iterator[str]:
    """Keys of a table but those that are tables in ``all_of``; ``again``: what it sets alone."""
    kind = _class_of(section, table)
    if again:
        yield from (f"{key} = {_value(value)}" for key, value in table.items())
        return
    types = [label for one in (SECTIONS | NESTED)[section] for label in labels_of(one)]
    if label_of(kind):
        about = (kind.__doc__ or "").strip().partition("\n")[0].replace("``", "")
        others = ", ".join(label for label in types if label != table["type"])
        yield from _comment(f"{about} Others: {others} (meanfield help {section}).")
        yield f"type = {written(table['type'])}"
    yield from _keys(kind, section, table, all_of)
    more = [option.key for option in options_of(kind, section) if _is_table(option)]
    more = [f"[[{key}]]" if key == "model.heads" else f"[{key}]" for key in more]
    if section == "model" and more:
        said = f"Tables of their own, each told by `meanfield help`: {', '.join(more)}."
        yield from ("", *_comment(said))


def _class_of(section: str, table: Table) -> type:
    kinds = (SECTIONS | NESTED)[section]
    return next((kind for kind in kinds if table.get("type") in labels_of(kind)), kinds[0])


def _is_table(option: Option) -> bool:
    """Whether a key stands for a section, which no value in a line has."""
    return option.expected.startswith("table") or (
        option.expected == "a table" and not option.example
    )


def _keys(kind: type, section: str, table: Table, all_of: Sections) -> Iterator[str]:
    for option in options_of(kind, section):
        key = option.key.rpartition(".")[2]
        if _is_table(option) or option.key in all_of:
            continue
        yield ""
        yield from _comment(option.about.replace("``", ""))
        yield from _comment(f"[{_takes(option)}]")
        if key in table:
            yield f"{key} = {_value(table[key])}"
            continue
        yield from _comment(needs(option.key, all_of).words(section))
        yield f"#{key} = {option.default or option.example}"


def _takes(option: Option) -> str:
    default = f"; default {option.default}" if option.default else ""
    default = "; must be given" if option.default is None else default
    return f"{option.expected}{default}" + (f"; unit {option.unit}" if option.unit else "")


def _value(value: object) -> str:
    """A value as in a file; a list of tables has a line for each."""
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return "\n".join(["[", *(f"  {written(one)}," for one in value), "]"])
    return written(value)


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        text, 100, initial_indent="# ", subsequent_indent="# ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
