"""Sweeps: the points of a product of axes, ensembles at each, and what comes out of all of them.

``axes`` reads what is varied, ``plan`` makes the cases and says which go to the kernel of
ensembles, ``blocks`` are the files that are done, ``kernel`` and ``runs`` make them, ``gather``
puts them together, ``record`` is what the folder tells, ``sweep`` the order of all this.
"""
