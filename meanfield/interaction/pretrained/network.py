"""The flow on the sphere whose steps are the layers of a transformer: each for one unit of time.

    x_i' = P_{x_i} C (A_l(x_i) + F_l(x_i))/sqrt(d),      l <= t < l + 1,      C y = y - mean(y)

Layer norms put tokens on the sphere of radius sqrt(d) among vectors of mean 0, then stretch them by
their gain g: of a unit vector x, A_l is taken at g sqrt(d) x + shift, which is folded into the
matrices; the step of x is 1/sqrt(d) of that of sqrt(d) x, without its mean. (arXiv 2312.10794,
sections 2 and 3; 2510.22026.) The network with outputs times h and 1/h times as many layers tends
to this as h -> 0, where norms between layers have gain 1 and no shift ("post") or lengths stay
sqrt(d) ("pre"). Left out: gain and shift in the residual of "post" layers, lengths in "pre" layers,
eps, and that the perceptron follows on the attention, which to first order is their sum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NoReturn, Self

import numpy as np

from meanfield.arguments import checked_fields
from meanfield.collective import Communicator
from meanfield.errors import InputError
from meanfield.geometry.manifolds import Located
from meanfield.geometry.sphere import Array, tangent_project
from meanfield.interaction.composite import Composite
from meanfield.interaction.contract import AnyInteraction, DarkPoints
from meanfield.interaction.measure import Measure, plain
from meanfield.interaction.onesided import OneSidedField, WithoutEnergy
from meanfield.interaction.pretrained.block import FeedForward, MultiHead
from meanfield.interaction.pretrained.transformer import Transformer

__all__ = ["Network"]

_KEPT = 2  # layers whose matrices are kept: those on either side of a jump


class NetworkField(OneSidedField):
    """What tokens do to each other in one layer."""

    def __init__(self, model: Network, measure: Measure, t: float) -> None:
        super().__init__(measure, None, t, None)
        self.interaction = model

    def own_velocity(self, scaled: bool = False) -> Array:
        x = plain(self.measure.points)
        return tangent_project(x, self.interaction.outputs(x, self.measure.weights, self.t))

    def velocity(
        self, points: Array | Located, scaled: bool = False, seen: DarkPoints | None = None
    ) -> Array:
        """At any points; with a causal mask at the tokens themselves.

        Raises:
            InputError: a causal mask, and other points.
        """
        x, mine = plain(points), plain(self.measure.points)
        if x is mine or np.array_equal(x, mine):
            return self.own_velocity(scaled)
        if self.interaction.transformer.causal:
            _refuse("points: others than the tokens found, with a causal mask")
        x = np.asarray(x, dtype=np.float64)
        found = self.interaction.pull(x, mine, self.measure.weights, self.t)
        return tangent_project(x, found)

    def velocity_and_divergence(
        self, points: Array | Located, scaled: bool = False, seen: DarkPoints | None = None
    ) -> tuple[Array, Array]:
        _refuse("a divergence asked for")

    def along_edges(self, points: Located, seen: DarkPoints | None = None) -> Array:
        _refuse("a mesh found")

    def dissipation_density(self, points: Array | Located) -> Array:
        _refuse("the rate of an energy asked for")


def _refuse(found: str) -> NoReturn:
    raise InputError(f"{found}, but pretrained layers are of tokens: expected particles or layers")


@checked_fields
@dataclass(frozen=True, eq=False)
class Network(WithoutEnergy):
    """The layers of a transformer as a flow in time.

    Attributes:
        transformer: the layers.
        perceptron: whether perceptrons are added.
        norms: whether layer norms are folded in; else x' = P (A_l(x) + F_l(x)) of the matrices and
            their shifts as they are.

    Example:
        >>> network = mf.Network(mf.Checkpoint('gpt2').transformer())  # doctest: +SKIP
    """

    transformer: Transformer
    perceptron: bool = True
    norms: bool = True

    @cached_property
    def _known(self) -> dict[int, tuple[MultiHead, FeedForward]]:
        return {}

    def _layer(self, place: int) -> tuple[MultiHead, FeedForward]:
        """Attention and perceptron of a layer; those of the last few are kept."""
        place = self.transformer.earliest(place)
        found = self._known.pop(place, None)
        if found is None:
            while len(self._known) >= _KEPT:  # before another one is read
                del self._known[next(iter(self._known))]
            block = self.transformer.at(place)
            found = block.on_sphere() if self.norms else (block.attention, block.perceptron)
        self._known[place] = found
        return found

    def _at(self, t: float) -> tuple[MultiHead, FeedForward]:
        return self._layer(math.floor(t))

    def pull(self, x: Array, y: Array, weights: Array, t: float, beside: bool = True) -> Array:
        """What tokens y, (m, d), of masses ``weights`` do to tokens x: (n, d), not projected."""
        attention, perceptron = self._at(t)
        found = attention.outputs(x, y, weights, self.transformer.causal)
        if beside and self.perceptron:
            found += perceptron(x)
        if self.norms:
            found = (found - found.mean(axis=1, keepdims=True)) / math.sqrt(self.d)
        return found

    def outputs(self, x: Array, weights: Array, t: float = 0.0, beside: bool = True) -> Array:
        return self.pull(x, x, weights, t, beside)

    @cached_property
    def behind(self) -> Composite:
        """Coordinates, units: those of no heads."""
        return Composite((), "sa", self.transformer.d, "any", "direct")

    @property
    def one_point_each(self) -> bool:
        """Behind a causal mask equal tokens see different ones: none may be joined to another."""
        return self.transformer.causal

    # ---- points and transforms -------------------------------------------------------------------

    @property
    def d(self) -> int:  # type: ignore[override]
        """Dimension."""
        return self.transformer.d

    @property
    def geometry(self) -> str:  # type: ignore[override]
        """Tokens in any dimension."""
        return "any"

    @property
    def method(self) -> str:  # type: ignore[override]
        """Direct sums."""
        return "direct"

    @property
    def accuracy(self) -> float | None:  # type: ignore[override]
        """Not used."""
        return None

    @property
    def dark(self) -> float:  # type: ignore[override]
        """Not used."""
        return self.behind.dark

    def with_dark(self, dark: float) -> Self:
        return self

    def on_mesh(self, vertices: int, accuracy: float | None = None) -> Self:
        """Refused.

        Raises:
            InputError: always.
        """
        _refuse("a mesh found")

    def by(self, method: str) -> Self:
        if method == "harmonics":
            raise InputError(
                "method: harmonics found with pretrained layers, 'direct' or 'auto' expected"
            )
        return self

    def quiet(self, rtol: float) -> Self:
        return self

    # ---- time ------------------------------------------------------------------------------------

    @property
    def moves(self) -> bool:
        return self._distinct > 1

    @property
    def _distinct(self) -> int:
        """Places with different layers, or norms before them; the first ones of all."""
        whole = self.transformer
        return 1 if whole.shared else max(whole.count, whole.earliest(whole.count) + 1)

    def at(self, t: float) -> AnyInteraction:
        if not self.moves:
            return self
        whole, place = self.transformer, math.floor(t)
        one = replace(whole, count=1, block=lambda layer: whole.at(place), shared=True, again=None)
        return replace(self, transformer=one)

    def next_jump(self, t: float) -> float:
        jump = math.floor(t) + 1.0
        over = self.transformer.ends and jump >= self.transformer.count
        return math.inf if over or not self.moves else jump

    # ---- fields ----------------------------------------------------------------------------------

    def field_of_moments(
        self, moments: Array | None, measure: Measure, t: float, comm: Communicator | None
    ) -> NetworkField:
        if comm is not None and comm.size > 1:
            raise InputError(f"{comm.size} ranks found, tokens are on one of them")
        return NetworkField(self, measure, t)

    # ---- what is known about it ------------------------------------------------------------------

    @property
    def why_no_energy(self) -> str:
        return "Q, K and V of pretrained layers are any matrices"

    @cached_property
    def largest(self) -> float:
        """The largest |A| of all layers, which are all read for it."""
        return max(self._layer(place)[0].largest for place in range(self._distinct))

    @property
    def sharpness(self) -> float:
        """1/width^2 of the smallest cluster: 1 + |A|, as of heads of any kind."""
        return 1.0 + self.largest

    @property
    def width(self) -> float:
        return 1.0 / math.sqrt(self.sharpness)

    def fastest_rate(self, degree: int) -> float:
        """Of densities, which it does not have.

        Raises:
            InputError: always.
        """
        _refuse("a density found")

    @property
    def sharpens(self) -> bool:
        return True

    def describe(self) -> str:
        words = [self.transformer.name]
        words += [] if self.perceptron else ["without perceptrons"]
        words += [] if self.norms else ["without layer norms"]
        return ", ".join(words)

    @property
    def columns(self) -> Mapping[str, object]:
        return {"model": self.transformer.name, "layers": self.transformer.count}

    @property
    def parameters(self) -> Mapping[str, float]:
        return {}
