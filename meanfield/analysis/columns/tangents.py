"""How a small change of the tokens at the start has grown: ``output.tangents``."""

import math

from meanfield.analysis.columns.base import Column
from meanfield.analysis.columns.view import View


def _norm(view: View) -> float:
    return math.exp(view.growth) if view.growth < _MOST else math.inf


def _exponent(view: View) -> float:
    """nan at the time of the start, where no time has passed."""
    return view.growth / view.t if view.t > 0.0 else math.nan


_MOST = 709.0  # log of the largest double
_NEEDS = frozenset({"tangents"})
COLUMNS = (
    Column(
        "jacobian_norm",
        "1",
        "Spectral norm of d x(t)/d x(0), as a map of the tangent spaces of all tokens together "
        "(lengths: root of the sum over tokens). Exact for output.tangents >= n (d - 1); for fewer "
        "the largest growth of any combination of that many random directions, which is less. inf "
        "for what is no double.",
        _norm,
        _NEEDS,
        may_be_infinite=True,
    ),
    Column(
        "lyapunov",
        "1/time",
        "Largest Lyapunov exponent up to now: log(jacobian_norm)/t. nan at t = 0; -inf where "
        "nothing is left of the directions.",
        _exponent,
        _NEEDS,
        may_be_infinite=True,
        may_be_missing=True,
    ),
)
