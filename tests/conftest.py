"""What all tests need of the process they run in."""

from __future__ import annotations

import signal

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C be heard: tests press it, in this process and in those that they start.

    A shell starts with SIGINT ignored what a script puts into the background, and all processes
    started from there inherit that: a test of an interruption would then wait for nothing.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
