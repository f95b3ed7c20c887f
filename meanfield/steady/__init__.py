"""Stationary states and their branches: the equation, how it is solved, and what the verbs do.

``equation``, ``density``, ``newton``, ``spectrum``, ``diagram``, ``curve`` and ``branch`` are
numbers alone: they know nothing of cases and folders. ``problem`` takes a case, ``folder`` writes
and reads what the ``verbs`` leave.
"""
