"""[solver]: the choices of each solver, and what it can be used for.

A solver takes an object of its class as it stands here; ``suits`` says which geometries and models
it has. A new option is a field: it is checked, explained and written by that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from meanfield.case.gaussians import Gaussians
from meanfield.case.geometry import Geometry, MeshFile, needs_mesh
from meanfield.case.heads import number_in_words
from meanfield.case.layeroptions import Layers
from meanfield.case.normalisation import TOKENS, Normalisation, Post, refuse_normalisation
from meanfield.case.tokensolvers import Pair, Particles, Step, Tolerance
from meanfield.errors import InputError
from meanfield.options import Counted, Field, Flag, Pure, options

if TYPE_CHECKING:
    from meanfield.case.model import Model

__all__ = [
    "Auto",
    "Density",
    "Eulerian",
    "FixedMesh",
    "Gaussians",
    "Implicit",
    "Lagrangian",
    "Layers",
    "Particles",
    "Solver",
    "Tail",
    "Tokens",
]
_NO_TOKENS = {
    "exclude_self": "at a point of a density there is no mass of its own that could be left out; "
    "expected tokens (solver.type 'particles' or 'layers')"
}

_INSERTION = ("refine", "refine_longest", "refine_mass", "refine_vertices")
_NO_INSERTION = (
    "no vertices are inserted any more; the density between those that the flow tears apart is had "
    'by output.mesh = "fixed", or by .at(points, t) of a result'
)

Limited = Literal["log-muscl", "bounded"]
"""Schemes whose edge densities a limiter makes (``dynamics.limiters``); here for both solvers."""


def _no_diffusion(model: Model, solver: str) -> None:
    if model.diffuses:
        others = ' (or "particles")' if model.exponent == 1.0 else ""
        raise InputError(
            f"model.kappa: found {number_in_words(model.kappa)}, but the {solver} solver has "
            "kappa = 0 only: "
            f'expected solver.type = "implicit"{others}'
        )


Tail = Literal["auto", "closed", "cut"]
StartKind = Literal["auto", "chart", "cells", "mesh"]


@options("solver", kw_only=True)
class Eulerian:
    """Finite elements on a fixed mesh: edge fluxes with an explicit, positive step.

    With diffusion of an exponent of 1 or more (``model.diffusion``) in steps of the order of h^2:
    for short runs.

    Example:
        >>> mf.Eulerian().type
        'eulerian'
    """

    scheme: Literal[Limited, "upwind"] = "log-muscl"
    """Fluxes: "log-muscl" (second order where smooth, no new maxima at jumps; with nonlinear
    diffusion means of neighbours), "bounded" (no new maxima anywhere, proved for ``cfl`` <= 0.5:
    less accurate at unresolved peaks), or "upwind" (first order)."""
    stepper: Literal["ssprk3", "ssprk2", "euler"] = "ssprk2"
    """Runge-Kutta method; "euler" has the energy monotone by proof (kappa = 0, attraction)."""
    cfl: Pure = Field(default=0.9, gt=0.0, le=1.0)
    """Step over the largest one that keeps plain upwinding positive."""
    field: Literal["extrapolated", "stages"] = "extrapolated"
    """One evaluation of the field a step, the potential of its stages extrapolated from the last
    four, whose prediction error bounds the step; or an evaluation at every stage."""
    accuracy: Annotated[Pure, Field(ge=1e-12, le=0.1)] | None = Field(default=None, examples=[1e-5])
    """Relative error of growth rates that is left to the steps in time, the bound on the prediction
    error; left out: 0.3 h^2, as the mesh has it, with mean edges of h radians, at most 1e-4. With
    field = "stages", and with stepper = "euler", nothing is predicted: every step is then at most a
    tenth of the growth time of perturbations of the uniform state, whatever the state is, and less
    if this accuracy is given."""
    tolerance: Tolerance = Field(default=None, examples=[1e-8])
    """Accuracy of the harmonic transforms relative to max Z (heads of sa: Z itself); left out:
    chosen by the model (with heads 1e-7)."""
    tail: Tail = "auto"
    """Of a repulsive kernel whose series does not end (log, Riesz): "closed", degrees beyond those
    that the mesh resolves act as the local repulsion that they tend to, so that they determine the
    density there, too (not of a kernel with numbers in time, or times a strength); "cut", they
    are left out; "auto": closed unless kappa is ten times that."""
    type: Literal["eulerian"] = "eulerian"

    not_here: ClassVar[dict[str, str]] = _NO_TOKENS

    def suits(self, geometry: Geometry, model: Model) -> None:
        """Refuse a problem that this solver cannot do.

        Raises:
            InputError: with what would do.
        """
        needs_mesh(geometry, self.type)
        if model.exponent < 1.0 and model.diffuses:
            raise InputError(
                f"model.diffusion.exponent: found {model.exponent:g}, of which no explicit step is "
                'stable where little is left: expected solver.type = "implicit", or an exponent of '
                "1 or more"
            )


@options("solver", kw_only=True)
class Implicit:
    """Finite elements on a fixed mesh, implicit in time: any diffusion, any step.

    Example:
        >>> mf.Implicit().type
        'implicit'
    """

    scheme: Literal[Limited, "fitted"] = "log-muscl"
    """Fluxes: "log-muscl" (second order where smooth, also where drift dominates, no new maxima at
    jumps), "bounded" (no edge above its neighbourhood anywhere: less accurate at unresolved peaks),
    or "fitted" (exponentially fitted alone: upwind for kappa = 0). With an exponent of the
    diffusion other than 1 the means of neighbours, or upwind."""
    order: Counted = Field(default=2, ge=1, le=2)
    """Of the steps in time: 2 (extrapolated) or 1."""
    rtol: Pure = Field(default=1e-3, ge=1e-9, le=1e-1)
    """Tolerance of the error of a step, in total variation."""
    dt: Step | None = Field(default=None, examples=[0.01])
    """Fixed step, which is only refused for its energy; left out: steps follow the error."""
    potential: Literal["auto", "explicit", "implicit"] = "auto"
    """That of attraction; "auto": explicit with a fixed step, else what needs fewer. That of
    repulsion is always implicit."""
    linear: Literal["auto", "ilu", "lu", "amg"] = "auto"
    """Method of the linear solves."""
    linear_tolerance: Pure = Field(default=1e-12, ge=1e-15, le=1e-6)
    """Of the linear solves, in the 1-norm of masses."""
    tolerance: Tolerance = Field(default=None, examples=[1e-8])
    """Accuracy of the harmonic transforms relative to max Z (heads of sa: Z itself); left out:
    chosen by the model (with heads 1e-7)."""
    tail: Tail = "auto"
    """Of a repulsive kernel whose series does not end (log, Riesz): "closed", degrees beyond those
    that the mesh resolves act as the local repulsion that they tend to, so that they determine the
    density there, too (not of a kernel with numbers in time, or times a strength); "cut", they
    are left out; "auto": closed unless kappa is ten times that."""
    type: Literal["implicit"] = "implicit"

    not_here: ClassVar[dict[str, str]] = _NO_TOKENS

    def suits(self, geometry: Geometry, model: Model) -> None:
        """Refuse a problem that this solver cannot do.

        Raises:
            InputError: with what would do.
        """
        needs_mesh(geometry, self.type)


@options("solver", kw_only=True)
class Lagrangian:
    """Characteristics (kappa = 0): points follow the flow, with their mass.

    Example:
        >>> mf.Lagrangian(pointwise=True).pointwise
        True
    """

    method: Pair = "dop853"
    """Runge-Kutta pair: "dop853" (order 8) or "dopri5" (order 5)."""
    rtol: Annotated[Pure, Field(ge=1e-13, le=1e-1)] | None = Field(default=None, examples=[1e-9])
    """Tolerance of a step: error of a position (and of log rho) against how far it has moved; left
    out: 1e-8."""
    atol: Annotated[Pure, Field(ge=1e-14, le=1e-1)] | None = Field(default=None, examples=[1e-11])
    """Absolute tolerance of a step, and what merging may change of the field; left out: 1e-10."""
    merge: Flag = True
    """Make one point of vertices that have collapsed, so that steps can grow (not of slices, nor
    with lengths, of which a ``model.normalisation`` makes different ones)."""
    start: StartKind = "auto"
    """Where the points start: "chart", a quadrature rule of as many nodes as the mesh has vertices,
    laid at a middle time and pulled back; "cells", nodes in cells that are split where the flow
    tears apart, likewise; "mesh", the vertices themselves; "auto": those of a graded mesh
    (``geometry.factor``) or of a file, else a chart where there is one (sa, usa and other kernels
    by transforms), of cells for late times on 'sphere', and where the rule misses 1e-3 of the mass
    (edges, narrow laws), if not the mesh misses less; where the law is nearly uniform, a rule laid
    so early that it carries what is not, or the mesh. The coarsest cells have 216 nodes on
    'sphere', 16 on curves: for fewer a rule is laid instead."""
    control: Literal["auto", "moments", "positions"] = "auto"
    """What decides on steps: the error of the moments that the field hangs on (accuracy), or that
    of every position (rtol, atol); "auto": what is given tells, of accuracy, rtol and atol, else
    moments with a chart, positions from a mesh."""
    accuracy: Annotated[Pure, Field(ge=1e-12, le=1e-1)] | None = Field(
        default=None, examples=[1e-6]
    )
    """Tolerance of a step in the moments, relative to those that are not of the uniform state; left
    out: 1e-6, or as fine as 1e-8 where a chart resolves more."""
    estimate: Flag = False
    """With a chart: run half as many points, too, at the end, and tell how wrong mean and energy
    are by the number of points (about half as much work again); a warning says why where there is
    no estimate: no chart, or too few points."""
    pointwise: Flag = False
    """Steps short enough to know log rho at any point and time to 1e-6 afterwards (``at`` of a
    result), about half again as many; without: to 1e-5. Not needed with output.mesh = "fixed"."""
    slices: Annotated[Counted, Field(ge=1, le=4096)] | None = Field(default=None, examples=[16])
    """With a mask (model.mask "causal", "alibi", or a matrix of as many rows): in how many slices
    the positions s in (0, 1] of a sequence are, each a copy of the mesh; left out: 16, or as many
    as the rows."""
    tolerance: Tolerance = Field(default=None, examples=[1e-8])
    """Accuracy of the harmonic transforms relative to max Z (heads of sa: Z itself); left out:
    chosen by the model (with heads 1e-7)."""
    type: Literal["lagrangian"] = "lagrangian"

    not_here: ClassVar[dict[str, str]] = _NO_TOKENS | dict.fromkeys(_INSERTION, _NO_INSERTION)

    def __post_init__(self) -> None:
        other = {"moments": ("rtol", "accuracy"), "positions": ("accuracy", "rtol, atol")}
        key, instead = other.get(self.control, ("rtol", "one of them"))
        both = self.control != "auto" or self.accuracy is not None
        if both and getattr(self, key) is not None:
            why = "accuracy" if self.control == "auto" else f'control = "{self.control}"'
            raise InputError(
                f"{key}: found {getattr(self, key):g} with {why}, where it decides on nothing: "
                f"expected {instead}"
            )

    @property
    def tolerances(self) -> tuple[float, float]:
        """Relative and absolute, of positions."""
        rtol = 1e-8 if self.rtol is None else self.rtol
        return rtol, 1e-10 if self.atol is None else self.atol

    @property
    def by_moments(self) -> bool | None:
        """Whether errors of moments decide on steps, not of positions; None: the start tells."""
        if self.control != "auto":
            return self.control == "moments"
        if self.accuracy is not None:
            return True
        return None if self.rtol is None and self.atol is None else False

    @property
    def moments_accuracy(self) -> float:
        """Tolerance of steps in the moments, if nothing else has chosen it."""
        return 1e-6 if self.accuracy is None else self.accuracy

    def start_on(self, geometry: Geometry) -> StartKind:
        """Where points start: "auto" is "mesh" if vertices have been placed on purpose."""
        placed = geometry.factor is not None or isinstance(geometry, MeshFile)
        return "mesh" if self.start == "auto" and placed else self.start

    def charted(self, geometry: Geometry, model: Model) -> bool:
        """Whether points start from a chart, if there is one for the interaction."""
        scheme = model.normalisation
        bare = not isinstance(scheme, Normalisation) or isinstance(scheme, Post)
        sliced = model.mask is not None or self.slices is not None
        return bare and not sliced and self.start_on(geometry) != "mesh"

    def suits(self, geometry: Geometry, model: Model) -> None:
        """Refuse a problem that this solver cannot do.

        Raises:
            InputError: with what would do.
        """
        needs_mesh(geometry, self.type)
        _no_diffusion(model, self.type)
        scheme = model.normalisation
        self._suits_start(geometry, model)
        if isinstance(scheme, Normalisation) and not isinstance(scheme, Post):
            self.suits_scheme(scheme)
            for key in ("drift", "perceptron"):
                if getattr(model, key) is not None:
                    raise InputError(
                        f"model.{key}: found with model.normalisation = '{scheme.type}' and "
                        "characteristics, whose outputs are of attention alone: expected none, or "
                        f"{TOKENS}"
                    )
            if geometry.manifold.latitudes:
                refuse_normalisation(
                    scheme, f"'{geometry.type}' does not have", "'sphere' or 'circle', or tokens"
                )

    def _suits_start(self, geometry: Geometry, model: Model) -> None:
        """Refuse a chart where there is none."""
        scheme, key = model.normalisation, ""
        if isinstance(scheme, Normalisation) and not isinstance(scheme, Post):
            key = f"model.normalisation = '{scheme.type}'"
        elif model.mask is not None or self.slices is not None:
            key = "slices of positions"
        if key and self.start in ("chart", "cells"):
            raise InputError(
                f'solver.start: found "{self.start}" with {key}, which starts from the vertices of '
                'the mesh: expected "auto" or "mesh"'
            )
        if key and self.accuracy is not None:
            raise InputError(
                f"solver.accuracy: found {self.accuracy:g} with {key}, whose steps are controlled "
                "by positions: expected rtol, atol"
            )
        if self.start == "mesh":
            key = 'solver.start = "mesh"'
        elif self.start_on(geometry) == "mesh":
            key = "geometry.factor or geometry.file"
        if self.estimate and key:
            raise InputError(
                f"solver.estimate: found true with {key}, where there is no chart to estimate the "
                "error of: expected false"
            )

    def suits_scheme(self, scheme: Normalisation) -> None:
        """Refuse a normalisation scheme that it does not have, with these options.

        Raises:
            InputError: with what would do.
        """
        if scheme.sees_length:
            refuse_normalisation(scheme, "characteristics do not have", TOKENS)


@options("solver", kw_only=True)
class Auto:
    """The solver of a density that fits the problem, with its default options.

    The resolved case names the one that was picked; see ``auto_solver`` for the rule.
    """

    type: Literal["auto"] = "auto"

    hint: ClassVar[str] = "name the solver to set its options"


FixedMesh = Eulerian | Implicit
"""Solvers of a density on a mesh that stays; they need DOLFINx."""
Density = FixedMesh | Lagrangian
"""Solvers of a density on a mesh."""
Tokens = Particles | Layers
"""Solvers of tokens."""
Solver = Density | Tokens | Gaussians
