"""Whether a figure can be printed: what is written in it, and that nothing is on anything else."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from meanfield.figures.mathwords import in_mathtext

__all__ = ["assert_fit_to_print", "shown"]


def shown(figure: Figure) -> Iterator[Text]:
    """Every text that a figure draws."""
    texts = [*figure.texts, *(one for one in figure.artists if isinstance(one, Text))]
    for legend in (*figure.legends, *(ax.get_legend() for ax in figure.axes)):
        texts += legend.get_texts() if legend is not None else []
    for ax in figure.axes:
        texts += [ax.title, *ax.texts]
        if ax.axison:
            for axis in (ax.xaxis, ax.yaxis):
                low, high = sorted(axis.get_view_interval())
                texts.append(axis.label)
                for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                    if low <= tick.get_loc() <= high:
                        texts += [tick.label1, tick.label2]
    yield from (text for text in texts if text.get_visible() and text.get_text().strip())


def assert_fit_to_print(figure: Figure, path: Path, title: str) -> None:
    """Saved as it is, small, nothing reaches an edge, no text is on another."""
    assert path.stat().st_size < 600_000
    with Image.open(path) as image:
        pixels = np.asarray(image)
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 255).all(), "something reaches the edge"
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in shown(figure)]
    assert [name for name, _ in boxes].count(in_mathtext(title)) == (1 if title else 0)
    for (name, box), (other_name, other) in itertools.combinations(boxes, 2):
        assert not box.overlaps(other), (name, other_name)
