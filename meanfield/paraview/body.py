"""What every state script does with its tables ``DENSITY`` and ``TOKENS``: text of Python.

For ParaView's own Python (>= 5.12, ``paraview.simple``), which is no part of this environment.
Knows nothing of folders: the numbers come from ``state``.
"""

from __future__ import annotations

__all__ = ["BODY"]

BODY = r'''
import inspect
import os
import sys

from paraview.simple import *  # noqa: F403

INK = [0.15, 0.15, 0.15]
PALE = [0.86, 0.87, 0.89]


def here():
    """The folder of this script, so that it may move together with the data."""
    for name in (globals().get("__file__"), inspect.getfile(inspect.currentframe())):
        if name and os.path.isfile(name):
            return os.path.dirname(os.path.abspath(name))
    return WRITTEN_IN


def opened(table, name):
    """The reader of a run's file."""
    path = os.path.normpath(os.path.join(here(), table["file"]))
    if not os.path.exists(path):
        sys.exit(f"{path} is missing: keep this script in its place beside the data")
    reader = OpenDataFile(path)
    RenameSource(name, reader)
    reader.UpdatePipeline()
    return reader


def shown(source, view, kind="Surface"):
    """Show a source in a way of representation."""
    display = Show(source, view)
    display.SetRepresentationType(kind)
    return display


def plain(display, colour):
    """One colour for all of it."""
    display.ColorArrayName = [None, ""]
    display.AmbientColor = display.DiffuseColor = colour
    display.Ambient, display.Diffuse = 0.5, 0.5


def bar(lut, view, title, corner):
    """A scale of colours, dark on light."""
    scale = GetScalarBar(lut, view)
    scale.Title, scale.ComponentTitle = title, ""
    scale.WindowLocation = corner
    scale.ScalarBarLength = 0.45
    scale.TitleColor = scale.LabelColor = INK
    scale.TitleFontSize = scale.LabelFontSize = 12
    scale.AddRangeLabels = 0
    return scale


def density_colours(lut):
    """Colours of log10 rho, with the same limits at all times: what is beyond has the last one."""
    lut.ApplyPreset("Magma (matplotlib)", True)
    lut.AutomaticRescaleRangeMode = "Never"
    lut.RescaleTransferFunction(*DENSITY["limits"])


def show_density(view):
    """The density: colours on the sphere; on a curve a tube at the height of log10 rho."""
    source = opened(DENSITY, "density")
    values = source
    if DENSITY["from_rho"]:
        values = Calculator(registrationName="log10 of rho", Input=source)
        values.ResultArrayName = "log10_rho"
        values.Function = "log10(max(rho, 1e-300))"
    low, high = DENSITY["limits"]
    lut = GetColorTransferFunction("log10_rho")
    if DENSITY["height"] is None:
        smooth = Calculator(registrationName="normals", Input=values)
        smooth.Function = "coords"  # the normals of a sphere
        smooth.ResultArrayName, smooth.ResultNormals = "Normals", 1
        display = shown(smooth, view)
    else:
        ground = Tube(registrationName="uniform density", Input=edges(source, "curve"))
        ground.Radius = 0.006
        plain(shown(ground, view), [0.6, 0.6, 0.6])
        clamped = Calculator(registrationName="height", Input=values)
        clamped.ResultArrayName = "height"
        clamped.Function = f"max({low}, min({high}, log10_rho))"
        lifted = WarpByScalar(registrationName="lifted", Input=clamped)
        lifted.Scalars = ["POINTS", "height"]
        lifted.Normal = DENSITY["height"]["normal"]
        lifted.UseNormal = 1
        lifted.ScaleFactor = DENSITY["height"]["scale"]
        tube = Tube(registrationName="tube", Input=edges(lifted, "lifted curve"))
        tube.Radius, tube.NumberofSides = 0.02, 24
        display = shown(tube, view)
    ColorBy(display, ("POINTS", "log10_rho"))
    density_colours(lut)
    # A colour means the same number everywhere: little shade.
    display.Ambient, display.Diffuse, display.Specular = 0.75, 0.3, 0.0
    scale = bar(lut, view, "log10 of the density\n(uniform = 0)", "Lower Right Corner")
    scale.UseCustomLabels, scale.CustomLabels = 1, DENSITY["labels"]
    display.SetScalarBarVisibility(view, True)
    if DENSITY["velocity"] is not None:
        arrows(source, DENSITY["velocity"], view)
    return source


def edges(source, name):
    """Lines of a mesh as Tube wants them, one after the other."""
    surface = ExtractSurface(registrationName=f"{name}: lines", Input=source)
    return TriangleStrips(registrationName=name, Input=surface)


def arrows(source, scale, view):
    """Arrows of the velocity: there, but not shown until their eye is clicked."""
    glyph = Glyph(registrationName="velocity", Input=source, GlyphType="Arrow")
    glyph.OrientationArray = ["POINTS", "velocity"]
    glyph.ScaleArray = ["POINTS", "velocity"]
    glyph.ScaleFactor = scale
    glyph.GlyphMode = "Uniform Spatial Distribution (Bounds Based)"
    glyph.MaximumNumberOfSamplePoints = 600
    plain(shown(glyph, view), INK)
    Hide(glyph, view)


COLOUR_OF = """
import bisect
import numpy as np
times, tables = {times}, {tables}
# The time that is asked for: the reader of VTKHDF does not tell the one that it gives.
t = self.GetOutputInformation(0).Get(self.GetExecutive().UPDATE_TIME_STEP()) or 0.0
# The step that the reader gives: the last one that is not after t.
k = bisect.bisect_right(times, t + 1e-9 * (1.0 + abs(t))) - 1
table = tables[k] if k >= 0 else tables[0]
label = np.asarray(inputs[0].PointData["cluster"])
colour = np.full(len(label), -1, dtype=np.int32)
for one, number in table.items():
    colour[label == one] = number
output.PointData.append(colour, "colour")
"""


def show_tokens(view):
    """Tokens as small spheres, in the colours of their clusters; grey: in none of them."""
    source = opened(TOKENS, "tokens")
    ball(view)
    coloured = ProgrammableFilter(registrationName="coloured tokens", Input=source)
    coloured.CopyArrays = 1
    coloured.Script = COLOUR_OF.format(times=TOKENS["times"], tables=TOKENS["tables"])
    coloured.RequestUpdateExtentScript = coloured.RequestInformationScript = ""
    if TOKENS["many"]:  # discs: shaded ones darken where they overlap
        display = shown(coloured, view, "Point Gaussian")
        display.ShaderPreset = "Plain circle"
        display.GaussianRadius = TOKENS["radius"]
    else:
        balls = Glyph(registrationName="balls", Input=coloured, GlyphType="Sphere")
        balls.OrientationArray = ["POINTS", "No orientation array"]
        balls.ScaleArray = ["POINTS", "No scale array"]
        balls.ScaleFactor, balls.GlyphMode = 2.0 * TOKENS["radius"], "All Points"
        display = shown(balls, view)
        display.Ambient, display.Diffuse, display.Specular = 0.35, 0.7, 0.1
    ColorBy(display, ("POINTS", "colour"))
    lut = GetColorTransferFunction("colour")
    lut.InterpretValuesAsCategories = 1
    lut.AutomaticRescaleRangeMode = "Never"
    lut.Annotations = [text for pair in TOKENS["annotations"] for text in pair]
    lut.IndexedColors = [part for colour in TOKENS["colours"] for part in colour]
    bar(lut, view, "clusters\n(mass at the end)", "Lower Left Corner")
    display.SetScalarBarVisibility(view, True)
    if TOKENS["velocity"] is not None:
        arrows(coloured, TOKENS["velocity"], view)
    return source


def ball(view):
    """What the tokens are on, where no density shows it: a pale sphere, or a circle."""
    if DENSITY is not None:
        return
    if TOKENS["circle"]:
        ring = Ellipse(registrationName="circle", Center=[0, 0, 0], MajorRadiusVector=[1, 0, 0])
        ring.Resolution = 360
        line = Tube(registrationName="circle: tube", Input=ring)
        line.Radius = 0.004
        plain(shown(line, view), [0.6, 0.6, 0.6])
        return
    sphere = Sphere(registrationName="sphere", Radius=0.99)
    sphere.ThetaResolution = sphere.PhiResolution = 96
    display = shown(sphere, view)
    plain(display, PALE)
    if TOKENS["inside"]:  # in d > 3 tokens are shown by three of their coordinates
        display.BackfaceRepresentation = "Cull Frontface"


def look(view):
    """Background, camera and the label of time."""
    view.UseColorPaletteForBackground = 0
    view.BackgroundColorMode = "Single Color"
    view.Background = [1.0, 1.0, 1.0]
    view.OrientationAxesVisibility = 0
    label = AnnotateTime(registrationName="time")
    label.Format = "t = {time:.4g}"
    display = Show(label, view)
    display.Color = INK
    display.FontSize = 18
    display.WindowLocation = "Upper Left Corner"
    view.CameraParallelProjection = 1
    view.CameraFocalPoint = CAMERA["focus"]
    view.CameraPosition = [f + 5.0 * c for f, c in zip(CAMERA["focus"], CAMERA["toward"])]
    view.CameraViewUp = CAMERA["up"]
    view.CameraParallelScale = CAMERA["scale"]
    view.CenterOfRotation = [0.0, 0.0, 0.0]


def option(name, count):
    """Words after an option of the command line, or None."""
    if name not in sys.argv:
        return None
    place = sys.argv.index(name) + 1
    return sys.argv[place : place + count]


def main():
    """Build the pipeline; with --screenshot PNG [--time T] [--size W H] save a picture of it."""
    paraview.simple._DisableFirstRenderCameraReset()
    # Before anything is made: filters in Python leave names of NumPy here, such as max.
    last = max(table["times"][-1] for table in (DENSITY, TOKENS) if table is not None)
    size = [int(word) for word in option("--size", 2) or (1000, 800)]
    view = GetActiveViewOrCreate("RenderView")
    view.ViewSize = size
    if DENSITY is not None:
        show_density(view)
    if TOKENS is not None:
        show_tokens(view)
    look(view)
    scene = GetAnimationScene()
    scene.UpdateAnimationUsingDataTimeSteps()
    time = option("--time", 1)
    scene.AnimationTime = last if time is None else float(time[0])
    view.ViewTime = scene.AnimationTime
    Render(view)
    path = option("--screenshot", 1)
    if path is not None:
        SaveScreenshot(os.path.abspath(path[0]), view, ImageResolution=size)


main()
'''
"""The script after its tables. Names of proxies and properties are those of ParaView 5.12 to 6."""
