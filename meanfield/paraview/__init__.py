"""State scripts, by which ParaView opens a run as one would want it.

``state`` has the numbers of a run, ``body`` what ParaView does with them.
"""

# ruff: noqa: E402  (matplotlib is loaded before those that draw with it)
from __future__ import annotations

from meanfield.software import load_matplotlib

load_matplotlib()

from meanfield.paraview.state import STATE_FILE, state_script, write_state

__all__ = ["STATE_FILE", "state_script", "write_state"]
