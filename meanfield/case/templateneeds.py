"""What a commented line of a template needs besides itself.

Owns the table of these: which other keys a line goes with, and what it takes the place of. Knows
nothing of how a template is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from meanfield.options.fields import written

__all__ = ["Needs", "needs"]

Table = Mapping[str, object]
Sections = Mapping[str, Table | list[Table]]


@dataclass(frozen=True)
class Needs:
    """What makes a line hold in a template; nothing where it holds alone.

    Attributes:
        sets: other keys, by their paths, with a value that will do.
        gone: keys and tables in place of which it stands; "model": all else of [model].
        such: what it names and must be there, "file" or "folder"; "": nothing.
        template: the one that is about this key, where it does not go with the problem at all.
    """

    sets: Mapping[str, object] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    such: str = ""
    template: str = ""

    def words(self, section: str) -> str:
        """A sentence for the comment of a line in ``section``; "": it holds alone."""
        if self.template:
            return f"Not in this problem: `meanfield case --template {self.template}`."
        said = [f"with {_listed(self.sets, section)}"] if self.sets else []
        if self.gone:
            said.append(f"in place of {' and '.join(_named(p, section) for p in self.gone)}")
        if self.such:
            said.append(f"where there is such a {self.such}")
        return f"Here {', '.join(said)}." if said else ""


@dataclass(frozen=True)
class _Rule:
    """What keys need in templates that have all that is ``given``: paths with values, or any."""

    keys: tuple[str, ...]
    given: Mapping[str, tuple[object, ...]]
    needs: Needs


_MESHES = ("eulerian", "implicit")
_INTERACTION: Mapping[str, tuple[object, ...]] = {"model.interaction": ()}
_ONE, _TWO = ("model.bias", "model.tolerance"), ("model.mask", "model.normalisation")
_OF_TOKENS = {"solver.type": ("particles", "layers")}

_RULES = (
    _Rule(("geometry.centre",), {}, Needs({"geometry.factor": 4.0})),
    # An interaction is told by attention and beta, by heads or by a kernel.
    _Rule(("model.attention", "model.beta", "model.value", *_ONE), _INTERACTION,
          Needs(gone=("model.interaction",))),
    _Rule(("model.beta", "model.value"), _INTERACTION, Needs({"model.attention": "sa"})),
    _Rule(("model.attention", "model.value", *_ONE), _INTERACTION, Needs({"model.beta": 4.0})),
    _Rule(("model.beta", "model.value"), {"model.heads": ()}, Needs(gone=("model.heads",))),
    _Rule(("model.value",), {"model.heads": ()}, Needs({"model.beta": 4.0})),
    _Rule(("model.bias",), {}, Needs({"model.attention": "sigmoid"})),
    _Rule(("model.tolerance",), {}, Needs({"model.attention": "sinkhorn"})),
    _Rule(_ONE, {"model.mask": ()}, Needs(gone=("model.mask",))),
    _Rule(_ONE, {"model.normalisation": ()}, Needs(gone=("model.normalisation",))),
    _Rule(("model.heads.A",), {}, Needs({"geometry.d": 2}, ("model.heads.beta", "model.heads.Q"))),
    _Rule(("model.heads.K",), {}, Needs(such="file")),
    # Masks and lengths are of tokens, or of densities by position.
    _Rule(_TWO, {"solver.type": _MESHES}, Needs({"solver.type": "lagrangian"})),
    _Rule(_TWO, {"solver.type": ("implicit",)}, Needs(gone=("model.kappa",))),
    _Rule(("model.normalisation",), {"model.potential": ()}, Needs(gone=("model.potential",))),
    *(
        _Rule((f"model.{name}",), given, Needs(template=name))
        for name in ("mask", "normalisation")
        for given in (_INTERACTION, {"geometry.type": ("zonal",)}, {"solver.type": ("gaussians",)})
    ),
    _Rule(("model.normalisation",), {"model.perceptron": ()}, Needs(template="normalisation")),
    _Rule(("model.pretrained",), _OF_TOKENS,
          Needs({"geometry.d": 768}, ("model",), "folder")),
    _Rule(("model.pretrained",), {"solver.type": (*_MESHES, "lagrangian", "gaussians")},
          Needs(template="layers")),
    # Tokens and slices.
    _Rule(("solver.common_seed",), {}, Needs({"solver.common_noise": 0.1, "solver.dt": 0.01})),
    _Rule(("solver.dt",), {"solver.type": ("particles",)}, Needs({"model.kappa": 0.1})),
    _Rule(("solver.common_seed", "solver.dt"), {"model.normalisation": ()},
          Needs(gone=("model.normalisation",))),
    _Rule(("solver.cosine",), {}, Needs({"solver.tokens": "equiangular"})),
    _Rule(("solver.cosine",), {"geometry.d": (3,)}, Needs({"solver.number": 3})),
    _Rule(("solver.slices",), {}, Needs({"model.mask": "causal"})),
)  # fmt: skip


def needs(key: str, sections: Sections) -> Needs:
    """What a line needs among the ``sections`` that a template sets; ``key``: its path."""
    found = [
        rule.needs
        for rule in _RULES
        if key in rule.keys and all(_has(sections, *one) for one in rule.given.items())
    ]
    elsewhere = next((one for one in found if one.template), None)
    if elsewhere is not None:
        return elsewhere
    return Needs(
        {path: value for one in found for path, value in one.sets.items()},
        tuple(path for one in found for path in one.gone),
        next((one.such for one in found if one.such), ""),
    )


def _has(sections: Sections, path: str, values: tuple[object, ...]) -> bool:
    """Whether a template sets a table or a key, to one of these values; none: to any."""
    if path in sections:
        return True
    section, _, key = path.rpartition(".")
    table = sections.get(section, {})
    return isinstance(table, Mapping) and key in table and (not values or table[key] in values)


def _listed(sets: Mapping[str, object], section: str) -> str:
    """``attention = "sa", beta = 4.0`` and what stands in other sections, each with its name."""
    by_section: dict[str, list[str]] = {}
    for path, value in sets.items():
        place, _, key = path.rpartition(".")
        by_section.setdefault(place, []).append(f"{key} = {written(value)}")
    return " and ".join(_placed(by_section, section))


def _placed(by_section: Mapping[str, list[str]], section: str) -> Iterator[str]:
    for place, said in by_section.items():
        yield " and ".join(said) + (f" in [{place}]" if place != section else "")


def _named(path: str, section: str) -> str:
    if path == section:
        return f"all else in [{section}]"
    if path == "model.heads":
        return "[[model.heads]]"
    inside = path.removeprefix(f"{section}.")
    tables = ("model.interaction", "model.potential", "model.mask", "model.normalisation")
    return f"[{path}]" if inside == path or path in tables else inside
