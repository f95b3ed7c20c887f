"""Where a number comes from: date, machine, commit, and how busy the machine was (a fixed loop).

For scripts of the folders below, which have this one on their path; knows none of them.
"""

from __future__ import annotations

import datetime
import math
import os
import platform
import subprocess
import time
from pathlib import Path

import numba as nb

__all__ = ["origin", "reference_seconds"]


def origin(root: Path, *status: str) -> dict[str, object]:
    """Date, machine and commit; whether files differ from it.

    Args:
        root: of the checkout.
        status: words for ``git status``: which files count.
    """
    model = platform.machine()
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        names = [line for line in cpus.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model

    def git(*words: str) -> str:
        found = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True)
        return found.stdout.strip()

    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": f"{model}, {os.cpu_count()} cores",
        "commit": git("rev-parse", "--short=10", "HEAD") or "unknown",
        "changed": bool(git("status", "--porcelain", *status)),
    }


@nb.njit
def _loop(n: int) -> float:
    """``n`` exponentials, each of what the one before has given: nothing can be left out."""
    total, x = 0.0, 0.5
    for _ in range(n):
        x = math.exp(-x) * 0.9 + 0.05
        total += x
    return total


def reference_seconds() -> float:
    """Of 4e6 of them: the least of three."""
    _loop(10)
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        _loop(4_000_000)
        times.append(time.perf_counter() - begun)
    return min(times)
