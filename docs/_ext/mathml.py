"""Equations of the pages as MathML, by docutils: a reader needs no network and no script.

Sphinx's usual way is MathJax, loaded from another site whenever a page is opened. These pages are
built and read where the code is, often on a cluster or a train; so equations are put into them as
MathML, which Firefox, Safari and Chromium (from 109, January 2023) draw by themselves. What
docutils cannot read of LaTeX's is a warning that names it, and so no equation is left out.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

__all__ = ["converted", "setup"]

_LOGGER = logging.getLogger(__name__)
_OTHERWISE = (
    (r"\\([bB]ig{1,2}) *(?=[(\[]|\\\{|\\l(?:angle|vert|Vert|ceil|floor))", r"\\\1l"),
    (r"\\([bB]ig{1,2}) *(?=[)\]]|\\\}|\\r(?:angle|vert|Vert|ceil|floor))", r"\\\1r"),
    (r"\\[bB]ig{1,2}m?(?![a-zA-Z])", ""),
    (r"\\dots(?:[cbmi]?)(?![a-zA-Z])", r"\\ldots "),
    (r"\\texttt(?![a-zA-Z])", r"\\mathtt"),
    (r"\\textbf(?![a-zA-Z])", r"\\mathbf"),
    (r"\\iff\b", r"\\Leftrightarrow "),
    (r"\\stackrel\b", r"\\overset"),
    (r"\\coloneqq\b|\\coloneq\b", ":="),
    (r"\\(begin|end)\{(?:align|gather|equation)\*?\}", r"\\\1{aligned}"),
    (r"\\(?:notag|nonumber)\b", ""),
    (r"\\([td]?frac|binom|sqrt) *(\d)", r"\\\1{\2}"),  # a digit is an argument, a number is not
    (r"(\\[td]?frac\{\d\}) *(\d)", r"\1{\2}"),
    (r"([_^])(\d)(?=\d)", r"\1{\2}"),
    (r"\\label\{[^}]*\}", ""),
)
"""What it does not know, and what it has for it."""
_MATHML = "http://www.w3.org/1998/Math/MathML"
ElementTree.register_namespace("", _MATHML)
_APPLY = "\u2061"  # stands after the name of a function
_PARTS = {"mfrac": 2, "msub": 2, "msup": 2, "mover": 2, "munder": 2, "mroot": 2}
_PARTS |= {"msubsup": 3, "munderover": 3}
"""Children of elements; another number is a formula that it has misread."""
_LINE = "border-top: 0.06em solid; padding-top: 0.1em"
"""An overline: a sign grows with what it is over in few fonts only."""


def converted(text: str, as_block: bool) -> str:
    """MathML of a LaTeX formula.

    Raises:
        docutils.utils.math.MathError: which command or environment is not known.
    """
    for old, new in _OTHERWISE:
        text = re.sub(old, new, text)
    if as_block and r"\\" in text and r"\begin" not in text:  # several lines
        text = rf"\begin{{aligned}}{text}\end{{aligned}}"
    made = str(tex2mathml(text, as_block=as_block)).replace("&ApplyFunction;", _APPLY)
    root = ElementTree.fromstring(made)
    _accented(root)
    for part in root.iter():
        tag = part.tag.rpartition("}")[2]
        if len(part) != _PARTS.get(tag, len(part)) or (tag == "mtr" and part.find("{*}mtr")):
            raise MathError(f"wrong {tag} in {ElementTree.tostring(part, 'unicode')}")
        if tag in ("math", "mrow", "mtd", "msqrt", "mstyle"):
            _spaced(part)
        if tag in ("math", "mrow", "mtd", "msqrt", "mstyle", "msup", "msub", "msubsup"):
            _operators(part, sized=r"\left" in text)
    return ElementTree.tostring(root, "unicode")


def _accented(root: ElementTree.Element) -> None:
    """Indices of letters with an accent beside them, not below; overlines as long as what they are
    over. Docutils takes every letter with something above it for an operator with limits.
    """
    for part in root.iter():
        if part.tag.endswith("}munderover") and _has_accent(part):
            base, index, mark = part
            letter = ElementTree.Element(f"{{{_MATHML}}}mover", accent="true")
            letter.extend([base, mark])
            part[:] = [letter, index]
            part.tag = f"{{{_MATHML}}}msub"
        if part.tag.endswith("}mover") and part[-1].text == "_":
            part[:] = [part[0]]
            part.attrib.clear()
            part.set("style", _LINE)
            part.tag = f"{{{_MATHML}}}mrow"
    for part in root.iter():
        if part.tag.endswith("}msup") and len(part) == 2 and part[0].tag.endswith("}msub"):
            if part[0][0].tag.endswith("}mover") or part[0][0].get("style") == _LINE:
                part[:] = [*part[0], part[1]]
                part.tag = f"{{{_MATHML}}}msubsup"


def _has_accent(part: ElementTree.Element) -> bool:
    return len(part) == 3 and not part[0].tag.endswith("}mo") and part[2].tag.endswith("}mo")


def _spaced(row: ElementTree.Element) -> None:
    """Thin spaces about names of functions, as TeX sets them: rho log rho, but log(x)."""
    for k in reversed(range(len(row) - 1)):
        if row[k + 1].text != _APPLY:
            continue
        following = "".join(row[k + 2].itertext()).strip() if k + 2 < len(row) else "("
        if not following.startswith(("(", "[", "{")):
            row[k + 1].set("rspace", "0.17em")
        if k > 0 and not row[k - 1].tag.endswith(("}mo", "}mspace")):
            row.insert(k, ElementTree.Element(f"{{{_MATHML}}}mspace", width="0.17em"))


def _operators(row: ElementTree.Element, sized: bool) -> None:
    """Signs and bars as TeX sets them: = -a, |a|, a/b; brackets grow after a ``left`` only."""
    before = "="
    for part in row:
        text = (part.text or "").strip() if part.tag.endswith("}mo") else ""
        if text in ("|", "\u2223", "\u2016", "\u2225", "/"):
            part.attrib |= {"lspace": "0", "rspace": "0"}
        if (
            text in ("+", "\u2212", "-", "\u00b1", "\u2213")
            and before
            and before not in ")]}\u27e9|!"
        ):
            part.set("form", "prefix")
        if not sized and text and text in "\u27e8\u27e9|\u2223\u2016\u2225":
            part.attrib.setdefault("stretchy", "false")
        before = text if not part.tag.endswith("}mspace") else before


def _made(translator: HTML5Translator, node: nodes.Element, as_block: bool) -> str:
    try:
        return converted(node.astext(), as_block)
    except MathError as error:
        _LOGGER.warning("no MathML of %r: %s", node.astext(), error, location=node)
        return f"<code>{translator.encode(node.astext())}</code>"


def _inline(translator: HTML5Translator, node: nodes.math) -> None:
    translator.body.append(_made(translator, node, as_block=False))
    raise nodes.SkipNode


def _block(translator: HTML5Translator, node: nodes.math_block) -> None:
    classes = "math notranslate nohighlight"
    if node["number"]:
        classes += " math-numbered"
    translator.body.append(translator.starttag(node, "div", CLASS=classes))
    translator.body.append(_made(translator, node, as_block=True))
    if node["number"]:
        number = f"({node['number']})"
        translator.body.append(f'<span class="eqno">{number}')
        translator.add_permalink_ref(node, "Link to this equation")
        translator.body.append("</span>")
    translator.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
