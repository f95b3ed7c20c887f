"""Options of laws that are no class of their own: in a file, a function, the standard one."""

from __future__ import annotations

from typing import Annotated, Literal

from meanfield.geometry.laws.base import Scalar, unchecked
from meanfield.options import Expected, Field, Flag, Unit, options

__all__ = ["FileLaw", "FunctionLaw", "StandardLaw"]

# Checked where it is read, with the message of laws.
Quoted = Annotated[str, unchecked(str), Expected("a text in quotes")]


@options("initial", kw_only=True)
class FileLaw:
    """Values at the vertices of a mesh file, see ``read_tabulated``."""

    path: Quoted = Field(examples=["run/fields.vtkhdf"])
    """The file; found from the folder of the case file."""
    array: Quoted = Field(examples=["rho"])
    """Name of the values in it."""
    time: Annotated[Scalar, Unit("time")] | None = Field(default=None, examples=[4.0])
    """Which of the times of a .vtkhdf file, such as the fields of a run; left out: the last."""
    type: Literal["file"] = "file"


@options("initial", kw_only=True)
class FunctionLaw:
    """A Python function of unit vectors, see ``FunctionDensity``; its file is run (``--trust``)."""

    path: Quoted = Field(examples=["law.py"])
    """The file; found from the folder of the case file."""
    name: Quoted = Field(examples=["density"])
    """The function in it, from (n, d) unit vectors to (n,) values >= 0, in any unit."""
    zonal: Flag = False
    """Whether it depends on the last coordinate alone."""
    bound: Annotated[Scalar, Unit("that of the function")] | None = Field(
        default=None, examples=[2.5]
    )
    """A number that it nowhere exceeds; left out: found."""
    type: Literal["function"] = "function"


@options("initial", kw_only=True)
class StandardLaw:
    """The smooth law on S^2 of the verification, see ``standard_density``."""

    type: Literal["standard"] = "standard"
