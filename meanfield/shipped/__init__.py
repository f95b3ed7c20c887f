"""What is shipped with the package to be run and read: case files and examples.

Owns where they are (in a checkout ``scripts/cases`` and ``scripts/examples``, in a wheel beside
this file), in which order examples are told, and what a reader of lists wants to know of each.
Reads their texts only: knows neither cases nor what they are run by.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from meanfield.errors import InputError, suggest

__all__ = ["ORDER", "Shipped", "found", "shipped_cases", "shipped_examples"]

ORDER = (
    # clusters
    "clustering",
    "metastability",
    "mode_selection",
    "inner_products",
    # phase diagrams of tokens
    "phase_diagram",
    "random_matrices",
    # noise
    "noise_transition",
    "orientation",
    "kuramoto",
    # what transformers have besides
    "normalisation",
    "heads",
    "perceptron",
    # many tokens
    "optimal_points",
    "mean_field_limit",
)
"""Examples by theme: the order of the gallery and of ``meanfield examples``."""


@dataclass(frozen=True)
class Shipped:
    """A case file or an example.

    Attributes:
        kind: "case" (TOML) or "script" (Python).
        path: where it is.
        title: its first line.
        paper: of an example, what it repeats: "arXiv 2312.10794, Figure 3"; of a case "".
        minutes: of an example, cpu-minutes (user and system) at full size, as measured; else None.
        seconds: the same at small size, in seconds.
    """

    kind: Literal["case", "script"]
    path: Path
    title: str
    paper: str = ""
    minutes: float | None = None
    seconds: float | None = None

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @property
    def files(self) -> tuple[Path, ...]:
        """The file, and those beside it that it names."""
        if self.kind == "script":
            return (self.path,)
        texts = {text.partition(":")[0] for text in _texts(tomllib.loads(_read(self.path)))}
        named = (self.path.parent / text for text in sorted(texts) if text)
        return (self.path, *(p for p in named if p.is_file() and p != self.path))


def _read(path: Path) -> str:
    return path.read_text("utf-8")


def _texts(value: object) -> Iterator[str]:
    """All texts in nested tables."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _folder(name: str) -> Path:
    """The folder "cases" or "examples" of the wheel, or of the checkout this file is in."""
    here = Path(__file__).resolve().parent
    installed = here / name
    return installed if installed.is_dir() else here.parents[1] / "scripts" / name


def shipped_cases() -> list[Shipped]:
    """The case files, by name."""
    out = []
    for path in sorted(_folder("cases").glob("*.toml")):
        first = _read(path).partition("\n")[0]
        out.append(Shipped("case", path, first.removeprefix("#").strip()))
    return out


def shipped_examples() -> list[Shipped]:
    """The examples, by theme; what is not in ``ORDER`` comes last."""

    def place(path: Path) -> tuple[int, str]:
        return (ORDER.index(path.stem) if path.stem in ORDER else len(ORDER), path.stem)

    return [_example(path) for path in sorted(_folder("examples").glob("*.py"), key=place)]


def _example(path: Path) -> Shipped:
    """What the docstring of an example tells: title, paper, what it takes."""
    text = ast.get_docstring(ast.parse(_read(path))) or ""
    paper = re.search(r"^Papers?: (.*?)(?:\n\n|\Z)", text, re.M | re.S)
    takes = re.search(r"^Full: ([\d.]+) cpu-minutes?; small: ([\d.]+) seconds?", text, re.M)
    words = "" if paper is None else re.sub(r"`(.*?) ?<[^>]*>`_+", r"\1", paper[1])
    return Shipped(
        "script",
        path,
        text.partition("\n")[0],
        re.sub(r"[*`]", "", " ".join(words.split())).rstrip("."),
        None if takes is None else float(takes[1]),
        None if takes is None else float(takes[2].rstrip(".")),
    )


def found(name: str, among: list[Shipped] | None = None) -> list[Shipped]:
    """What is shipped under a name: a case, an example, or one of each.

    Args:
        name: of a file, with its ending ("clustering.toml") or without.
        among: where to look; None: all cases and examples.

    Raises:
        InputError: nothing is.
    """
    everything = [*shipped_cases(), *shipped_examples()] if among is None else among
    out = [one for one in everything if name in (one.name, one.path.name)]
    if not out:
        with_ending = name.endswith((".toml", ".py"))
        valid = {one.path.name if with_ending else one.name for one in everything}
        raise InputError(
            f"'{name}' found, the name of a case or an example that is shipped expected"
            f"{suggest(name, valid)}: `meanfield examples` lists them"
        )
    return out
