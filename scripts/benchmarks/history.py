"""Benchmarks with a history: one JSON line for each item, in docs/benchmarks.jsonl.

    scripts/env python scripts/benchmarks/history.py                  # time everything, add lines
    scripts/env python scripts/benchmarks/history.py --items field tokens
    scripts/env python scripts/benchmarks/history.py --show           # docs/benchmarks.md, .png

A line has the date, the commit, the machine, the seconds of an item (the least of some calls), and
their ratio to a fixed loop (``origin.py``, one thread, 4e6 exponentials) timed just before and
after: by that ratio machines, and a machine on a busy day, can be compared. The memory of a rank
has no ratio. What the items are is told by their functions in ``items.py``.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

if str(Path(__file__).parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent))
if str(Path(__file__).parents[1]) not in sys.path:
    sys.path.insert(1, str(Path(__file__).parents[1]))
from items import ITEMS, TIMED_ONCE, Timed
from origin import origin, reference_seconds
from startup import set_up

_DOCS = Path(__file__).parents[2] / "docs"
_MEMORY = "memory of a rank, level 7"
_SHOWN = 8  # commits in the table


def timed(item: Timed, repeats: int) -> tuple[float, float]:
    """Seconds of an item, and over those of the reference loop: the least of both."""
    seconds, ratios = [], []
    before = reference_seconds()
    for _ in range(repeats):
        begun = time.perf_counter()
        item()
        seconds.append(time.perf_counter() - begun)
        after = reference_seconds()
        ratios.append(2.0 * seconds[-1] / (before + after))
        before = after
    return min(seconds), min(ratios)


def memory_per_rank(small: bool, ranks: int = 2) -> float:
    """Largest resident memory (GB) of a rank after explicit steps at level 7."""
    return max(rank["memory"] for rank in set_up(3 if small else 7, ranks))


def about() -> dict[str, object]:
    """Date, commit and machine."""
    return {
        **origin(_DOCS.parent, "--untracked-files=no"),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def measured(names: Sequence[str], repeats: int, small: bool, path: Path) -> None:
    """Time items and add a line for each to a file, as they come."""
    head = about()
    path.parent.mkdir(parents=True, exist_ok=True)
    for name in names:
        line: dict[str, object]
        if name == _MEMORY:
            line = {"item": name, "gigabytes": round(memory_per_rank(small), 4)}
        else:
            item = ITEMS[name](small)
            if name not in TIMED_ONCE:
                item()
            seconds, ratio = timed(item, 1 if name in TIMED_ONCE else repeats)
            line = {
                "item": name,
                "seconds": float(f"{seconds:.4g}"),
                "ratio": float(f"{ratio:.4g}"),
            }
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(head | line) + "\n")
        print(json.dumps(line), flush=True)


_PAGE = """# Benchmarks

This page tells how long typical pieces of work take, and how that goes from version to version.

![Time of each item over that of the fixed loop, one mark for each commit](benchmarks.png)

How to read it:

* An item is timed five times ({once}: once), just before and after a fixed loop (one thread,
  4e6 dependent exponentials) on the same machine. The number is the least ratio of the two, and in
  brackets the least seconds.
* The ratio is what can be compared: between commits, between machines, and on a machine that others
  use, where the loop is slowed down as the item is. It does not cancel all: memory and the second
  core are shared, too. A difference below a fifth or so is no news.
* Smaller is faster. A column is a commit; with a `+` files differed from it.

"""
_MAKING = """
To add a column, on a quiet machine:

<!-- test: not run: takes several minutes -->
```sh
scripts/env python scripts/benchmarks/history.py           # adds lines to docs/benchmarks.jsonl
scripts/env python scripts/benchmarks/history.py --show    # this page and its picture from them
```

See also [validation](validation.md#speed): times of whole runs, ratios to direct sums in one run.
"""


def table(lines: Sequence[dict[str, object]]) -> str:
    """The history as a page: a row for each item, a column for each of the last commits."""
    commits = _commits(lines)[-_SHOWN:]
    of = {str(line["commit"]): line for line in lines}
    heads = [f"{c}{'+' if of[c].get('changed') else ''}, {of[c]['date']}" for c in commits]
    text = ["| item | " + " | ".join(heads) + " |", "|---|" + "---|" * len(commits)]
    for name in [*ITEMS, _MEMORY]:
        cells = []
        for commit in commits:
            found = [x for x in lines if x["item"] == name and str(x["commit"]) == commit]
            cells.append(_cell(found[-1]) if found else "")
        text.append(f"| {name} | " + " | ".join(cells) + " |")
    machines = dict.fromkeys(
        f"{line['machine']}, Python {line['python']}, NumPy {line['numpy']}" for line in lines
    )
    text += ["", "Machines: " + "; ".join(machines) + ".", "", "The items:", ""]
    text += [f"* {name}: {(make.__doc__ or '').strip()}" for name, make in ITEMS.items()]
    text += [f"* {_MEMORY}: largest resident memory (GB) of one of two ranks, explicit steps.", ""]
    once = " and ".join(f"*{name}*" for name in TIMED_ONCE)
    return _PAGE.format(once=once) + "\n".join(text) + _MAKING


def _commits(lines: Sequence[dict[str, object]]) -> list[str]:
    """Oldest first."""
    return list(dict.fromkeys(str(line["commit"]) for line in lines))


def _cell(line: dict[str, object]) -> str:
    if "gigabytes" in line:
        return f"{line['gigabytes']:.3g} GB"
    return f"{line['ratio']:.4g} ({line['seconds']:.3g} s)"


def read(path: Path) -> list[dict[str, object]]:
    """The lines of a history, oldest first."""
    return [json.loads(text) for text in path.read_text("utf-8").splitlines() if text]


def drawn(lines: Sequence[dict[str, object]], path: Path) -> None:
    """Ratios of each item, a mark for each of the last commits, the last one in full."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    commits = _commits(lines)[-_SHOWN:]
    figure, axes = pyplot.subplots(figsize=(7.0, 3.8), layout="constrained")
    names = list(ITEMS)
    for k, commit in enumerate(commits):
        own = {
            str(x["item"]): float(str(x["ratio"]))
            for x in lines
            if str(x["commit"]) == commit and "ratio" in x
        }
        at = [n for n, name in enumerate(names) if name in own]
        shade = 0.25 + 0.75 * (k + 1) / len(commits)
        values = [own[names[n]] for n in at]
        axes.plot(values, at, "o", ms=6, color="C0", alpha=shade, label=commit)
        if commit == commits[-1]:
            axes.hlines(at, 1e-2, values, color="C0", lw=1.0, alpha=0.4)
    axes.set_xscale("log")
    axes.set_xlim(left=0.1)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.axvline(1.0, color="0.7", lw=0.8)
    axes.set_xlabel("time over that of the fixed loop")
    axes.legend(fontsize=8, title="commit", title_fontsize=8)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def main() -> None:
    """Measure, or show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = [*ITEMS, _MEMORY]
    parser.add_argument("--items", nargs="+", choices=names, default=names, metavar="ITEM")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="sizes that only try the script")
    parser.add_argument("--file", type=Path, default=_DOCS / "benchmarks.jsonl")
    parser.add_argument("--show", action="store_true", help="write the page and the picture")
    options = parser.parse_args()
    if not options.show:
        measured(options.items, options.repeat, options.small, options.file)
        return
    lines = read(options.file)
    options.file.with_suffix(".md").write_text(table(lines), encoding="utf-8")
    drawn(lines, options.file.with_suffix(".png"))


if __name__ == "__main__":
    main()
