"""Values in time as a case may give them, wherever a number, a vector or a matrix stands.

entries: single values; base: what all are; tables: tables, waves, random paths; functions: those of
Python; reading: the types of options. Knows nothing of what a value is for.
"""

from meanfield.case.intime.base import InCase
from meanfield.case.intime.entries import Form
from meanfield.case.intime.reading import (
    IN_TIME,
    MatrixInTime,
    NumberInTime,
    combined,
    in_time,
    is_in_time,
    moves,
    moving_in,
    number_in_time,
    resolved,
    vanishes,
    vector_in_time,
    written,
)

__all__ = [
    "IN_TIME",
    "Form",
    "InCase",
    "MatrixInTime",
    "NumberInTime",
    "combined",
    "in_time",
    "is_in_time",
    "moves",
    "moving_in",
    "number_in_time",
    "resolved",
    "vanishes",
    "vector_in_time",
    "written",
]
