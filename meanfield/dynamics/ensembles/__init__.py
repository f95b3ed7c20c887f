"""Ensembles: many realisations of one small system of tokens, each with its own steps."""

from meanfield.dynamics.ensembles.outcome import FAILURES, IntArray, Outcome, Watch

__all__ = ["FAILURES", "IntArray", "Outcome", "Watch"]
