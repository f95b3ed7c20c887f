"""The ``meanfield`` command: its verbs, what it prints, and its exit codes.

Owns words on the screen only: everything a verb does is a call that a Python user can make too.
Imports are made inside the verbs, so that ``--help`` answers at once and everything that can be
refused is refused before DOLFINx is loaded and before anything is written. Rooms: ``command`` (the
entry point and the list of verbs), one verb a file, ``parser`` (what verbs are made of), ``speech``
(who speaks, and exit codes), ``screen`` (what a terminal shows more than a file), ``tables`` and
``words`` (what several verbs tell).
"""

from meanfield.cli.command import main

__all__ = ["main"]
