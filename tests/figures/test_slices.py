"""The figure of a density by position shows each slice where its mass is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import meanfield as mf
from meanfield.figures import make_figures
from meanfield.figures import slices as module


def run(folder: Path, geometry: dict[str, object]) -> mf.RunFolder:
    d = 2 if geometry["type"] == "circle" else 3
    axis = [1.0, 0.0] if d == 2 else [1.0, 0.0, 0.0]
    case = mf.Case.from_dict(
        {
            "geometry": geometry,
            "model": {"attention": "sa", "beta": 1.0, "mask": "causal"},
            "initial": {
                "type": "by-position",
                "first": {"type": "von-mises-fisher", "mean": axis, "concentration": 5.0},
                "last": {"type": "von-mises-fisher", "mean": axis[::-1], "concentration": 5.0},
            },
            "solver": {"type": "lagrangian", "slices": 4, "rtol": 1e-4},
            "time": {"end": 0.2},
            "output": {"figures": False},
        }
    )
    mf.run(case, folder, progress=False)
    return mf.RunFolder(folder)


@pytest.mark.parametrize("kind", ["circle", "sphere"])
def test_slices(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    geometry = {"circle": {"type": kind, "vertices": 96}, "sphere": {"type": kind, "level": 3}}
    folder = run(tmp_path / "run", dict(geometry[kind]))
    drawn: list[Figure] = []
    plain = module.save

    def kept(figure: Figure, path: Path) -> Path:
        drawn.append(figure)
        return plain(figure, path)

    monkeypatch.setattr(module, "save", kept)
    made = make_figures(folder)
    assert [path.name for path in made] == ["energy.png", "slices.png"]
    assert all(path.stat().st_size > 10_000 for path in made)
    images = [ax.get_images()[0].get_array() for ax in drawn[0].axes if ax.get_images()]
    if kind == "sphere":
        assert len(images) == 3 * 2  # slices, times
        return
    first = np.asarray(images[0])
    assert first.shape == (4, 180) and len(images) == 2
    angle = -np.pi + (np.arange(180) + 0.5) * np.pi / 90
    assert abs(angle[first[0].argmax()]) < 0.1
    assert abs(angle[first[-1].argmax()] - 0.5 * np.pi) < 0.1
    for row, s in zip(first, (0.125, 0.375, 0.625, 0.875), strict=True):
        x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        law = mf.ByPosition(mf.VonMisesFisher((1.0, 0.0), 5.0), mf.VonMisesFisher((0.0, 1.0), 5.0))
        known = np.maximum(np.log10(law.at(s).density(x)), -1.0)
        np.testing.assert_allclose(row, known, atol=0.05)
