"""A pytest plugin for .ci/run: after the time CI_DEADLINE no further test is begun."""

from __future__ import annotations

import os
import time

import pytest

_DEADLINE = float(os.environ.get("CI_DEADLINE", "inf"))
_left_out: list[str] = []


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips the test if the time is over."""
    if time.time() > _DEADLINE:
        _left_out.append(item.nodeid)
        pytest.skip("no time left for slow tests")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says how many tests were left out."""
    if _left_out:
        terminalreporter.section("out of time")
        terminalreporter.line(
            f"{len(_left_out)} slow tests were NOT run: the time for them is over."
        )
