"""Words for people with signs for letters: "kappa = 0, S^2" is read as "κ = 0, S²"."""

from __future__ import annotations

import re

__all__ = ["SUPERSCRIPTS", "with_signs"]

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_NAMES = "alpha beta gamma delta epsilon eta theta kappa lambda mu nu rho sigma tau omega".split()
_SIGNS = dict(zip(_NAMES, "αβγδεηθκλμνρστω", strict=True))
_NAME = re.compile(rf"(?<![\w.\-])({'|'.join(_NAMES)})(?![\w\-])")
_SPHERE = re.compile(r"(?<![\w.\-])S\^(\d+)(?!\w)")


def with_signs(text: str) -> str:
    """Words with Greek letters for their names, and spheres with their dimension above."""
    text = _NAME.sub(lambda found: _SIGNS[found[1]], text)
    return _SPHERE.sub(lambda found: f"S{found[1].translate(SUPERSCRIPTS)}", text)
