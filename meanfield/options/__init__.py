"""Frozen options: one declaration for what is checked, explained, written and put into a schema.

A class made by ``options`` is a pydantic dataclass. Its fields say type, range, default, an example
and, in the text below them, what they mean; from that come the checks (of a case file and of a
Python call alike), the messages, ``meanfield help`` and the JSON schema. Rooms: ``values`` (types),
``classes`` (making and reading them), ``fields`` (what they say), ``faults`` (what is wrong, in one
line), ``varied`` (numbers to be varied). Knows no option.
"""

from dataclasses import field

from pydantic import Field

from meanfield.options.classes import (
    Option,
    as_table,
    checked,
    chosen,
    made_from,
    options,
    options_of,
)
from meanfield.options.fields import label_of, labels_of, tagged, unit_of
from meanfield.options.values import (
    OF_KEY,
    Angle,
    Counted,
    Duration,
    Entries,
    Expected,
    Flag,
    FromElsewhere,
    InputFile,
    Number,
    Numbers,
    Pure,
    Rate,
    Text,
    Unit,
    Whole,
    a_list,
    absolute,
)
from meanfield.options.varied import Varied

__all__ = [
    "OF_KEY",
    "Angle",
    "Counted",
    "Duration",
    "Entries",
    "Expected",
    "Field",
    "Flag",
    "FromElsewhere",
    "InputFile",
    "Number",
    "Numbers",
    "Option",
    "Pure",
    "Rate",
    "Text",
    "Unit",
    "Varied",
    "Whole",
    "a_list",
    "absolute",
    "as_table",
    "checked",
    "chosen",
    "field",
    "label_of",
    "labels_of",
    "made_from",
    "options",
    "options_of",
    "tagged",
    "unit_of",
]
