"""Which solver a case asks for, and everything that it is made of."""

from __future__ import annotations

import dataclasses

import numpy as np

from meanfield.case import (
    TOKEN_KINDS,
    Case,
    Density,
    Eulerian,
    Gaussians,
    Implicit,
    Lagrangian,
    Layers,
    Model,
    Particles,
    Tokens,
)
from meanfield.case.gain import norm_of
from meanfield.case.gaussians import clusters_of
from meanfield.case.normalisation import Normalisation, Post
from meanfield.case.slices import sliced_on
from meanfield.case.terms import kappa_in_time
from meanfield.collective import Communicator, everywhere, on_root
from meanfield.dynamics.blocks import Block
from meanfield.dynamics.density import DensitySolver
from meanfield.dynamics.eulerian import EulerianSolver
from meanfield.dynamics.gaussians import GaussianSolver
from meanfield.dynamics.implicit import ImplicitSolver
from meanfield.dynamics.lagrangian import (
    LagrangianSolver,
    SchemedSolver,
    SlicedSolver,
    characteristics,
)
from meanfield.dynamics.layers import LayerSolver
from meanfield.dynamics.movingdiffusion import AnyDiffusion, diffusion_of
from meanfield.dynamics.particles import ParticleSolver
from meanfield.dynamics.pretrained import TransformerSolver
from meanfield.dynamics.schemes import SchemeSolver
from meanfield.dynamics.space import P1Space
from meanfield.dynamics.tokenfiles import read_tokens, read_vectors
from meanfield.dynamics.tokens import initial_tokens
from meanfield.errors import InputError
from meanfield.geometry.laws import law_at
from meanfield.geometry.mesh import Mesh
from meanfield.interaction.contract import AnyInteraction
from meanfield.runs.tracks.base import Track
from meanfield.runs.tracks.density import DensityTrack, LagrangianTrack
from meanfield.runs.tracks.gaussians import GaussianTrack
from meanfield.runs.tracks.pointwise import PointwiseTrack
from meanfield.runs.tracks.sliced import SlicedTrack
from meanfield.runs.tracks.tokens import TokenTrack
from meanfield.software import load_dolfinx

__all__ = ["make_interaction", "make_track", "token_solver"]


def make_interaction(case: Case) -> AnyInteraction:
    """The interaction of a case, as its solver takes it."""
    return _on(case, case.model)


def _on(case: Case, model: Model) -> AnyInteraction:
    """A model, or a part of it, as the solver of a case takes it."""
    solver = case.solver
    if isinstance(solver, Tokens):
        made = model.on(case.geometry, solver.interaction, solver.tolerance)
        if not solver.exclude_self:
            return made
        try:
            return made.excluding_self()
        except InputError as error:
            raise InputError(f"solver.exclude_self: {error}") from None
    if isinstance(solver, Lagrangian) and solver.slices is not None:
        return sliced_on(model, case.geometry, solver.slices)
    return model.on(case.geometry)


def token_solver(
    case: Case, number: int | None, kind: str, seed: int
) -> ParticleSolver | LayerSolver | TransformerSolver:
    """Tokens of a case's law, and the solver that moves them.

    Args:
        case: its solver may be of any kind: for a density, the defaults of ``Particles`` are taken.
        number, kind, seed: as for ``dynamics.tokens.initial_tokens``; or the path of a file as the
            kind, whose weights are taken, too.
    """
    interaction, solver = make_interaction(case), case.solver
    if (exact := case.model.exact) is not None and kind not in TOKEN_KINDS:
        x = read_vectors(kind, case.geometry.d, number)
        return TransformerSolver(interaction, x, transformer=exact)
    weights = None
    if kind in TOKEN_KINDS:
        cosine = solver.cosine if isinstance(solver, Tokens) else None
        x = initial_tokens(case.initial, number, seed, kind, cosine)
    else:
        normalise = isinstance(solver, Tokens) and solver.normalise
        table = read_tokens(kind, case.initial.d, number, normalise)
        x, weights = table.x, table.weights
    scheme = case.model.normalisation
    if isinstance(scheme, Normalisation) and (norm := norm_of(scheme, case.geometry.d)):
        x = norm.directions(x)
    if isinstance(solver, Layers):
        return LayerSolver(
            interaction, x, weights, layer_step=1.0 / solver.layers, block=_block(case, solver),
            kappa=_diffusion(case), seed=seed,
        )  # fmt: skip
    options = solver if isinstance(solver, Particles) else None
    kappa = _diffusion(case)
    if isinstance(scheme, Normalisation) and not isinstance(scheme, Post):
        bare = scheme.without_heads()
        return SchemeSolver(
            interaction, x, weights, scheme=bare, options=options, kappa=kappa, seed=seed
        )
    return ParticleSolver(interaction, x, weights, options=options, kappa=kappa, seed=seed)


def _block(case: Case, solver: Layers) -> Block:
    """What a layer is made of."""
    model = case.model
    parts: tuple[AnyInteraction, ...] = ()
    scheme = model.normalisation
    if solver.perceptron == "sublayer":
        first = dataclasses.replace(model, perceptron=None)
        then = Model(perceptron=model.perceptron, normalisation=scheme)
        parts = tuple(_on(case, part) for part in (first, then))
    return Block(
        scheme.without_heads() if isinstance(scheme, Normalisation) else Post(),
        solver.residual,
        solver.step,
        solver.whole(scheme),
        parts,
    )


def _diffusion(case: Case) -> AnyDiffusion:
    """kappa and the exponent of a case.

    Raises:
        InputError: a kappa in time that has values below 0.
    """
    try:
        return diffusion_of(kappa_in_time(case.model.kappa), case.model.exponent)
    except InputError as error:
        raise InputError(f"model.{error}") from None


def make_track(case: Case, comm: Communicator, restored: bool = False) -> Track:
    """Build everything that a case asks for. Collective.

    Args:
        case: what is run.
        comm: its ranks.
        restored: its solver will be given a state: what that has is not computed.

    Raises:
        InputError: on every rank, if the case cannot be run.
    """
    if isinstance(case.solver, Density):
        return _density_track(case, case.solver, comm, restored)
    if isinstance(case.solver, Gaussians):
        return _gaussian_track(case, case.solver, comm)
    if comm.size > 1:
        raise InputError(
            f"{comm.size} processes found, one expected: tokens use the threads of one process"
        )
    kind = str(case.solver.tokens)
    solver = token_solver(case, case.solver.number, kind, case.seed)
    if case.output.tangents:
        try:
            solver.carry(case.output.tangents, case.seed)
        except InputError as error:
            raise InputError(f"output.{error}") from None
    return TokenTrack(case, solver)


def _gaussian_track(case: Case, options: Gaussians, comm: Communicator) -> Track:
    if comm.size > 1:
        raise InputError(f"{comm.size} processes found, one expected: Gaussians are in one of them")
    centres, variances, masses = clusters_of(case.initial)
    solver = GaussianSolver(
        make_interaction(case), centres, variances, masses, options=options, kappa=_diffusion(case)
    )
    return GaussianTrack(case, solver)


def _density_track(case: Case, options: Density, comm: Communicator, restored: bool) -> Track:
    mesh: Mesh | None = on_root(comm, case.geometry.build_mesh, share=False)
    if isinstance(options, Lagrangian):
        law, model = case.initial.density, make_interaction(case)
        if options.slices is not None:
            return _sliced_track(case, model, options, comm)
        scheme = case.model.normalisation
        moving: LagrangianSolver
        if isinstance(scheme, Normalisation) and not isinstance(scheme, Post):
            bare = scheme.without_heads()
            moving = SchemedSolver(model, mesh, law, bare, options=options, comm=comm)
        else:
            end, fixed = case.time.end, case.output.mesh == "fixed"
            start, pointwise = options.start_on(case.geometry), options.pointwise or fixed
            options = dataclasses.replace(options, start=start, pointwise=pointwise)
            moving = characteristics(
                model, mesh, law, end, options=options, comm=comm, restored=restored
            )
            if fixed:
                return PointwiseTrack(case, moving, mesh)
            mesh = None if mesh is None else moving.reference
        return LagrangianTrack(case, moving, mesh)
    load_dolfinx()
    space = P1Space(mesh, comm)
    rho = everywhere(
        comm,
        lambda: case.initial.density(space.manifold.embed(space.points[: space.n_owned])),
    )
    solver: DensitySolver
    diffusion = _diffusion(case)
    if isinstance(options, Implicit):
        solver = ImplicitSolver(space, make_interaction(case), rho, diffusion, options)
    else:
        assert isinstance(options, Eulerian)
        solver = EulerianSolver(space, make_interaction(case), rho, options, diffusion=diffusion)
    return DensityTrack(case, solver, mesh)


def _sliced_track(
    case: Case, model: AnyInteraction, options: Lagrangian, comm: Communicator
) -> Track:
    if comm.size > 1:
        raise InputError(f"{comm.size} processes found, one expected: slices are in one of them")
    assert options.slices is not None
    mesh = case.geometry.build_mesh()
    middles = (np.arange(options.slices) + 0.5) / options.slices
    laws = [law_at(case.initial, float(s)).density for s in middles]
    return SlicedTrack(case, SlicedSolver(model, mesh, laws, options=options, comm=comm), mesh)
