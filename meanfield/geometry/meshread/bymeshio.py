"""Files that meshio reads.

meshio prints, exits the interpreter on some errors, and raises anything on a broken file.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from meanfield.geometry.meshread.raw import Raw, UnreadableError, one_line

__all__ = ["extensions", "quiet", "read"]


_ENDLESS = {
    ".ply": ("ply", False),
    ".off": ("off", True),
    ".dat": ("tecplot", True),
    ".tec": ("tecplot", True),
    ".msh": ("ansys", False),
}
"""Formats that meshio reads for ever where the end is missing, and whether as text."""

_PATIENCE = 1000


class _Ending(io.BufferedReader):
    """A file that does not let itself be read for ever."""

    _after = 0

    def _passed(self, got: bytes | str, size: int | None) -> None:
        self._after = self._after + 1 if not got and size != 0 else 0
        if self._after > _PATIENCE:
            raise EOFError("the file ends too early")

    def read(self, size: int | None = -1, /) -> bytes:
        got = super().read(size)
        self._passed(got, size)
        return got

    def readline(self, size: int | None = -1, /) -> bytes:
        got = super().readline(size)
        self._passed(got, size)
        return got


class _EndingText(io.TextIOWrapper):
    """The same for text, which is read line by line."""

    _after = 0

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        got = super().readline(size)
        self._after = self._after + 1 if not got else 0
        if self._after > _PATIENCE:
            raise EOFError("the file ends too early")
        return got


def extensions() -> list[str]:
    """The endings of names that it knows."""
    import meshio  # here, since it takes 0.2 s

    return list(meshio.extension_to_filetypes)


def read(path: Path) -> Raw:
    """Read a file.

    Raises:
        UnreadableError: for whatever meshio raises, prints or exits with.
        OSError: if the file cannot be opened.
    """
    import meshio

    with path.open("rb") as file:
        gmsh = file.read(11).startswith(b"$MeshFormat")
    # .msh is also an Ansys extension, which meshio would try first.
    kind, text = ("gmsh", False) if gmsh else _ENDLESS.get(path.suffix.lower(), (None, False))
    chatter = io.StringIO()
    try:
        with quiet(chatter), contextlib.ExitStack() as opened:
            source: Path | io.IOBase = path
            if kind is not None and not gmsh:
                binary = opened.enter_context(_Ending(io.FileIO(path)))
                source = _EndingText(binary, encoding="utf-8") if text else binary
            found = meshio.read(source, kind)
        return Raw(
            np.array(found.points, dtype=np.float64),
            tuple((b.type, np.array(b.data, dtype=np.int64)) for b in found.cells),
            {name: np.asarray(values) for name, values in found.point_data.items()},
            declared=path.suffix.lower() != ".obj",
        )
    except UnreadableError:
        raise
    except OSError as error:
        raise UnreadableError(error.strerror or one_line([str(error)])) from error
    except (Exception, SystemExit) as error:
        said = chatter.getvalue().strip() or f"{type(error).__name__}: {error}"
        raise UnreadableError(one_line([said])) from error


@contextlib.contextmanager
def quiet(chatter: io.StringIO) -> Iterator[None]:
    """Keep what meshio prints, and NumPy's warnings about damaged files, from the terminal."""
    with (
        contextlib.redirect_stdout(chatter),
        contextlib.redirect_stderr(chatter),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
