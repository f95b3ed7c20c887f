"""Who answers a signal within, and that all is as before afterwards."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

import pytest

from meanfield.signals import (
    Stopped,
    act_on,
    ending,
    ignored,
    kept,
    stop_wishes,
)

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGQUIT)


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """What comes through to who answered before; all as it was at the end of the test."""
    found: list[int] = []

    def hear(number: int, frame: FrameType | None) -> None:
        found.append(number)

    before = {number: signal.signal(number, hear) for number in NUMBERS}
    yield found
    for number in NUMBERS:
        assert signal.signal(number, before[number]) is hear


@pytest.mark.parametrize("number", NUMBERS)
def test_the_first_signal_is_a_wish_and_the_second_acts(
    heard: list[int], number: signal.Signals
) -> None:
    with stop_wishes() as wish:
        assert not wish.asked
        send(number)
        assert wish.asked and wish.number == number and not heard
        send(number)
        send(signal.SIGTERM)
        assert heard == [number, signal.SIGTERM]


def test_what_is_ignored_stays_so(heard: list[int]) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stop_wishes() as wish:
        send(signal.SIGINT)
        assert not wish.asked
    assert signal.signal(signal.SIGINT, before) is signal.SIG_IGN


def test_ignored_for_a_moment(heard: list[int]) -> None:
    with ignored(signal.SIGINT):
        send(signal.SIGINT)
    with pytest.raises(ValueError, match="went wrong"), ignored(signal.SIGINT):
        raise ValueError("went wrong")
    send(signal.SIGINT)
    assert heard == [signal.SIGINT]


def test_put_back_whatever_others_do(heard: list[int]) -> None:
    with kept(signal.SIGTERM):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    send(signal.SIGTERM)
    assert heard == [signal.SIGTERM]


def test_other_threads_change_nothing(heard: list[int]) -> None:
    wishes: list[bool] = []

    def work() -> None:
        with stop_wishes() as wish, ending(), ignored(signal.SIGINT):
            send(signal.SIGUSR1)
            wishes.append(wish.asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert wishes == [False] and heard == [signal.SIGUSR1]


def test_a_signal_that_waited_acts_afterwards(heard: list[int]) -> None:
    for number in (0, *NUMBERS):
        act_on(number)
    assert heard == [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_what_would_end_the_process_is_raised(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with pytest.raises(Stopped) as stopped, ending():
            send(number)
        assert stopped.value.number == number and isinstance(stopped.value, KeyboardInterrupt)
        signal.signal(number, signal.SIG_IGN)  # as under nohup
        with ending():
            send(number)
    finally:
        signal.signal(number, before)


def test_who_has_an_answer_keeps_it(heard: list[int]) -> None:
    with ending():
        send(signal.SIGTERM)
    assert heard == [signal.SIGTERM]
