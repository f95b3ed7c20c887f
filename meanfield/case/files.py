"""Case files: read as nested tables, and written."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

import tomli_w

from meanfield.case.overrides import apply_overrides
from meanfield.errors import InputError, suggest

__all__ = ["emit_toml", "read_table"]


def read_table(
    path: Path, overrides: Iterable[str] | Mapping[str, object] = ()
) -> dict[str, object]:
    """Read a case file as nested tables, with overrides, before anything in it is checked.

    Raises:
        InputError: no such file, no TOML, or an override of a key that no case has.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = ""
        if path.parent.is_dir():
            # Without the ending, which all of them share and which says nothing.
            near = suggest(path.stem, (p.stem for p in path.parent.glob("*.toml")))
            near = near.replace("'?)", ".toml'?)")
        raise InputError(f"there is no case file {path}{near}") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, expected a case file (TOML)") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: a case file is UTF-8 text, but {error}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not valid TOML: {error}") from None
    raw = apply_overrides(raw, overrides)
    raw.setdefault("title", path.stem)
    return raw


def emit_toml(table: Mapping[str, object]) -> str:
    """Write nested tables, such as those of a case, as TOML; what is None is left out."""
    return tomli_w.dumps(_tables(table))


def _tables(table: Mapping[str, object]) -> dict[str, object]:
    return {str(name): _plain(value) for name, value in table.items() if value is not None}


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return _tables(value)
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value
