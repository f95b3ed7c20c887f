"""A pytest plugin for .ci/run: after the time CI_DEADLINE no further test is begun."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

_DEADLINE = float(os.environ.get("CI_DEADLINE", "inf"))
_REASON = "no time left for slow tests"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips the test if the time is over."""
    if time.time() > _DEADLINE:
        pytest.skip(_REASON)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says how many tests were left out (by any worker)."""
    left_out = [r for r in terminalreporter.getreports("skipped") if _REASON in str(r.longrepr)]
    if left_out:
        terminalreporter.section("out of time")
        line = f"{len(left_out)} slow tests were NOT run: the time for them is over."
        terminalreporter.line(line)
