"""[output]: what the run folder holds beside the series."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator

from meanfield.case.model import Model
from meanfield.case.normalisation import Normalisation, Post
from meanfield.case.solvers import Density, Lagrangian, Solver
from meanfield.errors import InputError
from meanfield.options import Counted, Expected, Field, Flag, Number, Unit, a_list, options

__all__ = ["FIELDS", "Output"]

FieldName = Literal["rho", "log10_rho", "velocity"]
FormatName = Literal["vtkhdf", "pvd"]  # each a module of results.formats
FIELDS: tuple[FieldName, ...] = get_args(FieldName)


@options("output", kw_only=True)
class Output:
    """What the run folder holds beside the series.

    Example:
        >>> mf.Output(figures=False).format
        'vtkhdf'
    """

    fields: Annotated[
        tuple[FieldName, ...],
        BeforeValidator(a_list, json_schema_input_type=list[FieldName]),
        Expected('a list such as ["rho"]'),
    ] = FIELDS
    """Any of "rho", "log10_rho", "velocity", written at the output times."""
    format: FormatName = "vtkhdf"
    """Of the fields: "vtkhdf", one file that ParaView, VTK and pyvista read; "pvd", a list of one
    file a step (.vtu), of which pyvista's reader also gives all times."""
    precision: Literal["float32", "float64"] = "float32"
    """Of the fields."""
    compression: Literal["gzip", "none"] = "gzip"
    """Of the fields."""
    mesh: Literal["moving", "fixed"] = "moving"
    """Of the fields of characteristics: "moving", the points themselves with their masses; "fixed",
    the density that their history tells at the vertices of the case's mesh (rho, log10_rho and
    velocity; no masses), so that pictures and distances are right where the flow tears apart."""
    coordinates: Flag = True
    """Of tokens in d > 3: all d coordinates in the particle file, n d numbers at each output (of a
    million tokens in d = 768 in single precision 3 GB); false: their projections to three
    dimensions alone."""
    figures: Flag = True
    """Draw the figures at the end."""
    checkpoint_minutes: Annotated[Number, Unit("minutes")] = Field(default=5.0, ge=0.0)
    """Longest wall-clock time without a checkpoint, in minutes; with several ranks 50 seconds at
    most. They are also written at the output times. 0: only there."""

    tangents: Counted = Field(default=0, ge=0, le=4096)
    """Tokens: directions in which d x(t)/d x(0) is carried along, for the columns jacobian_norm and
    lyapunov; n (d - 1) or more: all, which makes them exact. Each costs two more steps, and tokens
    are not merged. Needs kappa = 0 (common_noise may be)."""
    pairs: Counted = Field(default=0, ge=0, le=1000)
    """Number of bins of the histogram of inner products <x, y> of pairs in pairs.csv; 0: none. Of
    all pairs of tokens, or 2e6 of them, drawn by the seed; densities: from the power spectrum."""

    def __post_init__(self) -> None:
        if not self.fields:
            raise InputError(f"fields: the list is empty, expected at least one of {FIELDS}")
        for name in self.fields:
            if self.fields.count(name) > 1:
                raise InputError(f"output.fields: '{name}' is given twice")

    def suits_solver(self, solver: Solver, model: Model) -> None:
        """Refuse a mesh that stays where the density is not known between points that move.

        Raises:
            InputError: with what would do.
        """
        if self.mesh == "moving":
            return
        scheme, who = model.normalisation, ""
        if not isinstance(solver, Lagrangian):
            on_mesh = "whose mesh never moves" if isinstance(solver, Density) else "which has none"
            who = f"with the {solver.type} solver, {on_mesh}"
        elif solver.slices is not None:
            who = "with slices of positions, whose fields are not kept"
        elif isinstance(scheme, Normalisation) and not isinstance(scheme, Post):
            who = f"with model.normalisation = '{scheme.type}', under which points have lengths"
        if who:
            raise InputError(f'output.mesh: found "fixed" {who}; expected "moving" (the default)')

    def suits(self, tokens: bool, diffuses: bool, centred: bool = False) -> None:
        """Refuse tangents where there are none.

        Args:
            tokens: whether the state is tokens.
            diffuses: whether they have noise of their own.
            centred: whether they stay in a hyperplane, of which tangents know nothing.

        Raises:
            InputError: with what would do.
        """
        if self.tangents and not tokens:
            raise InputError(
                f"output.tangents: found {self.tangents} with a density, expected tokens "
                "(solver.type = 'particles' or 'layers'), or 0"
            )
        if self.tangents and diffuses:
            raise InputError(
                f"output.tangents: found {self.tangents} with noise of each token, expected "
                "model.kappa = 0 (solver.common_noise may be), or 0"
            )
        if self.tangents and centred:
            raise InputError(
                f"output.tangents: found {self.tangents} with model.normalisation.centre = true, "
                "whose tokens stay in a hyperplane that tangents leave; expected centre = false, "
                "or 0"
            )
