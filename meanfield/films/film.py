"""A film of a run, from its folder."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from meanfield.arguments import PathLike, checked_arguments
from meanfield.errors import InputError
from meanfield.figures.reel import DensityReel, TokenReel, open_density, open_tokens
from meanfield.figures.style import drawing
from meanfield.films.curves import curve_frames
from meanfield.films.options import Film
from meanfield.films.spheres import sphere_frames
from meanfield.films.writing import ending_of, film_file
from meanfield.geometry.sphere import Array
from meanfield.results.folder import RunFolder
from meanfield.runs.progress import Counted
from meanfield.runs.result import Result
from meanfield.scenes import Look, why_not

__all__ = ["film"]

_SIZES = {".mp4": (1280, 720), ".gif": (800, 450)}


@checked_arguments
def film(
    run: PathLike | Result,
    path: PathLike | None = None,
    options: Film | None = None,
    *,
    tokens: PathLike | Result | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
) -> Path:
    """Film a run: a density on S^2, S^1 or of theta, or tokens on S^2 or S^1.

    Args:
        run: its folder, or its result.
        path: the file to make, .mp4 or .gif; None: figures/film.mp4 in the folder.
        options: frames, size, colours, camera; None: as they are by default.
        tokens: of a density on S^2: a run whose tokens are shown over it, at the same times.
        overwrite: whether a file of this name is replaced.
        progress: True: a bar, False: nothing; None: what suits where the output goes.

    Returns:
        The file made.

    Raises:
        InputError: there is nothing to film, no ffmpeg, or no OpenGL for spheres.

    Example:
        >>> import meanfield as mf
        >>> mf.film("results/clustering", "clustering.gif", mf.Film(frames=100))  # doctest: +SKIP
    """
    folder, film = RunFolder.open(_folder(run)), options or Film()
    inside = path is None
    made = folder.figures_dir / "film.mp4" if path is None else Path(path)
    ending = ending_of(made)
    if made.exists() and not overwrite:
        raise InputError(f"{made} exists: expected another name, or overwrite (--overwrite)")
    if not made.parent.is_dir() and not inside:
        raise InputError(f"{made.parent}: found no such folder for {made.name}")
    density, cloud = _opened(folder, tokens)
    _refuse_what_cannot_be(density, cloud, film)
    size, times = film.size or _SIZES[ending], _times(density, cloud, film.frames)
    with contextlib.ExitStack() as stack:
        if inside:
            stack.enter_context(RunFolder.claimed(folder.path, "film"))
            made = folder.figure("film.mp4")
            made.parent.mkdir(exist_ok=True)
        stack.enter_context(drawing())
        shown = stack.enter_context(Counted(progress, len(times), 0, "frame"))
        frames = stack.enter_context(
            contextlib.closing(_frames(folder, density, cloud, film, times, size))
        )
        file = stack.enter_context(film_file(made, size, film.fps))
        for frame in frames:
            file.write(frame)
            shown.update()
    return made


def _folder(run: PathLike | Result) -> PathLike:
    if not isinstance(run, Result):
        return run
    if run.folder is None:
        raise InputError("found a result without a folder, expected one that was run into a folder")
    return run.folder


def _opened(
    folder: RunFolder, tokens: PathLike | Result | None
) -> tuple[DensityReel | None, TokenReel | None]:
    """The density of a run, or else its tokens; and tokens to be shown over the density."""
    if folder.fields_path.is_file():
        density = open_density(folder)
        if tokens is None:
            return density, None
        cloud = open_tokens(RunFolder.open(_folder(tokens)))
        if density.fields.manifold.dimension != 2 or cloud.tokens.d != 3:
            raise InputError(
                f"tokens: found d = {cloud.tokens.d} over a '{density.fields.geometry}', "
                "expected tokens with d = 3 over a density on the sphere S^2"
            )
        return density, cloud
    if not folder.particles_path.is_file():
        raise InputError(f"{folder.path}: found neither fields nor tokens to film")
    if tokens is not None:
        raise InputError(f"tokens: found a run of tokens in {folder.path}, expected a density")
    return None, open_tokens(folder)


def _refuse_what_cannot_be(
    density: DensityReel | None, cloud: TokenReel | None, film: Film
) -> None:
    """What such a film has no use for, and spheres where none are rendered."""
    look = film.look
    curve = density is not None and density.fields.manifold.dimension == 1
    if curve or (density is None and cloud is not None and cloud.tokens.d == 2):
        for name, given in (
            ("camera", look.camera is not None),
            ("turntable", film.turntable != 0.0),
            ("views", film.views != 2),
        ):
            if given:
                raise InputError(
                    f"{name}: found for what is filmed in a plane, expected it for spheres only"
                )
    if curve:
        return
    if density is None:
        for name, given in (("cmap", look.cmap != Look().cmap), ("limits", bool(look.limits))):
            if given:
                raise InputError(
                    f"{name}: found for tokens, which have the colours of their clusters, expected "
                    "it for densities only"
                )
    reason = why_not()
    if reason:
        raise InputError(
            f"films of spheres: {reason}; without it: `meanfield plot` draws pictures, and "
            "`meanfield paraview` makes a scene for ParaView"
        )


def _times(density: DensityReel | None, cloud: TokenReel | None, frames: int) -> Array:
    """Times of the frames: as many between any two outputs, where the outputs follow the motion."""
    reel = density if density is not None else cloud
    assert reel is not None
    outputs = reel.times
    if cloud is not None and density is not None:
        last = min(outputs[-1], cloud.times[-1])
        outputs = np.append(outputs[outputs < last], last)
    return np.interp(np.linspace(0.0, len(outputs) - 1.0, frames), np.arange(len(outputs)), outputs)


def _frames(
    folder: RunFolder,
    density: DensityReel | None,
    cloud: TokenReel | None,
    film: Film,
    times: Array,
    size: tuple[int, int],
) -> Generator[NDArray[np.uint8]]:
    if density is not None and density.fields.manifold.dimension == 1:
        yield from curve_frames(folder, density, film, times, size)
    else:
        yield from sphere_frames(folder, density, cloud, film, times, size)
