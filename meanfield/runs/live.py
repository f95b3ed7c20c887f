"""What a result has beside its files, as long as it is in the process of its run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meanfield.case import Case
    from meanfield.runs.tracks import Track

__all__ = ["Live"]


@dataclass(frozen=True)
class Live:
    """What a result has as long as it is in the process of its run.

    Attributes:
        case: that was run.
        track: its solver, with what is written of it.
        where: the folder, which only rank 0 reads; None: there is none.
    """

    case: Case
    track: Track
    where: Path | None

    @property
    def on_disk(self) -> bool:
        """Whether there is a folder."""
        return self.where is not None
