"""Units: every number of a case has one, and nothing else has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from meanfield.case.case import Case
from meanfield.case.helptext import TABLES, help_on
from meanfield.case.matrices import Ensemble, InFile
from meanfield.case.schema import case_schema
from meanfield.case.time import Every
from meanfield.options import options_of

UNITS = {
    *("1", "rad", "time", "1/time", "rad/time", "rad/token", "tokens", "steps", "s", "minutes"),
    *("density", "that of the key", "square of that of the key", "that of the function"),
}
CLASSES = [Case, *dict.fromkeys(kind for kinds in TABLES.values() for kind in kinds)]
CLASSES += [Ensemble, InFile]


def _numeric(part: Any, kinds: dict[str, Any]) -> Iterator[bool]:
    """Whether what a schema takes are numbers: of each of its leaves, tables of options apart."""
    if "$ref" in part:
        inside = kinds[part["$ref"].rpartition("/")[2]]
        if inside["title"] not in {kind.__name__ for kind in CLASSES}:
            yield from (
                leaf for one in inside["properties"].values() for leaf in _numeric(one, kinds)
            )
        return
    for branch in ("anyOf", "oneOf"):
        for one in part.get(branch, ()):
            yield from _numeric(one, kinds)
    if isinstance(part.get("items"), dict):
        yield from _numeric(part["items"], kinds)
    words = part.get("enum", [part["const"]] if "const" in part else ())
    if part.get("type") in ("number", "integer") or any(isinstance(word, int) for word in words):
        yield True


def test_every_number_has_a_unit_and_nothing_else() -> None:
    schema = case_schema()
    kinds: Any = schema["$defs"]
    properties: Any = {"Case": schema["properties"]}
    properties |= {name: kind["properties"] for name, kind in kinds.items()}
    wrong = []
    for kind in CLASSES:
        for option in options_of(kind, ""):
            if kind is Every:  # its table has one key, and no class of its own in the schema
                assert option.unit == "time"
                continue
            told = properties[kind.__name__][option.key]
            assert told.get("x-unit", "") == option.unit, (kind, option.key)
            if any(_numeric(told, kinds)) != bool(option.unit):
                wrong.append(f"{kind.__name__}.{option.key}: {option.unit!r}")
            assert option.unit in UNITS | {""}, option
    assert not wrong


@pytest.mark.parametrize(
    ("key", "unit"),
    [
        *(("model.beta", "1"), ("model.kappa", "1/time"), ("time.end", "time")),
        *(("time.wall_limit", "s"), ("output.checkpoint_minutes", "minutes")),
        *(("solver.cluster_angle", "rad"), ("model.potential.strength", "1/time")),
    ],
)
def test_help_tells_the_unit(key: str, unit: str) -> None:
    assert f"unit {unit}" in "\n".join(help_on(key))
