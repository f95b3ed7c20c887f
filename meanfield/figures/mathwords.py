"""Words for people as mathtext: "beta = 4, sa" is set as on axes. Knows no picture."""

from __future__ import annotations

import re
import textwrap

__all__ = ["folded", "in_mathtext", "number"]

_GREEK = "alpha|beta|gamma|delta|epsilon|eta|theta|kappa|lambda|mu|nu|rho|sigma|tau|omega"
_VALUE = r"[-+]?(?:\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?|I)"
_SPACE = "[ \N{NO-BREAK SPACE}]"
_EQUATION = re.compile(
    rf"(?<![\w.\-])(?P<name>{_GREEK}|\|A\||[A-Za-z]){_SPACE}?(?P<sign><=|>=|=|<|>){_SPACE}?"
    rf"(?P<value>{_VALUE})(?![\w])"
)
_OTHER = re.compile(rf"(?<![\w.\-])(?:(?P<greek>{_GREEK})|S\^(?P<power>\d+))(?![\w\-])")
_SIGNS = {"<=": r"\leq", ">=": r"\geq"}


def number(value: float) -> str:
    """A time as mathtext: with four digits if that is all of it, else with three."""
    text = f"{value:.4g}"
    if float(text) != value:
        text = f"{value:.3g}"
    return _decimal(text)


def _decimal(text: str) -> str:
    """A number in letters, with a power of ten for its "e"."""
    if "e" in text:
        mantissa, exponent = text.split("e")
        if mantissa == "1":
            return rf"10^{{{int(exponent)}}}"
        return rf"{mantissa}\times 10^{{{int(exponent)}}}"
    return text.replace(",", "{,}")


def in_mathtext(words: str) -> str:
    """Words with the parameters, and the spheres, among them as mathtext; all else is text.

    "sa, beta = 4 on S^2" -> "sa, $\\beta = 4$ on $S^{2}$".
    """
    text = words.replace("$", r"\$")
    text = _EQUATION.sub(_equation, text)
    parts = re.split(r"((?<!\\)\$[^$]*(?<!\\)\$)", text)  # every second one is set already
    parts[::2] = [_OTHER.sub(_other, part) for part in parts[::2]]
    return "".join(parts)


def folded(words: str, width: int) -> list[str]:
    """Lines of some width, each as mathtext; "beta = 4" stays on one line."""
    kept = _EQUATION.sub(lambda found: re.sub(" ", "\N{NO-BREAK SPACE}", found[0]), words)
    return [in_mathtext(line) for line in textwrap.wrap(kept, width)]


def _equation(found: re.Match[str]) -> str:
    name, sign = found["name"], found["sign"]
    greek = rf"\{name}" if len(name) > 1 and name != "|A|" else name
    return rf"${greek} {_SIGNS.get(sign, sign)} {_decimal(found['value'])}$"


def _other(found: re.Match[str]) -> str:
    return rf"$\{found['greek']}$" if found["greek"] else rf"$S^{{{found['power']}}}$"
