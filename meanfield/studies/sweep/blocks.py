"""Blocks of realisations: what is known of each of them, and the file that keeps it.

One file for some realisations at one point, whole or absent. All numbers of all realisations are
kept, so that statistics, quantiles among them, hang on no order in which blocks were made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meanfield.errors import BrokenInvariantError, InputError
from meanfield.geometry.sphere import Array
from meanfield.whole import save_arrays

__all__ = ["Block", "block_file", "in_words", "joined", "kept_count"]

BLOCKS = "blocks"


def block_file(point: int, first: int) -> str:
    """Name in the folder of the file of a point whose first realisation is this one."""
    return f"{BLOCKS}/point-{point:05d}-from-{first:06d}.npz"


@dataclass(frozen=True, eq=False)
class Block:
    """R realisations at one point.

    Attributes:
        columns: by name, (R, k) at the output times; nan: not known.
        reasons: (R,) why a realisation failed; "": it did not.
        states: tokens or inner products, (R, s, n, d or n), at ``places`` of the output times;
            None: not kept.
        places: (s,).
    """

    columns: Mapping[str, Array]
    reasons: Sequence[str]
    states: Array | None = None
    places: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def write(self, path: Path) -> None:
        """Write it."""
        more = {} if self.states is None else {"states": self.states, "places": self.places}
        columns: dict[str, Array | NDArray[np.int64]] = {}
        for name, values in self.columns.items():
            # Not of the times at which nothing is known of any of them.
            known = np.flatnonzero(~np.all(np.isnan(values), axis=0))
            columns |= {f"column_{name}": values[:, known], f"known_{name}": known}
        outputs = max((v.shape[1] for v in self.columns.values()), default=0)
        reasons = np.array(self.reasons, dtype=str)
        save_arrays(path, reasons=reasons, outputs=outputs, **columns, **more)

    @classmethod
    def read(cls, path: Path) -> Block:
        """Read it, without states."""
        with np.load(path, allow_pickle=False) as data:
            columns, outputs = {}, int(data["outputs"])
            for name in (n.removeprefix("column_") for n in data.files if n.startswith("column_")):
                found = data[f"column_{name}"]
                columns[name] = np.full((len(found), outputs), np.nan, found.dtype)
                columns[name][:, data[f"known_{name}"]] = found
            return cls(columns, [str(text) for text in data["reasons"]])


def kept_count(path: Path) -> int:
    """How many realisations a file has; 0: there is none, or all of them have failed."""
    if not path.is_file():
        return 0
    with np.load(path, allow_pickle=False) as data:
        reasons = data["reasons"]
        return 0 if all(reasons) else len(reasons)


def in_words(error: Exception) -> str:
    """Why a realisation failed, in one line."""
    if isinstance(error, InputError | BrokenInvariantError):
        return str(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def joined(blocks: Sequence[Block], outputs: int) -> Block:
    """Blocks after each other; a column that one of them does not have is nan there."""
    names = list(dict.fromkeys(name for block in blocks for name in block.columns))
    columns = {
        name: np.concatenate(
            [
                block.columns.get(name, np.full((len(block.reasons), outputs), np.nan))
                for block in blocks
            ]
        )
        for name in names
    }
    states = [block.states for block in blocks if block.states is not None]
    return Block(
        columns,
        [reason for block in blocks for reason in block.reasons],
        np.concatenate(states) if len(states) == len(blocks) else None,
        blocks[0].places,
    )
