"""Case files: read as nested tables, and written."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

import tomli_w

from meanfield.case.overrides import apply_overrides, parsed_toml
from meanfield.errors import InputError, suggest
from meanfield.shipped import shipped_cases

__all__ = ["digest_of", "emit_toml", "read_table"]

_MOST_BYTES = 10_000_000


def read_table(
    path: Path, overrides: Iterable[str] | Mapping[str, object] = ()
) -> dict[str, object]:
    """Read a case file as nested tables, with overrides, before anything in it is checked.

    Raises:
        InputError: no such file, no TOML, or an override of a key that no case has.
    """
    try:
        raw = parsed_toml(_text(path))
    except FileNotFoundError:
        near = ""
        if path.parent.is_dir():
            # Without the ending, which all of them share and which says nothing.
            near = suggest(path.stem, (p.stem for p in path.parent.glob("*.toml")))
            near = near.replace("'?)", ".toml'?)")
        if path.stem in {case.name for case in shipped_cases()}:
            near = f"; it is shipped: `meanfield examples {path.stem}.toml` copies it"
        raise InputError(f"there is no case file {path}{near}") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, expected a case file (TOML)") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: a case file is UTF-8 text, but {error}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path} is not valid TOML: {error}") from None
    if not raw and not overrides:
        raise InputError(f"{path} is empty, expected a case: `meanfield help` shows its keys")
    raw = apply_overrides(raw, overrides)
    raw.setdefault("title", path.stem)
    return raw


def _text(path: Path) -> str:
    """What is in a file, without the mark that some editors put first.

    Looked at before it is opened: a pipe would be waited for, and a device never ends.
    """
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path} is a pipe or a device, expected a case file (TOML)")
    if found.st_size > _MOST_BYTES:
        raise InputError(
            f"{path} has {found.st_size / 1e6:.0f} MB, expected a case file (TOML) of at most "
            f"{_MOST_BYTES / 1e6:.0f} MB"
        )
    return path.read_text(encoding="utf-8-sig")


def digest_of(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file; of a folder with weights that of its .json and .safetensors files."""
    path = Path(path)
    if not path.is_dir():
        return _digest(path)
    names = sorted(one for one in path.iterdir() if one.suffix in (".json", ".safetensors"))
    found = [f"{one.name} {_digest(one)}" for one in names if one.is_file()]
    return hashlib.sha256("\n".join(found).encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
