"""What all values in time of a case are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

from meanfield.case.intime.entries import RANKS, Entry, Form, entry_in_words, rank_of
from meanfield.case.matrices import Ensemble
from meanfield.errors import InputError
from meanfield.interaction.intime import InTime
from meanfield.interaction.intime.given import GivenInTime

__all__ = ["InCase"]


class InCase(GivenInTime):
    """A value in time as a case keeps it, with the entries that it is made of."""

    @property
    def known(self) -> bool:
        """Whether its values are, and not only its hash."""
        return True

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """Each with its place."""
        return iter(())

    def on(self, key: str, form: Form) -> InTime:
        """As an array in time.

        Args:
            key: path of its key, which messages begin with.
            form: what each value must be.

        Raises:
            InputError: values that do not fit.
        """
        try:
            return self._on(form)
        except InputError as error:
            raise InputError(f"{key}.{error}") from None

    @abstractmethod
    def _on(self, form: Form) -> InTime:
        """See ``on``; messages begin with the place."""

    def extremes(self) -> tuple[float, ...]:
        return ()

    def check_rank(self, rank: int | None) -> None:
        """Refuse entries that are no numbers, vectors or matrices, whichever they must be.

        Args:
            rank: number of their indices; None: any.

        Raises:
            InputError: names the place.
        """
        for place, entry in self.entries():
            if isinstance(entry, Ensemble) and entry.is_product:
                raise InputError(f'{place}: found "{entry.ensemble}", which only V itself may be')
            if rank is not None and rank_of(entry) not in (rank, None):
                raise InputError(f"{place}: expected {RANKS[rank]}, found {entry_in_words(entry)}")
