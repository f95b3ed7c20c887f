"""Runs of characteristics under a normalisation scheme: files, resumption, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import meanfield as mf
from meanfield.case import Case
from meanfield.errors import InputError

_CASE: dict[str, object] = {
    "geometry": {"type": "circle", "vertices": 64},
    "model": {"attention": "sa", "beta": 3.0, "normalisation": {"type": "pre", "length": 2.0}},
    "initial": {"type": "fourier", "cos": [0.3, 0.0, 0.2]},
    "solver": "lagrangian",
    "time": {"end": 1.0, "outputs": {"every": 0.5}},
    "output": {"figures": False, "precision": "float64"},
}
_DRIFT = {"matrix": np.eye(3).tolist()}


def _case(**changes: object) -> Case:
    return Case.from_dict({**_CASE, **changes})


def test_lengths_in_the_file_and_a_resumption(tmp_path: Path) -> None:
    """r = 2 at first; what goes on from 0.5 is what one long run gives."""
    mf.run(_case(), tmp_path / "whole")
    mf.run(_case(time={"end": 0.5, "outputs": {"every": 0.5}}), tmp_path / "parts")
    mf.run(_case(), tmp_path / "parts", resume=True)
    whole, parts = (mf.read_fields(tmp_path / n / "fields.vtkhdf") for n in ("whole", "parts"))
    np.testing.assert_allclose(whole.read("length", 0), 2.0, rtol=1e-15)
    last = whole.read("length", -1)
    assert np.all(last > 2.0) and np.ptp(last) > 0.1
    for name in ("length", "log10_rho"):
        again = parts.read(name, -1)
        np.testing.assert_allclose(again, whole.read(name, -1), rtol=0.0, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"solver": "implicit"}, "density on a mesh: two tokens at one place may"),
        ({"geometry": {"type": "zonal", "d": 4}, "initial": {"type": "uniform"}}, "'zonal'"),
        ({"model": {"attention": "sa", "beta": 1.0, "normalisation": "none"}}, "'none'"),
        (
            {"model": {"attention": "sa", "beta": 1.0, "normalisation": "pre", "drift": _DRIFT}},
            r"^model\.drift: found with model\.normalisation = 'pre' and characteristics",
        ),
    ],
)
def test_refused_with_the_case(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _case(**changes)
