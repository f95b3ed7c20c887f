"""A scene of pyvista: what stands in it, and its images.

Owns lights, surfaces, lines, arrows and tokens. Light is soft and white, nowhere brighter than the
colour itself: a shaded surface is at most an eighth darker than its colour map, and in the mean a
twentieth. Knows no files, no times.
"""

from __future__ import annotations

import itertools
import math
from types import TracebackType
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import cKDTree

from meanfield.errors import InputError
from meanfield.geometry.sphere import Array
from meanfield.scenes.look import Look
from meanfield.scenes.opengl import off_screen, why_not
from meanfield.scenes.views import (
    CLUSTER_COLOURS,
    frame_towards,
    graticule,
    ring,
    spread_points,
)
from meanfield.software import load_pyvista

if TYPE_CHECKING:
    import pyvista

__all__ = ["MARGIN", "TOKENS_SHOWN", "Stage", "shown_tokens"]

MARGIN = 1.03
"""Half of the shorter side of an image, in radii of the sphere."""
TOKENS_SHOWN = 20_000
"""More tokens are neither told apart nor worth the time."""

# Pixels rendered for one of an image, either way: thinner lines, and faster than multisampling.
_FINE = 2
_AMBIENT, _DIFFUSE = 0.87, 0.13  # sum 1: what faces the light has the colour of the map
_ABOVE, _RAISED = 1.003, 1.02  # where lines run, and rings above the tokens, in radii
_BELOW_RINGS = 1.017
_DOT = 0.022  # radians, the radius of a dot
_ARROWS = 500
_LONGEST = 0.16  # of an arrow, in radii
_TUBE = 0.035
_HEIGHT = 0.9  # of a curve over the circle, from the lower to the upper limit


class Stage:
    """A scene to be filled, and looked at from any side, without a window.

    What is put on it a second time (a density on the same mesh, as many tokens) takes the place of
    the first: a film changes numbers, not actors.

    Args:
        look: how it looks.
        seen: "image": by images of it; "notebook": by whoever turns it there; "screen": in a window
            (on a screen that is there).

    Raises:
        InputError: nothing is rendered on this machine; says why.
    """

    def __init__(self, look: Look, seen: Literal["image", "notebook", "screen"] = "image") -> None:
        reason = why_not()
        if reason:
            raise InputError(f"no scene in three dimensions: {reason}")
        self._pv = load_pyvista()
        self.look = look
        self.limits = look.limits
        # A theme of its own: scenes look the same whatever a user has set for theirs.
        theme = self._pv.themes.DocumentTheme()
        self._fine = _FINE if seen == "image" else 1
        with off_screen():
            self.plotter: pyvista.Plotter = self._pv.Plotter(
                off_screen=seen != "screen",
                notebook=seen == "notebook",
                window_size=[self._fine * pixels for pixels in look.size],
                lighting="none",
                theme=theme,
            )
        self.plotter.set_background(look.background)
        self.plotter.enable_parallel_projection()
        if seen == "image":
            self.plotter.disable_anti_aliasing()  # images are rendered finer, and reduced
        light = self._pv.Light(position=(-0.35, 0.45, 1.0), light_type="camera light")
        self.plotter.add_light(light)
        self._meshes: dict[str, pyvista.PolyData] = {}
        self._cells: NDArray[np.int64] = np.zeros((0, 3), dtype=np.int64)

    # -- what stands in it ------------------------------------------------------------------------

    def density(self, points: Array, cells: NDArray[np.int64], log10_rho: Array) -> None:
        """A density on the unit sphere.

        Args:
            points: vertices, (n, 3) unit vectors.
            cells: triangles, (m, 3) numbers of vertices.
            log10_rho: at the vertices, relative to uniform, (n,).
        """
        values = self._in_reach(log10_rho)
        known = self._meshes.get("density")
        if (
            known is not None
            and known.n_points == len(points)
            and np.array_equal(self._cells, cells)
        ):
            known.points[:] = points
            known.point_data["normals"][:] = points
            known.point_data["value"][:] = values
            known.point_data["value"].VTKObject.Modified()
            known.Modified()
            return
        self._cells = np.array(cells)
        mesh = self._surface(points, cells)
        mesh.point_data["value"] = values
        self._add("density", mesh, scalars="value", culling="back", **self._coloured())

    def _surface(self, points: Array, cells: NDArray[np.int64]) -> pyvista.PolyData:
        # All triangles face outwards: those of the far side are left out, a third of the time.
        a, b, c = (points[cells[:, k]] for k in range(3))
        inwards = np.einsum("ij,ij->i", np.cross(b - a, c - a), a + b + c) < 0.0
        turned = np.where(inwards[:, None], cells[:, ::-1], cells)
        mesh = self._pv.PolyData.from_regular_faces(np.array(points, dtype=np.float64), turned)
        # The surface is the sphere, whatever the triangles: a vertex is its own normal.
        mesh.point_data["normals"] = np.array(points, dtype=np.float64)
        mesh.point_data.active_normals_name = "normals"
        return mesh

    def _in_reach(self, values: Array) -> Array:
        """Values with voids cut before they are interpolated: the edge to one is all void."""
        values = np.asarray(values, dtype=np.float64)
        if self.limits is None:
            low = max(float(values.min()), -2.0)
            self.limits = low, max(float(values.max()), low + 0.5)
        return np.maximum(values, self.limits[0] - 0.5)

    def _coloured(self) -> dict[str, object]:
        return {
            "cmap": self.look.cmap, "clim": self.limits, "show_scalar_bar": False,
            "below_color": self.look.empty,
        }  # fmt: skip

    def _add(self, name: str, mesh: pyvista.PolyData, **looks: object) -> pyvista.Actor:
        """Put a mesh in place of what had this name; lit softly, unless ``lighting`` is False."""
        self._meshes[name] = mesh
        lit = {"ambient": _AMBIENT, "diffuse": _DIFFUSE, "specular": 0.0}
        actor = self.plotter.add_mesh(
            mesh, name=name, reset_camera=False, render=False, **{**lit, **looks}
        )
        actor.prop.interpolation = "phong"
        return actor

    def ball(self) -> None:
        """A plain sphere, for what stands on it."""
        grid = self._pv.Icosphere(radius=1.0, nsub=4)
        points = grid.points / np.linalg.norm(grid.points, axis=1)[:, None]
        colour = "#f6f6f6" if self.look.style == "light" else "#3a3a42"
        self._add("ball", self._surface(points, grid.regular_faces), color=colour)

    def circle(self) -> None:
        """The unit circle in the plane of the first two axes, for tokens that live there."""
        angle = np.linspace(0.0, 2.0 * np.pi, 361)
        line = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=1)
        self._lines("circle", [line], "#b4b4b4" if self.look.style == "light" else "#606068", 1.5)

    def curve(self, points: Array, values: Array) -> None:
        """A density on the circle: a tube over it, as high and in such colours as the density.

        Args:
            points: (n, 2) unit vectors, or (n, 3) with a third coordinate that is not looked at.
            values: log10 of the density relative to uniform, (n,).
        """
        order = np.argsort(np.arctan2(points[:, 1], points[:, 0]))
        order = np.append(order, order[0])
        kept = self._in_reach(values)[order]
        assert self.limits is not None
        low, high = self.limits
        height = _HEIGHT * np.clip((kept - low) / (high - low), 0.0, 1.0)
        line = self._pv.lines_from_points(np.column_stack([points[order, :2], height]))
        line.point_data["value"] = kept
        tube = line.tube(radius=_TUBE, n_sides=24)
        foot = np.linspace(0.0, 2.0 * np.pi, 361)
        floor = np.stack([np.cos(foot), np.sin(foot), np.zeros_like(foot)], axis=1)
        self._lines("floor", [floor], "#888888", 1.0)
        self._add("curve", tube, scalars="value", **self._coloured())

    def tokens(self, points: Array, colours: NDArray[np.int64]) -> None:
        """Tokens on the unit sphere, of which 20 000 are shown.

        Args:
            points: (n, 3) unit vectors.
            colours: for each, (n,): which of ``CLUSTER_COLOURS``, -1: grey.
        """
        if not {"density", "ball", "circle"} & self._meshes.keys():
            self.ball()
        chosen = shown_tokens(len(points))
        points, colours = points[chosen], np.asarray(colours)[chosen]
        # Grey below the others: what is drawn last is on top of what is as near.
        order = np.argsort(np.asarray(colours) >= 0, kind="stable")
        cloud = self._pv.PolyData(_ABOVE * np.asarray(points, dtype=np.float64)[order])
        cloud.point_data["rgb"] = _rgb(np.asarray(colours)[order])
        # Over a density smaller: what is below must be seen.
        side = self._fine * min(self.look.size) * (0.6 if "density" in self._meshes else 1.0)
        # About the same ink for few and many, but neither blots nor dots smaller than a pixel.
        size = side * min(max(0.45 / math.sqrt(len(points)), 0.006), 0.022)
        self._add(
            "tokens", cloud, scalars="rgb", rgb=True, style="points", point_size=size,
            render_points_as_spheres=True, ambient=0.75, diffuse=0.25,
        )  # fmt: skip

    def arrows(self, points: Array, vectors: Array) -> None:
        """Arrows on the unit sphere along tangent vectors, evenly spread.

        Args:
            points: (n, 3) unit vectors; those nearest to some hundred even places have an arrow.
            vectors: (n, 3); the longest has an arrow of a sixth of the radius, others in
                proportion, but none is shorter than a tenth of it.
        """
        chosen = np.unique(cKDTree(points).query(spread_points(min(_ARROWS, len(points))))[1])
        lengths = np.linalg.norm(vectors[chosen], axis=1)
        chosen, lengths = chosen[lengths > 0.0], lengths[lengths > 0.0]
        if not len(chosen):
            self.plotter.remove_actor("arrows", render=False)
            return
        at = self._pv.PolyData(1.01 * np.asarray(points, dtype=np.float64)[chosen])
        at.point_data["way"] = vectors[chosen] / lengths[:, None]
        at.point_data["length"] = _LONGEST * np.maximum(lengths / lengths.max(), 0.1)
        shape = self._pv.Arrow(
            tip_length=0.35, tip_radius=0.14, shaft_radius=0.05, tip_resolution=12,
            shaft_resolution=8,
        )  # fmt: skip
        made = at.glyph(orient="way", scale="length", geom=shape)
        self._add("arrows", made, color="white" if "density" in self._meshes else self.look.ink)

    def rings(self, centres: Array, colours: NDArray[np.int64] | None = None) -> None:
        """Rings around places that hold much mass in an area too small to see.

        Args:
            centres: unit vectors, (c, 3).
            colours: of what is inside, (c,): which of ``CLUSTER_COLOURS``; -1 or None: not filled.
        """
        on_colours = "density" in self._meshes
        lines = [_RAISED * ring(centre).T for centre in centres]
        # With a dark rim: what is ringed may be bright, and around it is light grey.
        rims = [line / _RAISED * _BELOW_RINGS for line in lines] if on_colours else []
        self._lines("rims", rims, "#303030", 3.6)
        self._lines("rings", lines, "white" if on_colours else self.look.ink, 1.8)
        filled = np.full(len(lines), -1) if colours is None else colours
        for k, name in enumerate(CLUSTER_COLOURS):
            inside = np.flatnonzero(filled == k)
            if not len(inside):
                self.plotter.remove_actor(f"rings {k}", render=False)
                continue
            # Fans from the centres: the plane of a ring is below the surface.
            points = np.concatenate([[_RAISED * centres[i], *lines[i]] for i in inside])
            around = np.arange(1, len(lines[0]))
            fan = np.stack([np.zeros_like(around), around, around + 1], axis=1)
            faces = np.concatenate([fan + n * (len(lines[0]) + 1) for n in range(len(inside))])
            caps = self._pv.PolyData.from_regular_faces(points, faces)
            self._add(f"rings {k}", caps, color=name, opacity=0.35, lighting=False)

    def dots(self, centres: Array, values: Array) -> None:
        """Dots in the colours of densities, where one is too narrow for the mesh that shows it.

        Args:
            centres: unit vectors, (c, 3).
            values: log10 of the densities, (c,); nan: no dot.
        """
        low, high = self.limits or (0.0, 1.0)
        shown = np.isfinite(values)
        parts = np.clip((values[shown] - low) / (high - low), 0.0, 1.0)
        import matplotlib

        rgb = matplotlib.colormaps[self.look.cmap](parts, bytes=True)[:, :3]
        dark = np.full_like(rgb, 0x30)
        self._discs("dark dots", centres[shown], _BELOW_RINGS, 1.35 * _DOT, dark)
        self._discs("dots", centres[shown], _RAISED, _DOT, rgb)

    def _discs(
        self, name: str, centres: Array, height: float, angle: float, rgb: NDArray[np.uint8]
    ) -> None:
        if not len(centres):
            self.plotter.remove_actor(name, render=False)
            return
        rims = [height * ring(centre, angle).T for centre in centres]
        points = np.concatenate([[height * c, *rim] for c, rim in zip(centres, rims, strict=True)])
        each = len(rims[0]) + 1
        around = np.arange(1, each - 1)
        fan = np.stack([np.zeros_like(around), around, around + 1], axis=1)
        faces = np.concatenate([fan + k * each for k in range(len(centres))])
        discs = self._pv.PolyData.from_regular_faces(points, faces)
        discs.point_data["rgb"] = np.repeat(rgb, each, axis=0)
        self._add(name, discs, scalars="rgb", rgb=True, lighting=False)

    def graticule(self) -> None:
        """Parallels and meridians, each 30 degrees, of the third coordinate axis."""
        on_colours = "density" in self._meshes
        colour = "#a8a8a8" if on_colours else "#b4b4b4" if self.look.style == "light" else "#606068"
        self._lines("graticule", [_ABOVE * line for line in graticule()], colour, 0.7)

    def _lines(self, name: str, lines: list[Array], colour: str, width: float) -> None:
        """Lines (p, 3), some ``width`` pixels wide in an image of 600.

        Opaque: a line of half a pixel is half as strong; transparency costs a third of the time.
        """
        if not lines:
            self.plotter.remove_actor(name, render=False)
            return
        ends = np.cumsum([0, *(len(line) for line in lines)])
        cells = [np.r_[b - a, a:b] for a, b in itertools.pairwise(ends)]
        made = self._pv.PolyData(np.concatenate(lines), lines=np.concatenate(cells))
        self._add(
            name, made, color=colour, lighting=False,
            line_width=max(_FINE * width * min(self.look.size) / 600.0, 1.0),
        )  # fmt: skip

    # -- images of it -----------------------------------------------------------------------------

    def image(self, toward: Array | None = None) -> NDArray[np.uint8]:
        """An image from one side, parallel projection, (h, w, 3).

        The third coordinate axis points up where it can; a sphere fills the shorter side but for
        the margin.

        Args:
            toward: unit vector towards the viewer; None: the camera of the look, else an oblique
                view.
        """
        self.aim(toward)
        self.plotter.render()  # a screenshot alone is of what was rendered last
        shown = self.plotter.screenshot(None, return_img=True)
        assert shown is not None
        fine = Image.fromarray(np.ascontiguousarray(shown[:, :, :3]))
        return np.asarray(fine.reduce(_FINE))

    def aim(self, toward: Array | None = None) -> None:
        """Look at the scene from one side: see ``image``."""
        if toward is None:
            toward = np.array(self.look.camera or (1.0, -1.0, 0.7))
        toward = np.asarray(toward, dtype=np.float64) / np.linalg.norm(toward)
        camera = self.plotter.camera
        centre = np.zeros(3)
        if "curve" in self._meshes:
            centre[2] = 0.5 * _HEIGHT
        camera.focal_point = tuple(centre)
        camera.position = tuple(centre + 5.0 * toward)
        camera.up = tuple(frame_towards(toward)[1])
        width, height = self.look.size
        room = MARGIN + (0.5 * _HEIGHT if "curve" in self._meshes else 0.0)
        camera.parallel_scale = room * max(height / width, 1.0)
        camera.clipping_range = (2.0, 8.0)

    def close(self) -> None:
        """Let go of the window; a second call does nothing."""
        self.plotter.close()

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def shown_tokens(n: int) -> NDArray[np.int64]:
    """Numbers of the tokens that are drawn of so many: the same in all views of them."""
    if n <= TOKENS_SHOWN:
        return np.arange(n)
    return np.random.default_rng(0).permutation(n)[:TOKENS_SHOWN]


def _rgb(colours: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Numbers of colours as red, green and blue, (n, 3)."""
    table = [[int(c[k : k + 2], 16) for k in (1, 3, 5)] for c in (*CLUSTER_COLOURS, "#7f7f7f")]
    return np.array(table, dtype=np.uint8)[colours]
