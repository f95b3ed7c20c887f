"""The page on the files of folders."""

from __future__ import annotations

from meanfield.results.filelist import FILES, GROUPS
from refpages.text import code, escaped, see_also

__all__ = ["pages"]


def pages() -> dict[str, str]:
    """The page."""
    lines = [
        "# Files of a folder",
        "",
        "What each file of a run or a study holds, and in which form: what to open with which "
        "program, and what may be deleted. `meanfield help files` prints the same.",
        "",
        see_also(
            ("cases, runs and their folders", "../../guide/running.md"), ("columns", "columns.md")
        ),
        "A file is written beside its place and renamed: it is whole or absent. A format number "
        "grows only when versions before cannot read what is written; all earlier ones are read.",
        "",
    ]
    for group, words in GROUPS.items():
        lines += [f"## {escaped(words[0].upper() + words[1:])}", ""]
        for one in FILES:
            if one.group == group:
                lines += [f"{code(one.name)} ({escaped(one.form)})", f": {_said(one.about)}", ""]
    return {"files": "\n".join(lines)}


def _said(text: str) -> str:
    parts = text.split("`")
    return "".join(code(p) if k % 2 else escaped(f"|{p}|")[2:-2] for k, p in enumerate(parts))
