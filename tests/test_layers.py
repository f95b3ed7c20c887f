"""The order of the package: who may import whom, who may print, what an import may do."""

from __future__ import annotations

import ast
import graphlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from processes import Job, python

import meanfield
from meanfield.geometry.manifolds import MANIFOLDS

PACKAGE = Path(meanfield.__path__[0])
Start = Callable[..., Job]

# Each may import from the rows above it, and from itself.
ORDER = (
    "errors",
    "surroundings",
    "trust",
    "signals",
    "software",
    "collective",
    "checks",
    "arguments",
    "whole",
    "shipped",
    "options",
    "geometry",
    "interaction",
    "case",
    "dynamics",
    "analysis",
    "results",
    "scenes",
    "figures",
    "paraview",
    "runs",
    "films",
    "studies",
    "steady",
    "reports",
    "cli",
    "__main__",
    "__init__",  # the names for users: nobody inside may use them
)
MAY_PRINT = {("cli.speech", None), ("runs.progress", "Counted"), ("runs.progress", "Progress")}

# Names to modules that are imported when asked for; the second one imports what is in its package.
LAZY = {"__init__", "results.formats.__init__"}

SOURCES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
"""Path of each module by its name below ``meanfield``, packages as ``geometry.__init__``."""

TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in SOURCES.items()}


def layer(module: str) -> str:
    return module.split(".")[0]


def resolved(name: str) -> str | None:
    """The module of this package that a dotted name leads to: ``meanfield.case.Case`` -> case."""
    first, *parts = name.split(".")
    if first != "meanfield":
        return None
    while parts:
        for module in (".".join(parts), ".".join([*parts, "__init__"])):
            if module in SOURCES:
                return module
        parts.pop()
    return "__init__"


def imports(module: str) -> Iterator[tuple[str, int]]:
    """What a module imports of this package and in which line, wherever it stands in the code."""
    package = ["meanfield", *module.split(".")[:-1]]
    for node in ast.walk(TREES[module]):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parent = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*parent, *filter(None, [node.module])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and module not in LAZY:
            called = ast.unparse(node.func)
            assert not called.endswith(("import_module", "__import__")), (
                f"{module}, line {node.lineno}: an import that this test cannot see"
            )
        for name in names:
            target = resolved(name)
            if target is not None:
                yield target, getattr(node, "lineno", 0)


def offenders(find: Callable[[str], Iterable[object]]) -> list[str]:
    """What ``find`` has found, with the module in which it has: a test wants none.

    All modules in one test: a test of its own for each of them costs more than to look at it.
    """
    return [f"{SOURCES[module]}: {found}" for module in SOURCES for found in find(module)]


def test_the_walk_sees_imports_of_every_kind() -> None:
    # Facts about the package that hold for as long as it has these modules.
    assert ("geometry.mesh", "geometry.meshcore") in {
        (module, target) for module in SOURCES for target, _ in imports(module)
    }
    assert "runs.simulation" in {target for target, _ in imports("cli.run")}  # inside a function
    assert "case.__init__" in {target for target, _ in imports("__init__")}  # for type checkers
    assert resolved("meanfield.case.Case") == "case.__init__"
    assert resolved("meanfield.geometry.laws.Law") == "geometry.laws.__init__"
    assert resolved("meanfield.Case") == "__init__"
    assert resolved("numpy.linalg") is None


def test_every_module_has_a_place_in_the_order() -> None:
    assert {layer(module) for module in SOURCES} <= set(ORDER)


def test_imports_point_downwards() -> None:
    def upwards(module: str) -> Iterator[str]:
        own = ORDER.index(layer(module))
        for target, line in imports(module):
            if ORDER.index(layer(target)) > own:
                yield f"line {line}: {layer(module)} imports {target}"

    assert not offenders(upwards)


def test_no_circles_within_a_layer() -> None:
    graph = {
        module: {target for target, _ in imports(module) if target != module}
        for module in SOURCES
        if module not in ("__init__", "__main__")
    }
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) >= len(graph)


def test_stationary_states_are_found_without_a_case_or_a_folder() -> None:
    around = {f"steady.{name}" for name in ("problem", "folder", "verbs")}

    def needless(module: str) -> Iterator[str]:
        if layer(module) != "steady" or module in around:
            return
        for target, line in imports(module):
            above = layer(target) != "steady" and (
                ORDER.index(layer(target)) > ORDER.index("interaction")
            )
            if above or target in around:
                yield f"line {line}: imports {target}"

    assert sum(layer(module) == "steady" for module in SOURCES) > len(around) + 1
    assert not offenders(needless)


def test_no_star_imports() -> None:
    def stars(module: str) -> Iterator[str]:
        for node in ast.walk(TREES[module]):
            if isinstance(node, ast.ImportFrom) and any(a.name == "*" for a in node.names):
                yield f"line {node.lineno}: imports *"

    assert not offenders(stars)


def prints(module: str) -> Iterator[tuple[str | None, int]]:
    """Class (None: outside) and line of each print or write to the standard streams."""

    def visit(node: ast.AST, inside: str | None) -> Iterator[tuple[str | None, int]]:
        for child in ast.iter_child_nodes(node):
            within = child.name if isinstance(child, ast.ClassDef) else inside
            if isinstance(child, ast.Call):
                called = ast.unparse(child.func)
                if called in ("print", "sys.stdout.write", "sys.stderr.write"):
                    yield inside, child.lineno
            yield from visit(child, within)

    yield from visit(TREES[module], None)


def test_only_the_command_line_and_the_progress_print() -> None:
    def forbidden(module: str) -> Iterator[str]:
        for inside, line in prints(module):
            if not {(module, inside), (module, None)} & MAY_PRINT:
                yield f"line {line}: prints in {inside or 'the module'}"

    assert not offenders(forbidden)


def test_the_walk_sees_prints() -> None:
    assert {inside for inside, _ in prints("runs.progress")} == {"Counted", "Progress"}


# ------------------------------------------------------------------ decisions of one module


def renames(tree: ast.AST) -> Iterator[int]:
    """Lines that give a file another name: ``replace`` of a path is told by its one argument."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called = ast.unparse(node.func)
            of_path = node.func.attr == "replace" and len(node.args) == 1 and not node.keywords
            if of_path or called in ("os.replace", "shutil.move") or "rename" in node.func.attr:
                yield node.lineno


def only_in(one: str, lines: Callable[[ast.Module], Iterable[int]]) -> list[str]:
    """Lines that are told as found outside of the one module that may have them, and has."""
    assert list(lines(TREES[one])), f"{one} has none: does the walk see them?"
    return offenders(lambda module: (f"line {n}" for n in lines(TREES[module]) if module != one))


def test_only_whole_files_are_renamed() -> None:
    assert not only_in("whole", renames)


def test_only_one_module_changes_who_answers_a_signal() -> None:
    def changes(tree: ast.Module) -> Iterator[int]:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "signal.signal":
                yield node.lineno

    def named(module: str) -> Iterator[str]:
        for node in ast.walk(TREES[module]):
            if isinstance(node, ast.ImportFrom) and node.module == "signal":
                yield f"line {node.lineno}: imports from signal"

    assert not only_in("signals", changes)
    assert not offenders(named)


def test_the_walk_sees_renames() -> None:
    code = """
os.replace(a, b)
path.replace(other)
path.rename(other)
os.rename(a, b)
text.replace("a", "b")
case = dataclasses.replace(case, title="x")
"""
    assert list(renames(ast.parse(code))) == [2, 3, 4, 5]


def climbs(tree: ast.AST) -> Iterator[int]:
    """Lines that halve a path to a root, as union-find does: ``p[i] = p[p[i]]``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            parent = ast.unparse(node.targets[0].value)
            if ast.unparse(node.value).startswith(f"{parent}[{parent}["):
                yield node.lineno


def test_there_is_one_union_find() -> None:
    assert not only_in("geometry.unionfind", climbs)


FOREIGN = {"_replace", "_asdict", "_cpp_object"}  # of named tuples, and of DOLFINx


def private_uses(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Name and line of what begins with an underscore and is neither its own nor inherited."""
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
                own.add(name)
            case ast.Assign(targets=targets):
                own |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                own.add(name)
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=module, names=names) if (module or "").startswith(
                "meanfield"
            ):
                yield from ((n.name, node.lineno) for n in names if n.name.startswith("_"))
            case ast.Attribute(attr=name) if (
                name.startswith("_") and not name.startswith("__") and name not in own | FOREIGN
            ):
                yield ast.unparse(node), node.lineno


def test_no_private_name_of_another_module() -> None:
    def private(module: str) -> Iterator[str]:
        return (f"line {line}: {name}" for name, line in private_uses(TREES[module]))

    assert not offenders(private)


def test_the_walks_see_parents_and_private_names() -> None:
    assert list(climbs(ast.parse("parent[i] = parent[parent[i]]\nx = a[a[i]]"))) == [1]
    code = """
from meanfield.dynamics.sweep import _hidden, emit
class A(B):
    def f(self, other):
        self._of_b, other._of_b, other._of_another, super()._g()
point._replace(x=1)
"""
    assert set(private_uses(ast.parse(code))) == {
        ("_hidden", 2),
        ("other._of_another", 5),
        ("super()._g", 5),
    }


# ------------------------------------------------------------------ who may know the interaction

KNOWS = ("interaction", "case")
WORDS = {"beta", "sa", "usa", "log_scale"}
PARTS = {"kernel", "link", "gain", "multiplier", "expansion"}
"""Parts of an interaction that only its own code reads."""


def told_words(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Names, attributes, arguments, keywords and texts that say which interaction it is."""
    for node in ast.walk(tree):
        word: object = None
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value)
            owner = owner.rpartition(".")[2]
            if node.attr in WORDS and owner != "rng":
                word = ast.unparse(node)
            elif node.attr in PARTS and owner in ("interaction", "model", "attention", "field"):
                word = ast.unparse(node)
            elif node.attr == "value" and owner in ("interaction", "model", "attention"):
                word = ast.unparse(node)
        elif isinstance(node, ast.Name) and node.id in WORDS:
            word = node.id
        elif isinstance(node, ast.arg | ast.keyword) and node.arg in WORDS:
            word = node.arg
        elif isinstance(node, ast.Constant) and node.value in WORDS:
            word = node.value
        if word is not None:
            yield str(word), getattr(node, "lineno", 0)


def test_only_the_interaction_knows_which_one_it_is() -> None:
    def knowing(module: str) -> Iterator[str]:
        if layer(module) in KNOWS or module in ("analysis.exact", "analysis.equiangular"):
            return
        for word, line in told_words(TREES[module]):
            yield f"line {line}: {word}"
        for target, line in imports(module):
            if target.startswith("interaction.kernels") and module != "__init__":
                yield f"line {line}: imports {target}"

    assert not offenders(knowing)


def test_the_walk_sees_words() -> None:
    code = """
def f(beta):
    rng.beta(1, 2)
    if model.attention == 'usa':
        return solver.interaction.kernel, g(log_scale=self.model.value), attention.beta
"""
    words = [word for word, _ in told_words(ast.parse(code))]
    assert sorted(words) == sorted(
        ["beta", "usa", "solver.interaction.kernel", "log_scale", "self.model.value",
         "attention.beta"]
    )  # fmt: skip
    assert list(told_words(TREES["interaction.attention"]))


# ------------------------------------------------------------------ only a manifold is a geometry

NAMES_OF_GEOMETRIES = set(MANIFOLDS)


def geometry_choices(tree: ast.AST) -> Iterator[str]:
    """Comparisons with the name of a geometry, and tables by such names."""
    for node in ast.walk(tree):
        inside: list[ast.expr] = []
        if isinstance(node, ast.Compare) and ast.unparse(node.left) != "method":
            inside = [node.left, *node.comparators]  # a method of transport is called "circle"
        elif isinstance(node, ast.MatchValue):
            inside = [node.value]
        elif isinstance(node, ast.Dict) and len(node.keys) > 1:
            inside = [key for key in node.keys if key is not None]
        texts = {c.value for part in inside for c in ast.walk(part) if isinstance(c, ast.Constant)}
        found = texts & NAMES_OF_GEOMETRIES
        # A word that means something else: one name among others that are no geometries.
        if found and (not isinstance(node, ast.Dict) or len(found) > 1):
            yield f"line {node.lineno}: {ast.unparse(node)[:70]}"


def test_only_a_manifold_decides_by_geometry() -> None:
    """Others ask it: for coordinates, places in space, transforms, measure, cells."""

    def choices(module: str) -> Iterator[str]:
        if not module.startswith("geometry.manifolds"):
            yield from geometry_choices(TREES[module])

    assert not offenders(choices)


def test_the_walk_sees_every_choice_by_geometry() -> None:
    code = """
if mesh.geometry == "zonal": pass
x = 1 if kind in ("sphere", "circle") else 2
few = {"sphere": 400, "circle": 8}
match kind:
    case "zonal": pass
rest = {"type": "sphere", "level": 3}
"""
    assert sorted(found.split(":")[0] for found in geometry_choices(ast.parse(code))) == [
        "line 2", "line 3", "line 4", "line 6"
    ]  # fmt: skip


# ------------------------------------------------------------------ what an import does

WITHOUT_DOLFINX = {
    "geometry": [name for name in SOURCES if layer(name) == "geometry"],
    "interaction": [name for name in SOURCES if layer(name) == "interaction"],
    "wasserstein": [name for name in SOURCES if name == "analysis.wasserstein"],
    "results": [name for name in SOURCES if layer(name) in ("results", "figures")],
    "case": [name for name in SOURCES if layer(name) == "case"],
    "cli": [name for name in SOURCES if layer(name) in ("cli", "software", "errors", "__main__")],
    "steady": [name for name in SOURCES if layer(name) == "steady"],
}


def dotted(module: str) -> str:
    return f"meanfield.{module}".removesuffix(".__init__")


def test_case_is_among_those_that_need_no_dolfinx() -> None:
    assert len(WITHOUT_DOLFINX["case"]) > 9
    assert len(WITHOUT_DOLFINX["geometry"]) > 5 and len(WITHOUT_DOLFINX["interaction"]) > 12


def test_imports_without_dolfinx(tmp_path: Path, start: Start) -> None:
    # None in sys.modules makes the import fail, wherever the package may be installed.
    code = "\n".join(
        [
            "import sys",
            "missing = ('dolfinx', 'dolfinx_solver', 'ufl', 'basix', 'ffcx', 'petsc4py', 'mpi4py')",
            "for name in missing:",
            "    sys.modules[name] = None",
            *(f"import {dotted(name)}" for names in WITHOUT_DOLFINX.values() for name in names),
            "try:",
            "    import dolfinx",
            "except ImportError:",
            "    print('imported without')",
        ]
    )
    done = start(*python("-B", "-c", code), cwd=tmp_path).finish()
    assert (done.code, done.out) == (0, "imported without\n"), done.err


def imported(module: str) -> set[str]:
    """Names of the packages that a module imports anywhere in it."""
    found = set()
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


def test_mpi_and_dolfinx_are_loaded_in_one_place() -> None:
    """Their order matters (``software.load_dolfinx``): who uses them gets them from there."""
    for name in ("mpi4py", "dolfinx_solver"):
        assert {module for module in SOURCES if name in imported(module)} == {"software"}
    # They start with a space, whose maker has loaded DOLFINx, or load it themselves.
    for name in ("dolfinx", "petsc4py", "slepc4py", "ufl", "basix"):
        users = {module for module in SOURCES if name in imported(module)} - {"software"}
        assert users <= {
            "dynamics.space", "dynamics.stiffness", "dynamics.edgematrix", "dynamics.dolfinxmeshes"
        }  # fmt: skip
    assert imported("software") >= {"mpi4py", "dolfinx_solver", "dolfinx"}


def test_a_case_is_read_and_its_mesh_made_without_dolfinx(tmp_path: Path, start: Start) -> None:
    code = (
        "import sys; sys.modules['dolfinx'] = None\n"
        "import meanfield as mf\n"
        "case = mf.Case(title='t', geometry=mf.Sphere(level=1), time=mf.Time(end=1.0),\n"
        "    model=mf.Model(attention='sa', beta=1.0), initial=mf.standard_density())\n"
        "print(len(case.geometry.build_mesh().points))\n"
        "try:\n"
        "    mf.run(case)\n"
        "except mf.InputError as error:\n"
        "    print(error)\n"
    )
    done = start(*python("-B", "-c", code), cwd=tmp_path).finish()
    assert done.code == 0, done.err
    count, message = done.out.splitlines()
    assert count == "42"
    assert "DOLFINx" in message and "scripts/env" in message


def test_importing_everything_does_nothing(tmp_path: Path, start: Start) -> None:
    """No files, no threads, no signal handlers, no output, no MPI, nothing from the network."""
    homes = {name: tmp_path / name for name in ("here", "home", "cache", "temporary")}
    for home in homes.values():
        home.mkdir()
    modules = [dotted(name) for name in SOURCES if name != "__main__"]
    code = "\n".join(
        [
            "import signal, sys, threading",
            "before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]",
            *(f"import {name}" for name in modules),
            "assert before == [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]",
            "assert threading.active_count() == 1",
            "heavy = {'dolfinx', 'mpi4py.MPI', 'pyvista', 'matplotlib.pyplot'} & set(sys.modules)",
            "assert not heavy, heavy",
        ]
    )
    done = start(
        *python("-B", "-c", code),
        cwd=homes["here"],
        HOME=str(homes["home"]),
        XDG_CACHE_HOME=str(homes["cache"]),
        TMPDIR=str(homes["temporary"]),
        # numba and matplotlib keep caches of their own, wherever they are told to.
        NUMBA_CACHE_DIR=os.environ.get("NUMBA_CACHE_DIR", str(tmp_path / "numba")),
        MPLCONFIGDIR=os.environ.get("MPLCONFIGDIR", str(tmp_path / "matplotlib")),
    ).finish()
    assert (done.code, done.out, done.err) == (0, "", "")
    made = [path for home in homes.values() for path in home.rglob("*") if path.is_file()]
    assert not made
