"""Solvers: how mass moves along the field of attention."""
