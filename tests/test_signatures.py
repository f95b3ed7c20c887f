"""What a public name says of its types: no ``Any`` in what others read and call.

Allowed is an unknown dtype: ``NDArray[Any]``, ``np.dtype[Any]``, ``np.floating[Any]``. Inside of
functions, and in names that begin with an underscore, ``Any`` is a matter of the module.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import meanfield

PACKAGE = Path(meanfield.__path__[0])
SOURCES = sorted(PACKAGE.rglob("*.py"))

OF_A_DTYPE = {"NDArray", "dtype", "floating", "integer"}


def says_any(annotation: ast.expr) -> bool:
    """Whether ``Any`` stands in a type, but for dtypes; also where the type is quoted."""
    match annotation:
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name)) if (
            name in OF_A_DTYPE
        ):
            return False
        case ast.Name(id="Any") | ast.Attribute(attr="Any"):
            return True
        case ast.Constant(value=str(text)):
            try:
                return says_any(ast.parse(text, mode="eval").body)
            except SyntaxError:  # a text of Annotated or Literal
                return False
    return any(says_any(c) for c in ast.iter_child_nodes(annotation) if isinstance(c, ast.expr))


def is_public(name: str) -> bool:
    return not name.startswith("_") or (name.startswith("__") and name.endswith("__"))


def public_types(tree: ast.AST, inside: str = "") -> Iterator[tuple[str, int, ast.expr]]:
    """Name, line and type of arguments, results and attributes of all that is public."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            if is_public(node.name):
                yield from public_types(node, f"{inside}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if not is_public(node.name):
                continue
            name, given = f"{inside}{node.name}", node.args
            every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
            for argument in every:
                if argument is not None and argument.annotation is not None:
                    yield f"{name}({argument.arg})", argument.lineno, argument.annotation
            if node.returns is not None:
                yield name, node.lineno, node.returns
            if inside:  # attributes that a method declares
                for part in ast.walk(node):
                    match part:
                        case ast.AnnAssign(
                            target=ast.Attribute(value=ast.Name(id="self"), attr=attribute)
                        ) if is_public(attribute):
                            yield f"{inside}{attribute}", part.lineno, part.annotation
        elif isinstance(node, ast.AnnAssign):
            if isinstance(node.target, ast.Name) and is_public(node.target.id):
                yield f"{inside}{node.target.id}", node.lineno, node.annotation
        elif isinstance(node, ast.If | ast.Try):
            yield from public_types(node, inside)


def found(source: str) -> list[str]:
    types = public_types(ast.parse(source))
    return [f"line {line}: {name}: {ast.unparse(t)}" for name, line, t in types if says_any(t)]


def test_public_types_are_told() -> None:
    untold = [f"{path}: {place}" for path in SOURCES for place in found(path.read_text("utf-8"))]
    assert not untold


def test_the_walk_sees_every_place() -> None:
    code = """
a: Any = 1
b: NDArray[Any] | np.dtype[Any] | np.floating[Any] | np.ndarray[np.integer[Any]]
_c: Any = 2
def f(x: Any, /, y: list[Any], *more: Any, z: typing.Any = 1, **rest: Any) -> Any:
    d: Any = 3
def _g(x: Any) -> Any: ...
class _P:
    e: Any
class Q:
    h: dict[str, Any]
    _i: Any
    j: "Any"
    k: Annotated[str, "Any text"]
    def __init__(self, x: Callable[[Any], None]) -> None:
        self.l: Any = x
        self._m: Any = x
    async def n(self) -> NDArray[Any] | Any: ...
    def _o(self, x: Any) -> Any: ...
if TYPE_CHECKING:
    q: Any
"""
    names = [line.split(": ")[1] for line in found(code)]
    assert names == [
        "a", "f(x)", "f(y)", "f(z)", "f(more)", "f(rest)", "f", "Q.h", "Q.j", "Q.__init__(x)",
        "Q.l", "Q.n", "q",
    ]  # fmt: skip
