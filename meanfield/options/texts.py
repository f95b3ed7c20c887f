"""The text below each field of a class, read from its source when somebody asks for it.

Pydantic does the same while it makes a class, which takes longer than all else that it does then.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from functools import cache
from typing import Any

from meanfield.options.fields import fields_of, unit_of

__all__ = ["text_of", "told_in_schemas"]


def text_of(kind: type, name: str) -> str:
    """The text below a field, also of one that a class inherits; "": there is none."""
    return next((text for owner in kind.__mro__ if (text := _texts(owner).get(name))), "")


def told_in_schemas(kind: type) -> None:
    """Put texts and units of a class into the JSON schemas that pydantic will make of it."""

    def described(cls: type, core: Any, handler: Any) -> Any:
        schema = handler(core)
        for name, field in handler.resolve_ref_schema(schema).get("properties", {}).items():
            if text := text_of(cls, name):
                field["description"] = text
            if unit := unit_of(fields_of(cls)[name]):
                field["x-unit"] = unit
        return schema

    kind.__get_pydantic_json_schema__ = classmethod(described)  # type: ignore[attr-defined]


@cache
def _texts(kind: type) -> dict[str, str]:
    """The texts that stand below the fields of a class in its own body; {}: it has no source."""
    try:
        source = textwrap.dedent(inspect.getsource(kind))
    except (OSError, TypeError):
        return {}
    (body,) = ast.parse(source).body
    assert isinstance(body, ast.ClassDef)
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in itertools.pairwise(body.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
