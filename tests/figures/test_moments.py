"""Times of pictures: where something happens, or those asked for."""

from __future__ import annotations

import numpy as np
import pytest

from meanfield.analysis.clustertable import ClusterTable
from meanfield.errors import InputError
from meanfield.figures.moments import eventful_steps, merges, nearest_steps, seen_apart

TIMES = np.arange(15.0)
RISE = 1.0 / (1.0 + np.exp(9.0 - TIMES))


def test_a_merge_is_where_the_number_falls_for_good() -> None:
    t = np.arange(9.0)
    assert merges(t, np.array([2.0, 3, 3, 3, 3, 2, 3, 2, 2])).tolist() == [7.0]
    assert merges(t, np.array([5.0, 4, 4, 3, 3, 3, 1, 1, 1])).tolist() == [1.0, 3.0, 6.0]
    assert merges(t, np.array([1.0, 1, 2, 2, 3, 3, 3, 4, 4])).size == 0
    assert merges(t, np.full(9, np.nan)).size == 0
    assert merges(t, np.array([np.nan, 4, np.nan, 4, 2, 2, 2, 2, np.nan])).tolist() == [4.0]


def test_a_flicker_is_no_merge() -> None:
    t = np.array([0.0, 1, 4, 8, 11.5, 11.6, 11.8, 12, 13, 14])
    flicker = np.array([2.0, 3, 3, 3, 3, 4, 3, 3, 3, 2])
    assert merges(t, flicker).tolist() == [14.0]
    # Numbers that last are told by the time until then: early ones are shorter.
    assert merges(t, np.array([5.0, 4, 3, 3, 3, 2, 2, 2, 2, 1])).tolist() == [1, 4, 11.6, 14]


def test_merges_that_are_not_seen_take_no_panel() -> None:
    # The energy at 1 and 2 is the same to a hundredth of its range.
    assert eventful_steps(TIMES, RISE, np.array([2.0]), 4) == eventful_steps(
        TIMES, RISE, np.zeros(0), 4
    )
    # What is one cluster in the picture from 12 on is shown as two at 11.
    shown = eventful_steps(TIMES, RISE, np.array([13.14]), 4, lambda k: 3 if k < 12 else 2)
    assert shown == [0, 9, 11, 14]
    assert eventful_steps(TIMES, RISE, np.array([13.14]), 4, lambda _: 1) == [0, 9, 13, 14]


def test_clusters_nearer_than_their_rings_are_seen_as_one() -> None:
    angles = np.array([0.0, 0.15, 1.5, 3.0])
    centre = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    mass, none = np.array([0.4, 0.3, 0.29, 0.01]), np.zeros(4)
    table = ClusterTable(0.0, centre, mass, none, none, np.arange(1, 5))
    assert seen_apart(table) == 2
    rings = ClusterTable(0.0, np.tile([0.0, 1.0], (2, 1)), mass[:2], none[:2],
        np.array([0.0, 1.0]), np.arange(1, 3))  # fmt: skip
    assert seen_apart(rings) == 2


def test_merges_are_shown_from_both_sides() -> None:
    merged = np.array([13.14])
    assert eventful_steps(TIMES, RISE, merged, 4) == [0, 9, 13, 14]
    six = eventful_steps(TIMES, RISE, merged, 6)
    assert len(six) == 6 and {0, 9, 13, 14} <= set(six)
    assert {4, 5} <= set(eventful_steps(TIMES, RISE, np.array([4.5]), 6))
    # A merge at an output: that one shows it merged. The last merges come first.
    both = eventful_steps(TIMES, RISE, np.array([6.0, 9.0]), 6)
    assert {5, 8, 9} & set(both) >= {8, 9} and 6 in both
    assert eventful_steps(TIMES, RISE, merged, 20) == list(range(15))


def test_without_merges_the_energy_counts_and_else_the_time() -> None:
    none = np.zeros(0)
    assert eventful_steps(TIMES, RISE, none, 3) == [0, 9, 14]
    assert eventful_steps(TIMES, -RISE, none, 3) == [0, 9, 14]
    assert eventful_steps(TIMES, None, none, 3) == [0, 7, 14]
    assert eventful_steps(TIMES, np.ones(15), none, 3) == [0, 7, 14]
    # An energy that comes back has moved all the same.
    there_and_back = np.where(TIMES < 7, 0.0, np.where(TIMES < 9, 1.0, 0.0))
    assert set(eventful_steps(TIMES, there_and_back, none, 3)) & {7, 8}


def test_times_asked_for_are_the_nearest_once_each() -> None:
    assert nearest_steps(TIMES, (13.1, 2.0, 12.9)) == [2, 13]
    assert nearest_steps(TIMES, (0.0, 14.0 + 1e-12)) == [0, 14]
    for t in (-1.0, 14.5):
        with pytest.raises(InputError, match=rf"plot.times: .* from 0 to 14, found {t:g}"):
            nearest_steps(TIMES, (t,))
