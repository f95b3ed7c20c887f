"""The choice of times, and colours that clusters keep."""

from __future__ import annotations

import numpy as np

from meanfield.figures.style import CLUSTER_COLOURS, cluster_colours, telling_steps


def test_times_follow_the_energy() -> None:
    times = np.arange(11.0)
    rise = np.array([0, 0, 0, 0, 0, 1, 2, 3, 3, 3, 3]) / 3.0
    assert telling_steps(times, rise) == [0, 5, 6, 10]
    assert telling_steps(times, -rise) == [0, 5, 6, 10]  # repulsion: E falls
    assert telling_steps(times, None) == [0, 3, 7, 10]
    assert telling_steps(times, np.full(11, 0.3)) == [0, 3, 7, 10]
    # All at once, at the start or at the end: still four different steps.
    assert telling_steps(times, (times > 0).astype(float)) == [0, 1, 2, 10]
    late = telling_steps(times, (times > 9).astype(float))
    assert len(set(late)) == 4 and late == sorted(late) and late[-1] == 10
    for count in range(1, 5):
        assert telling_steps(np.arange(count, dtype=float), None) == list(range(count))
    assert telling_steps(np.arange(5.0), np.arange(5.0) ** 4) == [0, 2, 3, 4]


def test_clusters_keep_their_colours_whatever_their_numbers() -> None:
    masses = np.full(100, 0.01)
    end = np.repeat([7, 3, 5], [50, 30, 20])  # any numbers; by mass: 0, 1, 2
    middle = np.repeat([1, 2, 9, 0], [20, 30, 30, 20])  # the first two will merge
    start = np.arange(100)
    colours = cluster_colours([start, middle, end], masses)
    assert colours[2].tolist() == np.repeat([0, 1, 2], [50, 30, 20]).tolist()
    # The larger one of the two keeps the colour, the other has one that nobody has later.
    assert colours[1].tolist() == np.repeat([3, 0, 1, 2], [20, 30, 30, 20]).tolist()
    assert set(colours[0]) == {-1}


def test_only_large_clusters_have_colours() -> None:
    masses = np.full(1000, 1e-3)
    sizes = [300, 51, 49, 150, 450]
    (colours,) = cluster_colours([np.repeat(np.arange(5), sizes)], masses)
    assert [int(colours[k]) for k in np.cumsum(sizes) - 1] == [1, 3, -1, 2, 0]
    # By mass, not by number.
    masses = np.repeat([0.04 / 500, 0.96 / 500], 500)
    (colours,) = cluster_colours([np.repeat([0, 1], 500)], masses)
    assert (colours[0], colours[-1]) == (-1, 0)
    # No more than there are colours.
    (colours,) = cluster_colours([np.arange(1000) // 100], np.full(1000, 1e-3))
    assert sorted(set(colours)) == list(range(-1, len(CLUSTER_COLOURS)))
    assert (cluster_colours([np.zeros(1, dtype=int)], np.ones(1))[0] == 0).all()
