"""``meanfield schema``: print the JSON schema of case files."""

from __future__ import annotations

import argparse
import json

from meanfield.cli.parser import Verbs
from meanfield.cli.speech import say

__all__ = ["add_to"]


def add_to(verbs: Verbs) -> None:
    """Add the verb."""
    verbs.add(
        "schema",
        _schema,
        help="print the JSON schema of case files",
        description="Print the JSON schema of case files, by which editors complete and check them",
        epilog="example:\n  meanfield schema > case.schema.json",
    )


def _schema(args: argparse.Namespace) -> int:
    from meanfield.case.schema import case_schema

    say(json.dumps(case_schema(), indent=2))
    return 0
