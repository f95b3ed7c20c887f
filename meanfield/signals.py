"""Who answers a signal, and for how long: the only place that changes it.

Knows nothing of runs. Outside of the main thread Python lets nobody change it, and a handler that
is not Python's cannot be put back: there everything stays as it is.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

__all__ = ["Handler", "StopWish", "as_interrupt", "ignored", "kept", "stop_wishes"]

Handler = Callable[[int, FrameType | None], object] | int | signal.Handlers


def _answer(handlers: Mapping[signal.Signals, Handler]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)


@contextmanager
def kept(*numbers: signal.Signals) -> Iterator[dict[signal.Signals, Handler]]:
    """Put back at the end who answers these signals; yields who does, where it can be changed."""
    before: dict[signal.Signals, Handler] = {}
    if threading.current_thread() is threading.main_thread():
        for number in numbers:
            handler = signal.getsignal(number)
            if handler is not None:
                before[number] = handler
    try:
        yield before
    finally:
        _answer(before)


@contextmanager
def ignored(number: signal.Signals) -> Iterator[None]:
    """Ignore a signal for a moment: processes that are started then ignore it for good."""
    with kept(number) as before:
        _answer(dict.fromkeys(before, signal.SIG_IGN))
        yield


@contextmanager
def as_interrupt(number: signal.Signals) -> Iterator[None]:
    """Let a signal end the work as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with kept(number) as before:
        _answer(dict.fromkeys(before, interrupt))
        yield


class StopWish:
    """Whether somebody asked to stop."""

    asked = False


@contextmanager
def stop_wishes() -> Iterator[StopWish]:
    """Turn the first of SIGINT, SIGTERM, SIGUSR1 into a wish to stop; more act as usual."""
    wish = StopWish()
    with kept(signal.SIGINT, signal.SIGTERM, signal.SIGUSR1) as before:
        # A job in the background is deaf to Ctrl-C, and stays so.
        heard = {known: h for known, h in before.items() if h is not signal.SIG_IGN}

        def ask(number: int, frame: FrameType | None) -> None:
            wish.asked = True
            _answer(heard)

        _answer(dict.fromkeys(heard, ask))
        yield wish
