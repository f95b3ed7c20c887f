"""The stiffness that our kernels assemble is that of the UFL form, and needs no C compiler."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import mesh_name, mesh_of
from processes import Job, python

from meanfield.dynamics import space
from meanfield.dynamics.stiffness import assemble_stiffness

MESHES = [
    ("sphere", 3, 3),
    ("unstructured", 400, 3),
    ("circle", 65, 2),
    ("zonal", 60, 2),
    ("zonal", 60, 3),
    ("zonal", 60, 16),
]


@pytest.mark.skipif(
    not (shutil.which("cc") or shutil.which("gcc") or os.environ.get("CC")),
    reason="no C compiler here, which a UFL form needs",
)
@pytest.mark.parametrize("which", MESHES, ids=mesh_name)
def test_is_that_of_the_ufl_form(
    which: tuple[str, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dolfinx", reason="no DOLFINx here: run the tests with scripts/env pytest")
    import ufl
    from dolfinx import fem
    from mpi4py import MPI

    seen: list[tuple[Any, Any]] = []

    def assemble(functions: Any, zonal_d: int | None) -> Any:
        seen.append((functions, assemble_stiffness(functions, zonal_d)))
        return seen[-1][1]

    # A space keeps neither its functions nor the matrix.
    monkeypatch.setattr(space, "assemble_stiffness", assemble)
    space.P1Space(mesh_of(*which), MPI.COMM_SELF)
    ((functions, found),) = seen

    u, v = ufl.TrialFunction(functions), ufl.TestFunction(functions)
    form: Any = ufl.inner(ufl.grad(u), ufl.grad(v))
    dx = ufl.dx(functions.mesh)
    if which[0] == "zonal":
        zonal_d = which[2]
        dx = ufl.dx(functions.mesh, metadata={"quadrature_degree": 1})  # the midpoint
        if zonal_d > 2:
            form = ufl.sin(ufl.SpatialCoordinate(functions.mesh)[0]) ** (zonal_d - 2) * form
    expected = fem.assemble_matrix(fem.form(form * dx))
    expected.scatter_reverse()
    np.testing.assert_array_equal(found.indptr, expected.indptr)
    np.testing.assert_array_equal(found.indices, expected.indices)
    scale = np.abs(expected.data).max()
    np.testing.assert_allclose(found.data, expected.data, rtol=1e-12, atol=1e-15 * scale)


PROGRAM = """\
import meanfield as mf

bumps = mf.VonMisesFisher((0.0, 1.0), 2.0), mf.VonMisesFisher((0.0, 0.0, 1.0), 2.0)
for geometry, law in (
    (mf.Sphere(level=2), bumps[1]),
    (mf.Circle(vertices=40), bumps[0]),
    (mf.Zonal(vertices=40, d=3), bumps[1]),
):
    for solver, kappa in ((mf.Eulerian(), 0.0), (mf.Implicit(), 0.1)):
        case = mf.Case(
            title="no compiler", geometry=geometry, initial=law, solver=solver,
            model=mf.Model(attention="sa", beta=1.0, kappa=kappa), time=mf.Time(end=0.1),
        )
        assert mf.run(case, progress=False).stop_reason == "end"
print("done")
"""


def test_runs_need_no_c_compiler(tmp_path: Path, start: Callable[..., Job]) -> None:
    pytest.importorskip("dolfinx", reason="no DOLFINx here: run the tests with scripts/env pytest")
    (tmp_path / "empty").mkdir()
    none = {name: "/no/such/compiler" for name in ("CC", "CXX")}
    caches = {"XDG_CACHE_HOME": str(tmp_path), "DOLFINX_JIT_CACHE_DIR": str(tmp_path)}
    job = start(*python("-c", PROGRAM), PATH=str(tmp_path / "empty"), **none, **caches)
    done = job.finish()
    assert (done.code, done.out) == (0, "done\n"), done.said
