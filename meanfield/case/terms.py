"""[model.potential] and [model.perceptron]: what moves tokens whatever the others do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Union

import numpy as np
from pydantic import BeforeValidator

from meanfield.case.matrices import MAX_ENTRY, Matrix, MatrixLike, resolved
from meanfield.errors import InputError
from meanfield.interaction.drifts.potentials import POTENTIALS, Potential
from meanfield.options import Expected, Field, Number, a_list, as_table, options

if TYPE_CHECKING:
    from meanfield.interaction.drifts import Drift

    AnyPotential = Potential
else:
    AnyPotential = Annotated[
        Union[tuple(POTENTIALS.values())],  # noqa: UP007  # made at run time
        Field(discriminator="type"),
    ]

__all__ = ["AnyPotential", "Perceptron"]


@options("model.perceptron", kw_only=True)
class Perceptron:
    """A perceptron: P_x(W sigma(B x + b)) is added to the velocity."""

    W: MatrixLike = Field(examples=[[[1.0], [0.0], [0.0]]])
    """(d, k), given as matrices of heads are."""
    B: MatrixLike = Field(examples=[[[1.0, 0.0, 0.0]]])
    """(k, d)."""
    b: (
        Annotated[
            tuple[Annotated[Number, Field(ge=-MAX_ENTRY, le=MAX_ENTRY)], ...],
            BeforeValidator(a_list, json_schema_input_type=list[float]),
            Expected(f"a list of k numbers up to {MAX_ENTRY:g}"),
        ]
        | None
    ) = None
    """k numbers; left out: zeros."""
    activation: Literal["relu", "gelu", "tanh"] = "relu"
    """sigma."""

    def table(self) -> dict[str, object]:
        """As the section [model.perceptron] of a case file."""
        table = as_table(self)
        return {k: v.written() if isinstance(v, Matrix) else v for k, v in table.items()}

    def on(self, d: int) -> Drift:
        """As a drift on S^{d-1}.

        Raises:
            InputError: shapes that do not fit together.
        """
        from meanfield.interaction.drifts import Perceptron as Made

        inner = resolved("model.perceptron.B", self.B, d)
        outer = resolved("model.perceptron.W", self.W, len(inner), d)
        if self.b is not None and len(self.b) != len(inner):
            raise InputError(
                f"model.perceptron.b: expected {len(inner)} numbers, one for each row of B, found "
                f"{len(self.b)}"
            )
        return Made(outer, inner, None if self.b is None else np.array(self.b), self.activation)
