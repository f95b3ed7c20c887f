"""What a run, or many, shows while it goes on: a bar on a terminal, plain rows elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm

from meanfield.dynamics.solver import Solver
from meanfield.surroundings import is_terminal

__all__ = ["Counted", "Progress"]

_ROWS = 20  # about so many rows tell how far tasks are, where there is no bar
_BAR = 6  # columns of a bar that are never given to numbers beside it
_EACH = 200  # tasks that have a row each, where they are told by name


class Progress:
    """A bar on a terminal, a row at each output elsewhere. Silent on ranks above 0.

    Args:
        wanted: True: a bar, False: nothing; None: what suits where the output goes.
        root: whether this is rank 0.
        solver: where the run begins.
        end: time of its end.
    """

    def __init__(self, wanted: bool | None, root: bool, solver: Solver, end: float) -> None:
        terminal, there = is_terminal(sys.stderr), sys.stderr is not None
        self._interaction = solver.interaction
        self._rows = there and root and wanted is None and not terminal
        self._shown = there and root and bool(wanted or (wanted is None and terminal))
        self._bar: tqdm[None] | None = None
        self._end = end
        self._begin = solver.t

    def start(self) -> None:
        """Show the bar, if there is to be one."""
        if not self._shown:
            return
        self._bar = tqdm(
            initial=self._begin,
            total=self._end,
            unit="t",
            bar_format="{percentage:3.0f}% |{bar}| t = {n:.4g}/{total:.4g} "
            "[{elapsed}<{remaining}{postfix}]",
            file=sys.stderr,
            leave=True,
        )

    def step(self, solver: Solver, row: dict[str, float] | None) -> None:
        """After every step, with the last row of the series (nothing is computed for this)."""
        if self._bar is None:
            return
        parts = [f"dt = {solver.dt:.2g}"]
        if row is not None:
            if "energy_scaled" in row:
                parts.append(f"{self._interaction.energy_label} = {row['energy_scaled']:.5g}")
            what, name = ("max rho", "rho_max") if "rho_max" in row else ("|m|", "mean_norm")
            parts.append(f"{what} = {row[name]:.3g}")
        self._bar.n = min(solver.t, self._end)
        clock = f"100% || t = {self._bar.n:.4g}/{self._end:.4g} [00:00<00:00, ]"
        room = (self._bar.ncols or 1000) - len(clock) - _BAR
        self._bar.set_postfix_str(_fitting(parts, room), refresh=False)
        self._bar.update(0)

    def output(self, row: dict[str, float]) -> None:
        """After every output."""
        if not self._rows:
            return
        text = f"t = {row['t']:<9.6g} step {int(row['step']):<7d} dt = {row['dt']:<9.3g} "
        if "energy_scaled" in row:
            text += f"{self._interaction.energy_label} = {row['energy_scaled']:<11.8g} "
        text += f"|m| = {row['mean_norm']:<9.6g} "
        if "rho_max" in row:
            text += f"max rho = {row['rho_max']:<9.4g} "
        text += f"clusters {int(row['clusters'])}"
        sys.stderr.write(text + "\n")  # one call: lines of several processes stay whole
        sys.stderr.flush()

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()


def _fitting(parts: list[str], room: int) -> str:
    """The first of these that a line has room for, each of them whole."""
    text = ""
    for part in parts:
        longer = f"{text}, {part}" if text else part
        if len(longer) > room:
            break
        text = longer
    return text


class Counted:
    """Tasks that are done one after the other: a bar on a terminal, some twenty rows elsewhere.

    Tasks that are told by name have a row each, as long as there are no more than 200.

    Args:
        wanted: True: a bar, False: nothing; None: what suits where the output goes.
        total: number of tasks.
        done: of these, before the beginning.
        unit: what a task is called.
    """

    def __init__(self, wanted: bool | None, total: int, done: int, unit: str) -> None:
        there, terminal = sys.stderr is not None, is_terminal(sys.stderr)
        shown = there and bool(wanted or (wanted is None and terminal))
        self._rows = there and wanted is None and not terminal
        self._total, self._done, self._unit = total, done, unit
        self._begun, self._first = time.monotonic(), done
        self._told = done * _ROWS // max(total, 1)
        self._bar: tqdm[None] = tqdm(
            total=total, initial=done, unit=unit, disable=not shown, file=sys.stderr, smoothing=0.1
        )

    def update(self, number: int = 1, name: str = "") -> None:
        """So many more are done; ``name``: of the task, where rows tell it."""
        self._done += number
        self._bar.update(number)
        place = self._done * _ROWS // max(self._total, 1)
        each = bool(name) and self._total <= _EACH
        if not self._rows or (place == self._told and self._done < self._total and not each):
            return
        self._told = place
        spent = time.monotonic() - self._begun
        left = spent * (self._total - self._done) / (self._done - self._first)
        text = f"{self._done:,} of {self._total:,} {self._unit}s done, {spent:.0f} s"
        about = "less than 1 s" if left < 1.0 else f"about {left:.0f} s"
        self._write((f"{name}: " if each else "") + text + (f", {about} to go" if left else ""))

    @staticmethod
    def tell(wanted: bool | None, text: str) -> None:
        """A row of its own, where there are rows: a task beside those that are counted is done."""
        if sys.stderr is not None and wanted is None and not is_terminal(sys.stderr):
            Counted._write(text)

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text + "\n")  # one call: lines of several processes stay whole
        sys.stderr.flush()

    def __enter__(self) -> Counted:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()
