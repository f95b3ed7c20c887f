"""PVD: a list of VTK's XML files, one a step, of which pyvista gives all times."""

from __future__ import annotations

from meanfield.results.formats.pvd.fields import FieldWriter
from meanfield.results.formats.pvd.fields import read as read_fields
from meanfield.results.formats.pvd.tokens import LengthWriter, TokenWriter
from meanfield.results.formats.pvd.tokens import read as read_tokens

__all__ = ["FORMAT"]


class _Pvd:
    """See ``formats.base.Format``."""

    program = "ParaView"
    fields = FieldWriter
    tokens = TokenWriter
    tokens_with_lengths = LengthWriter
    read_fields = staticmethod(read_fields)
    read_tokens = staticmethod(read_tokens)


FORMAT = _Pvd()
