"""Drifts: what moves tokens whatever the others do. A new one: its file, and its line here."""

from meanfield.interaction.drifts.base import Drift
from meanfield.interaction.drifts.linear import LinearDrift
from meanfield.interaction.drifts.perceptron import ACTIVATIONS, Perceptron
from meanfield.interaction.drifts.potential import Potential
from meanfield.interaction.drifts.potentials import POTENTIALS

__all__ = ["ACTIVATIONS", "POTENTIALS", "Drift", "LinearDrift", "Perceptron", "Potential"]
