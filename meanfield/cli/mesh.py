"""``meanfield mesh``: make, convert or inspect a mesh."""

from __future__ import annotations

import argparse

from meanfield.cli.parser import Parser, Verbs
from meanfield.cli.speech import complain, say
from meanfield.errors import InputError

__all__ = ["add_to"]

_EXAMPLES = """\
examples:
  meanfield mesh make sphere --level 5 sphere5.vtu
  meanfield mesh make circle --vertices 400 circle.vtu
  meanfield mesh graded --centre 0 0 1 --factor 3 --level 5 -o fine.vtu
  meanfield mesh convert sphere.msh sphere.vtu
  meanfield mesh convert --project egg.obj sphere.vtu
  meanfield mesh inspect sphere.msh

How fine? With noise clusters have a width sigma of about sqrt(kappa) (`meanfield run` tells it):
edges of sigma/2 carry its square to about 0.4 % on the sphere, 2 % on latitudes and 0.1 % on the
circle, edges of sigma to 1.6 %, 8 % and 0.1 %; they are about 1.1/2^level on the sphere. With
kappa = 0 clusters narrow without end: a graded mesh goes further with one whose place is known (so
does geometry.factor in a case), characteristics (solver lagrangian) with any."""

_SOURCE = (
    "a mesh file of any kind: .msh .vtu .obj .stl .ply .off .vtk .vtp .xdmf, fields.vtkhdf, ..."
)


def add_to(verbs: Verbs) -> None:
    """Add the verb, with its tasks."""
    parser = verbs.add(
        "mesh",
        help="make, convert or inspect a mesh",
        description="Make, convert or inspect meshes of spheres and circles (needs no DOLFINx)",
        epilog=_EXAMPLES,
    )
    tasks = Verbs(parser, "tasks", "TASK")
    make = tasks.add("make", help="make a mesh", description="Make a mesh and write it")
    _add_kinds(Verbs(make, "kinds", "KIND"))
    _add_graded(tasks)
    convert = tasks.add(
        "convert",
        _convert,
        help="read a mesh in one format, write it in another",
        description="Read a mesh file, check and repair it, and write it in the format that the "
        "new name asks for",
    )
    convert.add_argument("source", metavar="IN", help=_SOURCE)
    convert.add_argument("target", metavar="OUT", help="the file to write")
    convert.add_argument(
        "--project",
        action="store_true",
        help="move vertices to the sphere or circle that fits them best, however far they are off",
    )
    _add_overwrite(convert)
    inspect = tasks.add(
        "inspect",
        _inspect,
        help="tell the size and quality of a mesh",
        description="Tell counts, edge lengths, area error, quality, smallest cotangent weight",
    )
    inspect.add_argument("source", metavar="FILE", help=_SOURCE)


def _add_graded(tasks: Verbs) -> None:
    task = tasks.add(
        "graded",
        _grade,
        help="make a mesh that is finer at a point",
        description="Make a mesh that is FACTOR times as fine at a point, and as much coarser at "
        "its antipode: for one narrow cluster whose place is known. --level: of the sphere; "
        "--vertices: of the circle, with --d of latitudes, which are finer at theta = 0. A "
        "factor of 3 to 5 does for most; more spoils what is elsewhere",
    )
    add = task.add_argument
    add("--factor", type=float, required=True, metavar="S", help="how many times as fine there")
    add("--centre", type=float, nargs="+", metavar="X", help="where: 3 numbers on the sphere, 2 "
        "on the circle (default: the last axis)")  # fmt: skip
    sizes = task.add_mutually_exclusive_group(required=True)
    sizes.add_argument("--level", type=int, help="of a sphere: 10 * 4^level + 2 vertices")
    sizes.add_argument("--vertices", type=int, help="of a circle; with --d of latitudes")
    add("--d", type=int, help="of latitudes: dimension of the space, 2 or more")
    add("-o", "--output", metavar="FILE", required=True, help="where to write (.vtu, .msh, ...)")
    _add_overwrite(task)


def _add_kinds(kinds: Verbs) -> None:
    sphere = kinds.add("sphere", _make, help="an icosahedron, divided level times")
    sphere.add_argument(
        "--level", type=int, required=True, help="0, 1, 2, ...: 10 * 4^level + 2 vertices"
    )
    loose = kinds.add("unstructured", _make, help="a sphere with irregular triangles")
    _add_vertices(loose)
    loose.add_argument("--seed", type=int, default=0, help="of the random points (default 0)")
    circle = kinds.add("circle", _make, help="a circle with equal steps")
    _add_vertices(circle)
    zonal = kinds.add("zonal", _make, help="angles from 0 to pi, for axially symmetric measures")
    zonal.add_argument("--d", type=int, required=True, help="dimension of the space, 2 or more")
    _add_vertices(zonal)
    for kind, made in (
        (sphere, lambda meshes, args: meshes.icosphere(args.level)),
        (loose, lambda meshes, args: meshes.unstructured_sphere(args.vertices, args.seed)),
        (circle, lambda meshes, args: meshes.circle(args.vertices)),
        (zonal, lambda meshes, args: meshes.zonal_interval(args.vertices, d=args.d)),
    ):
        kind.set_defaults(made=made)
        kind.add_argument("file", metavar="FILE", help="where to write (.vtu, .msh, .vtk, ...)")
        _add_overwrite(kind)


def _add_vertices(parser: Parser) -> None:
    parser.add_argument("--vertices", type=int, required=True, help="number of vertices")


def _add_overwrite(parser: Parser) -> None:
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")


def _make(args: argparse.Namespace) -> int:
    from meanfield.geometry import mesh as meshes

    made = args.made(meshes, args)
    meshes.write_mesh(args.file, made, overwrite=args.overwrite)
    say(f"{args.file}: {len(made.points):,} vertices, {len(made.cells):,} cells")
    return 0


def _grade(args: argparse.Namespace) -> int:
    from meanfield.geometry import mesh as meshes

    if args.level is not None and args.d is not None:
        raise InputError("--d: found with --level, expected with --vertices (of latitudes)")
    if args.level is not None:
        plain = meshes.icosphere(args.level)
    elif args.d is not None:
        plain = meshes.zonal_interval(args.vertices, d=args.d)
    else:
        plain = meshes.circle(args.vertices)
    made = meshes.graded(plain, args.factor, args.centre)
    meshes.write_mesh(args.output, made, overwrite=args.overwrite)
    edges = meshes.inspect_mesh(made)
    say(
        f"{args.output}: {len(made.points):,} vertices, edges from {edges.h_min:.3g} to "
        f"{edges.h_max:.3g}"
    )
    return 0


def _convert(args: argparse.Namespace) -> int:
    from meanfield.geometry import mesh as meshes

    mesh = meshes.read_mesh(args.source, _notice, project=args.project)
    meshes.write_mesh(args.target, mesh, overwrite=args.overwrite)
    say(f"{args.target}: {mesh.geometry}, {len(mesh.points):,} vertices")
    return 0


def _inspect(args: argparse.Namespace) -> int:
    from meanfield.geometry import mesh as meshes

    report = meshes.inspect_mesh(meshes.read_mesh(args.source, _notice))
    say("\n".join(report.lines()))
    return 0


def _notice(text: str) -> None:
    complain(f"notice: {text}")
