"""What a table of the documentation is: rows that can be run, printed and run again.

A module of this folder makes one ``Table`` and adds a row by each function that it decorates:

    table = Table("kernels", "Kernels against closed forms")

    @table.row("Onsager, fold", "{:.10f}", known=(0.112655994942,), source="design")
    def onsager() -> Values:
        return (fold,)

Numbers are kept as they were found (``records.py``); a page shows as many digits as the format
says, and two measurements agree if they differ by one in the last digit that is shown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from string import Formatter

Values = tuple[float, ...]


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        key: name of its function.
        what: what is measured, in Markdown.
        shown: how its numbers are printed, a format string.
        run: measures them.
        known: the same numbers by the reference.
        within: that each may differ from it by, as measured; none: by one in the last digit shown.
        source: what the reference is; alone, where it has no numbers.
        quick: takes seconds, and is reproduced by the tests.
        rough: of the size of round-off, or a time: no digit is promised.
    """

    key: str
    what: str
    shown: str
    run: Callable[[], Values]
    known: Values | None
    within: Values | None
    source: str
    quick: bool
    rough: bool

    def text(self, values: Sequence[float]) -> str:
        """Numbers as they are printed; none (nan): the time of what did not happen."""
        return _tidy(self.shown.format(*values)).replace("nan", "never")

    def reference(self) -> str:
        """Of the reference, with its source in brackets."""
        if self.known is None:
            return self.source
        numbers = self.text(self.known)
        if len(self.known) > 1 and len(set(self.known)) == 1:
            numbers = numbers.split(",")[0]  # one, that all are held against
        return f"{numbers} ({self.source})" if self.source else numbers

    def agree(self, one: Sequence[float], other: Sequence[float]) -> bool:
        """Whether two measurements print the same, to one in the last digit."""
        if len(one) != len(other):
            return False
        pairs = zip(one, other, self._specs(), strict=False)
        return all(self._same(a, b, spec) for a, b, spec in pairs)

    def far(self, values: Sequence[float]) -> list[int]:
        """Places of the numbers that differ from the reference by more than they may."""
        if self.known is None:
            return []
        allowed = self.within
        if allowed is None:
            specs = zip(self.known, self._specs(), strict=True)
            allowed = tuple(1.001 * last_digit(value, spec) for value, spec in specs)
        trios = enumerate(zip(values, self.known, allowed, strict=True))
        return [at for at, (a, b, most) in trios if not abs(a - b) <= most]

    def _specs(self) -> list[str]:
        return [spec or "" for _, name, spec, _ in Formatter().parse(self.shown) if name == ""]

    def _same(self, a: float, b: float, spec: str) -> bool:
        if math.isnan(a) or math.isnan(b):
            return math.isnan(a) and math.isnan(b)
        if self.rough:
            small = 1e-16
            return abs(math.log10(max(abs(a), small) / max(abs(b), small))) <= 1.5
        return abs(a - b) <= 1.001 * last_digit(b, spec)


def last_digit(value: float, spec: str) -> float:
    """One in the last digit of a number in a format: 1e-3 of 0.125 in ".3f"."""
    found = re.fullmatch(r",?\.(\d+)([efg])", spec)
    if found is None:
        return 0.5  # a count
    digits, kind = int(found.group(1)), found.group(2)
    if kind == "f":
        return 10.0**-digits
    size = math.floor(math.log10(abs(value))) if value else 0
    return 10.0 ** (size - digits + (kind == "g"))


def _tidy(text: str) -> str:
    """Exponents without zeros: 1.5e-07 is 1.5e-7."""
    return re.sub(r"e([+-])0*(\d)", lambda m: "e" + m[1].replace("+", "") + m[2], text)


@dataclass
class Table:
    """Rows under one title.

    Attributes:
        name: of the module, and of the page that is made.
        heads: of the three columns.
        rows: by their keys, in the order of the page.
    """

    name: str
    heads: tuple[str, str, str] = ("", "meanfield", "reference")
    rows: dict[str, Row] = field(default_factory=dict)

    def row(
        self,
        what: str,
        shown: str,
        *,
        known: Values | None = None,
        within: Values | None = None,
        source: str = "",
        quick: bool = False,
        rough: bool = False,
    ) -> Callable[[Callable[[], Values]], Callable[[], Values]]:
        """Add the row that a function measures."""

        def add(run: Callable[[], Values]) -> Callable[[], Values]:
            key = run.__name__
            if key in self.rows:
                raise ValueError(f"{self.name}: two rows {key}")
            self.rows[key] = Row(key, what, shown, run, known, within, source, quick, rough)
            return run

        return add
