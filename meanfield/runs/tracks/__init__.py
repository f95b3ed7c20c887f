"""Tracks: what stands between the one time loop and each kind of solver."""

from meanfield.runs.tracks.base import Track
from meanfield.runs.tracks.make import make_interaction, make_track, token_solver

__all__ = ["Track", "make_interaction", "make_track", "token_solver"]
