"""Reports: what is in folders as one HTML file that needs no network.

``page`` is how HTML is written (all text escaped), ``facts`` what the record of a folder says,
``tables`` the tables, ``charts`` the curves, ``scenes`` the densities and tokens in space,
``report`` the order of things. Reads files, never a live run.
"""
