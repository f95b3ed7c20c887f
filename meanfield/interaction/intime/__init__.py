"""Parameters that depend on time: tables, waves, functions, random paths, and what is made of them.

base: what all of them are; table: tables and random paths; closed: waves, functions, combinations.
"""

from meanfield.interaction.intime.base import (
    InTime,
    asked,
    at_time,
    instants_of,
    is_moving,
    is_piecewise,
    largest_of,
    next_jump_of,
)
from meanfield.interaction.intime.closed import Combined, FunctionInTime, WaveInTime
from meanfield.interaction.intime.endless import EndlessPath
from meanfield.interaction.intime.table import TableInTime, ornstein_uhlenbeck

__all__ = [
    "Combined",
    "EndlessPath",
    "FunctionInTime",
    "InTime",
    "TableInTime",
    "WaveInTime",
    "asked",
    "at_time",
    "instants_of",
    "is_moving",
    "is_piecewise",
    "largest_of",
    "next_jump_of",
    "ornstein_uhlenbeck",
]
