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
        start = file.read(11)
    # .msh is also an Ansys extension, which meshio would try first.
    kind = "gmsh" if start.startswith(b"$MeshFormat") else None
    chatter = io.StringIO()
    try:
        with quiet(chatter):
            found = meshio.read(path, kind)
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
