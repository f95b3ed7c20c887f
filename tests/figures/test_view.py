"""A run as a scene to turn: in a notebook, and what is said where it cannot be shown."""

from __future__ import annotations

import html
import re
import sys
import types
from pathlib import Path

import nbformat
import numpy as np
import pytest
from cases import few_tokens
from nbclient import NotebookClient
from processes import ROOT, needs_dolfinx

import meanfield as mf
from meanfield.errors import InputError
from meanfield.scenes import why_not

needs_opengl = pytest.mark.skipif(bool(why_not()), reason="no OpenGL renders here")


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """As within a kernel of Jupyter."""
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))


def runs(tmp_path: Path) -> dict[str, mf.Result]:
    ball = mf.VonMisesFisher((0, 0, 1), 4.0)
    time = mf.Time(end=0.2, outputs=mf.Every(0.1))
    made = {}
    for name, geometry, law in (
        ("sphere", mf.Sphere(level=3), ball),
        ("circle", mf.Circle(vertices=64), mf.VonMisesFisher((0, 1), 4.0)),
        ("zonal", mf.Zonal(d=4, vertices=64), mf.VonMisesFisher((0, 0, 0, 1), 4.0)),
    ):
        case = mf.Case(
            geometry=geometry, model=mf.Model(attention="sa", beta=4.0), initial=law, time=time,
            solver=mf.Lagrangian(start="mesh"), output=mf.Output(figures=False),
        )  # fmt: skip
        made[name] = mf.run(case, tmp_path / name, progress=False)
    return made


@needs_opengl
@pytest.mark.usefixtures("notebook")
def test_a_page_has_the_scene_its_time_and_its_colours(tmp_path: Path) -> None:
    for name, result in runs(tmp_path).items():
        page = result.view(0.1, mf.Look(cmap="viridis", limits=(-1.0, 1.5), size=(320, 200)))
        text = page._repr_html_()  # type: ignore[attr-defined]
        assert text.startswith("<div>t = 0.1; log<sub>10</sub> density"), name
        assert ": -1 <span" in text and "</span> 1.5" in text and "#440154" in text
        (inner,) = re.findall(r'<iframe srcdoc="(.*?)" width="320" height="200"', text, re.S)
        inside = html.unescape(inner)
        # The whole of it is in the notebook: the program that draws, and what it draws.
        assert len(inside) > 100_000
        assert not re.search(r"<(?:script|link|img)[^>]*(?:src|href)=[\"']https?:", inside)
    with pytest.raises(InputError, match=r"0\.05 found.*0 or 0\.1"):
        result.view(0.05)
    with pytest.raises(InputError, match="did you mean 'html'"):
        result.view(backend="htm")


@needs_opengl
@pytest.mark.usefixtures("notebook")
def test_tokens_and_results_without_a_folder() -> None:
    result = mf.run(few_tokens(time__end=0.5), progress=False)
    text = result.view(backend="html")._repr_html_()  # type: ignore[attr-defined]
    assert f"t = {result.t:.6g}" in text and "density" not in text.split("<iframe")[0]


def test_nowhere_to_show_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    result = mf.run(few_tokens(time__end=0.5), progress=False)
    with pytest.raises(InputError, match="neither a notebook nor a screen"):
        result.view()


@needs_dolfinx
@needs_opengl
@pytest.mark.slow
def test_the_notebook_of_the_documentation_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    book = nbformat.read(ROOT / "docs" / "notebooks" / "first.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in book.cells), "it is kept without outputs"
    NotebookClient(
        book, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    shown = {
        cell.source.splitlines()[-1]: [out for out in cell.outputs if out.output_type != "stream"]
        for cell in book.cells
        if cell.cell_type == "code"
    }
    pictures = [c for c, outs in shown.items() if any("image/png" in out.data for out in outs)]
    assert len(pictures) == 3
    (view,) = (outs for c, outs in shown.items() if ".view(" in c)
    assert "<iframe" in view[0].data["text/html"]
    (density,) = (outs[0].data["text/plain"] for c, outs in shown.items() if ".at(" in c)
    values = np.array(re.findall(r"\d+\.\d+", density), dtype=float)
    assert values.shape == (2,) and np.all(values > 5.0)  # both bumps have sharpened
