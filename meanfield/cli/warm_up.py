"""``meanfield warm-up``: compile the kernels before the first run needs them."""

from __future__ import annotations

import argparse

from meanfield.cli.parser import Verbs
from meanfield.cli.speech import announce, complain, say
from meanfield.cli.tables import table

__all__ = ["add_to"]

_DESCRIPTION = """\
Compile the kernels that runs use, once, into the folder where numba keeps them (a minute or two;
NUMBA_CACHE_DIR names another one). Without it, each is compiled by the first run that needs it."""


def add_to(verbs: Verbs) -> None:
    """Add the verb."""
    verbs.add(
        "warm-up",
        _warm_up,
        help="compile the kernels before the first run needs them",
        description=_DESCRIPTION,
        epilog="example:\n  meanfield warm-up",
    )


def _warm_up(args: argparse.Namespace) -> int:
    announce("looking for kernels, and compiling those that are not there ...")
    from meanfield.studies.warmup import warm_up

    done = warm_up()
    for text in done.left_out:
        complain(f"warning: left out: {text}")
    if done.folder is None:
        say("numba keeps no kernels here: each run compiles what it needs")
        return 0
    if done.compiled:
        words = f"{len(done.compiled)} compiled, {len(done.found)} were there"
    else:
        words = f"all {len(done.found)} were there"
    rows = [("kernels", words), ("time", f"{done.seconds:.1f} s")]
    say(table([*rows, ("kept in", str(done.folder))]))
    return 0
