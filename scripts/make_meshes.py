#!/usr/bin/env python3
"""Make the files in meshes/ again: `python scripts/make_meshes.py [--output DIR] [--overwrite]`.

Needs meanfield (so: its Python, or `scripts/env`); no DOLFINx. The unstructured sphere needs gmsh,
which meanfield itself does not: without it the others are made and a line says what is left out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from meanfield.errors import InputError
from meanfield.geometry.mesh import Mesh, circle, icosphere, inspect_mesh, read_mesh, write_mesh

FOLDER = Path(__file__).resolve().parent.parent / "meshes"
GMSH_FILE = "gmsh_sphere.msh"
GMSH_SIZE = 0.1


def generated() -> dict[str, Mesh]:
    """The meshes that meanfield makes by itself, by file name."""
    meshes = {f"icosphere_{level}.vtu": icosphere(level) for level in range(5)}
    meshes["circle_256.vtu"] = circle(256)
    return meshes


def make_gmsh_sphere(path: Path, size: float = GMSH_SIZE) -> None:
    """Mesh the unit sphere with gmsh (OpenCASCADE geometry, frontal Delaunay), in its own format.

    Written as gmsh writes it: a few edges are not Delaunay, since gmsh works in the parameter
    plane; `read_mesh` rebuilds them.

    Raises:
        InputError: if gmsh is not installed or does not load.
    """
    try:
        import gmsh
    except (ImportError, OSError) as error:  # OSError: the wheel needs X and GL libraries
        raise InputError(
            f"{path.name} is left out: gmsh cannot be imported ({error}); `pip install gmsh`, and "
            "on a machine without graphics `apt-get install libglu1-mesa libxcursor1 libxft2 "
            "libxinerama1`"
        ) from error
    gmsh.initialize()
    try:
        gmsh.option.setNumber("General.Terminal", 0)
        gmsh.option.setNumber("Mesh.Algorithm", 6)
        gmsh.option.setNumber("Mesh.MeshSizeMin", size)
        gmsh.option.setNumber("Mesh.MeshSizeMax", size)
        gmsh.option.setNumber("Mesh.MshFileVersion", 4.1)
        gmsh.option.setNumber("Mesh.Binary", 1)
        gmsh.model.add("sphere")
        gmsh.model.occ.addSphere(0.0, 0.0, 0.0, 1.0)
        gmsh.model.occ.synchronize()
        gmsh.model.mesh.generate(2)
        gmsh.write(str(path))
    finally:
        gmsh.finalize()


def main(arguments: list[str] | None = None) -> int:
    """Make every file; returns 0, or 2 if something is left out."""
    parser = argparse.ArgumentParser(description="Make the files in meshes/ again.")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder (default: meshes/)")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        for name, mesh in generated().items():
            write_mesh(options.output / name, mesh, overwrite=options.overwrite)
            print(f"{name}: {mesh.n_vertices} vertices")
        path = options.output / GMSH_FILE
        if path.exists() and not options.overwrite:
            raise InputError(f"{path} exists already: give --overwrite to replace it")
        make_gmsh_sphere(path)
        mesh = read_mesh(path, on_notice=print)
        print("\n".join([f"{path.name}:", *inspect_mesh(mesh).lines()]))
    except InputError as error:
        print(f"make_meshes: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
