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

__all__ = [
    "Handler",
    "StopWish",
    "Stopped",
    "act_on",
    "ending",
    "ends_process",
    "ignored",
    "kept",
    "stop_wishes",
]

_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""What ends a process that does not answer it."""

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


class Stopped(KeyboardInterrupt):
    """A signal has ended the work, as Ctrl-C does.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int | str) -> None:
        super().__init__(int(number))
        self.number = int(number)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)


class StopWish:
    """Whether somebody asked to stop: the number of the signal, or 0."""

    number = 0

    @property
    def asked(self) -> bool:
        """Whether somebody did."""
        return self.number != 0


@contextmanager
def stop_wishes() -> Iterator[StopWish]:
    """Turn the first of these signals into a wish to stop; more act as usual."""
    wish = StopWish()
    with kept(*_ENDING, signal.SIGINT, signal.SIGUSR1) as before:
        # A job in the background is deaf to Ctrl-C, one under nohup to SIGHUP, and stays so.
        heard = {known: h for known, h in before.items() if h is not signal.SIG_IGN}

        def ask(number: int, frame: FrameType | None) -> None:
            wish.number = number
            _answer(heard)

        _answer(dict.fromkeys(heard, ask))
        yield wish


def ends_process(number: int) -> bool:
    """Whether this signal is to end the process; Ctrl-C and SIGUSR1 only stop its work."""
    return number in _ENDING


def act_on(number: int) -> None:
    """Let a signal that was kept waiting do what it does, if it is to end the process."""
    if ends_process(number):
        signal.raise_signal(number)


@contextmanager
def ending() -> Iterator[None]:
    """Let signals that would end the process without a word raise ``Stopped``."""
    with kept(*_ENDING) as before:
        heard = [number for number, handler in before.items() if handler is signal.SIG_DFL]
        _answer(dict.fromkeys(heard, _stop))
        yield
