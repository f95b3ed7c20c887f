"""Ensembles: many realisations of one small system of tokens, each with its own steps."""

from meanfield.dynamics.ensembles.outcome import FAILURES, IntArray, Outcome, Watch
from meanfield.dynamics.ensembles.run import StartingTokens, run_ensemble

__all__ = ["FAILURES", "IntArray", "Outcome", "StartingTokens", "Watch", "run_ensemble"]
