"""How large files, functions and argument lists of the package may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import meanfield

PACKAGE = Path(meanfield.__file__).parent
FILE_LINES, FUNCTION_LINES, PARAMETERS = 400, 60, 8

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> Iterator[tuple[str, Function]]:
    """Where, and the function."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, Function):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}", node


def is_compiled(function: Function) -> bool:
    """Compiled loops take arrays only, each by its name: no object can stand for several."""
    return any("njit" in ast.unparse(mark) for mark in function.decorator_list)


def parameters(function: Function) -> int:
    """Number of parameters, without the object itself."""
    given = function.args
    names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def test_no_file_is_long() -> None:
    lines = {
        str(path.relative_to(PACKAGE)): path.read_text("utf-8").count("\n")
        for path in PACKAGE.rglob("*.py")
    }
    assert len(lines) > 100
    assert {name: n for name, n in lines.items() if n > FILE_LINES} == {}


def test_no_function_is_long() -> None:
    found = {where: (f.end_lineno or 0) - f.lineno + 1 for where, f in functions()}
    assert len(found) > 1000
    assert {where: n for where, n in found.items() if n > FUNCTION_LINES} == {}


def test_no_public_function_has_many_parameters() -> None:
    found = {
        where: parameters(f)
        for where, f in functions()
        if not f.name.startswith("_") and not is_compiled(f)
    }
    assert len(found) > 500
    assert {where: n for where, n in found.items() if n > PARAMETERS} == {}
