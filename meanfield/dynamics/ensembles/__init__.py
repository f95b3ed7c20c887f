"""Ensembles: many realisations of one small system of tokens, each with its own steps."""

from meanfield.dynamics.ensembles.outcome import FAILURES, QUIET, IntArray, Noise, Outcome, Watch
from meanfield.dynamics.ensembles.run import StartingTokens, run_ensemble

__all__ = [
    "FAILURES",
    "QUIET",
    "IntArray",
    "Noise",
    "Outcome",
    "StartingTokens",
    "Watch",
    "run_ensemble",
]
