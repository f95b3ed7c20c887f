"""Render a window of a few pixels, as a program of its own: VTK may crash where no OpenGL is.

``python probe.py`` ends with 0 where that went well.
"""

from __future__ import annotations

__all__ = ["render"]

_SIZE = 16


def render() -> bool:
    """Whether an empty scene comes out in the colour of its background."""
    import vtkmodules.vtkRenderingOpenGL2  # noqa: F401  (what renders, registered by its import)
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkCommonCore import vtkUnsignedCharArray
    from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow

    window, renderer = vtkRenderWindow(), vtkRenderer()
    window.SetOffScreenRendering(True)
    window.SetSize(_SIZE, _SIZE)
    renderer.SetBackground(1.0, 0.0, 0.0)
    window.AddRenderer(renderer)
    window.Render()
    pixels = vtkUnsignedCharArray()
    window.GetPixelData(0, 0, _SIZE - 1, _SIZE - 1, 1, pixels, 0)
    return bool((vtk_to_numpy(pixels) == (255, 0, 0)).all())


if __name__ == "__main__":
    raise SystemExit(0 if render() else 1)
