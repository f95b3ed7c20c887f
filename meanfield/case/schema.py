"""The JSON schema of a case file, for editors and other programs."""

from __future__ import annotations

import copy
from typing import Any

from pydantic import TypeAdapter

from meanfield.case.case import Case
from meanfield.case.solvers import Eulerian

__all__ = ["case_schema"]


def case_schema() -> dict[str, object]:
    """JSON schema (draft 2020-12) of a case file as it is written, defaults and texts included."""
    schema = TypeAdapter(Case).json_schema()
    kinds = schema["$defs"]
    for kind in kinds.values():
        if {"const", "enum"} & kind["properties"].get("type", {}).keys():
            kind["required"] = ["type", *kind.get("required", [])]
    # A solver by its name alone, or without a type: that of the first kind.
    first = copy.deepcopy(kinds[Eulerian.__name__])
    del first["properties"]["type"], first["required"]
    tables = schema["properties"]["solver"]
    names = {"enum": list(tables["discriminator"]["mapping"])}
    alone = {key: tables.pop(key) for key in ("oneOf", "discriminator")}
    tables["anyOf"] = [alone, first, names]
    _plain(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


_NAMES = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


def _plain(part: Any) -> None:
    """Give bounds their names in JSON schema, also those that pydantic leaves under its own."""
    if isinstance(part, dict):
        for name in _NAMES.keys() & part.keys():
            part[_NAMES[name]] = part.pop(name)
        for inner in part.values():
            _plain(inner)
    elif isinstance(part, list):
        for inner in part:
            _plain(inner)
