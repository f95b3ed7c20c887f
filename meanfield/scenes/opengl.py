"""Whether this machine renders off-screen, and by which of VTK's windows.

Knows nothing of what is rendered.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from meanfield.scenes import probe

__all__ = ["off_screen", "why_not"]

_VARIABLE, _EGL = "VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow"
_PATIENCE = 60.0  # seconds: a driver may wait for a device that does not answer


@functools.cache
def why_not() -> str:
    """Why scenes are not rendered here; empty where they are.

    Tried once for a process, by a program of its own (half a second), since VTK crashes where it
    finds no OpenGL library, and some drivers do.
    """
    for name in ("pyvista", "vtkmodules"):
        if importlib.util.find_spec(name) is None:
            return f"{name} is not installed"
    # -P: the modules beside the script must not stand in the way of those that VTK imports.
    command = [sys.executable, "-P", probe.__file__]
    environment = {**os.environ, **_wanted(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"OpenGL drew nothing in {_PATIENCE:.0f} s"
    except OSError as error:
        return f"the trial of OpenGL does not start: {error.strerror or error}"
    if done.returncode == 0:
        return ""
    return (
        "OpenGL renders nothing off-screen (libegl1 and Mesa's drivers are enough: "
        "apt-get install libegl1 libgl1-mesa-dri)"
    )


@contextmanager
def off_screen() -> Iterator[None]:
    """Windows that are made within render off-screen without asking a display that is not there.

    Left to itself VTK tries X first, writes warnings about it, and then takes EGL.
    """
    wanted = _wanted()
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name in wanted:
            del os.environ[name]


def _wanted() -> dict[str, str]:
    """Variables to set: EGL on Linux, unless the user has chosen, or has a display."""
    chosen = os.environ.get(_VARIABLE) or os.environ.get("DISPLAY")
    return {} if chosen or not sys.platform.startswith("linux") else {_VARIABLE: _EGL}
