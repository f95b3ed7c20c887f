"""Versions found without an import, and which DOLFINx is accepted."""

from __future__ import annotations

import json

import numpy as np
import pytest

from meanfield import software as module
from meanfield.errors import InputError
from meanfield.software import dolfinx_version, provenance, require_dolfinx


def test_provenance() -> None:
    found = provenance()
    assert found["numpy"] == np.__version__
    assert found["python"].startswith("3.")
    assert {"meanfield", "dolfinx", "scipy", "ducc0", "numba", "platform", "threads"} <= set(found)
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (None, ["not found", "scripts/env", ">= 0.9", "< 0.12"]),
        ("0.5.2", ["DOLFINx 0.5.2 is out of range", "scripts/env"]),
        ("0.12.0", ["DOLFINx 0.12.0 is out of range"]),
        ("1.0", ["out of range"]),
    ],
)
def test_dolfinx_missing_or_out_of_range(
    monkeypatch: pytest.MonkeyPatch, version: str | None, words: list[str]
) -> None:
    monkeypatch.setattr(module, "dolfinx_version", lambda: version)
    with pytest.raises(InputError) as caught:
        require_dolfinx()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("version", ["0.9.0", "0.10.0.post1", "0.11.1", "unknown"])
def test_dolfinx_in_range(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(module, "dolfinx_version", lambda: version)
    assert require_dolfinx() == version


def test_dolfinx_version_is_found_without_an_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    assert dolfinx_version() is None
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(module, "package_version", lambda key: {"dolfinx": "0.10.0"}[key])
    assert dolfinx_version() == "0.10.0"
