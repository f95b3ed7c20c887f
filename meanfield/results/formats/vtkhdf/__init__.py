"""VTKHDF, which ParaView (>= 5.13), VTK and pyvista read in time: the default."""

# ruff: noqa: E402  (h5py is loaded before those that write with it)
from __future__ import annotations

from meanfield.software import load_h5py

load_h5py()

from meanfield.results.formats.vtkhdf.fields import FieldWriter
from meanfield.results.formats.vtkhdf.fields import read as read_fields
from meanfield.results.formats.vtkhdf.tokens import LengthWriter, TokenWriter
from meanfield.results.formats.vtkhdf.tokens import read as read_tokens

__all__ = ["FORMAT"]


class _VtkHdf:
    """See ``formats.base.Format``."""

    program = "ParaView"
    fields = FieldWriter
    tokens = TokenWriter
    tokens_with_lengths = LengthWriter
    read_fields = staticmethod(read_fields)
    read_tokens = staticmethod(read_tokens)


FORMAT = _VtkHdf()
