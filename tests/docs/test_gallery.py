"""What the gallery takes into its pages from the scripts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from processes import ROOT

from meanfield.scenes import Look, Stage, why_not

pytest.importorskip("sphinx_gallery", reason="no sphinx-gallery here: pip install '.[docs]'")


@pytest.mark.skipif(bool(why_not()), reason="no OpenGL")
def test_a_page_has_the_plotters_that_were_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once; not those that pictures of ours were drawn by, which are closed."""
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    import pyvista
    from matplotlib.image import imread
    from plotters import shown

    monkeypatch.setenv("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    with Stage(Look(size=(60, 60))) as ours:
        ours.ball()
        ours.image()
    plotter = pyvista.Plotter(off_screen=True, window_size=(80, 60))
    plotter.add_mesh(pyvista.Sphere(), color="red")
    begun = pyvista.Plotter(off_screen=True)
    names = {"ours": ours.plotter, "plotter": plotter, "begun": begun, "number": 3}
    files = (str(tmp_path / f"{k}.png") for k in range(9))
    given = {"example_globals": names, "image_path_iterator": files}
    conf = {"src_dir": str(tmp_path)}

    assert shown("block", given, conf) == ""
    plotter.show()
    assert "/0.png" in shown("block", given, conf)
    assert shown("block", given, conf) == ""
    begun.close()
    assert [path.name for path in tmp_path.iterdir()] == ["0.png"]
    image = imread(tmp_path / "0.png")
    assert image.shape[:2] == (60, 80)
    assert np.ptp(image[..., 1]) > 0.5  # neither blank nor of one colour
