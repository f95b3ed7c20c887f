"""Small folders of runs with a density that is known, and whether the texts of a figure overlap."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from pictures import shown

from meanfield.geometry.mesh import Mesh, circle, icosphere, zonal_interval
from meanfield.geometry.sphere import Array, normalize
from meanfield.results.folder import RunFolder
from meanfield.results.formats.vtkhdf.fields import FieldWriter

CENTRES = normalize(np.array([[0.0, 0.0, 1.0], [1.0, 0.3, -0.2], [-1.0, 1.0, -0.5]]))
COLUMNS = ("t", "energy_scaled", "mean_norm", "clusters")


class Told:
    def __init__(self, title: str, beta: float = 4.0, outputs: str = "{ every = 1.0 }") -> None:
        self.text = (
            f"title = '{title}'\n[model]\nattention = \"sa\"\nbeta = {beta}\n"
            f"[time]\noutputs = {outputs}\n"
        )

    def to_toml(self) -> str:
        return self.text


def density(mesh: Mesh, t: float) -> Array:
    """Three clusters that sharpen from k = 4 at t = 0 to k = 400 at t = 12, and a background."""
    k = 4.0 * 100.0 ** (t / 12.0)
    x = mesh.embedded()
    if mesh.geometry == "sphere":
        k = k * np.array([1.0, 1.5, 1.2])
        clusters = 2.0 * k * np.exp(k * (x @ CENTRES.T - 1.0)) / (1.0 - np.exp(-2.0 * k))
        return np.asarray(clusters @ np.array([0.25, 0.35, 0.2]) + 0.2 / k[0])
    if mesh.geometry == "zonal":
        return np.asarray(np.exp(k * (x[:, -1] - 1.0)) * k + 0.3 / k)
    return np.asarray(np.exp(k * (x @ np.array([-0.8, 0.6]) - 1.0)) * np.sqrt(k) + 0.1 / k)


def make_run(
    path: Path,
    mesh: Mesh | None,
    *,
    title: str = "Three clusters",
    times: tuple[float, ...] = (0, 1, 2, 3, 4, 6, 8, 10, 12),
    rho: Callable[[Mesh, float], Array] = density,
    names: tuple[str, ...] = ("rho", "log10_rho"),
    outputs: str = "{ every = 1.0 }",
) -> RunFolder:
    run = RunFolder.create(path)
    run.write_case(Told(title, outputs=outputs))
    run.write_run({"meanfield": "0"})
    with run.series(COLUMNS) as series:
        for t in np.linspace(0.0, 12.0, 61):
            energy = 0.02 + 0.1 / (1.0 + np.exp(6.0 - t))
            row = (t, energy, np.tanh(0.1 + t / 6.0), 3.0 - t // 5)
            series.write(dict(zip(COLUMNS, row, strict=True)))
    if mesh is not None:
        with FieldWriter(run.fields_path, mesh, names=dict.fromkeys(names, 1)) as writer:
            for t in times:
                values = rho(mesh, t)
                with np.errstate(divide="ignore"):
                    both = {"rho": values, "log10_rho": np.log10(values), "other": values}
                writer.write(t, {name: both[name] for name in names})
    return run


MESHES = {"sphere": icosphere(4), "circle": circle(200), "zonal": zonal_interval(150, 8)}


def assert_texts_do_not_overlap(figure: Figure) -> None:
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in shown(figure)]
    assert len(boxes) > 6
    width, height = figure.canvas.get_width_height()
    for i, (name, box) in enumerate(boxes):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, name
        for other_name, other in boxes[:i]:
            assert not box.overlaps(other), (name, other_name)
